"""Totals in the console and over the API: every figure leads to its postings, and they add up to it."""

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape
from io import StringIO
from typing import Any

import pytest
from flask import Flask

from core.clock import local_day, utcnow
from core.db import db, unit_of_work
from core.money import Money
from donations.queries import front_campaign
from finance import drill
from finance.filters import parse
from finance.totals import DIMENSIONS, grand_totals
from ledger import accounts
from ledger.services import Source, post_entry, transfer
from tests.console.conftest import OWN, make_link
from tests.house import House
from tests.staff.console import Browser, make_member
from tests.staff.machines import Machine

AtConsole = Callable[..., Browser]


@pytest.fixture
def raised(house: House, offices: dict[str, int]) -> str:
    """Gifts by a link and by none, one of them partly given back, one disputed; the code of the link."""
    code = make_link(offices[OWN])
    house.given(2500, placement=code)
    house.given(700)
    back = house.given(4000, placement=code)
    house.sandbox.drills.refund(str(house.payments(back)[0].checkout_ref), 1500)
    questioned = house.given(2000)
    house.sandbox.drills.dispute(str(house.payments(questioned)[0].checkout_ref))
    house.deliver()
    return code


@pytest.fixture
def machine(app: Flask) -> Machine:
    return Machine(app, make_member("reports@example.org", "finance"), "finance:read")


def links_in(page: str, about: str) -> list[str]:
    return [unescape(link) for link in re.findall(r'href="([^"]+)"', page) if about in link]


def test_each_dimension_has_a_page_that_says_as_of(at_console: AtConsole, raised: str) -> None:
    browser = at_console("finance")
    pages = {by: browser.get(f"/staff/totals?by={by}") for by in DIMENSIONS}
    for by, page in pages.items():
        assert page.status_code == 200, by
        assert "As of" in page.text
        assert "BYN\u00a092.00" in page.text, by  # raised
        assert "style=" not in page.text
    assert raised in pages["placement"].text
    assert OWN in pages["office"].text
    assert "No link led here" in pages["office"].text
    assert "<desc" in pages["month"].text


def test_every_figure_leads_to_postings_that_add_up_to_it(at_console: AtConsole, raised: str) -> None:
    browser = at_console("finance")
    page = browser.get("/staff/totals?by=office").text
    opened = links_in(page, "/staff/totals/lines?")
    assert len(opened) >= 8
    for link in opened:
        answer = browser.get(link)
        assert answer.status_code == 200, link
        query = dict(part.split("=", 1) for part in link.partition("?")[2].split("&"))
        filters = parse(
            {name: value.replace("%3A", ":").replace("%2B", "+") for name, value in query.items()}, utcnow()
        )
        [total] = grand_totals(filters)
        figure = dict(drill.figures_of(total.figures))[query["figure"]]
        assert drill.sum_of_lines(filters, query["figure"]) == {"BYN": figure}
        assert sum(line.amount for line in drill.lines(filters, query["figure"], limit=999)) == figure
        db.session.rollback()


def test_what_changed_leads_from_one_total_to_the_other(at_console: AtConsole, house: House, raised: str) -> None:
    browser = at_console("finance")
    before = utcnow()
    then = {row.currency: row.figures.earmarked for row in grand_totals(parse({"as_of": before.isoformat()}, before))}
    gift = house.given(9000)
    house.sandbox.drills.refund(str(house.payments(gift)[0].checkout_ref), 9000)
    house.deliver()
    filters = parse({}, utcnow())
    changes = drill.changes(filters, before)
    assert then["BYN"] + sum(change.amount for change in changes) == grand_totals(filters)[0].figures.earmarked
    assert {change.kind for change in changes} >= {"gift", "refund"}
    assert changes[0].kind == "refund"
    db.session.rollback()
    page = browser.get("/staff/totals/changes").text
    assert "Refund" in page
    assert "What changed the total" in page


def test_what_changed_since_a_moment_of_today(at_console: AtConsole, house: House, raised: str) -> None:
    browser, since = at_console("finance"), utcnow().isoformat()
    house.given(9000)
    page = browser.get("/staff/totals/changes", query_string={"since": since})
    assert page.status_code == 200
    assert "+BYN\u00a090.00" in page.text
    assert "+BYN\u00a025.00" not in page.text, "given before"
    today = local_day(utcnow(), "Europe/Minsk").isoformat()
    assert browser.get(f"/staff/totals/changes?since={today}").status_code == 200
    reversed_ = {"since": utcnow().isoformat(), "as_of": since}
    assert browser.get("/staff/totals/changes", query_string=reversed_).status_code == 422


