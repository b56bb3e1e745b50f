"""Staff in front of the console, in a real browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from core.clock import utcnow
from core.db import db
from offices.models import Office
from ops.demo_offices import seed_offices
from tests.browser.conftest import DESK, PHONE
from tests.browser.sight import fits
from tests.console.test_whole_console import pages_for
from tests.staff.console import PASSWORD, make_member

pytestmark = [
    pytest.mark.browser,
    # The tests' own plain web server does not close a picture of which the browser wanted a part.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OpenPage = Callable[..., Any]


@pytest.fixture
def clerk(app: Flask) -> str:
    seed_offices(utcnow())
    [office] = db.session.scalars(db.select(Office.id).where(Office.code == "MINSK-01"))
    return make_member("clerk@example.org", "office", offices=[office])


def sign_in(page: Any, site: str, email: str) -> None:
    page.goto(f"{site}/staff")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(f"{site}/staff")


@pytest.mark.parametrize("scripts", [True, False])
def test_one_poster_in_at_most_four_clicks(
    site: str, open_page: OpenPage, clerk: str, tmp_path: Path, scripts: bool
) -> None:
    page = open_page(PHONE, scripts=scripts)
    sign_in(page, site, clerk)
    clicks = 0

    def click(what: str) -> None:
        nonlocal clicks
        clicks += 1
        page.click(what)

    click("main a.btn-primary")
    assert page.locator("img.preview").count() == 1
    with page.expect_download() as download:
        click("main form button.btn-primary")
    download.value.save_as(tmp_path / "poster.pdf")
    assert (tmp_path / "poster.pdf").read_bytes().startswith(b"%PDF-")
    assert clicks <= 4


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_page_of_the_console_is_wider_than_the_screen(
    app: Flask, site: str, open_page: OpenPage, clerk: str, width: int
) -> None:
    page = open_page(width)
    sign_in(page, site, make_member("boss@example.org", "admin"))
    paths = [*pages_for(app, "admin"), "/staff/offices/MINSK-01", "/staff/stock/MINSK-01", "/staff/totals?by=office"]
    for path in paths:
        if path.endswith(".csv"):
            continue
        page.goto(f"{site}{path}")
        assert fits(page), path


def test_signing_out_takes_one_press(site: str, open_page: OpenPage, clerk: str) -> None:
    page = open_page(PHONE)
    sign_in(page, site, clerk)
    page.click("footer button")
    page.wait_for_url(f"{site}/staff/login")
    page.goto(f"{site}/staff")
    assert page.url.startswith(f"{site}/staff/login")


@pytest.mark.parametrize("language", ["ru", "be", "en"])
def test_buttons_of_lists_stay_within_a_phone_s_card(site: str, open_page: OpenPage, clerk: str, language: str) -> None:
    page = open_page(PHONE, language=language)
    sign_in(page, site, clerk)
    page.goto(f"{site}/staff/offices/MINSK-01?lang={language}")
    with page.expect_download():
        page.click("main form button.btn-primary")
    links = f"{site}/staff/links"
    page.goto(links)
    code = page.locator("tbody th a").first.get_attribute("href")
    for address in (links, f"{site}{code}", f"{site}/staff/offices/MINSK-01", f"{site}/staff/prints"):
        page.goto(address)
        assert fits(page), address
        for button in page.locator("main .acts .btn, main .card-actions .btn").all():
            box, card = button.bounding_box(), button.locator("xpath=ancestor::*[self::tr or self::section][1]")
            around = card.bounding_box() if card.count() else {"x": 0, "width": PHONE}
            assert around["x"] <= box["x"], (address, button.inner_text())
            assert box["x"] + box["width"] <= around["x"] + around["width"], (address, button.inner_text())
