"""The provider's own account, read in bulk: by time, a window after the other, and by payout.

What is read is kept window by window and the mark moves after each, so a process that is killed goes on where it was;
what is read twice is kept once. No transaction is open while the provider is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.db import db, insert_if_absent, unit_of_work
from core.money import Money
from donations.models import Payment
from finance.models import VOID, PayoutRecord, SettlementLine
from finance.payouts import record_payout
from finance.run_models import SettlementMark
from finance.services import PAYOUT_ENDED, PAYOUT_KINDS, record_settlement
from ledger.models import LedgerException
from ledger.services import close_exception, open_exception
from payments.base import PaymentProvider, ProviderRefused, Settlement

OVERLAP = timedelta(days=3)  # lines may appear later than they were made
WINDOW = timedelta(days=1)
BATCH = 100
# Kinds of what is wrong with a line that the provider's own word of it may clear up.
DOUBTFUL = ("line_differs", "fee_changed", "line_not_at_provider", "wrong_amount", "missing_entry", "doubled_row")
MOST_DOUBTFUL = 100  # of one run


@dataclass
class Fetched:
    """What a fetch has read: lines, how many of them were new, payouts."""

    lines: int = 0
    new: int = 0
    payouts: int = 0


def record_lines(provider: str, lines: Iterable[Settlement], now: datetime) -> int:
    """Keep and post lines batch by batch, in one order for all workers; how many were new. Commits.

    SQLite has one writer: a batch at a time keeps it free for gifts.
    """
    ordered, new = sorted(lines, key=lambda line: line.ref), 0
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        with unit_of_work() as session:
            here = sa.select(SettlementLine.ref).where(
                SettlementLine.provider == provider, SettlementLine.ref.in_([line.ref for line in batch])
            )
            new += len(batch) - len(set(session.scalars(here)))
            for line in batch:
                record_settlement(provider, line, now)
    return new


def fetch(provider: PaymentProvider, now: datetime, since: datetime | None = None) -> Fetched:
    """Read the account from the mark on (less an overlap), or from `since`, up to now, then its payouts. Commits.

    Raises `ProviderDown`, `ProviderRefused`; what was read before that is kept.
    """
    fetched, start = Fetched(), since or _start(provider.name, now)
    seen: set[str] = set()
    while start <= now:
        end = start + WINDOW
        # The last window has no end: what is made while we read belongs to it.
        lines = list(provider.list_settlements(since=start, until=end if end <= now else None))
        fetched.lines += len(lines)
        fetched.new += record_lines(provider.name, lines, now)
        seen |= {line.payout_ref for line in lines if line.payout_ref and line.kind in PAYOUT_KINDS}
        _watch_vanished(provider.name, start, end if end <= now else None, lines, now)
        _move_mark(provider.name, min(end, now))
        start = end
    for ref in sorted(seen | _payouts_to_read(provider.name)):
        _fetch_payout(provider, ref, now)
        fetched.payouts += 1
    return fetched


def _start(provider: str, now: datetime) -> datetime:
    """Three days before the mark; the first time a day before the first payment."""
    through = db.session.scalar(sa.select(SettlementMark.through).where(SettlementMark.provider == provider))
    first = db.session.scalar(sa.select(sa.func.min(Payment.created_at)).where(Payment.provider == provider))
    db.session.rollback()
    begin = (first or now) - WINDOW
    return (through - OVERLAP if through else begin).replace(microsecond=0)


def _move_mark(provider: str, through: datetime) -> None:
    """Never back: somebody may be reading an older window again."""
    with unit_of_work() as session:
        if not insert_if_absent(SettlementMark, provider=provider, through=through):
            behind = sa.and_(SettlementMark.provider == provider, SettlementMark.through < through)
            session.execute(sa.update(SettlementMark).where(behind).values(through=through))


def _watch_vanished(
    provider: str, start: datetime, end: datetime | None, lines: Sequence[Settlement], now: datetime
) -> None:
    """Lines that we hold of a time, and that the provider does not list: shown until it does."""
    listed = {line.ref for line in lines}
    query = sa.select(SettlementLine).where(
        SettlementLine.provider == provider, SettlementLine.created_at >= start, SettlementLine.kind != VOID
    )
    if end is not None:
        query = query.where(SettlementLine.created_at < end)
    with unit_of_work() as session:
        for row in session.scalars(query):
            if row.ref not in listed:
                amount = Money(row.net_minor, row.currency)
                open_exception(
                    "line_not_at_provider", "settlement", row.ref, now=now, amount=amount, since=row.created_at
                )
            else:
                close_exception("line_not_at_provider", "settlement", row.ref, now=now)


def read_doubtful(provider: PaymentProvider, now: datetime) -> int:
    """Read lines again that something is wrong with, however old they are; how many moments were asked for. Commits.

    Raises `ProviderDown`, `ProviderRefused`.
    """
    doubt = sa.select(LedgerException.source_id).where(
        LedgerException.kind.in_(DOUBTFUL),
        LedgerException.source_type.in_(("settlement", "line")),
        LedgerException.resolved_at.is_(None),
    )
    query = sa.select(SettlementLine.created_at).where(
        SettlementLine.provider == provider.name, SettlementLine.ref.in_(doubt)
    )
    moments = sorted({moment.replace(microsecond=0) for moment in db.session.scalars(query)})[:MOST_DOUBTFUL]
    db.session.rollback()
    for start in moments:
        end = start + timedelta(seconds=1)
        lines = list(provider.list_settlements(since=start, until=end))
        record_lines(provider.name, lines, now)
        _watch_vanished(provider.name, start, end, lines, now)
    return len(moments)


def _payouts_to_read(provider: str) -> set[str]:
    """Payouts that were told by a line only, or that had not ended when we looked last."""
    known = sa.select(PayoutRecord.ref).where(PayoutRecord.provider == provider)
    told = sa.select(SettlementLine.payout_ref).where(
        SettlementLine.provider == provider,
        SettlementLine.kind == PAYOUT_KINDS[0].value,
        SettlementLine.payout_ref.is_not(None),
        SettlementLine.payout_ref.not_in(known),
    )
    under_way = known.where(PayoutRecord.state.not_in(("paid", *PAYOUT_ENDED)))
    found = {ref for ref in (*db.session.scalars(told), *db.session.scalars(under_way)) if ref}
    db.session.rollback()
    return found


def _fetch_payout(provider: PaymentProvider, ref: str, now: datetime) -> None:
    payout = provider.read_payout(ref)
    try:
        lines = list(provider.list_settlements(payout_ref=ref))
    except ProviderRefused:
        lines = []  # a payout by hand is made of an amount, not of lines
    record_lines(provider.name, lines, now)
    with unit_of_work():
        record_payout(provider.name, payout, lines, now)
