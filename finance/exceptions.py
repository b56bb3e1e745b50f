"""The queue of finance: what does not agree, and the acts that resolve it. Each act is audited; nothing is forced."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.db import db, rows_changed
from core.money import Money
from donations.books import stray_source
from donations.models import Donation, Payment
from donations.state import apply_payment_fact
from finance import corrections, errors
from finance.corrections import line_of
from finance.exception_kinds import ASIDE, CORRECT, FEE, LINK, REFUND, RETRY, kind_of
from finance.findings import OF_ENTRIES, is_ended, resolve
from finance.models import SettlementLine
from finance.run_models import StrayRefund
from finance.services import set_aside
from finance.strays import PREFIX
from ledger import accounts
from ledger.corrections import book_again
from ledger.models import Account, Fund, JournalEntry, LedgerException, Posting
from ledger.periods import Month
from ledger.services import Line, Source, transfer
from payments.base import PaymentFact, PaymentState, SettlementKind
from staff import audit
from staff.access import Actor
from staff.models import AuditEntry

# Acts of rooms above this one, by kind: they take the exception's source id, and answer whether it worked.
_acts: dict[str, Callable[[str, datetime], bool]] = {}


def register_retry(kind: str, act: Callable[[str, datetime], bool]) -> None:
    """What "try again" does for a kind that a room above has opened. Called outside of a unit of work."""
    _acts[kind] = act


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the queue is asked for; `older` is the age of its money in days, `until` the month by whose end it
    moved."""

    kind: str = ""
    older: int = 0
    closed: bool = False
    until: Month | None = None


def find(number: int) -> LedgerException:
    """Raises `UnknownException`."""
    found = db.session.get(LedgerException, number)
    if found is None:
        raise errors.UnknownException
    return found


def listed(wanted: Wanted, now: datetime) -> sa.Select[LedgerException]:
    """Open ones, the oldest first; closed ones, the last closed first."""
    query = sa.select(LedgerException)
    if wanted.kind:
        query = query.where(LedgerException.kind == wanted.kind)
    if wanted.older:
        query = query.where(LedgerException.since <= now - timedelta(days=wanted.older))
    if wanted.until:
        query = query.where(LedgerException.since < wanted.until.ends_at)
    if wanted.closed:
        query = query.where(LedgerException.resolved_at.is_not(None))
        return query.order_by(LedgerException.resolved_at.desc(), LedgerException.id.desc())
    return query.where(LedgerException.resolved_at.is_(None)).order_by(LedgerException.since, LedgerException.id)


def counts() -> list[tuple[str, int]]:
    """Kinds that stand open and how many of each, the most first."""
    query = (
        sa.select(LedgerException.kind, sa.func.count())
        .where(LedgerException.resolved_at.is_(None))
        .group_by(LedgerException.kind)
        .order_by(sa.func.count().desc(), LedgerException.kind)
    )
    return [(row[0], row[1]) for row in db.session.execute(query)]


def acts_of(exception: LedgerException) -> tuple[str, ...]:
    """The acts that are possible for it as it stands."""
    if exception.resolved_at is not None:
        return ()
    possible = {
        ASIDE: lambda: (line := line_of(exception)) is not None and line.posted_at is None,
        LINK: lambda: stray_of(exception) is not None,
        REFUND: lambda: stray_of(exception) is not None,
        FEE: lambda: line_of(exception) is not None,
        CORRECT: lambda: corrections.act_of(exception) is not None,
        RETRY: lambda: exception.kind in _acts,
    }
    return tuple(act for act in kind_of(exception.kind).acts if act not in possible or possible[act]())


def explain(exception: LedgerException, reason: str, actor: Actor, now: datetime) -> None:
    """A person knows why it is so, and that nothing has to be booked. Raises `Resolved`, `NotExplainable`."""
    if not kind_of(exception.kind).explainable:
        raise errors.NotExplainable
    resolve(exception, reason, actor, now)
    _record("exception.explained", exception, actor, now, reason=reason)


