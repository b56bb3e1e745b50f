"""The funnel's page and file."""

import csv
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import unit_of_work
from offices.models import Office
from staff.access import Actor
from staff.services import require_member
from stickers import codes
from stickers.counter.services import redeem_code
from stickers.models import RedemptionCode
from stickers.stock.services import receive
from tests.console.conftest import OWN, make_link
from tests.house import House
from tests.staff.console import Browser, make_member

AtConsole = Callable[..., Browser]


EDGES = ["last=9999-12-31", "first=0001-01-01", "first=9999-12-31&last=9999-12-31"]  # where the calendar ends


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


def test_a_pack_handed_over_shows_on_the_page_and_in_the_file(
    at_console: AtConsole, house: House, code: str, offices: dict[str, int]
) -> None:
    redeem_a_pack_of(house.given(2500, placement=code), house, offices[OWN])
    browser = at_console("finance")
    row = browser.get("/staff/funnel?by=placement").text.partition(code)[2].partition("</tr>")[0]
    assert re.search(r'data-label="Packs collected">1<', row)
    [read, *_] = csv.DictReader(StringIO(browser.get("/staff/funnel.csv?by=placement").text.lstrip("\ufeff")))
    assert (read["key"], read["collected"]) == (code, "1")


def redeem_a_pack_of(donation: dict[str, Any], house: House, office: int) -> None:
    email = make_member("clerk@example.org", "office", offices=[office])
    clerk = Actor(require_member(email).id, email, "", frozenset({"office"}), "-")
    typed = house.state(donation)["sticker_codes"][0]["code"]
    with unit_of_work() as session:
        code = session.scalars(sa.select(RedemptionCode).where(RedemptionCode.code == codes.read(typed))).one()
        receive(office, code.pack_id, 1, reference="delivery", actor=email, now=utcnow())
        redeem_code(code.code, office=session.get_one(Office, office), actor=clerk, nonce="1", now=utcnow())


@pytest.mark.parametrize("query", ["first=yesterday", "first=2026-02-30", "first=2026-03-01&last=2026-02-01", *EDGES])
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
