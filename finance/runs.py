"""Runs of reconciliation and self-check: rows that a worker takes, so that none is lost and each is done once."""

import logging
from dataclasses import asdict
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core import outbox
from core.clock import utcnow
from core.db import after_commit, db, insert_if_absent, rows_changed, unit_of_work
from core.jobs import every, job
from finance.checks import Result, run_checks, show_results
from finance.reconciliation import Reconciled, reconcile
from finance.run_models import FinanceRun, RunAlert
from ledger import periods
from staff.models import MemberRole, StaffMember

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=30)
NIGHTLY_AT = time(4)  # in the ledger's zone
BY_CALENDAR = "every night"
ALERT = "check_failed"
TOLD = ("finance", "admin")


def ask(kind: str, who: str, now: datetime) -> FinanceRun:
    """Have a run done soon; one that is asked for and not begun is enough. Inside a unit of work."""
    waiting = sa.select(FinanceRun).where(
        FinanceRun.kind == kind, FinanceRun.finished_at.is_(None), FinanceRun.tries == 0
    )
    found = db.session.scalar(waiting.limit(1))
    if found is None:
        found = FinanceRun(kind=kind, asked_by=who[:254], asked_at=now, next_try_at=now, tries=0, results=[])
        db.session.add(found)
        db.session.flush()
    after_commit(lambda: do_due.enqueue())
    return found


def begin(kind: str, who: str, now: datetime) -> FinanceRun:
    """A run that the caller does itself; a worker takes it over after `LEASE`. Inside a unit of work."""
    run = FinanceRun(kind=kind, asked_by=who[:254], asked_at=now, next_try_at=now + LEASE, tries=1, results=[])
    db.session.add(run)
    db.session.flush()
    return run


def ask_by_calendar(now: datetime) -> None:
    """Once a day, of any number of workers: a reconciliation, then a self-check. Commits."""
    here = now.astimezone(ZoneInfo(periods.ZONE))
    if here.time() < NIGHTLY_AT:
        return
    missing = {"reconcile", "check"} - set(
        db.session.scalars(sa.select(FinanceRun.kind).where(FinanceRun.day == here.date()))
    )
    db.session.rollback()
    if not missing:
        return
    with unit_of_work():
        for kind in ("reconcile", "check"):
            values = {"asked_by": BY_CALENDAR, "asked_at": now, "next_try_at": now, "tries": 0, "results": []}
            insert_if_absent(FinanceRun, kind=kind, day=here.date(), **values)


@job
def do_due() -> None:
    run_due(utcnow())


@every(seconds=60)
def sweep_runs() -> None:
    ask_by_calendar(utcnow())
    run_due(utcnow())


def run_due(now: datetime) -> int:
    """Do all runs that are due; how many. Commits."""
    due = sa.select(FinanceRun.id).where(FinanceRun.next_try_at <= now).order_by(FinanceRun.id)
    ids = list(db.session.scalars(due))
    db.session.rollback()
    return sum(_claim(run_id, now) and _do(run_id, now) for run_id in ids)


def _claim(run_id: int, now: datetime) -> bool:
    with unit_of_work() as session:
        claimed = session.execute(
            sa.update(FinanceRun)
            .where(FinanceRun.id == run_id, FinanceRun.next_try_at <= now, FinanceRun.finished_at.is_(None))
            .values(next_try_at=now + LEASE, tries=FinanceRun.tries + 1)
        )
        return rows_changed(claimed) == 1


def _do(run_id: int, now: datetime) -> bool:
    kind = db.session.get_one(FinanceRun, run_id).kind
    db.session.rollback()
    try:
        if kind == "reconcile":
            keep_reconciliation(run_id, reconcile(now), now)
        else:
            keep_check(run_id, run_checks(now), now)
    except Exception:
        db.session.rollback()
        log.exception("%s did not come to its end; it is tried again", kind)
        return False
    return True


def keep_reconciliation(run_id: int, done: Reconciled, now: datetime) -> None:
    """Commits. What could not be done counts as a failure, beside what was found."""
    results: list[dict[str, Any]] = [
        {"name": kind, "failures": number, "examples": []} for kind, number in sorted(done.found.items())
    ]
    results += [{"name": "provider_unread", "failures": 1, "examples": [problem]} for problem in done.problems]
    with unit_of_work():
        _finish(run_id, results, len(results), now)


def keep_check(run_id: int, results: list[Result], now: datetime) -> None:
    """Commits. What fails now and did not the last time is told to finance by e-mail."""
    failing = {each.name for each in results if each.failures}
    with unit_of_work():
        before = last("check")
        new = failing - {each["name"] for each in before.results if each["failures"]} if before else failing
        if _finish(run_id, [asdict(each) for each in results], len(failing), now):
            show_results(results, now)
            if new:
                _tell(run_id, sorted(new), now)
    for name in sorted(failing):
        log.error("self-check: %s fails: flask finance check tells more", name)


def _finish(run_id: int, results: list[dict[str, Any]], failures: int, now: datetime) -> bool:
    finished = db.session.execute(
        sa.update(FinanceRun)
        .where(FinanceRun.id == run_id, FinanceRun.finished_at.is_(None))
        .values(finished_at=now, next_try_at=None, results=results, failures=failures)
    )
    return rows_changed(finished) == 1


def _tell(run_id: int, names: list[str], now: datetime) -> None:
    members = sa.select(StaffMember.id).where(StaffMember.active, StaffMember.roles.any(MemberRole.name.in_(TOLD)))
    for member_id in list(db.session.scalars(members.order_by(StaffMember.id))):
        alert = RunAlert(run_id=run_id, member_id=member_id, names=names)
        db.session.add(alert)
        db.session.flush()
        outbox.put(ALERT, alert.id, now)


def last(kind: str) -> FinanceRun | None:
    """The last one that was finished."""
    query = sa.select(FinanceRun).where(FinanceRun.kind == kind, FinanceRun.finished_at.is_not(None))
    return db.session.scalar(query.order_by(FinanceRun.finished_at.desc(), FinanceRun.id.desc()).limit(1))


def under_way(kind: str) -> bool:
    query = sa.select(FinanceRun.id).where(FinanceRun.kind == kind, FinanceRun.finished_at.is_(None))
    return db.session.scalar(query.limit(1)) is not None
