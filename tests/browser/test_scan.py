"""A passer-by scans a poster: the link, a real browser, a paid gift, the poster's figures."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.models import Donation
from donations.queries import front_campaign
from finance.funnel import FunnelRow, funnel
from offices import services
from offices.models import Placement
from tests.browser.conftest import PHONE
from tests.browser.sight import fits
from tests.house import House

pytestmark = [
    pytest.mark.browser,
    # The tests' own plain web server does not close a picture of which the browser wanted a part.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

GIVE = "form[data-give] button[type=submit]"


@pytest.fixture
def poster(app: Flask) -> Placement:
    """A poster in Belarusian, next to one that nobody scans."""
    places = [services.Place(1, "office_poster", "be", label=label) for label in ("Niamiha", "Unseen")]
    with unit_of_work():
        poster, _unseen = services.add_placements(places, utcnow())
    db.session.expunge_all()
    return poster


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A phone's window that does not mind pages which say 404 or 410, as those of dead links do."""
    context = browser.new_context(viewport={"width": PHONE, "height": 844}, locale="ru")
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def give_and_pay(page: Any) -> None:
    page.click(GIVE)
    page.wait_for_selector("button[value=pay]")
    page.click("button[value=pay]")
    page.wait_for_selector("[data-standing=paid]", timeout=30_000)


def rows_of(app: Flask) -> dict[str | None, FunnelRow]:
    app.extensions["scans"].flush()
    db.session.remove()
    return {row.key: row for row in funnel(front_campaign())}


def donation() -> Donation:
    db.session.remove()
    return db.session.scalars(sa.select(Donation)).one()


def test_from_a_scan_to_a_paid_gift(
    site: str, house: House, app: Flask, open_page: Callable[..., Any], poster: Placement
) -> None:
    page = open_page()
    page.goto(f"{site}/Q/{poster.code}")
    assert page.url == f"{site}/c/bullying-free-internet?lang=be"
    assert page.locator("html").get_attribute("lang") == "be"
    [cookie] = [each for each in page.context.cookies() if each["name"] == "placement"]
    assert (cookie["value"], cookie["httpOnly"], cookie["sameSite"]) == (poster.code, True, "Lax")
    give_and_pay(page)

    assert donation().placement == poster.code
    rows = rows_of(app)
    mine = rows[poster.code]
    assert (mine.scans, mine.started, mine.paid, mine.raised) == (1, 1, 1, 2500)
    assert [row.paid for row in rows.values() if row.key != poster.code] == [0, 0]


def test_who_comes_back_later_that_day_gives_for_the_same_poster(
    site: str, house: House, open_page: Callable[..., Any], poster: Placement
) -> None:
    page = open_page()
    page.goto(f"{site}/q/{poster.code.lower()}")
    page.goto("about:blank")
    page.goto(site)
    give_and_pay(page)
    assert donation().placement == poster.code


@pytest.mark.parametrize("retired", [True, False], ids=["retired", "forged"])
def test_a_dead_link_still_lets_people_give(
    site: str, house: House, page: Any, poster: Placement, retired: bool
) -> None:
    if retired:
        with unit_of_work():
            services.retire(poster.code)
    page.goto(f"{site}/q/{poster.code if retired else 'AAAAAAA'}")
    assert fits(page)
    page.click("main a.btn-primary")
    assert re.fullmatch(rf"{site}/(c/bullying-free-internet)?(\?lang=\w\w)?", page.url)
    give_and_pay(page)
    assert donation().placement is None
