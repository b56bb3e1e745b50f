"""Background work: the queue is only a trigger; rows decide, and sweeps find them."""

import gc
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app
from huey.storage import BaseSqlStorage

from app import create_app
from core import jobs
from core.db import db
from core.jobs import Jobs
from tests import databases

# Huey leaves connections of ended threads to the collector, which may come in the middle of a test.
pytestmark = pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning")


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of these tests are not left to other tests."""
    monkeypatch.setattr(jobs, "_jobs", dict(jobs._jobs))
    monkeypatch.setattr(jobs, "_sweeps", dict(jobs._sweeps))


Builder = Callable[..., Flask]

ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    ran.clear()
    yield
    ran.clear()


def note(*args: Any) -> None:
    ran.append((current_app.name, *args))


def fail(*args: Any) -> None:
    ran.append("failed")
    raise ZeroDivisionError


@pytest.fixture
def build(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Makes an application of the present jobs, as each process has one."""
    made: list[Flask] = []

    def make(**more: Any) -> Flask:
        made.append(create_app({**databases.settings(database_url, tmp_path), **more}))
        return made[-1]

    yield make
    for app in made:
        if isinstance(storage := queue_of(app).queue.storage, BaseSqlStorage):
            storage.close()
        with app.app_context():
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
    made.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Huey leaves connections of ended threads to the collector
        gc.collect()


def queue_of(app: Flask) -> Jobs:
    found: Jobs = app.extensions["jobs"]
    return found


def test_a_job_runs_with_an_application_context_once(build: Builder) -> None:
    job = jobs.job(note)
    app = build()
    with app.app_context():
        job.enqueue(1, "two")
    assert ran == []
    assert queue_of(app).run_queued() == 1
    assert ran == [("app", 1, "two")]
    assert queue_of(app).run_queued() == 0


def test_a_real_queue_keeps_jobs_for_another_process(build: Builder) -> None:
    job = jobs.job(note)
    web = build(JOBS_REAL_QUEUE=True)
    jobs.prepare_queue(web)
    with web.app_context():
        job.enqueue(7)
    worker = build(JOBS_REAL_QUEUE=True)
    jobs.prepare_queue(worker)
    assert queue_of(worker).run_queued() == 1
    assert ran == [("app", 7)]
    assert queue_of(web).run_queued() == 0


def test_a_failing_job_does_not_stop_the_next(build: Builder, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = jobs.job(fail), jobs.job(note)
    app = build()
    with app.app_context():
        bad.enqueue()
        good.enqueue(1)
    with caplog.at_level(logging.CRITICAL):
        assert queue_of(app).run_queued() == 2
    assert ran == ["failed", ("app", 1)]


def test_a_queue_that_cannot_be_reached_is_told_and_forgiven(
    build: Builder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.job(note)
    app = build()

    def gone(*_: Any) -> None:
        raise OSError("no queue")

    monkeypatch.setitem(queue_of(app).tasks, job.name, gone)
    with app.app_context(), caplog.at_level(logging.ERROR):
        job.enqueue(1)
    assert "was not queued" in caplog.text


def test_every_sweep_of_every_room_is_registered(build: Builder) -> None:
    names = set(queue_of(build()).sweeps)
    assert {
        "core.outbox.sweep",
        "core.throttle.forget_old_counters",
        "donations.jobs.sweep_open_payments",
        "donations.jobs.sweep_requested_refunds",
    } <= names
    assert any(name.startswith("webhooks.jobs.") for name in names)


def test_sweeps_find_nothing_in_an_empty_database_and_do_not_mind(build: Builder) -> None:
    app = build()
    for name in ("core.outbox.sweep", "core.throttle.forget_old_counters", "donations.jobs.sweep_open_payments"):
        queue_of(app)._in_context(queue_of(app).sweeps[name].function)()


def test_a_sweep_that_fails_is_told_and_goes_on(build: Builder, caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()

    def fail_twice() -> None:
        ran.append("swept")
        if len(ran) == 3:
            stop.set()
        raise ZeroDivisionError

    jobs.every(seconds=0)(fail_twice)
    app = build()
    sweep = next(one for name, one in queue_of(app).sweeps.items() if "fail_twice" in name)
    with caplog.at_level(logging.ERROR):
        queue_of(app).tick(sweep, stop)
    assert ran == ["swept"] * 3
    assert caplog.text.count("failed") >= 3


def test_a_worker_runs_jobs_and_sweeps_until_it_is_stopped(build: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    swept, done = threading.Event(), threading.Event()

    def tell(*_: Any) -> None:
        done.set()

    def sweep() -> None:
        swept.set()

    job = jobs.job(tell)
    monkeypatch.setattr(jobs, "_sweeps", {})
    jobs.every(seconds=60)(sweep)
    app = build(JOBS_REAL_QUEUE=True)
    jobs.prepare_queue(app)
    with app.app_context():
        job.enqueue()
    consumers: list[Any] = []
    create = queue_of(app).queue.create_consumer

    def create_without_signals(**options: Any) -> Any:
        consumer = create(**options)
        consumer._set_signal_handlers = lambda: None  # those belong to a main thread
        consumers.append(consumer)
        return consumer

    monkeypatch.setattr(queue_of(app).queue, "create_consumer", create_without_signals)
    worker = threading.Thread(target=jobs.run_worker, args=(app, 1))
    worker.start()
    assert swept.wait(timeout=20)
    assert done.wait(timeout=20)
    consumers[0].stop(graceful=True)
    worker.join(timeout=20)
    assert not worker.is_alive()