def is_explained(exception: LedgerException) -> bool:
    """Whether it left the list with a person's explanation and with nothing else, and is so still."""
    if exception.resolved_by is None or is_ended(exception):
        return False
    query = sa.select(AuditEntry.action).where(AuditEntry.subject == _subject(exception))
    return db.session.scalar(query.order_by(AuditEntry.number.desc()).limit(1)) == "exception.explained"


def reopen(exception: LedgerException, reason: str, actor: Actor, now: datetime) -> None:
    """The explanation does not hold: it stands in the list again, with its acts. Raises `NotExplained`."""
    if not is_explained(exception):
        raise errors.NotExplained
    anew = {"resolved_at": None, "resolution": None, "resolved_by": None}
    explained = sa.and_(LedgerException.id == exception.id, LedgerException.resolved_at == exception.resolved_at)
    reopened = db.session.execute(sa.update(LedgerException).where(explained).values(**anew))
    if rows_changed(reopened) != 1:
        raise errors.NotExplained
    _record("exception.reopened", exception, actor, now, reason=reason)


def open_of_entries() -> int:
    """How many findings say that entries themselves are wrong."""
    query = sa.select(sa.func.count()).where(
        LedgerException.kind.in_(OF_ENTRIES), LedgerException.resolved_at.is_(None)
    )
    return db.session.scalar(query.select_from(LedgerException)) or 0


def put_aside(exception: LedgerException, reason: str, actor: Actor, now: datetime) -> None:
    """Book the provider's line to suspense. Raises `Resolved`."""
    line = line_of(exception)
    if line is None or not set_aside(line, now):
        raise errors.Resolved
    resolve(exception, reason, actor, now)
    _record("exception.to_suspense", exception, actor, now, reason=reason)


def charge_to_fund(exception: LedgerException, fund: Fund, reason: str, actor: Actor, now: datetime) -> None:
    """What the provider took without naming anything is a fee of this fund, at the rate of its last settled gift.

    Raises `Resolved`, `NoRate`.
    """
    line = line_of(exception)
    if line is None:
        raise errors.Resolved
    net = Money(line.net_minor, line.currency)
    lines = _fee_from_suspense(net, fund, line)
    source = Source("settlement_fee", line.ref, "fee")
    if not lines or not book_again(source, lines, occurred_at=line.created_at, recorded_at=now):
        raise errors.Resolved
    resolve(exception, reason, actor, now)
    _record("exception.charged_to_fund", exception, actor, now, reason=reason, fund=fund.code)


def _fee_from_suspense(net: Money, fund: Fund, line: SettlementLine, known_at: datetime | None = None) -> list[Line]:
    suspense, fee = accounts.suspense(net.currency), accounts.of_fund(fund, "fee")
    if net.currency == fund.currency:
        return transfer(fee, suspense, -net)
    ratio = _last_ratio(fund, line, known_at)
    if ratio is None:
        raise errors.NoRate
    return [
        *transfer(accounts.conversion(net.currency), suspense, -net),
        *transfer(fee, accounts.conversion(fund.currency), (-net).at_ratio(*ratio)),
    ]


def charged_lines(line: SettlementLine, fund: Fund, known_at: datetime) -> list[Line]:
    """What `charge_to_fund` posts for a line, by what was known then. Raises `NoRate`."""
    return _fee_from_suspense(Money(line.net_minor, line.currency), fund, line, known_at)


def _last_ratio(fund: Fund, line: SettlementLine, known_at: datetime | None = None) -> tuple[Money, Money] | None:
    """(Given, settled) of the fund's last gift before this line, of those that were known at that moment."""
    same = sa.and_(Payment.provider == SettlementLine.provider, Payment.payment_ref == SettlementLine.payment_ref)
    query = (
        sa.select(Payment.amount_minor, SettlementLine.amount_minor)
        .join(Payment, same)
        .where(
            SettlementLine.kind == SettlementKind.CHARGE.value,
            SettlementLine.currency == line.currency,
            SettlementLine.created_at <= line.created_at,
            SettlementLine.amount_minor != 0,
            Payment.currency == fund.currency,
            Payment.donation.has(Donation.campaign.has(fund_id=fund.id)),
        )
        .order_by(SettlementLine.created_at.desc(), SettlementLine.id.desc())
        .limit(1)
    )
    if known_at is not None:
        query = query.where(sa.func.coalesce(SettlementLine.recorded_at, SettlementLine.created_at) <= known_at)
    found = db.session.execute(query).first()
    return (Money(found[0], fund.currency), Money(found[1], line.currency)) if found else None


