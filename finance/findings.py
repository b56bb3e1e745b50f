"""What does not agree, and how it becomes and leaves the queue of finance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db, rows_changed
from core.money import Money
from finance import errors
from finance.ages import moved_at
from ledger.models import LedgerException
from ledger.services import BY_ITSELF, NO_LONGER, ended, is_settled, open_exception
from staff.access import Actor

# Kinds that a comparison opens, and closes when it finds them no more. Others are closed by what opened them.
COMPARED = (
    "missing_entry",
    "doubled_row",
    "wrong_amount",
    "wrong_state",
    "suspense_differs",
    "fund_overspent",
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
# Of these the entries themselves are wrong, so that nothing that is made of them can be right.
OF_ENTRIES = ("missing_entry", "doubled_row", "wrong_amount", "wrong_state", "suspense_differs")
# Details that change from day to day while the matter stays the same.
CHANGING = ("statements", "provider", "books")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree. `amount` is what it is about, or by how much.

    `since` is when its money moved; left out, it is that of what the finding is about (`finance.ages`).
    """

    kind: str
    source_type: str
    source_id: str
    amount: Money | None = None
    donation_id: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.source_type, self.source_id


def show(findings: Iterable[Finding], now: datetime, kinds: Iterable[str] = COMPARED) -> int:
    """Make the queue say what was found now, for these kinds: new ones in, those that are no longer true out.

    What a person has explained stays so until it is gone, or its amount or details are others. How many stand open
    afterwards.
    """
    found = {finding.key: finding for finding in findings}
    for each in found.values():
        open_finding(each, now)
    standing = sa.select(LedgerException).where(
        LedgerException.kind.in_(tuple(kinds)), LedgerException.resolved_at.is_(None)
    )
    _end_explanations(found, kinds)
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
    since = finding.since or moved_at(finding.source_type, finding.source_id)
    opened = open_exception(
        finding.kind,
        finding.source_type,
        finding.source_id,
        now=now,
        amount=amount,
        donation_id=finding.donation_id,
        details=details,
        since=since,
    )
    values: dict[str, Any] = {"details": details}
    if since is not None:
        values["since"] = min(since, now)
    if amount is not None:
        values |= {"amount_minor": amount.minor, "currency": amount.currency}
    this = sa.and_(
        LedgerException.kind == finding.kind,
        LedgerException.source_type == finding.source_type,
        LedgerException.source_id == finding.source_id,
    )
    if not opened:
        stored = sa.select(LedgerException).where(this).execution_options(populate_existing=True)
        row = db.session.scalars(stored).one()
        if row.resolved_at is not None:
            if _is_the_same(row, finding):
                return
            values |= {"resolved_at": None, "resolution": None, "resolved_by": None, "opened_at": now}
    db.session.execute(sa.update(LedgerException).where(this).values(**values))


def _is_the_same(row: LedgerException, finding: Finding) -> bool:
    """Whether what was explained is what is found now."""
    amount = finding.amount.minor if finding.amount else None
    return row.amount_minor == amount and _steady(row.details) == _steady(finding.details)


def _steady(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name not in CHANGING}


def _end_explanations(found: Mapping[tuple[str, str, str], Finding], kinds: Iterable[str]) -> None:
    """What was explained and is not found any more: the explanation holds for nothing that comes later."""
    explained = sa.select(
        LedgerException.id, LedgerException.kind, LedgerException.source_type, LedgerException.source_id
    ).where(LedgerException.kind.in_(tuple(kinds)), is_settled())
    gone = [number for number, *key in db.session.execute(explained) if tuple(key) not in found]
    if gone:
        db.session.execute(sa.update(LedgerException).where(LedgerException.id.in_(gone)).values(resolution=ended()))


def is_ended(row: LedgerException) -> bool:
    """Whether a person had resolved it and it is no longer so."""
    return (row.resolution or "").startswith(NO_LONGER)


def resolve(exception: LedgerException, resolution: str, actor: Actor, now: datetime, *, anyway: bool = False) -> None:
    """A person has done something about it: one guarded update, so one of two people at once. Raises `Resolved`."""
    this = LedgerException.id == exception.id
    if not anyway:
        this = sa.and_(this, LedgerException.resolved_at.is_(None))
    values = {"resolved_at": now, "resolution": resolution[:200], "resolved_by": actor.email}
    resolved = db.session.execute(sa.update(LedgerException).where(this).values(**values))
    if rows_changed(resolved) != 1:
        raise errors.Resolved
