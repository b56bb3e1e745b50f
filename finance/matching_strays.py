"""Money that is no gift of ours, and what a close has booked: entries whose fact the provider or the books tell.

Of a payment in suspense we have no row. What we know of it is the provider's line, at its rate, and the exception that
was opened with the amount that we were told.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from core.db import db
from core.money import Money
from finance.conversion import SOURCE
from finance.findings import Finding
from finance.matching_provider import at_rate
from finance.models import SettlementLine
from finance.standing import MOST, Books, Entry, Fact, batched, standing_of
from ledger import accounts, periods
from ledger.models import Fund, JournalEntry, LedgerException
from ledger.services import Line, transfer
from payments.base import SettlementKind

KINDS = {
    "stray_payment": ((SettlementKind.CHARGE,), "payment_ref"),
    "stray_refund": ((SettlementKind.REFUND, SettlementKind.REFUND_FAILURE), "refund_ref"),
    "stray_dispute": ((SettlementKind.DISPUTE, SettlementKind.DISPUTE_REVERSAL), "ref"),
}


def stray_findings(books: Books) -> Iterator[Finding]:
    for source_type in KINDS:
        for source_id, entries in _entries(books, source_type):
            fact = Fact(source_id, _lines(source_type, source_id, entries), gift_known=False)
            yield from books.compare_one(source_type, fact, entries)
    for source_id, entries in _entries(books, SOURCE):
        yield from _residue(books, source_id, entries)


def _entries(books: Books, source_type: str) -> Iterator[tuple[str, list[Entry]]]:
    ids = db.session.scalars(
        sa.select(JournalEntry.source_id).where(JournalEntry.source_type == source_type).distinct()
    )
    for batch in batched(sorted(ids)[:MOST], 500):
        yield from books.entries_of(source_type, batch).items()


def _lines(source_type: str, source_id: str, entries: list[Entry]) -> list[Line]:
    """What should stand: the amount that the provider's line is of at its rate, or that we were told; else what the
    entry itself says, on the accounts that such money has."""
    provider, _, reference = source_id.partition(":")
    if not standing_of(entries):
        return []
    amount = _booked(entries)
    line = _line_of(source_type, provider, reference)
    told = _told(reference) if source_type == "stray_payment" else None
    if told is not None:
        amount = told
    elif line is not None and (expected := at_rate(amount.minor, amount.currency, line)) is not None:
        settled = abs(line.amount_minor)
        if abs(settled - expected) > 1 and expected:
            amount = Money(round(amount.minor * settled / expected), amount.currency)
    receivable, suspense = accounts.stray_receivable(provider, amount.currency), accounts.suspense(amount.currency)
    gave = source_type == "stray_payment" or (line is not None and line.kind == SettlementKind.DISPUTE_REVERSAL)
    if source_type == "stray_dispute" and line is None:
        gave = standing_of(entries)[0].moved.get(receivable.code, 0) > 0
    return transfer(receivable, suspense, amount if gave else -amount)


def _booked(entries: list[Entry]) -> Money:
    """The largest movement of what stands; the currency is that of its suspense account."""
    moved = [one for entry in standing_of(entries) for one in entry.moved.items()]
    code, amount = max(moved, key=lambda one: (one[0].startswith("suspense:"), abs(one[1]), one[0]))
    return Money(abs(amount), code.rpartition(":")[2]) if code.startswith("suspense:") else Money(1, "BYN")


def _line_of(source_type: str, provider: str, reference: str) -> SettlementLine | None:
    kinds, column = KINDS[source_type]
    query = sa.select(SettlementLine).where(
        SettlementLine.provider == provider,
        SettlementLine.kind.in_([kind.value for kind in kinds]),
        getattr(SettlementLine, column) == reference,
        SettlementLine.amount_minor != 0,
    )
    return db.session.scalar(query.order_by(SettlementLine.id).limit(1))


def _told(reference: str) -> Money | None:
    """The amount with which the payment was put before finance."""
    query = sa.select(LedgerException.amount_minor, LedgerException.currency).where(
        LedgerException.kind == "unknown_payment",
        LedgerException.source_type == "payment",
        LedgerException.source_id == reference,
        LedgerException.amount_minor.is_not(None),
    )
    found: Any = db.session.execute(query).first()
    return Money(found[0], found[1]) if found and found[1] else None


def _residue(books: Books, source_id: str, entries: list[Entry]) -> Iterator[Finding]:
    """What a close books goes between a fund and its conversion, at the month's last moment.

    Its amount is that of the month's sheet (`closed_months_unchanged`).
    """
    closing, _, rest = source_id.partition(":")
    fund = db.session.scalar(sa.select(Fund).where(Fund.code == rest.rpartition(":")[0]))
    standing = standing_of(entries)
    if fund is None or not standing:
        return
    own, bridge = accounts.of_fund(fund, "fx"), accounts.conversion(fund.currency)
    gained = Money(-standing[0].moved.get(own.code, 0), fund.currency)
    last = periods.Month.read(closing.partition(".")[0]).ends_at
    lines = transfer(bridge, own, gained) if gained else transfer(bridge, own, Money(1, fund.currency))
    yield from books.compare_one(SOURCE, Fact(source_id, lines, last, exact=False), entries)