def test_the_file_has_the_rows_of_the_page(at_console: AtConsole, raised: str) -> None:
    answer = at_console("campaign").get("/staff/totals.csv?by=channel")
    rows = {row["channel"]: row for row in csv.DictReader(StringIO(answer.text.lstrip("\ufeff")))}
    assert (rows["print"]["gross"], rows["print"]["refunds"]) == ("65.00", "15.00")
    assert sum(Decimal(row["gross"]) for row in rows.values()) == 92
    assert rows["print"]["disbursed"] == ""


def test_keys_in_the_file_are_the_documented_words(at_console: AtConsole, raised: str) -> None:
    now, fund = utcnow(), front_campaign().fund
    with unit_of_work():
        lines = transfer(accounts.conversion("BYN"), accounts.of_fund(fund, "fx"), Money(300, "BYN"))
        post_entry(Source("exchange", "2026-01", "fx"), lines, occurred_at=now, recorded_at=now)
    browser = at_console("finance")
    text = browser.get("/staff/totals.csv?by=office").text
    assert "-" in {row["office"] for row in csv.DictReader(StringIO(text.lstrip("\ufeff")))}
    page = browser.get("/staff/totals/changes").text
    assert re.search(r"Difference of exchange rates\s*<span", page), "the kind has a name"


REFUSED = {
    "first=yesterday": "day_invalid",
    "first=2026-02-30": "day_invalid",
    "first=0001-01-01": "day_invalid",
    "first=2026-03-02&last=2026-03-01": "range_invalid",
    "by=colour": "dimension_unknown",
    "as_of=tomorrow": "as_of_invalid",
    "as_of=2999-01-01T00:00": "as_of_invalid",
    "as_of=2999-01-01": "as_of_invalid",
    "office=NONE": "value_unknown",
    "office=%00": "value_unknown",
    "channel=radio": "value_unknown",
    "provider=nobody%25": "value_unknown",
    "currency=XXX": "value_unknown",
}


def test_what_cannot_be_asked_is_said_at_its_field(at_console: AtConsole, machine: Machine) -> None:
    browser = at_console("finance")
    for query, code in REFUSED.items():
        page = browser.get(f"/staff/totals?{query}")
        assert page.status_code == 422, query
        assert 'role="alert"' in page.text
        answer = machine.get(f"/api/v1/totals?{query}")
        assert (answer.status_code, (answer.json or {})["code"]) == (422, code), query
    assert browser.get("/staff/totals/lines?figure=luck").status_code == 422
    assert browser.get("/staff/totals/changes?since=2999-01-01").status_code == 422
    assert browser.get("/staff/totals/changes?since=never").status_code == 422


def test_a_month_without_gifts_is_an_empty_table_that_says_so(
    at_console: AtConsole, machine: Machine, raised: str
) -> None:
    browser = at_console("finance")
    page = browser.get("/staff/totals?by=day&first=2020-02-01&last=2020-02-29")
    assert page.status_code == 200
    assert "Nothing was booked in this time" in page.text
    answer = machine.get("/api/v1/totals?by=day&first=2020-02-01&last=2020-02-29").json or {}
    assert (answer["rows"], answer["totals"], answer["count"]) == ([], [], 0)


def test_the_api_answers_the_same_for_the_same_moment(machine: Machine, house: House, raised: str) -> None:
    first: Any = machine.get("/api/v1/totals?by=medium").json
    assert first["settled"] is False
    assert first["totals"][0]["gross"] == 9200 == sum(row["gross"] for row in first["rows"])
    house.given(5000)
    again: Any = machine.get("/api/v1/totals", query_string={"by": "medium", "as_of": first["as_of"]}).json
    assert (again["rows"], again["totals"]) == (first["rows"], first["totals"])
    assert (machine.get("/api/v1/totals?by=medium").json or {})["totals"][0]["gross"] == 14_200
    long_ago = (utcnow() - timedelta(days=2)).isoformat()
    old: Any = machine.get("/api/v1/totals", query_string={"as_of": long_ago}).json
    assert (old["settled"], old["rows"]) == (True, [])


def test_who_may_see_what(at_console: AtConsole, raised: str) -> None:
    team = at_console("campaign")
    page = team.get("/staff/totals?by=office")
    assert page.status_code == 200
    assert links_in(page.text, "/staff/totals/lines?") == []
    assert team.get("/staff/totals/lines?figure=gross").status_code == 403
    assert at_console("office").get("/staff/totals").status_code == 403


def test_links_are_paged(machine: Machine, raised: str) -> None:
    one: Any = machine.get("/api/v1/totals?by=placement&limit=1").json
    two: Any = machine.get("/api/v1/totals?by=placement&limit=1&offset=1").json
    assert (one["count"], two["count"]) == (2, 2)
    assert [one["rows"][0]["key"], two["rows"][0]["key"]] == [raised, "direct"]
    assert one["totals"] == two["totals"]
    assert one["totals"][0]["gross"] == one["rows"][0]["gross"] + two["rows"][0]["gross"]
