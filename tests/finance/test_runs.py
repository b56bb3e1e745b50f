"""Runs: what could not be compared is told loudly, a killed run is taken over, and what waits is said."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.models import OutboxMessage
from core.outbox import deliver_due
from finance import run_leases, run_state, runs
from finance.checks import run_checks
from finance.models import SettlementLine
from finance.run_models import FinanceRun, RunAlert, SettlementMark
from tests.house import House
from tests.staff.console import Browser, make_member

NIGHT = datetime(2026, 4, 8, 3, tzinfo=UTC)  # six in the morning in Minsk
Desk = Callable[..., Browser]


@pytest.fixture
def dead_provider(house: House) -> Iterator[Callable[[], None]]:
    """The provider does not answer from now on; the function wakes it."""
    house.sandbox.drills.fault("error", path="/v1/balance")
    yield house.sandbox.drills.clear_faults
    house.sandbox.drills.clear_faults()


def compare(now: datetime | None = None) -> FinanceRun:
    """A comparison by the worker, asked for by a person."""
    now = now or utcnow()
    with unit_of_work():
        run_id = runs.ask("reconcile", "anna", now).id
    runs.run_due(now)
    return again(run_id)


def again(run_id: int) -> FinanceRun:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(FinanceRun, run_id)


def told() -> list[str]:
    """What was written to members, in order."""
    db.session.rollback()
    return list(db.session.scalars(sa.select(RunAlert.about).order_by(RunAlert.id)))


def metric(house: House, name: str) -> float:
    [line] = [line for line in house.client.get("/metrics").text.splitlines() if line.startswith(f"{name}")]
    return float(line.rpartition(" ")[2])


# What could not be read


def test_a_provider_that_cannot_be_read_is_told_loudly_until_it_is_read_again(
    house: House,
    at_desk: Desk,
    dead_provider: Callable[[], None],
) -> None:
    house.given()
    browser = at_desk("anna")
    make_member("root@example.org", "admin")
    make_member("counter@example.org", "office")
    compare()
    for page in ("/staff/exceptions", "/staff"):
        text = browser.get(page).text
        assert "The provider is not read" in text
        assert "everything agrees, as far" not in text
    assert metric(house, "campaign_reconciliation_problems") == 1
    compare()
    assert told() == ["unread"] * 2  # finance and the administrator, once
    dead_provider()
    before = utcnow()
    compare()
    assert told() == ["unread"] * 2 + ["over"] * 2
    text = browser.get("/staff/exceptions").text
    assert "The provider is not read" not in text
    assert "everything agrees, as far" in text
    assert "Does it agree?</h2>" not in browser.get("/staff").text
    assert metric(house, "campaign_reconciliation_problems") == 0
    assert 0 <= metric(house, "campaign_provider_read_seconds") < 100
    assert db.session.scalars(sa.select(SettlementMark.read_at)).one() >= before - timedelta(seconds=5)
    deliver_due()
    sent = sa.select(OutboxMessage.outcome).where(OutboxMessage.template.like("run_%"))
    assert list(db.session.scalars(sent)) == ["sent"] * 4


def test_the_page_keeps_saying_when_it_was_last_read(
    house: House,
    at_desk: Desk,
    app: Flask,
) -> None:
    house.given()
    compare()
    with unit_of_work() as session:
        session.execute(sa.update(SettlementMark).values(read_at=datetime(2026, 1, 2, 9, tzinfo=UTC)))
    house.sandbox.drills.fault("error", path="/v1/balance")
    try:
        done = app.test_cli_runner().invoke(args=["finance", "reconcile"])
    finally:
        house.sandbox.drills.clear_faults()
    assert done.exit_code == 1
    assert "last read from it 2026-01-02 09:00 UTC" in done.output
    assert "everything agrees" not in done.output
    assert "Last read from the provider: January 2, 2026, 12:00" in at_desk("anna").get("/staff/exceptions").text


def test_at_night_an_unread_provider_is_asked_again_after_an_hour(
    house: House, dead_provider: Callable[[], None]
) -> None:
    retries = sa.select(FinanceRun).where(FinanceRun.finished_at.is_(None))
    for night in (NIGHT, NIGHT + timedelta(days=1)):
        runs.ask_by_calendar(night)
        runs.run_due(night)
        db.session.rollback()
        retry = db.session.scalars(retries).one()
        assert timedelta(minutes=59) < (retry.next_try_at or night) - night < timedelta(minutes=61)
        assert not run_state.under_way("reconcile", night + timedelta(minutes=5))
    dead_provider()
    compare(NIGHT + timedelta(days=1, minutes=10))
    db.session.rollback()
    assert db.session.scalars(retries).all() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_that_no_run_was_done_for_a_day_and_a_half_is_told_once_and_when_it_is_over(
    house: House,
    at_desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house.given()
    browser = at_desk("anna")
    now = utcnow() - timedelta(hours=40)
    compare(now)

    def broken(*_anything: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(runs, "reconcile", broken)
    for hours in (20, 39, 40):
        with unit_of_work():
            runs.ask("reconcile", "anna", now + timedelta(hours=hours))
        assert runs.run_due(now + timedelta(hours=hours)) == 0
        runs.watch(now + timedelta(hours=hours))
    assert told() == ["late"]
    for page in ("/staff/exceptions", "/staff"):
        assert "The books have not been compared since" in browser.get(page).text
    assert metric(house, "campaign_reconciliation_age_seconds") > 39 * 3600
    monkeypatch.undo()
    compare()
    assert told() == ["late", "over"]
    assert "have not been compared" not in browser.get("/staff/exceptions").text


def test_nothing_is_late_before_the_first_gift(house: House) -> None:
    assert run_state.late_since("reconcile", utcnow() + timedelta(days=9)) is None


# Who is at it


def test_a_killed_run_is_taken_over_within_two_minutes_and_the_button_is_there(
    house: House,
    at_desk: Desk,
) -> None:
    browser, now = at_desk("anna"), utcnow()
    with unit_of_work():
        run_id = runs.begin("reconcile", "anna", now).id
    assert "Fetch and compare now" not in browser.get("/staff/exceptions").text
    later = now + run_leases.LEASE
    assert later - now <= timedelta(minutes=1)  # and a sweep each half a minute
    assert not run_state.under_way("reconcile", later)
    with unit_of_work() as session:
        past = now - timedelta(seconds=1)
        session.execute(sa.update(FinanceRun).values(lease_until=past, next_try_at=past))
    text = browser.get("/staff/exceptions").text
    assert "Fetch and compare now" in text
    assert "no worker is at it" in text
    assert runs.run_due(later) == 1
    assert again(run_id).finished_at is not None


def test_a_run_is_held_as_long_as_its_process_lives(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_leases, "BEAT", 0.01)
    renewed, real = threading.Event(), run_leases.renew

    def renew(*values: Any) -> datetime | None:
        found = real(*values)
        renewed.set()
        return found

    monkeypatch.setattr(run_leases, "renew", renew)
    now = utcnow()
    with unit_of_work():
        run_id = runs.begin("check", "anna", now).id
    with run_leases.held(run_id, now + run_leases.LEASE, now):
        assert renewed.wait(20)
    assert (again(run_id).lease_until or now) > now + run_leases.LEASE
    assert runs.run_due(now + run_leases.LEASE) == 0


def test_a_lease_that_another_has_is_not_renewed(house: House) -> None:
    now = utcnow()
    with unit_of_work():
        run_id = runs.begin("check", "anna", now).id
    first = now + run_leases.LEASE
    second = run_leases.renew(run_id, first, now)
    assert second is not None
    assert second > first
    assert run_leases.renew(run_id, first, now) is None


def test_a_run_that_fails_lets_go_and_is_tried_again_after_a_pause(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_now: datetime) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(runs, "run_checks", broken)
    now = utcnow()
    with unit_of_work():
        run_id = runs.ask("check", "anna", now).id
    assert runs.run_due(now) == 0
    assert not run_state.under_way("check", now)
    assert run_state.left_lying("check", now) is not None
    monkeypatch.undo()
    assert runs.run_due(now + timedelta(seconds=30)) == 0
    assert runs.run_due(now + timedelta(minutes=2)) == 1
    assert again(run_id).failures == 0


def test_a_command_that_succeeds_ends_what_was_left_lying(app: Flask, house: House) -> None:
    killed = utcnow() - timedelta(minutes=10)
    with unit_of_work():
        left = runs.begin("reconcile", "anna", killed).id
        held = runs.begin("reconcile", "boris", utcnow()).id
        wants_more = runs.begin("reconcile", "clara", killed, killed - timedelta(days=90)).id
    assert app.test_cli_runner().invoke(args=["finance", "reconcile"]).exit_code == 0
    assert again(left).finished_at is not None
    assert again(held).finished_at is None
    assert again(wants_more).finished_at is None


# What waits


@pytest.fixture
def waiting_line(house: House) -> SettlementLine:
    """A gift that the provider has settled, and whose notification is lost."""
    house.pay(house.give(2500))
    compare()
    return db.session.scalars(sa.select(SettlementLine)).one()


def test_lines_that_wait_are_told_beside_that_everything_agrees(
    app: Flask,
    house: House,
    at_desk: Desk,
    waiting_line: SettlementLine,
) -> None:
    assert waiting_line.posted_at is None
    done = app.test_cli_runner().invoke(args=["finance", "reconcile"])
    assert done.exit_code == 0
    assert "everything agrees\n1 line of 6.89 EUR waiting to be booked, the oldest since 20" in done.output
    text = at_desk("anna").get("/staff/exceptions").text
    assert "1 line of €6.89 waits for its gift since" in text
    assert "Nothing is open: all that is booked agrees" in text
    assert metric(house, "campaign_settlement_lines_waiting") == 1
    house.deliver()
    assert run_state.waiting() == []
    assert {each.name for each in run_checks(utcnow()) if each.failures} == set()
