"""Provider and books against the bank: what should stand in a statement and does not, and the other way round."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from core.clock import local_day
from core.db import db
from finance.bank.matching import AFTER, open_candidates, waiting_lines
from finance.bank.models import BankLine, BankStatement
from finance.findings import Finding
from ledger import periods

PATIENCE = timedelta(days=5)  # after the day on which a payout should be there


def bank_findings(now: datetime) -> Iterator[Finding]:
    """Lines that nothing is known of; payouts and spending that no statement shows."""
    yield from _lines()
    today, read = local_day(now, periods.ZONE), _read_through()
    for each in open_candidates():
        last = read.get(each.amount.currency)
        if not each.sure:
            continue
        if each.kind == "payout_back":
            details = {"day": each.day.isoformat(), "statements": last.isoformat() if last else None}
            yield Finding("payout_failed_at_bank", "payout", each.ref, -each.amount, None, details)
        elif each.kind == "payout":
            if each.day + PATIENCE < today:
                details = {"day": each.day.isoformat(), "statements": last.isoformat() if last else None}
                yield Finding("payout_unmatched", "payout", each.ref, each.amount, None, details)
        elif last is not None and each.day + AFTER < last:
            # What we ordered of our bank is missed once the statement of those days is here.
            details = {"day": each.day.isoformat(), "document": each.label}
            yield Finding("spending_not_at_bank", each.kind, each.ref, each.amount, None, details)


def _lines() -> Iterator[Finding]:
    waiting = waiting_lines()
    for line in waiting:
        kind = "bank_line_doubled" if _is_double(line) else "bank_line_unknown"
        details = {"day": line.day.isoformat(), "says": line.reference[:120]}
        yield Finding(kind, "bank_line", line.public_id, line.amount, None, details)


def _is_double(line: BankLine) -> bool:
    """Whether the bank says the very same once more."""
    same = sa.select(BankLine.id).where(
        BankLine.account_id == line.account_id, BankLine.fingerprint == line.fingerprint, BankLine.id != line.id
    )
    return db.session.scalar(same.limit(1)) is not None


def _read_through() -> dict[str, date]:
    """The last day of all statements, by currency."""
    query = sa.select(BankStatement).order_by(BankStatement.last_day)
    return {statement.account.currency: statement.last_day for statement in db.session.scalars(query)}
