"""The worked examples of docs/finance.md are what the service books."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.db import db
from ledger.queries import fund_totals
from tests.finance.books import fund
from tests.finance.story import Entries, Rows, Story
from tests.house import House

DOCUMENT = Path(__file__).parents[2] / "docs" / "finance.md"


def examples() -> Iterator[tuple[str, Rows]]:
    """(title, rows of its table) of each example, in order; no rows where the text says that nothing is booked."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Worked examples\n")[2].partition("\n## ")[0]
    for section in text.split("\n### ")[1:]:
        title, _, body = section.partition("\n")
        cells = [re.split(r"\s*\|\s*", line.strip())[1:-1] for line in body.splitlines() if line.startswith("|")]
        yield title.strip(), [(day, account.strip("`"), debit, credit) for day, account, debit, credit in cells[2:]]


def as_entries(rows: Rows) -> Entries:
    """Rows of a table as entries: one begins where a day stands."""
    entries: Entries = []
    for day, *row in rows:
        if day:
            entries.append((day, []))
        entries[-1][1].append((row[0], row[1], row[2]))
    return [(day, sorted(lines)) for day, lines in entries]


@pytest.fixture
def told() -> dict[str, Rows]:
    return dict(examples())


def method(title: str) -> str:
    return title.lower().replace(" ", "_")


def test_each_example_of_the_document_is_what_the_service_books(house: House, told: dict[str, Rows]) -> None:
    story = Story(house)
    for title, rows in told.items():
        getattr(story, method(title))()
        assert story.new_entries() == as_entries(rows), title
    db.session.rollback()
    totals = fund_totals(fund())
    assert totals.available == totals.earmarked - totals.spent  # all of it is settled
    assert totals.earmarked == totals.raised - totals.refunded - totals.disputed - totals.fees + totals.fx


def test_the_document_leaves_no_example_out(told: dict[str, Rows]) -> None:
    public = {name for name in vars(Story) if not name.startswith("_")}
    assert public - {"on", "at", "give", "tell", "new_entries"} == {method(title) for title in told}
    assert [title for title, rows in told.items() if not rows] == ["A dispute is lost"]


def test_each_entry_of_the_document_is_in_balance_in_each_currency(told: dict[str, Rows]) -> None:
    for title, rows in told.items():
        for day, lines in as_entries(rows):
            sums: dict[str, int] = {}
            for _, debit, credit in lines:
                amount, currency = (debit or credit).split()
                minor = int(amount.replace(".", ""))
                sums[currency] = sums.get(currency, 0) + (minor if debit else -minor)
            assert set(sums.values()) == {0}, (title, day)
