"""Runs of reconciliation and self-check: rows that a worker takes, so that none is lost and each is done once."""

import logging
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from datetime import time as clock_time
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.clock import utcnow
from core.db import after_commit, db, insert_if_absent, rows_changed, unit_of_work
from core.jobs import every, job
from finance import run_alerts
from finance.checks import Result, run_checks, show_results
from finance.reconciliation import Reconciled, reconcile
from finance.run_leases import LEASE, held
from finance.run_models import FinanceRun
from finance.run_state import KINDS, UNREAD, last, late_since
from ledger import periods

log = logging.getLogger(__name__)

NIGHTLY_AT = clock_time(4)  # in the ledger's zone
BY_CALENDAR = "every night"
AGAIN_AFTER = timedelta(hours=1)  # when the provider could not be read at night
PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))  # after a run that failed


def ask(kind: str, who: str, now: datetime, read_from: datetime | None = None) -> FinanceRun:
    """Have a run done soon; one that is asked for and not begun is enough. Inside a unit of work.

    With `read_from` the provider is read again from that moment on.
    """
    found = _not_begun(kind)
    if found is None:
        found = FinanceRun(
            kind=kind, asked_by=who[:254], asked_at=now, next_try_at=now, read_from=read_from, tries=0, results=[]
        )
        db.session.add(found)
    else:
        found.next_try_at = now
        if read_from is not None:
            found.read_from = min(read_from, found.read_from or read_from)
    db.session.flush()
    after_commit(lambda: do_due.enqueue())
    return found


def _not_begun(kind: str) -> FinanceRun | None:
    waiting = sa.select(FinanceRun).where(
        FinanceRun.kind == kind, FinanceRun.finished_at.is_(None), FinanceRun.tries == 0
    )
    return db.session.scalar(waiting.limit(1))


def begin(kind: str, who: str, now: datetime, read_from: datetime | None = None) -> FinanceRun:
    """A run that the caller does itself, holding it (`run_leases.held`); a worker takes it over should the caller be
    killed. Inside a unit of work."""
    run = FinanceRun(
        kind=kind,
        asked_by=who[:254],
        asked_at=now,
        next_try_at=now + LEASE,
        lease_until=now + LEASE,
        read_from=read_from,
        tries=1,
        results=[],
    )
    db.session.add(run)
    db.session.flush()
    return run


def ask_by_calendar(now: datetime) -> None:
    """Once a day, of any number of workers: a reconciliation, then a self-check. Commits."""
    here = now.astimezone(ZoneInfo(periods.ZONE))
    if here.time() < NIGHTLY_AT:
        return
    missing = set(KINDS) - set(db.session.scalars(sa.select(FinanceRun.kind).where(FinanceRun.day == here.date())))
    db.session.rollback()
    if not missing:
        return
    with unit_of_work():
        for kind in KINDS:
            insert_if_absent(FinanceRun, kind=kind, day=here.date(), **_by_calendar(now, now))


def _by_calendar(now: datetime, at: datetime) -> dict[str, Any]:
    return {"asked_by": BY_CALENDAR, "asked_at": now, "next_try_at": at, "tries": 0, "results": []}


@job
def do_due() -> None:
    run_due(utcnow())


@every(seconds=30)
def sweep_runs() -> None:
    now = utcnow()
    ask_by_calendar(now)
    run_due(now)
    watch(utcnow())


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
            .values(next_try_at=now + LEASE, lease_until=now + LEASE, tries=FinanceRun.tries + 1)
        )
        return rows_changed(claimed) == 1


def _do(run_id: int, now: datetime) -> bool:
    run, begun = db.session.get_one(FinanceRun, run_id), time.monotonic()
    kind, read_from = run.kind, run.read_from
    db.session.rollback()

    def ended() -> datetime:
        return now + timedelta(seconds=time.monotonic() - begun)

    try:
        with held(run_id, now + LEASE, now):
            if kind == "reconcile":
                keep_reconciliation(run_id, reconcile(now, read_from), ended())
            else:
                keep_check(run_id, run_checks(now), ended())
    except Exception:
        db.session.rollback()
        log.exception("%s did not come to its end; it is tried again", kind)
        _let_go(run_id, ended())
        return False
    return True


