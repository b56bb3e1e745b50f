"""Correcting the books: entries that make the ledger say what the facts say, for what a comparison has found.

A fact is what the provider told us at its last reading, or what we know of a payment or refund and the provider's
line bears out. Nothing is changed in the ledger: what stands wrong is taken back and what should stand is booked
(`ledger.corrections`). Each act is done once, however many people press the button, and is in the audit log with what
was there before. Found again afterwards, the matter is open again.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db
from donations.books import rebook_fact
from donations.models import Payment, Refund
from donations.state import lock_payment, settle
from finance import errors
from finance.findings import resolve
from finance.matching_provider import at_rate
from finance.models import KEPT, NAMED, VOID, SettlementChange, SettlementLine
from finance.services import rebook_line, take_fee_back
from finance.standing import CORRECTED_BY_ACT
from ledger.corrections import moved_by, rebook, standing_entries, take_back
from ledger.models import JournalEntry, LedgerException
from ledger.services import BY_CORRECTION, Source, UnbalancedEntry
from payments.base import SettlementKind
from staff import audit
from staff.access import Actor

FIGURES, ENTRY_BACK, LINE_OUT, BOOK, REBOOK = "figures", "entry_back", "line_out", "book", "rebook"
DIFFERENT = ("line_differs", "fee_changed")
LONGEST = 200 - len(BY_CORRECTION)

State = dict[str, Any]


def act_of(exception: LedgerException) -> str | None:
    """How the books can be corrected for it; None when no entry would help."""
    match exception.kind, exception.source_type:
        case (("line_differs" | "fee_changed"), "settlement"):
            return FIGURES if exception.details.get("currency") else None
        case "doubled_row", "entry":
            return ENTRY_BACK
        case "line_not_at_provider", "settlement":
            return LINE_OUT
        case "missing_entry", what if what in CORRECTED_BY_ACT:
            return BOOK
        case "wrong_amount", what if what in CORRECTED_BY_ACT:
            return REBOOK
    return None


def correct(exception: LedgerException, reason: str, actor: Actor, now: datetime) -> None:
    """Do it. Raises `Resolved` when somebody was faster, `NotBornOut`, `FiguresFirst`, `LineNotListed`, `EntryEdited`,
    and `NotCorrectable` for what no entry would help."""
    act = act_of(exception)
    if act is None:
        raise errors.NotCorrectable
    # First of all: of two people one waits here, and finds it resolved.
    resolve(exception, BY_CORRECTION + reason[:LONGEST], actor, now)
    acts: dict[str, Callable[[LedgerException, datetime], tuple[State, State]]] = {
        FIGURES: _take_figures,
        ENTRY_BACK: _take_entry_back,
        LINE_OUT: _take_line_out,
        BOOK: _book,
        REBOOK: _book,
    }
    try:
        before, after = acts[act](exception, now)
    except UnbalancedEntry as found:
        raise errors.EntryEdited from found
    subject = f"exception:{exception.kind}:{exception.source_id}"
    audit.record(
        actor.email,
        f"books.{act}",
        subject,
        before=before,
        after={**after, "reason": reason},
        now=now,
        address=actor.address,
    )


def line_of(exception: LedgerException) -> SettlementLine | None:
    """The provider's line that it is about."""
    if exception.source_type != "settlement":
        return None
    return db.session.scalar(sa.select(SettlementLine).where(SettlementLine.ref == exception.source_id))


# Lines of the provider


def _take_figures(exception: LedgerException, now: datetime) -> tuple[State, State]:
    """Our copy of the line says what the provider said at the last reading, and so do its entries."""
    row, told = _locked(exception), exception.details
    before = _kept(row, now)
    row.currency, row.exchange_rate = told["currency"], told.get("rate")
    row.amount_minor, row.fee_minor, row.net_minor = told["amount"], told["fee"], told["net"]
    if "kind" in told:
        row.kind = told["kind"]
        row.payment_ref, row.refund_ref, row.dispute_ref = told["payment"], told["refund"], told["dispute"]
        row.payout_ref = told["payout"] or row.payout_ref
    db.session.flush()
    rebook_line(row, now)
    return before, _figures(row)


def _take_line_out(exception: LedgerException, now: datetime) -> tuple[State, State]:
    """The provider does not have the line: it counts for nothing here any more. Its row stays, and says so."""
    row = _locked(exception)
    if row.kind == VOID:
        raise errors.Resolved
    before = _kept(row, now)
    rebook(Source("settlement", row.ref, row.kind), [], occurred_at=row.created_at, recorded_at=now)
    take_fee_back(row, now)
    row.kind, row.posted_at = VOID, row.posted_at or now
    row.amount_minor = row.fee_minor = row.net_minor = 0
    for name in NAMED:
        setattr(row, name, None)
    db.session.flush()
    return before, _figures(row)


