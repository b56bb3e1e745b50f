"""The audit log: what was changed by whom, in a chain that shows every later change.

`record` belongs into the unit of work of the act itself: either both are there or neither. Each entry holds the
SHA-256 of the hash before it and of its own columns in one fixed spelling. The head of the chain is taken by an UPDATE
as the last statement but one of the unit, so concurrent writers stand in line for a moment only.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask import g, has_app_context

from core.clock import require_utc
from core.db import at_end, db, insert_if_absent
from staff.models import AuditCheck, AuditEntry, AuditHead

GENESIS = "0" * 64
COMMAND_LINE = "command line"
LOG = AuditEntry.__table__.c
PART = 2000


@dataclass(frozen=True)
class Head:
    """Where the chain ends: written down elsewhere, it shows later that the end was cut off."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


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


def record_command(
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Write down what an operator did at the command line, where nobody has signed in."""
    record(COMMAND_LINE, action, subject, before=before, after=after, now=now, address="-")


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


def verify(written_down: Head | None = None, *, end: Head | None = None) -> tuple[int, list[Fault]]:
    """How many entries there are, and where the chain is broken: edited, removed, added or reordered rows.

    `written_down` is a head noted elsewhere at some time: it shows an end that was cut off, and a chain made anew. So
    does the head of an earlier reading, unless somebody removed that row, too.
    Entries after `end` (the present head by default) are left for the next time, so that others may go on writing.
    Reads in parts: the log may have millions of rows.
    """
    end = end or head()
    faults: list[Fault] = []
    number, previous = 0, GENESIS
    for row in _rows(end.number):
        if row["number"] != number + 1:
            faults.append(Fault(number + 1, f"missing up to {row['number'] - 1}"))
        if row["previous_hash"] != previous:
            faults.append(Fault(row["number"], "does not continue the entry before it"))
        if row["hash"] != _hash(row):
            faults.append(Fault(row["number"], "was changed after it was written"))
        number, previous = row["number"], row["hash"]
    if (end.number, end.hash) != (number, previous):
        faults.append(Fault(end.number, f"the chain ends at {number}, its head says {end.number}"))
    noted = dict.fromkeys((written_down, remembered()))
    return number, faults + _beyond_head() + [fault for each in noted for fault in compare(each)]


def _rows(last: int) -> Iterator[Any]:
    number = 0
    while True:
        query = sa.select(AuditEntry.__table__).where(LOG.number > number, LOG.number <= last)
        part = db.session.execute(query.order_by(LOG.number).limit(PART)).mappings().all()
        yield from part
        if len(part) < PART:
            return
        number = part[-1]["number"]


def _beyond_head() -> list[Fault]:
    """The last entry is read before the head, so that one written in between is none too many."""
    last = db.session.scalar(sa.select(sa.func.max(LOG.number))) or 0
    end = head()
    return [Fault(end.number, f"the head says {end.number}, yet there is an entry {last}")] if last > end.number else []


def remembered() -> Head | None:
    """The longest chain that a reading found whole; a chain that was cut off since does not take its place."""
    whole = sa.select(AuditCheck.entries, AuditCheck.head_hash).where(AuditCheck.fault_count == 0)
    whole = whole.where(AuditCheck.finished_at.is_not(None)).order_by(AuditCheck.entries.desc(), AuditCheck.id)
    found = db.session.execute(whole.limit(1)).first()
    return Head(found.entries, str(found.head_hash)) if found else None


def compare(written_down: Head | None) -> list[Fault]:
    """What is wrong when a head that was noted at some time stands in the chain no longer."""
    if written_down is None or written_down == Head(0, GENESIS):
        return []
    found = db.session.scalar(sa.select(LOG.hash).where(LOG.number == written_down.number))
    if found is None:
        return [Fault(written_down.number, f"the end was cut off: there is no entry {written_down.number} any more")]
    if found != written_down.hash:
        return [Fault(written_down.number, "is another entry than the one whose hash was written down")]
    return []


def read_head(text: str) -> Head:
    """`NUMBER:HASH`, as commands, pages and exports spell a head. Raises `ValueError`."""
    number, _, digest = text.strip().partition(":")
    if not (number.isascii() and number.isdigit() and len(number) < 19 and re.fullmatch("[0-9a-f]{64}", digest)):
        raise ValueError("a head is written NUMBER:HASH")
    return Head(int(number), digest)
