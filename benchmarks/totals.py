"""Totals at a million donations against the same at ten thousand: `python -m benchmarks.totals [sqlite] [postgresql]`.

Both histories lie in the same three years, offices and links; the worker has added to the sums what it may, and the
last gifts are read from the postings. Promised: the page and the API of totals, and the public totals, take at most
1.5 times as long (median) at a million, on SQLite and on PostgreSQL. Fails when a question does not.
DONATIONS=100000 asks for less.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask

from app import create_app
from benchmarks.history import fill
from core.clock import utcnow
from core.db import db
from finance import summaries
from tests import databases
from tests.staff.console import Browser, make_member
from tests.staff.machines import Machine

KINDS = ("SQLite", "PostgreSQL")
FEW, MANY = 10_000, int(os.environ.get("DONATIONS", "1000000"))
PROMISE = 1.5
ROUNDS = 15
MONTH = "first=2026-09-01&last=2026-09-30"
THEN = f"as_of={(utcnow() - timedelta(days=2)).date()}"  # a moment in the past
QUESTIONS = {
    "page by month": "/staff/totals",
    "page by office": "/staff/totals?by=office",
    "page by channel": "/staff/totals?by=channel",
    "page by region, a month": f"/staff/totals?by=region&{MONTH}",
    "page by day, a month": f"/staff/totals?by=day&{MONTH}",
    "page by link": "/staff/totals?by=placement",
    "page by week": "/staff/totals?by=week",
    "page by medium": "/staff/totals?by=medium",
    "page by language": "/staff/totals?by=language",
    "page by week, as of then": f"/staff/totals?by=week&{THEN}",
    "page by medium, as of then": f"/staff/totals?by=medium&{THEN}",
    "page by language, as of then": f"/staff/totals?by=language&{THEN}",
    "API by office, as of then": f"/api/v1/totals?by=office&{THEN}",
    "API by office": "/api/v1/totals?by=office",
    "API by month": "/api/v1/totals?by=month",
    "API by language": "/api/v1/totals?by=language",
    "API by link, 100 of them": "/api/v1/totals?by=placement&limit=100",
    "page by link, as of then": f"/staff/totals?by=placement&{THEN}",
    "public totals": "/api/v1/campaigns/bullying-free-internet/totals",
    "front page": "/",
}
# The answer itself is longer there: many times as many links have a gift in a month, or one to be taken away again.
NOT_PROMISED = {
    "API by link, a month": f"/api/v1/totals?by=placement&limit=100&{MONTH}",
    "API by link, as of then": f"/api/v1/totals?by=placement&limit=100&{THEN}",
}


class Side:
    """One history, and somebody of finance at a browser."""

    def __init__(self, url: str, directory: Path, donations: int) -> None:
        directory.mkdir()
        databases.migrate(url, directory)
        self.app: Flask = create_app(databases.settings(url, directory))
        with self.app.app_context():
            seconds = fill(self.app, donations, until=utcnow() - timedelta(minutes=3))
            begun, now = time.perf_counter(), utcnow()
            while summaries.add_next_part(now):
                pass
            print(f"  {donations:,} donations in {seconds:.0f} s, their sums in {time.perf_counter() - begun:.0f} s")
            make_member("finance@example.org", "finance")
            self.machine = Machine(self.app, "finance@example.org", "finance:read")
        self.browser = Browser(self.app)
        self.browser.sign_in("finance@example.org")

    def ask(self, path: str) -> float:
        """Seconds of one answer."""
        begun = time.perf_counter()
        answer = (self.machine if path.startswith("/api/") else self.browser).get(path)
        took = time.perf_counter() - begun
        assert answer.status_code == 200, (path, answer.status_code)
        return took

    def close(self) -> None:
        with self.app.app_context():
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()


def compare(name: str, few: Side, many: Side) -> bool:
    """Ask both in turns; whether the promise holds."""
    good = True
    for question, path in {**QUESTIONS, **NOT_PROMISED}.items():
        times: dict[Side, list[float]] = {few: [], many: []}
        for each in range(ROUNDS + 2):
            for side in (few, many):
                took = side.ask(path)
                if each >= 2:
                    times[side].append(took)
        slow, fast = statistics.median(times[many]), statistics.median(times[few])
        good = good and (question in NOT_PROMISED or slow / fast <= PROMISE)
        told = "  (not promised)" if question in NOT_PROMISED else ""
        print(
            f"{name}: {question:<28}{fast * 1000:8.1f} ms {slow * 1000:8.1f} ms, ratio {slow / fast:.2f}{told}",
            flush=True,
        )
    return good


@contextmanager
def _urls(kind: str, directory: Path) -> Iterator[Any]:
    """Makes a new database's address."""
    if kind == "SQLite":
        yield lambda name: f"sqlite:///{directory / name}.sqlite3"
        return
    server, url = databases.start_postgresql()
    try:
        with databases.postgresql_database(url) as one, databases.postgresql_database(url) as other:
            yield {"few": one, "many": other}.__getitem__
    finally:
        server.cleanup()


def main() -> int:
    good = True
    for kind in [each for each in KINDS if each.lower() in sys.argv[1:]] or KINDS:
        with tempfile.TemporaryDirectory() as directory, _urls(kind, Path(directory)) as url:
            print(f"{kind}:")
            sides = [Side(url(name), Path(directory) / name, n) for name, n in (("few", FEW), ("many", MANY))]
            good = compare(kind, *sides) and good
            for side in sides:
                side.close()
    print(f"promised: at most {PROMISE}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
