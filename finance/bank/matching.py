"""Which bank line is which movement of our books.

By itself a line is matched only with the one thing that it can be: same amount, same currency, days that fit, and no
second candidate on either side; never again with what a person took back. A payout that arrives is posted then (bank /
transit), and one that the bank sent back after it had arrived, too (transit / bank); disbursements and payments of the
sponsor were posted by their own acts and are only found again. Everything else waits for a person.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from core.clock import local_day
from core.db import db, insert_if_absent, rows_changed
from core.ids import new_public_id
from core.money import Money
from finance.bank import errors
from finance.bank.models import BankLine, BankMatch
from finance.bank.reading import OLDEST
from finance.forms import start_of
from finance.models import PayoutRecord, SettlementLine, SponsorPayment
from finance.services import PAYOUT_ENDED, PAYOUT_KINDS
from ledger import accounts, periods
from ledger.models import Disbursement
from ledger.services import Line, Source, post_entry, reverse_entry, transfer
from payments.base import SettlementKind
from staff import audit
from staff.access import Actor

BY_ITSELF = "matched by itself"
OF_PAYOUTS = ("payout", "payout_back")
# How far apart the day of our record and the bank's may be.
BEFORE, AFTER = timedelta(days=3), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a line may be: `amount` as it should stand at the bank, above zero for what comes in.

    `sure`: it should stand in a statement. A payout that failed may have been at the bank before, or not: a line is
    taken for it only when it names it, or when a person says so.
    """

    kind: str
    ref: str
    day: date
    amount: Money
    label: str
    sure: bool = True


def match_lines(now: datetime) -> int:
    """Match all lines that can be only one thing; how many were. Lines that name what they are come first."""
    return sum(_match_sure(now, option) for option in (_names, _fits))


def _match_sure(now: datetime, option: Callable[[BankLine, Candidate], bool]) -> int:
    candidates, undone = open_candidates(), _undone_pairs()
    options = [
        (line, [each for each in candidates if option(line, each) and (line.id, each.kind, each.ref) not in undone])
        for line in waiting_lines()
    ]
    claims = Counter(each for _line, found in options for each in found)
    alone = [(line, found[0]) for line, found in options if len(found) == 1 and claims[found[0]] == 1]
    return sum(_match(line, only, BY_ITSELF, "", now) for line, only in alone)


def _undone_pairs() -> set[tuple[int, str, str]]:
    """What a person said that it is not: only a person matches it again."""
    query = sa.select(BankMatch.line_id, BankMatch.kind, BankMatch.ref).where(BankMatch.undone_at.is_not(None))
    return {(line_id, kind, ref) for line_id, kind, ref in db.session.execute(query)}


def _names(line: BankLine, candidate: Candidate) -> bool:
    named = bool(candidate.label) and candidate.label.casefold() in line.reference.casefold()
    return named and _is_like(line, candidate)


def _fits(line: BankLine, candidate: Candidate) -> bool:
    return candidate.sure and _is_like(line, candidate)


def _is_like(line: BankLine, candidate: Candidate) -> bool:
    in_time = candidate.day - BEFORE <= line.day <= candidate.day + AFTER
    return in_time and line.amount == candidate.amount


def waiting_lines() -> list[BankLine]:
    """Lines that nothing is known of, the oldest first."""
    matched = sa.select(BankMatch.line_id).where(BankMatch.undone_at.is_(None))
    query = sa.select(BankLine).where(BankLine.id.not_in(matched)).order_by(BankLine.day, BankLine.id)
    return list(db.session.scalars(query))


def open_candidates() -> list[Candidate]:
    """All that should (or may) stand in a statement and was not found in one yet."""
    return [*_payouts(), *payouts_sent_back(), *_disbursements(), *_sponsor_payments()]


