"""The audit log: what was changed by whom, in a chain that shows every later change.

`record` belongs into the unit of work of the act itself: either both are there or neither. Each entry holds the
SHA-256 of the hash before it and of its own columns in one fixed spelling. The head of the chain is taken by an UPDATE
as the last statement but one of the unit, so concurrent writers stand in line for a moment only.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask import g, has_app_context

from core.clock import require_utc
from core.db import at_end, db, insert_if_absent
from staff.models import AuditEntry, AuditHead

GENESIS = "0" * 64
COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Head:
    """Where the chain ends: written down elsewhere, it shows later that the end was cut off."""

    number: int
    hash: str


@dataclass(frozen=True)
class Fault:
    number: int
    what: str


def record(
    actor: str,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    now: datetime,
    address: str,
) -> None:
    """Write down an act of `actor` (an e-mail address, or what acted instead of a person) at the end of this unit.

    `action` is a stable name such as `placement.retired`; `subject` names what was changed, such as `placement:AB12`.
    Raises `RuntimeError` outside a unit of work.
    """
    fields = {
        "at": require_utc(now),
        "actor": actor[:254],
        "via": _token_at_work(),
        "address": address[:64],
        "action": action,
        "subject": subject[:120],
        "before": _plain(before),
        "after": _plain(after),
    }
    at_end(partial(_append, fields))


def _token_at_work() -> str | None:
    """Which token acts in this request: asked here, so that no caller can forget to say it."""
    bearer = g.get("staff_bearer") if has_app_context() else None
    return bearer.token if bearer is not None else None


def _append(fields: dict[str, Any]) -> None:
    step = sa.update(AuditHead).where(AuditHead.id == 1).values(number=AuditHead.number + 1)
    step = step.returning(AuditHead.number, AuditHead.hash)
    taken = db.session.execute(step).first()
    if taken is None:
        insert_if_absent(AuditHead, id=1, number=0, hash=GENESIS)
        taken = db.session.execute(step).one()
    number, previous = taken
    row = {**fields, "number": number, "previous_hash": previous}
    row["hash"] = _hash(row)
    db.session.execute(sa.insert(AuditEntry).values(**row))
    db.session.execute(sa.update(AuditHead).where(AuditHead.id == 1).values(hash=row["hash"]))


def _plain(values: Mapping[str, Any] | None) -> Any:
    """As the database will give it back: JSON has no dates and no tuples."""
    return None if values is None else json.loads(json.dumps(dict(values), default=str))


def _hash(row: Mapping[str, Any]) -> str:
    names = ("number", "at", "actor", "address", "action", "subject", "before", "after", "previous_hash")
    spelled = {name: row[name] for name in names}
    if row["via"] is not None:  # entries from before there were tokens keep their hashes
        spelled["via"] = row["via"]
    spelled["at"] = require_utc(row["at"]).isoformat(timespec="microseconds")
    text = json.dumps(spelled, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def head() -> Head:
    found = db.session.execute(sa.select(AuditHead.number, AuditHead.hash)).first()
    return Head(*found) if found else Head(0, GENESIS)


def verify() -> tuple[int, list[Fault]]:
    """How many entries there are, and where the chain is broken: edited, removed, added or reordered rows."""
    faults: list[Fault] = []
    number, previous = 0, GENESIS
    for entry in db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number).execution_options(yield_per=500)):
        if entry.number != number + 1:
            faults.append(Fault(number + 1, f"missing up to {entry.number - 1}"))
        if entry.previous_hash != previous:
            faults.append(Fault(entry.number, "does not continue the entry before it"))
        if entry.hash != _hash({column.key: getattr(entry, column.key) for column in AuditEntry.__table__.c}):
            faults.append(Fault(entry.number, "was changed after it was written"))
        number, previous = entry.number, entry.hash
    end = head()
    if (end.number, end.hash) != (number, previous):
        faults.append(Fault(end.number, f"the chain ends at {number}, its head says {end.number}"))
    return number, faults
