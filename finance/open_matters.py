"""What of a month does not agree yet when it is closed: nothing is hidden by closing it, and the sheet keeps it."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.db import db
from finance import run_state
from finance.run_state import Unread, Waiting
from ledger.models import LedgerException
from ledger.periods import Month


@dataclass(frozen=True)
class OpenMatters:
    """Open exceptions whose money moved by the end of the month, as (kind, how many), the most first; lines that wait
    to be booked; and providers that could not be read."""

    kinds: list[tuple[str, int]]
    waiting: list[Waiting]
    unread: list[Unread]

    @property
    def count(self) -> int:
        return sum(number for _kind, number in self.kinds)


def _of(month: Month) -> sa.ColumnElement[bool]:
    return sa.and_(LedgerException.resolved_at.is_(None), LedgerException.since < month.ends_at)


def open_of(month: Month) -> OpenMatters:
    number = sa.func.count()
    query = sa.select(LedgerException.kind, number).where(_of(month)).group_by(LedgerException.kind)
    kinds = [(row[0], row[1]) for row in db.session.execute(query.order_by(number.desc(), LedgerException.kind))]
    return OpenMatters(kinds, run_state.waiting(month.ends_at), run_state.unread())


def for_sheet(month: Month, reason: str) -> dict[str, Any]:
    """What the sheet of a month keeps of it, with why the month was closed all the same; nothing when all agrees."""
    kept: dict[str, Any] = {}
    if rows := list(db.session.scalars(sa.select(LedgerException).where(_of(month)).order_by(LedgerException.id))):
        kept |= {"open": [_row(row) for row in rows], "open_reason": reason}
    if waiting := run_state.waiting(month.ends_at):
        kept["waiting"] = [
            {"lines": each.lines, "net": each.net.minor, "currency": each.net.currency} for each in waiting
        ]
    return kept


def _row(row: LedgerException) -> dict[str, Any]:
    return {
        "number": row.id,
        "kind": row.kind,
        "source_type": row.source_type,
        "source_id": row.source_id,
        "amount": row.amount_minor,
        "currency": row.currency,
        "since": row.since.isoformat(timespec="seconds"),
    }