def _unmatched(kind: str, ref: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    taken = sa.select(BankMatch.ref).where(BankMatch.kind == kind, BankMatch.undone_at.is_(None))
    return ref.not_in(taken)


def _payouts() -> Iterable[Candidate]:
    ref = PayoutRecord.provider + ":" + PayoutRecord.ref
    query = sa.select(PayoutRecord).where(PayoutRecord.state != "canceled", _unmatched("payout", ref))
    for payout in db.session.scalars(query.order_by(PayoutRecord.id)):
        amount = Money(payout.amount_minor, payout.currency)
        day, sure = local_day(payout.arrives_at, periods.ZONE), payout.state not in PAYOUT_ENDED
        yield Candidate("payout", f"{payout.provider}:{payout.ref}", day, amount, payout.ref, sure)


def payouts_sent_back() -> Iterable[Candidate]:
    """Payouts that arrived at the bank and failed after that, until the line is here that takes the money back."""
    ref = PayoutRecord.provider + ":" + PayoutRecord.ref
    arrived = ~_unmatched("payout", ref)
    failed = sa.select(sa.func.max(SettlementLine.created_at)).where(
        SettlementLine.provider == PayoutRecord.provider,
        SettlementLine.payout_ref == PayoutRecord.ref,
        SettlementLine.kind == PAYOUT_KINDS[1].value,
    )
    moment = sa.func.coalesce(failed.scalar_subquery(), PayoutRecord.arrives_at)
    query = sa.select(PayoutRecord, sa.type_coerce(moment, PayoutRecord.arrives_at.type)).where(
        PayoutRecord.state.in_(PAYOUT_ENDED), arrived, _unmatched("payout_back", ref)
    )
    for payout, failed_at in db.session.execute(query.order_by(PayoutRecord.id)):
        amount, day = Money(-payout.amount_minor, payout.currency), local_day(failed_at, periods.ZONE)
        yield Candidate("payout_back", f"{payout.provider}:{payout.ref}", day, amount, payout.ref)


def _disbursements() -> Iterable[Candidate]:
    query = sa.select(Disbursement).where(
        Disbursement.state == "approved", _unmatched("disbursement", sa.type_coerce(Disbursement.public_id, sa.String))
    )
    for spent in db.session.scalars(query.order_by(Disbursement.id)):
        amount = spent.bank_amount if spent.reverses_id else -spent.bank_amount
        yield Candidate("disbursement", spent.public_id, spent.spent_on, amount, spent.document)


def _sponsor_payments() -> Iterable[Candidate]:
    query = sa.select(SponsorPayment).where(
        SponsorPayment.taken_back_at.is_(None),
        _unmatched("sponsor", sa.type_coerce(SponsorPayment.public_id, sa.String)),
    )
    for paid in db.session.scalars(query.order_by(SponsorPayment.id)):
        yield Candidate("sponsor", paid.public_id, paid.paid_on, paid.bank_amount, paid.document)


def line_by_public_id(public_id: str) -> BankLine:
    """Raises `UnknownLine`."""
    found = db.session.scalar(sa.select(BankLine).where(BankLine.public_id == public_id))
    if found is None:
        raise errors.UnknownLine
    return found


def candidates_for(line: BankLine) -> list[Candidate]:
    """What a person may choose from: what goes the same way, the nearest amounts and days first."""
    same_way = [each for each in open_candidates() if (each.amount.minor > 0) == (line.amount_minor > 0)]

    def distance(each: Candidate) -> tuple[bool, int, int]:
        other = each.amount.currency != line.currency
        return other, 0 if other else abs(each.amount.minor - line.amount_minor), abs((each.day - line.day).days)

    return sorted(same_way, key=distance)


def match_by_hand(line: BankLine, kind: str, ref: str, reason: str, actor: Actor, now: datetime) -> None:
    """A person says what a line is.

    In one currency the amounts of disbursements and sponsors must be equal; a payout may arrive (or go back) short, its
    bank kept a fee, or in another currency: what differs is posted to suspense, with the reason.

    Raises `NothingToMatch`, `AmountsDiffer`, `LineTaken`, `DayImpossible`.
    """
    _require_possible(line, now)
    chosen = next((each for each in open_candidates() if (each.kind, each.ref) == (kind, ref)), None)
    if chosen is None:
        raise errors.NothingToMatch(field="candidate")
    if kind not in OF_PAYOUTS and chosen.amount != line.amount:
        raise errors.AmountsDiffer(field="candidate", line=_written(line.amount), books=_written(chosen.amount))
    if not _match(line, chosen, actor.email, reason, now):
        raise errors.LineTaken
    _record("bank_line.matched", line, actor, now, after={"kind": kind, "ref": ref, "reason": reason})


def post_to_suspense(line: BankLine, reason: str, actor: Actor, now: datetime) -> None:
    """Money at the bank that belongs to nothing we know, outside every fund. Raises `LineTaken`, `DayImpossible`."""
    _require_possible(line, now)
    if not _match(line, Candidate("suspense", "", line.day, line.amount, ""), actor.email, reason, now):
        raise errors.LineTaken
    _record("bank_line.to_suspense", line, actor, now, after={"reason": reason})


def take_back(line: BankLine, reason: str, actor: Actor, now: datetime) -> None:
    """The match was a mistake: what it posted is reversed, and the line waits again.

    Raises `NotMatched`; `SentBack` for a payout while another line is taken for its way back.
    """
    match = db.session.scalar(sa.select(BankMatch).where(BankMatch.line_id == line.id, BankMatch.undone_at.is_(None)))
    if match is None:
        raise errors.NotMatched
    if match.kind == "payout" and _is_sent_back(match.ref):
        raise errors.SentBack
    if not _undo(match, reason, actor, now):
        raise errors.NotMatched
    if match.kind in (*OF_PAYOUTS, "suspense"):
        reverse_entry(_source(match), "taken_back", occurred_at=start_of(line.day), recorded_at=now)
    before = {"kind": match.kind, "ref": match.ref}
    _record("bank_line.taken_back", line, actor, now, before=before, after={"reason": reason})


def _is_sent_back(ref: str) -> bool:
    back = sa.select(BankMatch.id).where(
        BankMatch.kind == "payout_back", BankMatch.ref == ref, BankMatch.undone_at.is_(None)
    )
    return db.session.scalar(back) is not None


def _undo(match: BankMatch, reason: str, actor: Actor, now: datetime) -> bool:
    undone = db.session.execute(
        sa.update(BankMatch)
        .where(BankMatch.id == match.id, BankMatch.undone_at.is_(None))
        .values(undone_at=now, undone_by=actor.email, undo_reason=reason)
    )
    return rows_changed(undone) == 1


def _match(line: BankLine, chosen: Candidate, who: str, reason: str, now: datetime) -> bool:
    """Keep the match and post what it says; False when the line or its other side was matched meanwhile."""
    public_id = new_public_id()
    kept = insert_if_absent(
        BankMatch,
        public_id=public_id,
        line_id=line.id,
        kind=chosen.kind,
        ref=chosen.ref,
        reason=reason,
        matched_by=who,
        matched_at=now,
        undo_reason="",
    )
    if kept and (lines := _postings(line, chosen)):
        post_entry(Source("bank_match", public_id, chosen.kind), lines, occurred_at=start_of(line.day), recorded_at=now)
    return kept


def _require_possible(line: BankLine, now: datetime) -> None:
    """Lines that were imported before days were looked at may say anything. Raises `DayImpossible`."""
    if not OLDEST <= line.day <= local_day(now, periods.ZONE) + timedelta(days=1):
        raise errors.DayImpossible(day=line.day.isoformat())


def _source(match: BankMatch) -> Source:
    return Source("bank_match", match.public_id, match.kind)


def _postings(line: BankLine, chosen: Candidate) -> list[Line]:
    bank, suspense = accounts.bank(line.currency), accounts.suspense(line.currency)
    if chosen.kind == "suspense":
        return transfer(bank, suspense, line.amount)
    if chosen.kind not in OF_PAYOUTS:
        return []  # its own act has posted it
    transit = accounts.transit(chosen.ref.partition(":")[0], chosen.amount.currency)
    if chosen.amount.currency == line.currency:
        return [*transfer(bank, transit, line.amount), *transfer(suspense, transit, chosen.amount - line.amount)]
    return [
        *transfer(bank, accounts.conversion(line.currency), line.amount),
        *transfer(accounts.conversion(chosen.amount.currency), transit, chosen.amount),
    ]


def _written(amount: Money) -> str:
    return f"{amount.major} {amount.currency}"


def _record(action: str, line: BankLine, actor: Actor, now: datetime, **states: dict[str, str]) -> None:
    audit.record(actor.email, action, f"bank_line:{line.public_id}", now=now, address=actor.address, **states)


def posted_by(match: BankMatch) -> list[Line]:
    """What this match posts, by what its line and its payout say now."""
    line, amount = match.line, match.line.amount
    if match.kind in ("payout", "payout_back"):
        sent = _sent(*match.ref.split(":", 1))
        if sent is None:
            return []
        amount = -sent if match.kind == "payout_back" else sent
    return _postings(line, Candidate(match.kind, match.ref, line.day, amount, ""))


def _sent(provider: str, ref: str) -> Money | None:
    """What left for the bank with a payout: its own line says it, until that is here the payout does."""
    named = sa.and_(SettlementLine.provider == provider, SettlementLine.payout_ref == ref)
    query = sa.select(-SettlementLine.net_minor, SettlementLine.currency)
    found = db.session.execute(query.where(named, SettlementLine.kind == SettlementKind.PAYOUT.value).limit(1)).first()
    if found is None:
        payout = sa.select(PayoutRecord.amount_minor, PayoutRecord.currency)
        named = sa.and_(PayoutRecord.provider == provider, PayoutRecord.ref == ref)
        found = db.session.execute(payout.where(named)).first()
    return Money(found[0], found[1]) if found else None
