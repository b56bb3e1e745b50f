"""What does not agree, and how it becomes and leaves the queue of finance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db, rows_changed
from core.money import Money
from finance import errors
from ledger.models import LedgerException
from ledger.services import BY_ITSELF, open_exception
from staff.access import Actor

# Kinds that a comparison opens, and closes when it finds them no more. Others are closed by what opened them.
COMPARED = (
    "missing_entry",
    "doubled_row",
    "wrong_amount",
    "missing_settlement",
    "refund_not_at_provider",
    "payout_short",
    "payout_unmatched",
    "payout_failed_at_bank",
    "bank_line_unknown",
    "bank_line_doubled",
    "spending_not_at_bank",
    "statement_gap",
    "bank_balance_differs",
    "balance_differs",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree. `amount` is what it is about, or by how much."""

    kind: str
    source_type: str
    source_id: str
    amount: Money | None = None
    donation_id: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.source_type, self.source_id


def show(findings: Iterable[Finding], now: datetime, kinds: Iterable[str] = COMPARED) -> int:
    """Make the queue say what was found now, for these kinds: new ones in, those that are no longer true out.

    What a person has explained stays so, unless its amount is another one now. How many stand open afterwards.
    """
    found = {finding.key: finding for finding in findings}
    for each in found.values():
        open_finding(each, now)
    standing = sa.select(LedgerException).where(
        LedgerException.kind.in_(tuple(kinds)), LedgerException.resolved_at.is_(None)
    )
    left = 0
    for row in db.session.scalars(standing.execution_options(populate_existing=True)):
        if (row.kind, row.source_type, row.source_id) in found:
            left += 1
        else:
            row.resolved_at, row.resolution = now, BY_ITSELF
    db.session.flush()
    return left


def open_finding(finding: Finding, now: datetime) -> None:
    """Put it into the queue, with these details; what was explained is back when its amount is another one now, and
    what the books were corrected for in any case."""
    amount, details = finding.amount, dict(finding.details)
    opened = open_exception(
        finding.kind,
        finding.source_type,
        finding.source_id,
        now=now,
        amount=amount,
        donation_id=finding.donation_id,
        details=details,
    )
    values: dict[str, Any] = {"details": details}
    if amount is not None:
        values |= {"amount_minor": amount.minor, "currency": amount.currency}
    this = sa.and_(
        LedgerException.kind == finding.kind,
        LedgerException.source_type == finding.source_type,
        LedgerException.source_id == finding.source_id,
    )
    if opened:
        db.session.execute(sa.update(LedgerException).where(this).values(**values))
        return
    changed = LedgerException.amount_minor.is_distinct_from(amount.minor if amount else None)
    anew = {"resolved_at": None, "resolution": None, "resolved_by": None, "opened_at": now}
    explained = LedgerException.resolved_at.is_not(None)
    db.session.execute(sa.update(LedgerException).where(this, explained, changed).values(**values, **anew))
    db.session.execute(sa.update(LedgerException).where(this, ~explained).values(**values))


def resolve(exception: LedgerException, resolution: str, actor: Actor, now: datetime, *, anyway: bool = False) -> None:
    """A person has done something about it: one guarded update, so one of two people at once. Raises `Resolved`."""
    this = LedgerException.id == exception.id
    if not anyway:
        this = sa.and_(this, LedgerException.resolved_at.is_(None))
    values = {"resolved_at": now, "resolution": resolution[:200], "resolved_by": actor.email}
    resolved = db.session.execute(sa.update(LedgerException).where(this).values(**values))
    if rows_changed(resolved) != 1:
        raise errors.Resolved