def _locked(exception: LedgerException) -> SettlementLine:
    """The line as it is by the time that nobody else can change it. Raises `Resolved` without one."""
    line = line_of(exception)
    if line is None:
        raise errors.Resolved
    same = sa.update(SettlementLine).where(SettlementLine.id == line.id).values(ref=SettlementLine.ref)
    db.session.execute(same)
    db.session.refresh(line)
    return line


def _kept(row: SettlementLine, now: datetime) -> State:
    """Keep what the line says for reports of earlier moments; and for the audit log."""
    values = {name: getattr(row, name) for name in (*KEPT, *NAMED)}
    db.session.add(SettlementChange(line_id=row.id, changed_at=now, **values))
    return _figures(row)


def _figures(row: SettlementLine) -> State:
    return {name: getattr(row, name) for name in KEPT}


# Entries


def _take_entry_back(exception: LedgerException, now: datetime) -> tuple[State, State]:
    entry = db.session.get(JournalEntry, uuid.UUID(exception.source_id))
    if entry is None:
        raise errors.Resolved
    before = {"entry": f"{entry.source_type} {entry.source_id} {entry.kind}", **moved_by([entry])}
    if not take_back(entry, now):
        raise errors.Resolved
    return before, {}


def _book(exception: LedgerException, now: datetime) -> tuple[State, State]:
    """Make the entries of a payment, a refund or a line what they should be."""
    kind, number = exception.source_type, exception.source_id
    before: State = dict(moved_by(standing_entries(kind, number)))
    changed: State = {}
    match kind:
        case "settlement":
            _book_line(exception, now)
        case "payment":
            changed = _book_fact(db.session.scalar(sa.select(Payment).where(Payment.public_id == number)), now)
        case _:
            changed = _book_fact(db.session.scalar(sa.select(Refund).where(Refund.public_id == number)), now)
    return before, {**moved_by(standing_entries(kind, number)), **changed}


def _book_line(exception: LedgerException, now: datetime) -> None:
    row = _locked(exception)
    about = sa.and_(LedgerException.source_type == "settlement", LedgerException.source_id == row.ref)
    standing = sa.select(LedgerException.kind).where(about, LedgerException.resolved_at.is_(None))
    others = set(db.session.scalars(standing))
    if "line_not_at_provider" in others:
        raise errors.LineNotListed
    if others & set(DIFFERENT):
        raise errors.FiguresFirst
    rebook_line(row, now)


def _book_fact(fact: Payment | Refund | None, now: datetime) -> State:
    """What the provider's line bears out counts: our record of it, or else what is booked, and then the record is set
    right (that is told). Raises `NotBornOut` when it is neither."""
    if fact is None:
        raise errors.Resolved
    payment = lock_payment(fact if isinstance(fact, Payment) else fact.payment)
    db.session.refresh(fact)
    booked, changed = _booked(fact), {}
    if not _is_born_out(fact, fact.amount_minor):
        if not booked or not _is_born_out(fact, booked):
            raise errors.NotBornOut
        changed = {"record_said": fact.amount_minor, "record_says": booked}
        fact.amount_minor = booked
        settle(payment.donation, now)
    rebook_fact(fact, now)
    return changed


def _booked(fact: Payment | Refund) -> int:
    """The amount that stands in the books for it, minor units."""
    source_type = "payment" if isinstance(fact, Payment) else "refund"
    moved = moved_by(standing_entries(source_type, fact.public_id))
    return abs(sum(amount for code, amount in moved.items() if code.startswith("receivable:")))


def _is_born_out(fact: Payment | Refund, amount: int) -> bool:
    """Whether this amount is what the provider's line says at its rate; before there is one, what was promised."""
    if isinstance(fact, Payment):
        names = sa.and_(
            SettlementLine.kind == SettlementKind.CHARGE.value, SettlementLine.payment_ref == fact.payment_ref
        )
    else:
        names = sa.and_(
            SettlementLine.kind == SettlementKind.REFUND.value, SettlementLine.refund_ref == fact.refund_ref
        )
    query = sa.select(SettlementLine).where(SettlementLine.provider == fact.provider, names)
    line = db.session.scalar(query.where(SettlementLine.amount_minor != 0).order_by(SettlementLine.id).limit(1))
    expected = None if line is None else at_rate(amount, fact.currency, line)
    if line is not None and expected is not None:
        return abs(abs(line.amount_minor) - expected) <= 1
    return amount == (fact.donation.amount_minor if isinstance(fact, Payment) else fact.amount_minor)
