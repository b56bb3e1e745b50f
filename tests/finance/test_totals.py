"""Totals by every dimension sum to the same, which is what the postings say, however much of them is in the sums."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import current_app
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import create_app
from core.db import db
from finance import summaries
from finance.filters import Filters
from finance.summary_models import FIGURES
from finance.totals import DIMENSIONS, Figures, Report, Row, grand_totals, totals
from ledger import sums
from ledger.models import LedgerException, SumsMark
from tests import databases
from tests.finance import random_books
from tests.finance.random_books import BEGIN, NOON, SPAN, Fact, by_hand, postings
from tests.webhooks.history import rows_kept

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
        kept = rows_kept(url, directory)
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


def moved(found: Sequence[Row]) -> dict[str, Figures]:
    """Figures by currency; without a currency in which all was taken back."""
    return {row.currency: row.figures for row in found if any(getattr(row.figures, name) for name in FIGURES)}


def agree(rows: list[dict[str, Any]], filters: Filters) -> None:
    """By every dimension: the rows are those made by hand, and add up to one grand total."""
    grand = moved(grand_totals(filters))
    for by in DIMENSIONS:
        report = totals(filters, by)
        assert as_found(report) == by_hand(rows, filters, by), by
        assert moved(report.totals) == grand, by
        assert report.count == len(report.rows)
    agree_page_by_page(filters)
    independent = by_hand(rows, filters, "currency")
    assert {key[0]: figures for key, figures in independent.items()} == {
        currency: {name: getattr(figures, name) for name in FIGURES} for currency, figures in grand.items()
    }


def agree_page_by_page(filters: Filters) -> None:
    """Links read a page at a time are those read at once, in the same order."""
    every = totals(filters, "placement").rows
    pages = [totals(filters, "placement", limit=4, offset=begin) for begin in range(0, len(every) + 4, 4)]
    assert [row for page in pages for row in page.rows] == every
    assert {page.count for page in pages} == {len(every)}


@settings(max_examples=3 * TIMES, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
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


HISTORY = [Fact(n % 10, "gift", 1000 + n, n * 3000, 5) for n in range(30)]


@pytest.fixture
def booked(books: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A month and more of gifts, in parts of four entries."""
    monkeypatch.setattr(sums, "PART", 4)
    db.session.remove()
    books.restore()
    random_books.book(HISTORY)
    return books


def stored() -> list[tuple[Any, ...]]:
    db.session.rollback()
    return sorted(tuple(row) for row in db.session.execute(sa.text("SELECT * FROM report_sums")))


def test_parts_are_added_once_whoever_adds_them(booked: Any) -> None:
    assert summaries.catch_up(NOON) > 5
    once = stored()
    assert summaries.catch_up(NOON) == 0
    assert stored() == once
    assert sums.next_part(NOON) is None
    agree(postings(), Filters(as_of=NOON))


def test_what_was_just_recorded_is_left_to_the_postings(booked: Any) -> None:
    last = BEGIN + timedelta(minutes=29 * 3000 + 5)
    add_up_to(last + timedelta(seconds=100))
    assert sums.summed_until() <= last
    assert summaries.catch_up(last + timedelta(seconds=121)) == 1
    assert sums.summed_until() > last


def test_two_workers_do_not_add_the_same_part(booked: Any) -> None:
    part = sums.next_part(NOON)
    assert part is not None
    db.session.rollback()
    assert summaries.add_next_part(NOON)
    with summaries.unit_of_work():
        assert not sums.move_mark(*part)


def test_sums_made_anew_are_the_same(booked: Any) -> None:
    add_up_to(NOON)
    before = stored()
    assert list(summaries.rebuild(NOON))
    assert stored() == before


def test_a_sum_that_differs_is_found_shown_and_closed_again(booked: Any) -> None:
    add_up_to(NOON)
    assert summaries.check(NOON) == []
    with summaries.unit_of_work() as session:
        session.execute(sa.text("UPDATE report_sums SET gross = gross + 1 WHERE rollup = 'medium' AND grain = 'month'"))
        session.execute(sa.text("UPDATE account_sums SET gifts = gifts + 1 WHERE recorded_on = '2026-01-22'"))
    found = summaries.check(NOON)
    assert [str(each) for each in found] == ["medium: month", "accounts: 2026-01-22, ever"]
    open_now = sa.select(LedgerException.source_id).where(LedgerException.resolved_at.is_(None))
    assert set(db.session.scalars(open_now)) == {"medium", "accounts"}
    db.session.rollback()
    list(summaries.rebuild(NOON))
    assert summaries.check(NOON) == []
    assert list(db.session.scalars(open_now)) == []


