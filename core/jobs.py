"""Background work: Huey carries it, rows decide it.

`@job` and `@every(seconds)` only register; `init_app` builds the queue and binds them; `flask worker` runs it.
The queue is only a trigger. What must happen is always a row (inbox event, outbox message, refund), and an `@every`
sweep of the room that owns it finds it again and claims it by a guarded update with a lease: any number of workers
may tick, and a lost queue loses nothing.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, current_app
from huey import Huey, MemoryHuey, PostgresHuey, SqliteHuey

from core.db import db

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
QUEUE_LOCK = 0x48756579  # any number, the same in every process


@dataclass(frozen=True)
class Job:
    """A function that the worker runs with an application context. Call `enqueue` after the commit."""

    name: str
    function: Callable[..., None]

    def enqueue(self, *args: Any) -> None:
        """Ask a worker to run it soon. Arguments are plain values: ids, not rows.

        Never raises: what must be done is a row already, and a sweep finds it when the queue cannot be reached.
        """
        try:
            current_app.extensions["jobs"].tasks[self.name](*args)
        except Exception:
            log.exception("job %s was not queued; a sweep will find its row", self.name)


@dataclass(frozen=True)
class Sweep:
    name: str
    seconds: float
    function: Callable[[], None]


_jobs: dict[str, Job] = {}
_sweeps: dict[str, Sweep] = {}


def job(function: Callable[..., None]) -> Job:
    name = f"{function.__module__}.{function.__qualname__}"
    return _jobs.setdefault(name, Job(name, function))


def every(seconds: float) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Run the function in each worker about every `seconds`; it must claim what it works on."""

    def register(function: Callable[[], None]) -> Callable[[], None]:
        name = f"{function.__module__}.{function.__qualname__}"
        _sweeps[name] = Sweep(name, seconds, function)
        return function

    return register


class Jobs:
    """The queue of one application, and its sweeps."""

    def __init__(self, app: Flask, queue: Huey) -> None:
        self.app = app
        self.queue = queue
        self.tasks = {name: queue.task(name=name)(self._in_context(job.function)) for name, job in _jobs.items()}
        self.sweeps = dict(_sweeps)

    def _in_context(self, function: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            with self.app.app_context():
                function(*args)

        run.__name__ = function.__name__
        return run

    def run_queued(self) -> int:
        """Run all that is queued, here and now; how many. For tests and commands, not for the worker."""
        count = 0
        while (task := self.queue.dequeue()) is not None:
            self.queue.execute(task)
            count += 1
        return count

    def run_sweeps(self) -> None:
        for sweep in self.sweeps.values():
            self._in_context(sweep.function)()

    def tick(self, sweep: Sweep, stop: threading.Event) -> None:
        """Run one sweep again and again until `stop`; a failure is told and does not end it."""
        while not stop.is_set():
            try:
                self._in_context(sweep.function)()
            except Exception:
                log.exception("sweep %s failed", sweep.name)
            stop.wait(sweep.seconds)


def _build_queue(app: Flask) -> Huey:
    common: dict[str, Any] = {"name": "campaign", "results": False}
    if app.config["APP_ENV"] == "test" and not app.config.get("JOBS_REAL_QUEUE"):
        return MemoryHuey(**common)
    url: str = app.config["SQLALCHEMY_DATABASE_URI"]
    if url.startswith("postgresql"):
        dsn = url.replace("postgresql+psycopg://", "postgresql://", 1)
        return PostgresHuey(dsn=dsn, create_tables=False, **common)
    return SqliteHuey(filename=str(Path(app.config["INSTANCE_DIR"]) / "jobs.sqlite3"), timeout=15, **common)


def init_app(app: Flask) -> None:
    """Call after every room's jobs module is imported."""
    app.extensions["jobs"] = Jobs(app, _build_queue(app))


def prepare_queue(app: Flask) -> None:
    """Make the queue's tables on PostgreSQL; many processes may do so at once. SQLite's are made with its file."""
    queue = app.extensions["jobs"].queue
    if not isinstance(queue, PostgresHuey):
        return
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(QUEUE_LOCK)))
        queue.storage.initialize_schema()


def run_worker(app: Flask, threads: int) -> None:
    """Work until a signal asks to stop: Huey's consumer for jobs, one thread for each sweep."""
    prepare_queue(app)
    jobs: Jobs = app.extensions["jobs"]
    stop = threading.Event()
    tickers = [
        threading.Thread(target=jobs.tick, args=(sweep, stop), name=sweep.name, daemon=True)
        for sweep in jobs.sweeps.values()
    ]
    for ticker in tickers:
        ticker.start()
    consumer = jobs.queue.create_consumer(
        workers=threads, periodic=False, max_delay=POLL_SECONDS, check_worker_health=True
    )
    try:
        consumer.run()
    finally:
        stop.set()
        for ticker in tickers:
            ticker.join(timeout=5)