def _let_go(run_id: int, now: datetime) -> None:
    """It failed: nobody is at it, and it is tried again after a while."""
    with unit_of_work() as session:
        run = session.get_one(FinanceRun, run_id)
        if run.finished_at is None:
            run.lease_until, run.next_try_at = None, now + PAUSES[min(run.tries, len(PAUSES)) - 1]


def keep_reconciliation(run_id: int, done: Reconciled, now: datetime) -> None:
    """Commits. What could not be done counts as a failure, beside what was found; finance is told by e-mail when that
    begins and when it is over, and at night it is tried again after an hour."""
    results: list[dict[str, Any]] = [
        {"name": kind, "failures": number, "examples": []} for kind, number in sorted(done.found.items())
    ]
    results += [{"name": UNREAD, "failures": 1, "examples": [problem]} for problem in done.problems]
    with unit_of_work() as session:
        run = session.get_one(FinanceRun, run_id)
        if not _finish(run, results, len(results), now, whole=not done.problems):
            return
        run_alerts.tell_how_it_stands(run_id, run.kind, run_alerts.UNREAD if done.problems else None, now)
        if done.problems and run.asked_by == BY_CALENDAR and _not_begun(run.kind) is None:
            session.add(FinanceRun(kind=run.kind, **_by_calendar(now, now + AGAIN_AFTER)))


def keep_check(run_id: int, results: list[Result], now: datetime) -> None:
    """Commits. What fails now and did not the last time is told to finance by e-mail."""
    failing = {each.name for each in results if each.failures}
    with unit_of_work() as session:
        before, run = last("check"), session.get_one(FinanceRun, run_id)
        new = failing - {each["name"] for each in before.results if each["failures"]} if before else failing
        if _finish(run, [asdict(each) for each in results], len(failing), now, whole=True):
            show_results(results, now)
            run_alerts.tell_how_it_stands(run_id, run.kind, None, now)
            if new:
                run_alerts.tell(run_id, run_alerts.CHECK_FAILED, sorted(new), now)
    for name in sorted(failing):
        log.error("self-check: %s fails: flask finance check tells more", name)


def _finish(run: FinanceRun, results: list[dict[str, Any]], failures: int, now: datetime, *, whole: bool) -> bool:
    """Whether it was not finished before. One that could do all of its work (`whole`) also ends those that were asked
    for before it, want nothing more, and have nobody at them."""
    ended = {
        "finished_at": now,
        "next_try_at": None,
        "lease_until": None,
        "results": results,
        "failures": failures,
    }
    not_yet = FinanceRun.finished_at.is_(None)
    finished = db.session.execute(sa.update(FinanceRun).where(FinanceRun.id == run.id, not_yet).values(**ended))
    if rows_changed(finished) != 1:
        return False
    if whole:
        free = sa.or_(FinanceRun.lease_until.is_(None), FinanceRun.lease_until <= now)
        read: sa.ColumnElement[bool] = FinanceRun.read_from.is_(None)
        if run.read_from is not None:
            read = sa.or_(read, FinanceRun.read_from >= run.read_from)
        same = sa.and_(FinanceRun.kind == run.kind, FinanceRun.asked_at <= run.asked_at, not_yet, free, read)
        db.session.execute(sa.update(FinanceRun).where(same).values(**ended))
    return True


def watch(now: datetime) -> None:
    """Tell finance by e-mail when runs are not done, though a worker is there to tell it. Commits."""
    for kind in KINDS:
        late = late_since(kind, now)
        run_id = db.session.scalar(sa.select(sa.func.max(FinanceRun.id)).where(FinanceRun.kind == kind))
        db.session.rollback()
        if late is not None and run_id is not None:
            with unit_of_work():
                run_alerts.tell_how_it_stands(run_id, kind, run_alerts.LATE, now)