def test_an_entry_that_came_after_its_part_was_added_is_found(booked: Any) -> None:
    add_up_to(NOON)
    random_books.book([Fact(1, "refund", 77, 4000, 0)])
    found = summaries.check(NOON)
    assert {each.name for each in found} == {*summaries.ROLLUPS, "accounts"}
    assert str(found[0]) == "all: 2026-01-22"


def test_what_differs_on_many_days_is_told_once_for_each_dimension(booked: Any) -> None:
    add_up_to(NOON)
    with summaries.unit_of_work() as session:
        wrong = "UPDATE report_sums SET gross = gross + 1 WHERE grain = 'day' AND rollup IN ('office', 'mix')"
        session.execute(sa.text(wrong))
        days = summaries.recorded_days()
    result = current_app.test_cli_runner().invoke(args=["finance", "check-summaries"])
    span = f"{len(days)} days, {days[0]} to {days[-1]}, month, ever"
    assert (result.exit_code, result.output.splitlines()) == (
        1,
        [
            "Error: sums differ from the postings:",
            f"  office: {span}",
            f"  mix (office, medium, language, provider): {span}",
            "Once all entries are right, flask finance rebuild-summaries makes them anew",
        ],
    )


def test_it_is_one_worker_s_turn_to_compare_each_night(booked: Any) -> None:
    add_up_to(NOON)
    assert [summaries.claim_check(NOON), summaries.claim_check(NOON)] == [True, False]
    assert summaries.claim_check(NOON + timedelta(hours=24))
    assert db.session.scalar(sa.select(SumsMark.checked_at)) == NOON + timedelta(hours=24)


def test_a_day_of_twenty_three_hours_has_all_its_gifts(books: Any) -> None:
    """29 March in Warsaw begins at 23:00 UTC of the 28th and ends at 22:00 UTC."""
    db.session.remove()
    books.restore()
    told = ("2026-03-28T22:59", "2026-03-28T23:01", "2026-03-29T21:59", "2026-03-29T22:01")
    moments = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in told]
    minutes = [int((moment - BEGIN).total_seconds() // 60) for moment in moments]
    random_books.book([Fact(1, "gift", 10**n, minute, 0) for n, minute in enumerate(minutes)])
    for add in (False, True):
        if add:
            add_up_to(NOON)
        found = {row.key: row.figures.gross for row in totals(Filters(as_of=NOON, campaign="c1"), "day").rows}
        assert found == {"2026-03-28": 1, "2026-03-29": 110, "2026-03-30": 1000}
        weeks = {row.key: row.figures.gross for row in totals(Filters(as_of=NOON, campaign="c1"), "week").rows}
        assert weeks == {"2026-03-23": 111, "2026-03-30": 1000}


def test_what_is_available_runs_on_from_day_to_day(books: Any) -> None:
    db.session.remove()
    books.restore()
    day = 24 * 60
    random_books.book(
        [
            Fact(0, "gift", 5000, 0, 0),
            Fact(0, "fee", 100, day, 0),
            Fact(0, "fx", 40, day, 0),
            Fact(0, "spent", 1000, 2 * day, 0),
        ]
    )
    filters = Filters(as_of=NOON, campaign="c0")
    assert [(row.disbursed, row.available) for row in totals(filters, "day").rows] == [(0, 0), (0, 40), (1000, -960)]
    later = Filters(as_of=NOON, campaign="c0", first=BEGIN.date() + timedelta(days=2))
    [row] = totals(later, "day").rows
    assert (row.figures.gross, row.disbursed, row.available) == (0, 1000, -960)
    offices = {row.key: (row.disbursed, row.available) for row in totals(filters, "office").rows}
    assert offices == {"direct": (None, None), "-": (1000, None)}
    shared = totals(Filters(as_of=NOON, campaign="c1"), "campaign")
    assert [(row.disbursed, row.available) for row in [*shared.rows, *shared.totals]] in ([], [(None, None)] * 2)
