"""The funnel's page and file."""

import csv
from collections.abc import Callable
from io import StringIO

import pytest

from tests.console.conftest import OWN, make_link
from tests.house import House
from tests.staff.console import Browser

AtConsole = Callable[..., Browser]


@pytest.fixture
def code(offices: dict[str, int]) -> str:
    return make_link(offices[OWN])


@pytest.mark.parametrize("by", ["placement", "office", "region", "medium"])
def test_each_dimension_shows_the_gift(at_console: AtConsole, house: House, code: str, by: str) -> None:
    house.given(2500, placement=code)
    page = at_console("finance").get(f"/staff/funnel?by={by}").text
    assert {"placement": code, "office": OWN, "region": "Минск", "medium": "Office poster"}[by] in page
    assert page.count("BYN\u00a025") >= 2


def test_the_file_has_the_rows_of_the_page(at_console: AtConsole, house: House, code: str) -> None:
    house.given(2500, placement=code)
    answer = at_console("campaign").get("/staff/funnel.csv?by=office")
    rows = list(csv.DictReader(StringIO(answer.text.lstrip("\ufeff"))))
    assert (rows[0]["key"], rows[0]["paid"], rows[0]["raised"]) == (OWN, "1", "25.00")
    assert {(row["paid"], row["raised"]) for row in rows[1:]} == {("0", "0.00")}
    assert rows[-1]["key"] == "unattributed"


@pytest.mark.parametrize("query", ["first=yesterday", "first=2026-02-30", "first=2026-03-01&last=2026-02-01"])
def test_days_that_are_none_are_refused(at_console: AtConsole, query: str) -> None:
    browser = at_console("finance")
    assert browser.get(f"/staff/funnel?{query}").status_code == 422
    assert browser.get(f"/staff/funnel.csv?{query}").status_code == 422


def test_odd_questions_get_the_usual_answer(at_console: AtConsole) -> None:
    browser = at_console("finance")
    assert browser.get("/staff/funnel?by=colour&first=&last=").status_code == 200
    assert browser.get("/staff/funnel?campaign=none-such").status_code == 404


def test_the_front_page_shows_what_each_role_does_most(at_console: AtConsole) -> None:
    assert "Print a poster" in at_console("office").get("/staff").text
    finance = at_console("finance").get("/staff").text
    assert "The last seven days" in finance
    assert "Offices and links" not in finance
    assert "Offices and links" in at_console("campaign").get("/staff").text
