"""Totals by every dimension sum to the same, which is what the postings say, however much of them is in the sums."""

import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import create_app
from core.db import db
from finance import summaries
from finance.filters import Filters
from finance.summary_models import FIGURES
from finance.totals import DIMENSIONS, Report, grand_totals, totals
from ledger import sums
from tests import databases
from tests.finance import random_books
from tests.finance.random_books import BEGIN, NOON, SPAN, Fact, by_hand, postings
from tests.webhooks.history import _database

TIMES = int(os.environ.get("HISTORY_EXAMPLES", "1"))
DAYS = st.integers(-2, SPAN.days + 2).map(lambda n: BEGIN.date() + timedelta(days=n))
MONTHS = st.sampled_from([(date(2026, 2, 1), date(2026, 2, 28)), (date(2026, 2, 1), date(2026, 3, 31)), (None, None)])
RANGES = MONTHS | st.tuples(DAYS, DAYS).map(sorted).map(tuple) | st.tuples(DAYS, st.none()) | st.tuples(st.none(), DAYS)
CHOICES: list[dict[str, Any]] = [
    {},
    {},
    {"campaign": "c0"},
    {"campaign": "c1"},
    {"fund": "f1"},
    {"currency": "EUR"},
    {"office": "O-1"},
    {"office": "-"},
    {"region": "Брест"},
    {"region": "elsewhere"},
    {"channel": "print"},
    {"channel": "online"},
    {"medium": "sms"},
    {"placement": "P1"},
    {"placement": "P1", "language": "be"},
    {"provider": "stripe", "office": "O-1"},
    {"language": "ru", "medium": "direct"},
]
MOMENTS = st.integers(0, int(SPAN.total_seconds()) + 2_000_000).map(lambda s: BEGIN + timedelta(seconds=s))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Empty books with three campaigns and ten gifts; `restore` empties them again."""
    directory = tmp_path_factory.mktemp("totals")
    if request.param == "sqlite":
        url = databases.copy_sqlite(sqlite_template, directory / "totals.sqlite3")
        yield from _books(url, directory)
        return
    with databases.postgresql_database(os.environ["TEST_DATABASE_URL"]) as url:
        databases.migrate(url, directory)
        yield from _books(url, directory)


def _books(url: str, directory: Path) -> Iterator[Any]:
    app = create_app(databases.settings(url, directory))
    with app.app_context():
        random_books.make_world()
        kept = _database(url, directory)
        kept.keep()
        yield kept
        kept.close()
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def as_found(report: Report) -> dict[tuple[str, str], dict[str, int]]:
    return {(r.currency, r.key): {name: getattr(r.figures, name) for name in FIGURES} for r in report.rows}


def add_up_to(moment: datetime) -> None:
    """As far as a worker would have come by then, in small parts."""
    db.session.remove()
    while summaries.add_next_part(moment):
        pass
    db.session.remove()


def agree(rows: list[dict[str, Any]], filters: Filters) -> None:
    """By every dimension: the rows are those made by hand, and add up to one grand total."""
    grand = {total.currency: total.figures for total in grand_totals(filters)}
    for by in DIMENSIONS:
        report = totals(filters, by)
        assert as_found(report) == by_hand(rows, filters, by), by
        assert {total.currency: total.figures for total in report.totals} == grand, by
        assert report.count == len(report.rows)
    independent = by_hand(rows, filters, "currency")
    assert {key[0]: figures for key, figures in independent.items()} == {
        currency: {name: getattr(figures, name) for name in FIGURES} for currency, figures in grand.items()
    }


@settings(max_examples=8 * TIMES, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
@given(
    random_books.facts(), st.lists(MOMENTS, max_size=2), st.lists(st.tuples(MOMENTS, RANGES, st.sampled_from(CHOICES)))
)
def test_every_dimension_sums_to_the_postings(
    books: Any, history: list[Fact], marks: list[datetime], questions: list[tuple[datetime, Any, dict[str, Any]]]
) -> None:
    db.session.remove()
    books.restore()
    random_books.book(history)
    rows = postings()
    whole = Filters(as_of=NOON)
    agree(rows, whole)
    for mark in sorted(marks):
        add_up_to(mark)
        assert sums.summed_until() <= mark
        agree(rows, whole)
    for as_of, (first, last), choice in questions[:4]:
        agree(rows, Filters(as_of=as_of, first=first, last=last, **choice))
    add_up_to(NOON)
    agree(rows, whole)
    for as_of, (first, last), choice in questions[:4]:
        agree(rows, Filters(as_of=as_of, first=first, last=last, **choice))
    assert summaries.check(NOON) == []
