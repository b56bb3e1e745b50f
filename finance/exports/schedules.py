"""Exports that are made again and again: for each day, week or month that has ended, once.

A period is over at its last midnight, in the zone of the report where that comes last. It is due some hours later, when
the facts of its last evening have come in. What was missed while no worker ran is made afterwards, each period once.
While whoever wants it may have no exports, or what it is about is not there, it is stopped: nothing is made, then or
afterwards.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.clock import local_day
from core.db import db, insert_if_absent, rows_changed
from core.errors import DomainError
from core.ids import new_public_id
from finance.exports.errors import NamesEachTime, OrdererGone, RhythmUnknown, ScheduleGoesOn, UnknownSchedule
from finance.exports.models import RHYTHMS, Export, ExportSchedule
from finance.exports.orders import Order
from finance.exports.services import may_have_exports
from finance.filters import DEFAULT_ZONE, day_start
from staff.access import Actor

WAIT = timedelta(hours=6)
HALF_A_DAY = timedelta(hours=12)  # after a midnight of the zone of then, it is the same day in that of now
MOST_AT_ONCE = 31  # periods that are caught up for one schedule at a time
KEPT_OUT = ("first", "last", "as_of", "names")


def _begin(rhythm: str, day: date) -> date:
    """The first day of the period that a day is in."""
    match rhythm:
        case "weekly":
            return day - timedelta(days=day.weekday())
        case "monthly":
            return day.replace(day=1)
    return day


def _after(rhythm: str, first: date) -> date:
    """The first day of the next period."""
    match rhythm:
        case "weekly":
            return first + timedelta(days=7)
        case "monthly":
            return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=1)


def last_period(rhythm: str, now: datetime, zone: str) -> tuple[date, date]:
    """First and last day of the newest period that is due."""
    today = _begin(rhythm, local_day(now - WAIT, zone))
    last = today - timedelta(days=1)
    return _begin(rhythm, last), last


def periods(rhythm: str, made_until: datetime, now: datetime, zone: str) -> Iterator[tuple[date, date]]:
    """Those that are due and have not been made, oldest first."""
    newest, _ = last_period(rhythm, now, zone)
    first = _begin(rhythm, local_day(made_until + HALF_A_DAY, zone))
    while first <= newest:
        following = _after(rhythm, first)
        yield first, following - timedelta(days=1)
        first = following


def add_schedule(options: Mapping[str, Any], rhythm: str, actor: Actor, now: datetime) -> ExportSchedule:
    """From now on: the first one is made for the period that goes on now.

    Raises `RhythmUnknown`, `NamesEachTime`, and what `Order.read` does.
    """
    if rhythm not in RHYTHMS:
        raise RhythmUnknown(field="rhythm")
    if options.get("names"):
        raise NamesEachTime(field="names")
    kept = {name: value for name, value in options.items() if name not in KEPT_OUT}
    first, last = last_period(rhythm, now, "UTC")
    order = Order.read({**kept, "first": first.isoformat(), "last": last.isoformat()}, now)  # what is wrong shows now
    kept = {name: value for name, value in order.options().items() if name not in KEPT_OUT}
    zone = order.last_zone(now)
    made_until = day_start(_begin(rhythm, local_day(now, zone)), zone)
    assert made_until is not None
    schedule = ExportSchedule(rhythm=rhythm, options=kept, member_id=actor.id, created_at=now, made_until=made_until)
    db.session.add(schedule)
    db.session.flush()
    return schedule


def find_schedule(public_id: str) -> ExportSchedule:
    """Raises `UnknownSchedule`."""
    schedule = db.session.scalar(
        sa.select(ExportSchedule).where(ExportSchedule.public_id == public_id, ExportSchedule.ended_at.is_(None))
    )
    if schedule is None:
        raise UnknownSchedule
    return schedule


def why_stopped(schedule: ExportSchedule, now: datetime) -> DomainError | None:
    """Why nothing is made of it at present; None while it goes on. Asked of the roles of now, each time."""
    member = schedule.member
    if not member.active or not may_have_exports(member.role_names()):
        return OrdererGone(email=member.email)
    try:
        _read(schedule, *last_period(schedule.rhythm, now, DEFAULT_ZONE), now)
    except DomainError as refusal:
        return refusal
    return None


def take_over(schedule: ExportSchedule, actor: Actor, now: datetime) -> None:
    """From now on it is this member's. Raises `ScheduleGoesOn`: who may still have exports is not robbed of them."""
    former, stopped = schedule.member_id, why_stopped(schedule, now)
    if not isinstance(stopped, OrdererGone):
        raise ScheduleGoesOn
    mine = sa.and_(ExportSchedule.id == schedule.id, ExportSchedule.member_id == former)
    taken = db.session.execute(sa.update(ExportSchedule).where(mine).values(member_id=actor.id))
    if rows_changed(taken) != 1:
        raise ScheduleGoesOn
    db.session.refresh(schedule)


