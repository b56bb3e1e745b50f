"""A donor in a real browser, on a phone's screen, with scripts and without."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import expect

from core.db import db
from donations.models import Donation
from tests.browser.conftest import DESK, PHONE
from tests.browser.sight import fits
from tests.house import House

pytestmark = [
    pytest.mark.browser,
    # The tests' own plain web server does not close a picture of which the browser wanted a part.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CODE = re.compile(r"[0-9A-Z]{5}-[0-9A-Z]{4}-[0-9A-Z]{5}")
GIVE = "form[data-give] button[type=submit]"


def wait_for_codes(page: Any) -> list[str]:
    """The page looks again by itself until the money is there."""
    page.wait_for_selector("[data-standing=paid]", timeout=30_000)
    return [CODE.search(text)[0] for text in page.locator(".code").all_inner_texts()]  # type: ignore[index]


def only_donation(house: House) -> str:
    """The token of the one donation there is."""
    db.session.rollback()
    return str(db.session.scalars(sa.select(Donation.token)).one())


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_from_the_page_through_payment_to_a_sticker_code(
    site: str, house: House, app: Flask, open_page: Callable[..., Any], scripts: bool
) -> None:
    page = open_page(scripts=scripts)
    page.goto(site)
    page.fill("[name=email]", "anna@example.by")
    page.click(GIVE)
    page.wait_for_selector("button[value=pay]")
    page.click("button[value=pay]")
    codes = wait_for_codes(page)

    assert len(codes) == 1
    assert "Спасибо" in page.title()
    assert page.locator(".qr svg").count() == 1
    assert page.url.startswith(f"{site}/d/")
    totals = house.totals()
    assert (totals["donations"], totals["raised"]) == (1, 2500)
    house.work()
    letters = list(Path(app.config["INSTANCE_DIR"], "mail").glob("*.eml"))
    assert len(letters) == 1
    assert b"anna@example.by" in letters[0].read_bytes()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_how_to_collect_and_giving_it_away_stand_below_each_other_for_donor_and_friend(
    site: str, house: House, open_page: Callable[..., Any], width: int
) -> None:
    token = house.given(2500)["token"]
    page = open_page(width, language="ru")
    page.goto(f"{site}/d/{token}")
    for _ in ("donor", "friend"):
        here, link = page.url, page.locator(".code-card .how a")
        page.click(".code-card summary")
        instruction, giving = page.locator(".how > p").bounding_box(), page.locator(".how > details").bounding_box()
        assert instruction["y"] + instruction["height"] <= giving["y"]
        page.click(".code-card summary")
        link.click()
        page.wait_for_url("**/offices*")
        page.goto(here)
        if "/d/" in here:
            page.click(".code-card summary")
            page.click(".code-card form button")
            page.goto(page.input_value(".code-card input[readonly]"))


def test_the_button_and_the_hint_follow_the_amount(site: str, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{site}/?lang=en")
    button, hint = page.locator(GIVE), page.locator("[data-earns] [role=status]")

    def says(label: str, earned: str) -> None:
        expect(button).to_have_text(label)
        expect(hint).to_have_text(earned)

    says("Give BYN 25", "You get 1 sticker pack:")
    page.fill("[name=amount]", "30,50")
    says("Give BYN 30,50", "You get 2 sticker packs:")
    assert page.locator("[name=choice]:checked").count() == 0
    page.fill("[name=amount]", "1e3")
    says("Give", "Sticker packs as a thank-you:")
    page.check("[name=choice][value='10000']", force=True)
    says("Give BYN 100", "You get 3 sticker packs:")
    assert page.input_value("[name=amount]") == ""


def test_an_impatient_double_click_is_one_donation(site: str, house: House, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(site)
    page.dblclick(GIVE, no_wait_after=True)
    page.wait_for_selector("button[value=pay]")
    assert house.count(Donation) == 1


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_wrong_amount_is_told_where_it_stands_and_can_be_put_right(
    site: str, open_page: Callable[..., Any], scripts: bool
) -> None:
    page = open_page(scripts=scripts)
    page.goto(f"{site}/?lang=be")
    page.fill("[name=amount]", "3")
    page.fill("[name=name]", "Алеся")
    page.click(GIVE)
    summary = page.locator("#errors")
    assert "Найменшае ахвяраванне" in summary.inner_text()
    assert page.locator("#amount[aria-invalid=true]").count() == 1
    assert page.input_value("[name=name]") == "Алеся"
    page.fill("[name=amount]", "30")
    page.click(GIVE)
    page.wait_for_selector("button[value=pay]")


def test_going_back_from_the_provider_and_paying_after_all(site: str, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{site}/?lang=en")
    page.click(GIVE)
    page.click("button[value=cancel]")
    page.wait_for_selector("[data-standing=back]")
    page.click("text=Continue to payment")
    page.click("button[value=pay]")
    assert len(wait_for_codes(page)) == 1


def test_a_declined_card_and_another_try(site: str, house: House, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(f"{site}/?lang=en")
    page.click(GIVE)
    page.click("button[value=decline]")
    page.goto(f"{site}/d/{only_donation(house)}")
    page.wait_for_selector("[data-standing=declined]")
    page.click("button:has-text('Try again')")
    page.click("button[value=pay]")
    assert len(wait_for_codes(page)) == 1
    assert house.totals()["raised"] == 2500


def test_the_language_switch_changes_the_page_and_is_remembered(site: str, open_page: Callable[..., Any]) -> None:
    page = open_page(language="ru")
    page.goto(f"{site}/?placement=office7")
    assert "Сколько вы хотите пожертвовать?" in page.content()
    page.click(".languages a[lang=be]")
    assert "Колькі вы хочаце ахвяраваць?" in page.content()
    assert "placement=office7" in page.url
    page.goto(site)
    assert page.locator("html").get_attribute("lang") == "be"


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("language", ["ru", "be", "en"])
def test_nothing_is_wider_than_the_screen(
    site: str, house: House, open_page: Callable[..., Any], width: int, language: str
) -> None:
    token = house.give(6000)["token"]
    page = open_page(width, language=language)
    for path in ("/", f"/d/{token}?n=9", "/api/docs"):
        page.goto(site + path)
        assert fits(page), path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(site: str, open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page(scheme=scheme)
    page.goto(site)
    faint = page.evaluate(CONTRAST_SCRIPT)
    assert faint == []


def test_the_keyboard_reaches_the_content_and_shows_where_it_is(site: str, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    assert page.locator(".skip-link").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")


# WCAG 2.2 AA: 4.5 for text, 3 for large text. Reads each text's colour and the nearest opaque background.
CONTRAST_SCRIPT = """
() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const style = getComputedStyle(element);
    if (!walker.currentNode.data.trim() || !element.offsetParent || element.closest(".visually-hidden")) continue;
    const [a, b] = [light(parse(style.color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) faint.push([walker.currentNode.data.trim(), ratio.toFixed(2)]);
  }
  return faint;
}
"""
