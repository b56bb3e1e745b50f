"""Counters of attempts: right for any number of processes, and nobody can be recognised in them."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.models import ThrottleCounter
from core.throttle import KEEP, Limit, count, count_within, forget_old_counters, so_far

NOW = datetime(2026, 3, 1, 12, 3, tzinfo=UTC)
WINDOW = timedelta(minutes=10)
ADDRESS = "203.0.113.9"


def hits(window: timedelta = WINDOW, now: datetime = NOW, key: str = ADDRESS, scope: str = "start") -> int:
    return count(scope, key, window, now)


def test_attempts_of_one_window_are_counted(app: Flask) -> None:
    assert [hits(), hits(), hits(now=NOW + timedelta(minutes=6))] == [1, 2, 3]


def test_a_new_window_begins_at_one(app: Flask) -> None:
    hits()
    assert hits(now=NOW + WINDOW) == 1


def test_keys_and_scopes_are_counted_apart(app: Flask) -> None:
    hits()
    assert hits(key="203.0.113.10") == 1
    assert hits(scope="code") == 1
    # Neither can be made to look like the other.
    assert hits(scope="start|x", key="y") == 1
    assert hits(scope="start", key="x|y") == 1


def test_keys_are_hashed_with_the_installations_secret(app: Flask) -> None:
    hits()
    first = db.session.scalars(sa.select(ThrottleCounter.key_hash)).one()
    assert ADDRESS not in first
    assert len(first) == 64
    app.config["SECRET_KEY"] = "another"
    hits()
    assert len(set(db.session.scalars(sa.select(ThrottleCounter.key_hash)))) == 2


def test_the_hash_of_an_address_changes_every_day(app: Flask) -> None:
    hits()
    hits(now=NOW + timedelta(days=1))
    assert len(set(db.session.scalars(sa.select(ThrottleCounter.key_hash)))) == 2


def test_old_counters_are_forgotten_and_new_ones_kept(app: Flask) -> None:
    now = utcnow()
    hits(now=now - KEEP - WINDOW)
    hits(now=now)
    forget_old_counters()
    [kept] = db.session.scalars(sa.select(ThrottleCounter))
    assert kept.window_start > now - WINDOW


def test_a_count_stays_when_what_follows_is_taken_back(app: Flask) -> None:
    hits()
    db.session.rollback()
    assert hits() == 2


def test_what_one_limit_refuses_is_counted_at_that_limit_alone(app: Flask) -> None:
    limits = [Limit("own", "a", 3, WINDOW), Limit("room", "r", 4, WINDOW), Limit("house", "h", 9, timedelta(days=1))]

    def made() -> list[int]:
        db.session.rollback()
        return [so_far(limit.scope, limit.key, limit.window, NOW) for limit in limits]

    assert [count_within(limits, NOW) for _ in range(3)] == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    assert [count_within(limits, NOW) for _ in range(2)] == [[4], [5]]
    assert made() == [5, 3, 3]
    others = [Limit("own", "b", 3, WINDOW), *limits[1:]]
    assert [count_within(others, NOW) for _ in range(3)] == [[1, 4, 4], [2, 5], [2, 6]]
    assert made() == [5, 6, 4]
    assert so_far("own", "b", WINDOW, NOW) == 1


def test_threads_count_right(app: Flask) -> None:
    gate, seen = threading.Barrier(4), []

    def attempt() -> None:
        with app.app_context():
            gate.wait(timeout=20)
            for _ in range(5):
                seen.append(hits())

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(seen) == list(range(1, 21))


PROCESS = """
import sys
from datetime import datetime, timedelta
from app import create_app
from core.throttle import count
with create_app().app_context():
    sys.stdin.readline()
    now = datetime.fromisoformat(sys.argv[1])
    print(*[count("start", sys.argv[2], timedelta(minutes=10), now) for _ in range(5)])
"""


def test_processes_count_right(app: Flask, settings: dict[str, Any]) -> None:
    environ = {
        **os.environ,
        "APP_ENV": "test",
        "DATABASE_URL": settings["SQLALCHEMY_DATABASE_URI"],
        "INSTANCE_DIR": settings["INSTANCE_DIR"],
    }
    command = [sys.executable, "-c", PROCESS, NOW.isoformat(), ADDRESS]
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(command, env=environ, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    seen = [int(word) for process in processes for word in process.communicate(timeout=60)[0].split()]
    assert sorted(seen) == list(range(1, 11))
    with unit_of_work() as session:
        assert session.scalars(sa.select(ThrottleCounter.hits)).one() == 10
