"""How often something may happen: counters in the database, right for any number of processes.

Keys are hashed with the installation's secret and the day, so that no address of a person is kept.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app

from core.clock import utcnow
from core.db import db, insert_if_absent, unit_of_work
from core.jobs import every
from core.models import ThrottleCounter

KEEP = timedelta(days=2)


@dataclass(frozen=True)
class Limit:
    """At most so many of `key` in one window."""

    scope: str
    key: str
    most: int
    window: timedelta


def count(scope: str, key: str, window: timedelta, now: datetime) -> int:
    """Count one more of `key` in the present window and answer how many it makes. Commits."""
    with unit_of_work():
        return _step(_counter(scope, key, window, now))


def count_within(limits: Sequence[Limit], now: datetime) -> list[int]:
    """Count one more at each limit and answer how many it makes there. Commits.

    What is too much for one of them is counted at that one alone, and the answer ends with it: whoever is refused by a
    limit of their own uses up no limit that is shared with others. So the narrowest stands first; all callers name the
    same scopes in the same order.
    """
    made: list[int] = []
    with unit_of_work():
        for limit in limits:
            made.append(_step(_counter(limit.scope, limit.key, limit.window, now)))
            if made[-1] > limit.most:
                uncount(limits[: len(made) - 1], now)
                break
    return made


def _step(name: dict[str, Any]) -> int:
    insert_if_absent(ThrottleCounter, **name, hits=0)
    step = sa.update(ThrottleCounter).filter_by(**name).values(hits=ThrottleCounter.hits + 1)
    return int(db.session.scalar(step.returning(ThrottleCounter.hits)) or 0)


def so_far(scope: str, key: str, window: timedelta, now: datetime) -> int:
    """How many were counted in the present window. Only reads."""
    query = sa.select(ThrottleCounter.hits).filter_by(**_counter(scope, key, window, now))
    return db.session.scalar(query) or 0


def uncount(limits: Sequence[Limit], now: datetime) -> None:
    """One less at each: for what is counted before it is known whether it was a fault. Belongs into a unit of work."""
    for limit in limits:
        step = sa.update(ThrottleCounter).filter_by(**_counter(limit.scope, limit.key, limit.window, now))
        db.session.execute(step.where(ThrottleCounter.hits > 0).values(hits=ThrottleCounter.hits - 1))


def window_end(window: timedelta, now: datetime) -> datetime:
    """When counting begins anew."""
    return _window_start(window, now) + window


def _counter(scope: str, key: str, window: timedelta, now: datetime) -> dict[str, Any]:
    start = _window_start(window, now)
    return {"scope": scope, "key_hash": _digest(f"{scope}|{key}|{now.date()}"), "window_start": start}


def _window_start(window: timedelta, now: datetime) -> datetime:
    return datetime.fromtimestamp(now.timestamp() // window.total_seconds() * window.total_seconds(), tz=now.tzinfo)


def _digest(text: str) -> str:
    secret = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


@every(seconds=3600)
def forget_old_counters() -> None:
    with unit_of_work() as session:
        session.execute(sa.delete(ThrottleCounter).where(ThrottleCounter.window_start < utcnow() - KEEP))
