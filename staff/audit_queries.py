"""Reads of the audit log: a list by time, narrowed and paged by key, right and quick over millions of rows."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.db import db
from staff import audit
from staff.labels import ZONE
from staff.models import AuditCheck, AuditEntry, StaffMember
from staff.queries import named

PAGE_SIZE = 50
PART = 1000
YEARS = (2000, 2200)
PEOPLE = 20  # as many members as a part of a name may mean


@dataclass(frozen=True)
class Wanted:
    """What the list is narrowed to; all empty for everything. Days are those of the console's zone."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: date | None = None
    until: date | None = None

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Wanted":
        """From an address. What is no day is taken for none."""
        texts = {name: values.get(name, "").strip()[:254] for name in ("actor", "action", "subject")}
        texts = {name: text if text.isprintable() else "" for name, text in texts.items()}
        return cls(**texts, since=_day(values.get("since", "")), until=_day(values.get("until", "")))


@dataclass(frozen=True)
class Change:
    """One thing that an act changed, as text."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Part:
    """Entries, the newest first; `older` is the number below which the next part begins."""

    entries: list[AuditEntry]
    older: int | None


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if YEARS[0] <= day.year <= YEARS[1] else None


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(ZONE))


def _narrowed(wanted: Wanted) -> sa.Select[AuditEntry]:
    query = sa.select(AuditEntry)
    if wanted.actor:
        query = query.where(AuditEntry.actor.in_(_actors(wanted.actor)))
    if wanted.action:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.subject:
        query = query.where(AuditEntry.subject == wanted.subject)
    if wanted.since:
        query = query.where(AuditEntry.at >= _start_of(wanted.since))
    if wanted.until:
        query = query.where(AuditEntry.at < _start_of(wanted.until + timedelta(days=1)))
    return query


def _actors(typed: str) -> list[str]:
    """Who is meant: exactly this actor, or members whose name or address has it in it."""
    members = sa.select(StaffMember.email).where(named(typed)).order_by(StaffMember.email).limit(PEOPLE)
    return sorted({typed, typed.lower(), *db.session.scalars(members)})


def part_of_log(wanted: Wanted, before: int | None = None, size: int = PAGE_SIZE) -> Part:
    """The newest entries, or those older than entry `before`."""
    query = _narrowed(wanted)
    if before is not None:
        at = db.session.scalar(sa.select(AuditEntry.at).where(AuditEntry.number == min(before, 2**63 - 1)))
        if at is not None:
            key = sa.tuple_(sa.literal(at, AuditEntry.at.type), sa.literal(before))
            # The first condition says no more than the second, but lets SQLite begin there in the index.
            query = query.where(AuditEntry.at <= at, sa.tuple_(AuditEntry.at, AuditEntry.number) < key)
    query = query.order_by(AuditEntry.at.desc(), AuditEntry.number.desc()).limit(size + 1)
    found = list(db.session.scalars(query))
    return Part(found[:size], found[size - 1].number if len(found) > size else None)


def whole_log(wanted: Wanted) -> Iterator[AuditEntry]:
    """All of it, the newest first, read in parts and forgotten again: any length fits into memory."""
    part = part_of_log(wanted, size=PART)
    while True:
        yield from part.entries
        db.session.expunge_all()
        db.session.rollback()
        if part.older is None:
            return
        part = part_of_log(wanted, part.older, size=PART)


def actions() -> list[str]:
    """Those that stand in the log. Goes from one to the next in the index, not through all rows."""
    first = sa.select(sa.func.min(AuditEntry.action).label("action")).cte("actions", recursive=True)
    following = sa.select(sa.func.min(AuditEntry.action)).where(AuditEntry.action > first.c.action).scalar_subquery()
    steps = first.union_all(sa.select(following).where(first.c.action.is_not(None)))
    return list(db.session.scalars(sa.select(steps.c.action).where(steps.c.action.is_not(None)).order_by("action")))


def changes(entry: AuditEntry) -> list[Change]:
    """What differs between before and after, name by name."""
    before, after = entry.before or {}, entry.after or {}
    names = [*before, *(name for name in after if name not in before)]
    found = [Change(name, _text(before.get(name)), _text(after.get(name))) for name in names]
    return [each for each in found if each.before != each.after]


def _text(value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return ", ".join(str(each) for each in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def last_check() -> AuditCheck | None:
    """The newest one that is finished."""
    query = sa.select(AuditCheck).where(AuditCheck.finished_at.is_not(None))
    return db.session.scalar(query.order_by(AuditCheck.finished_at.desc()).limit(1))


def known_faults() -> int:
    """In how many places the chain is broken as far as is known without reading it: by the last reading, and now at
    the head that was remembered."""
    last = last_check()
    return max(last.fault_count if last else 0, len(audit.compare(audit.remembered())))


def open_check() -> AuditCheck | None:
    """One that waits for a worker or is being made."""
    query = sa.select(AuditCheck).where(AuditCheck.finished_at.is_(None))
    return db.session.scalar(query.order_by(AuditCheck.id.desc()).limit(1))
