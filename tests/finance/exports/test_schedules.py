"""Exports that are made for each day, week or month: each period once, also those that were missed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.models import OutboxMessage
from finance.exports import jobs, schedules
from finance.exports.models import Export, ExportSchedule
from offices.models import Office
from staff import services
from staff.access import Actor
from staff.models import StaffMember
from tests.console.conftest import acts
from tests.finance.exports.conftest import sign_in
from tests.staff.console import make_member

ZONE = "Europe/Minsk"
OPTIONS = {"dataset": "donations", "format": "csv"}


def actor() -> Actor:
    make_member("finance@example.org", "finance")
    member = db.session.scalars(sa.select(StaffMember)).one()
    return Actor(member.id, member.email, member.name, member.role_names(), "10.0.0.1")


def scheduled(rhythm: str, since: datetime, **options: str) -> ExportSchedule:
    who = actor()
    with unit_of_work():
        schedule = schedules.add_schedule({**OPTIONS, **options}, rhythm, who, utcnow())
        schedule.made_until = since
    return schedule


def made() -> list[tuple[str, str]]:
    db.session.rollback()
    rows = db.session.scalars(sa.select(Export).order_by(Export.id).execution_options(populate_existing=True))
    return [(each.options["first"], each.options["last"]) for each in rows]


def midnight(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC) - timedelta(hours=3)


def test_missed_days_are_made_once_each_oldest_first(history: Flask) -> None:
    schedule = scheduled("daily", midnight(2026, 2, 26))
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    for _ in range(3):
        jobs.order_due(now)
    days = ["2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01"]
    assert made() == [(day, day) for day in days]
    jobs.order_due(now + timedelta(days=1))
    assert made()[4:] == [("2026-03-02", "2026-03-02")]
    assert db.session.get_one(ExportSchedule, schedule.id).made_until == midnight(2026, 3, 3)


def test_two_workers_at_once_order_each_period_once(history: Flask) -> None:
    schedule = scheduled("daily", midnight(2026, 2, 26))
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    jobs.order_due(now)
    with unit_of_work() as session:  # as the slower one saw it before
        session.execute(sa.update(ExportSchedule).values(made_until=midnight(2026, 2, 26)))
    with unit_of_work():
        assert schedules.order_missing(schedule.id, now) == []
    assert len(made()) == 4


def test_a_month_is_due_some_hours_after_its_last_midnight(history: Flask) -> None:
    scheduled("monthly", midnight(2026, 2, 1))
    jobs.order_due(midnight(2026, 3, 1) + timedelta(hours=5, minutes=59))
    assert made() == []
    jobs.order_due(midnight(2026, 3, 1) + timedelta(hours=6))
    assert made() == [("2026-02-01", "2026-02-28")]


def test_a_scheduled_export_is_made_and_told_by_mail(history: Flask) -> None:
    scheduled("weekly", midnight(2026, 2, 2))
    jobs.order_due(datetime(2026, 2, 10, 9, 0, tzinfo=UTC))
    assert made() == [("2026-02-02", "2026-02-08")]
    jobs.sweep()
    export = db.session.scalars(sa.select(Export).execution_options(populate_existing=True)).one()
    assert (export.state, export.period, export.by_mail) == ("done", "2026-02-02", True)
    assert db.session.scalars(sa.select(OutboxMessage.template)).all() == ["export_ready"]


def roles_now(email: str, *roles: str) -> None:
    with unit_of_work():
        services.assign_roles(services.require_member(email), roles)


def disabled(email: str) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(StaffMember).where(StaffMember.email == email).values(active=False))


@pytest.mark.parametrize("leave", [disabled, lambda email: roles_now(email, "campaign")])
def test_who_may_no_longer_have_exports_gets_nothing_and_nothing_afterwards(
    history: Flask, leave: Callable[[str], None]
) -> None:
    schedule = scheduled("daily", midnight(2026, 2, 26))
    leave("finance@example.org")
    jobs.order_due(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    assert made() == []
    with unit_of_work() as session:
        session.execute(sa.update(StaffMember).values(active=True))
    roles_now("finance@example.org", "finance")
    jobs.order_due(datetime(2026, 3, 3, 9, 0, tzinfo=UTC))
    assert made() == [("2026-03-02", "2026-03-02")]  # what passed meanwhile is not made up for
    assert db.session.get_one(ExportSchedule, schedule.id, populate_existing=True).ended_at is None


def test_a_stopped_one_is_told_and_taken_over_by_a_colleague(history: Flask) -> None:
    schedule = scheduled("daily", midnight(2026, 2, 26))
    page = f"/staff/exports/schedules/{schedule.public_id}"
    admin, colleague = sign_in(history, "admin"), sign_in(history, "finance", "colleague")
    colleague.get("/staff/exports")
    assert colleague.post(f"{page}/take-over").status_code == 409, "it goes on for who ordered it"
    assert "Made regularly" not in admin.get("/staff/exports").text
    roles_now("finance@example.org", "campaign")
    told = "Stopped: finance@example.org may no longer have exports."
    assert told in admin.get("/staff/exports").text
    assert told in colleague.get("/staff/exports").text
    assert colleague.post(f"{page}/take-over").status_code == 303
    assert told not in colleague.get("/staff/exports").text
    jobs.order_due(datetime(2026, 2, 27, 9, 0, tzinfo=UTC))
    db.session.rollback()
    assert db.session.scalars(sa.select(Export)).one().member.email == "colleague@example.org"
    assert ("colleague@example.org", "export_schedule.taken_over") in [act[:2] for act in acts()]
    assert admin.post(f"{page}/end").status_code == 403, "it is no longer stopped"


def test_one_whose_region_is_gone_stops_and_keeps_no_other_from_being_made(history: Flask) -> None:
    scheduled("daily", midnight(2026, 2, 26), region="Минск")
    member = db.session.scalars(sa.select(StaffMember.id)).one()
    with unit_of_work() as session:
        more = {"options": {**OPTIONS, "locale": "en"}, "member_id": member, "created_at": utcnow()}
        session.add(ExportSchedule(rhythm="daily", made_until=midnight(2026, 3, 1), **more))
        session.execute(sa.update(Office).where(Office.region == "Минск").values(region="Минская"))
    jobs.order_due(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    assert made() == [("2026-03-01", "2026-03-01")]
    finance = sign_in(history, "finance", "colleague")
    assert "Минск is not known here." in finance.get("/staff/exports").text


def test_names_and_nonsense_are_not_scheduled(history: Flask) -> None:
    who = actor()
    for options, rhythm, code in (
        ({"names": "1"}, "daily", "names_not_allowed"),
        ({}, "hourly", "rhythm_unknown"),
        ({"dataset": "statement", "format": "pdf"}, "daily", "month_needed"),
        ({"office": "nowhere"}, "daily", "value_unknown"),
    ):
        with pytest.raises(DomainError) as refusal, unit_of_work():
            schedules.add_schedule({**OPTIONS, **options}, rhythm, who, utcnow())
        assert refusal.value.code == code
    assert db.session.scalar(sa.select(sa.func.count(ExportSchedule.id))) == 0


@settings(max_examples=150, deadline=None)
@given(
    rhythm=st.sampled_from(["daily", "weekly", "monthly"]),
    since=st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    days=st.integers(0, 500),
)
def test_periods_follow_each_other_without_gap_or_overlap(rhythm: str, since: date, days: int) -> None:
    begin = schedules._begin(rhythm, since)
    made_until = datetime(begin.year, begin.month, begin.day, tzinfo=UTC) - timedelta(hours=3)
    now = made_until + timedelta(days=days, hours=12)
    found = list(schedules.periods(rhythm, made_until, now, ZONE))
    follow = begin
    for first, last in found:
        assert first == follow
        assert first <= last
        follow = last + timedelta(days=1)
    assert schedules._after(rhythm, follow) > (now - schedules.WAIT).date() - timedelta(days=1)
    assert datetime(follow.year, follow.month, follow.day, tzinfo=UTC) - timedelta(hours=3) <= now
