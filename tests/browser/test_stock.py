"""Clerks keep their stock on a phone; donors without scripts find an office."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db
from offices.models import Office
from ops.demo_offices import seed_offices
from ops.demo_stock import seed_stock
from stickers.stock.checks import faults
from stickers.stock.models import StockLevel, StockTransfer
from tests.browser.conftest import DESK, PHONE
from tests.browser.sight import fits
from tests.staff.console import PASSWORD, make_member

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OpenPage = Callable[..., Any]


@pytest.fixture
def shelves(app: Flask) -> None:
    """The demonstration's offices with their packs, and a clerk of MINSK-01; five packs are on the way there."""
    seed_offices(utcnow())
    seed_stock(utcnow())
    [office] = db.session.scalars(sa.select(Office.id).where(Office.code == "MINSK-01"))
    make_member("clerk@example.org", "office", offices=[office])
    make_member("team@example.org", "campaign")


def sign_in(page: Any, site: str, email: str) -> None:
    page.goto(f"{site}/staff")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(f"{site}/staff")


def level() -> int:
    db.session.rollback()
    query = sa.select(StockLevel.quantity).join(Office, Office.id == StockLevel.office_id)
    return db.session.scalars(query.where(Office.code == "MINSK-01").order_by(StockLevel.pack_id)).first()


def test_a_clerk_confirms_what_came_and_closes_the_shift_on_a_phone(
    shelves: None, site: str, open_page: OpenPage
) -> None:
    page = open_page(PHONE, scripts=False, language="en")
    sign_in(page, site, "clerk@example.org")
    assert fits(page)
    page.click("text=Count and confirm")
    assert fits(page)
    page.fill("#arrived", page.locator("h1").inner_text().split()[0])
    page.click("button:has-text('Confirm')")
    page.wait_for_url("**/staff/stock/MINSK-01")
    assert level() == 25
    assert fits(page)
    page.click("#pack-kind-words >> text=Damaged")
    assert fits(page)
    page.fill("#quantity", "2")
    page.fill("#reason", "coffee")
    page.click("main button[type=submit]")
    page.wait_for_url("**/staff/stock/MINSK-01")
    page.click("text=Close the shift")
    assert fits(page)
    counted = page.locator("input[name^=counted-]")
    counted.nth(0).fill("22")
    counted.nth(1).fill("20")
    page.click("main button[type=submit]")
    assert page.locator(".field-error").inner_text() == "Please say why, in a few words."
    assert counted.nth(1).input_value() == "20"
    page.locator("input[name^=reason-]").nth(0).fill("one was a gift")
    page.click("main button[type=submit]")
    page.wait_for_url("**/staff/stock/sheets/*")
    assert fits(page)
    assert "−1" in page.inner_text("main")
    page.goto(f"{site}/staff/stock/MINSK-01/history")
    assert fits(page)
    assert level() == 22
    assert db.session.scalars(sa.select(StockTransfer.state)).all() == ["arrived"]
    assert faults() == []


def test_the_campaign_team_sees_all_offices(shelves: None, site: str, open_page: OpenPage) -> None:
    for width in (DESK, PHONE):
        page = open_page(width, language="en")
        sign_in(page, site, "team@example.org")
        assert fits(page)
        page.click("text=Stock of all offices")
        assert fits(page)
        page.click("text=Differences")
        assert "промокли" in page.inner_text("main")
        assert fits(page)


def test_a_donor_without_scripts_finds_an_office(shelves: None, site: str, open_page: OpenPage) -> None:
    page = open_page(PHONE, scripts=False, language="be")
    page.goto(f"{site}/offices")
    assert fits(page)
    page.fill("#place", "витебск")
    page.click("main button[type=submit]")
    assert page.locator("[data-office]").count() == 1
    assert page.locator("[data-office] .plenty-no").count() == 2
    page.select_option("#region", "Минск")
    page.fill("#place", "")
    page.click("main button[type=submit]")
    assert page.locator("[data-office]").count() == 2
    wide = open_page(DESK, language="ru", scheme="dark")
    wide.goto(f"{site}/offices?campaign=bullying-free-internet")
    assert fits(wide)