def end_schedule(schedule: ExportSchedule, now: datetime) -> None:
    schedule.ended_at = now
    db.session.flush()


def running(actor: Actor, now: datetime) -> list[tuple[ExportSchedule, DomainError | None]]:
    """Those that were not ended, each with why it is stopped. Finance sees all, others their own and stopped ones."""
    query = sa.select(ExportSchedule).where(ExportSchedule.ended_at.is_(None)).order_by(ExportSchedule.id)
    found = [(each, why_stopped(each, now)) for each in db.session.scalars(query)]
    return [(each, stopped) for each, stopped in found if is_shown(each, stopped, actor)]


def is_shown(schedule: ExportSchedule, stopped: DomainError | None, actor: Actor) -> bool:
    """Whether it is this member's to see, and to end."""
    return stopped is not None or schedule.member_id == actor.id or actor.has("finance")


def due(now: datetime) -> list[int]:
    """Ids of schedules that a period may be due for."""
    query = sa.select(ExportSchedule.id).where(
        ExportSchedule.ended_at.is_(None), ExportSchedule.made_until <= now - timedelta(days=1)
    )
    return list(db.session.scalars(query.order_by(ExportSchedule.id)))


def order_missing(schedule_id: int, now: datetime) -> list[int]:
    """Ids of the exports ordered now. Two workers at once order each period once: its row is unique."""
    schedule = db.session.get_one(ExportSchedule, schedule_id)
    if why_stopped(schedule, now) is not None:  # its periods pass; the page of schedules says so
        _, last = last_period(schedule.rhythm, now, DEFAULT_ZONE)
        _moved(schedule_id, day_start(last, DEFAULT_ZONE, days=1))
        return []
    zone = _read(schedule, *last_period(schedule.rhythm, now, "UTC"), now).last_zone(now)
    ordered = []
    for first, last in list(periods(schedule.rhythm, schedule.made_until, now, zone))[:MOST_AT_ONCE]:
        ordered += _order_one(schedule, first, last, now)
        _moved(schedule_id, day_start(last, zone, days=1))
    return ordered


def _read(schedule: ExportSchedule, first: date, last: date, now: datetime) -> Order:
    """What is ordered for a period. Raises what `Order.read` does: what it was about may be no longer there."""
    return Order.read({**schedule.options, "first": first.isoformat(), "last": last.isoformat()}, now)


def _order_one(schedule: ExportSchedule, first: date, last: date, now: datetime) -> list[int]:
    """The id of the export, when it was ordered now."""
    values = {
        "options": _read(schedule, first, last, now).options(),
        "member_id": schedule.member_id,
        "by_mail": True,
        "created_at": now,
        "lease_until": now,
        "public_id": new_public_id(),
    }
    if not insert_if_absent(Export, schedule_id=schedule.id, period=first.isoformat(), **values):
        return []
    query = sa.select(Export.id).where(Export.schedule_id == schedule.id, Export.period == first.isoformat())
    return list(db.session.scalars(query))


def _moved(schedule_id: int, until: datetime | None) -> bool:
    later = sa.and_(ExportSchedule.id == schedule_id, ExportSchedule.made_until < until)
    return rows_changed(db.session.execute(sa.update(ExportSchedule).where(later).values(made_until=until))) == 1