def link_to_donation(exception: LedgerException, number: str, reason: str, actor: Actor, now: datetime) -> Donation:
    """A payment in suspense is an attempt of this donation: it leaves suspense and counts as given.

    `number` is a donation's public id. Raises `Resolved`, `DonationUnknown`, `NoSuchAttempt`.
    """
    stray = stray_of(exception)
    if stray is None or _is_given_back(stray):
        raise errors.Resolved
    donation = db.session.scalar(sa.select(Donation).where(Donation.public_id == number.strip()))
    if donation is None:
        raise errors.DonationUnknown(field="donation")
    attempts = [each for each in donation.payments if each.state != "succeeded" and each.amount == stray.amount]
    if not attempts:
        raise errors.NoSuchAttempt(field="donation")
    fact = PaymentFact(
        state=PaymentState.SUCCEEDED,
        amount=stray.amount,
        occurred_at=stray.occurred_at,
        our_ref=attempts[-1].public_id,
        payment_ref=stray.payment_ref,
    )
    apply_payment_fact(stray.provider, fact, now)
    resolve(exception, reason, actor, now, anyway=True)
    _record("exception.linked", exception, actor, now, reason=reason, donation=donation.public_id)
    return donation


def retry(kind: str, source_id: str, now: datetime) -> bool:
    """Have the room that opened it try again; whether that worked. Outside of a unit of work."""
    act = _acts.get(kind)
    return act is not None and act(source_id, now)


@dataclass(frozen=True, slots=True)
class StrayPayment:
    """A payment that stands in suspense."""

    provider: str
    payment_ref: str
    amount: Money
    occurred_at: datetime


def stray_of(exception: LedgerException) -> StrayPayment | None:
    """The payment in suspense that it is about; None when none stands there (any more)."""
    query = sa.select(JournalEntry).where(
        JournalEntry.source_type == f"{PREFIX}payment", JournalEntry.kind == "gift", JournalEntry.reverses_id.is_(None)
    )
    if exception.kind == "unknown_payment":
        names = sa.select(SettlementLine.provider).union(sa.select(Payment.provider))
        sources = [stray_source("payment", name, exception.source_id).id for name in db.session.scalars(names)]
        query = query.where(JournalEntry.source_id.in_(sources))
    elif exception.donation_id is not None and exception.source_type == "payment":
        query = query.where(JournalEntry.donation_id == exception.donation_id)
    else:
        return None
    for entry in db.session.scalars(query.order_by(JournalEntry.recorded_at.desc())):
        if db.session.scalar(sa.select(JournalEntry.id).where(JournalEntry.reverses_id == entry.id)) is None:
            provider, _colon, payment_ref = entry.source_id.partition(":")
            amount = _amount_of(entry)
            if exception.amount_minor is None or amount.minor == exception.amount_minor:
                return StrayPayment(provider, payment_ref, amount, entry.happened_at or entry.occurred_at)
    return None


def _is_given_back(stray: StrayPayment) -> bool:
    query = sa.select(StrayRefund.id).where(
        StrayRefund.provider == stray.provider,
        StrayRefund.payment_ref == stray.payment_ref,
        StrayRefund.state != "refused",
    )
    return db.session.scalar(query) is not None


def _amount_of(entry: JournalEntry) -> Money:
    query = (
        sa.select(Posting.debit_minor, Posting.currency)
        .join(Account, Account.id == Posting.account_id)
        .where(Posting.entry_id == entry.id, Account.kind == "receivable")
    )
    return Money(*db.session.execute(query).one())


def _record(action: str, exception: LedgerException, actor: Actor, now: datetime, **after: str) -> None:
    audit.record(actor.email, action, _subject(exception), after=after, now=now, address=actor.address)


def _subject(exception: LedgerException) -> str:
    return f"exception:{exception.kind}:{exception.source_id}"
