"""What does not agree, and how it becomes and leaves the queue of finance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db
from core.money import Money
from finance.ages import moved_at
from ledger.models import LedgerException
from ledger.services import BY_ITSELF, open_exception

# Kinds that a comparison opens, and closes when it finds them no more. Others are closed by what opened them.
COMPARED = (
    "missing_entry",
    "doubled_row",
    "wrong_amount",
    "missing_settlement",
    "refund_not_at_provider",
    "payout_short",
    "payout_unmatched",
    "bank_line_unknown",
    "bank_line_doubled",
    "spending_not_at_bank",
    "balance_differs",
)


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

    What a person has explained stays so, unless its amount is another one now. How many stand open afterwards.
    """
    found = {finding.key: finding for finding in findings}
    for each in found.values():
        _open(each, now)
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


def _open(finding: Finding, now: datetime) -> None:
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
    if opened:
        db.session.execute(sa.update(LedgerException).where(this).values(**values))
        return
    changed = LedgerException.amount_minor.is_distinct_from(amount.minor if amount else None)
    anew = {"resolved_at": None, "resolution": None, "resolved_by": None, "opened_at": now}
    explained = LedgerException.resolved_at.is_not(None)
    db.session.execute(sa.update(LedgerException).where(this, explained, changed).values(**values, **anew))
    db.session.execute(sa.update(LedgerException).where(this, ~explained).values(**values))
