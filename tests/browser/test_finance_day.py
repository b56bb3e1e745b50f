"""What a person of finance does every day, in a real browser and in few clicks from the console's front page.

`FINANCE_PICTURES=docs/images` keeps pictures of the ways: they stand in docs/finance-day.md.
"""

import csv
import io
import itertools
import os
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pypdf
import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image

from benchmarks.history import fill
from core.clock import local_day, utcnow
from core.db import db
from donations.models import Donation, Refund
from finance.filters import day_start
from ledger.models import Disbursement
from ledger.periods import ZONE
from sandbox.server import SandboxServer
from tests.browser.conftest import DESK, PHONE
from tests.browser.test_console import sign_in
from tests.finance.story import Story
from tests.house import House
from tests.staff.console import make_member

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

GIFTS, MOST = 450, 5
OFFICE = "B-001"


@pytest.fixture
def sandbox() -> Any:
    """Webhooks go out only when the test delivers them: the moments of the story are its own."""
    with SandboxServer(webhook_url="http://127.0.0.1:9/webhooks/stripe", auto_deliver=False, txn_delay=0) as server:
        yield server


@pytest.fixture
def today() -> date:
    return local_day(utcnow(), ZONE)


@pytest.fixture
def story(app: Flask, house: House, today: date) -> Story:
    """Three years of gifts; one more yesterday, of 200 roubles, given back today."""
    begin = day_start(today, ZONE)
    assert begin is not None
    fill(app, GIFTS, until=begin - timedelta(days=1), placements=60)
    story = Story(house)
    story.at(begin - timedelta(hours=3))
    story.give("asked back", 20_000)
    story.tell()
    story.at(utcnow() - timedelta(seconds=1))
    story.refund = house.sandbox.drills.refund(story.pages["asked back"])["id"]
    story.tell()
    return story


class Hand:
    """Clicks of one person, counted from the front page."""

    def __init__(self, page: Any, site: str, name: str) -> None:
        self.page, self.site, self.name, self.clicks = page, site, name, 0
        page.goto(f"{site}/staff")

    def click(self, words: str) -> None:
        """The one link or button on the page that says so."""
        self.clicks += 1
        self.page.locator("main").locator("a, button").filter(has_text=re.compile(words)).click()

    def type(self, field: str, text: str) -> None:
        """Into a field one has clicked into."""
        self.clicks += 1
        self.page.fill(f"#{field}", text)

    def download(self, words: str) -> bytes:
        with self.page.expect_download() as waiting:
            self.click(words)
        return Path(waiting.value.path()).read_bytes()

    def picture(self, name: str) -> None:
        """A small one, where pictures are wanted."""
        if directory := os.environ.get("FINANCE_PICTURES"):
            data = self.page.screenshot(full_page=True)
            with Image.open(io.BytesIO(data)) as picture:
                few = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
            few.save(Path(directory) / f"finance-{name}-{picture.width}.png", optimize=True)


@pytest.fixture
def hand(site: str, story: Story, open_page: Callable[..., Any]) -> Callable[..., Hand]:
    member = make_member("fyodor@example.org", "finance")

    def begin(name: str, width: int) -> Hand:
        page = open_page(width, language="en")
        sign_in(page, site, member)
        return Hand(page, site, name)

    return begin


def digits(text: str) -> str:
    return re.sub(r"[^\d.,-]", "", text.replace("\xa0", "").replace("−", "-"))


def money(minor: int) -> str:
    """As amounts stand in English."""
    return f"{minor / 100:,.2f}"


def gifts_of(first: date, last: date) -> int:
    """Kopecks that were paid on these days, by the donations alone."""
    begin, end = day_start(first, ZONE), day_start(last, ZONE, days=1)
    paid = sa.select(sa.func.sum(Donation.amount_minor)).where(Donation.paid_at >= begin, Donation.paid_at < end)
    return int(db.session.scalar(paid) or 0)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_four_acts_of_every_day(
    hand: Callable[..., Hand], story: Story, house: House, today: date, width: int
) -> None:
    month_statement(hand("front", width), today)
    donations_of_an_office(hand("office", width))
    why_less_than_yesterday(hand("changes", width), story, house)
    record_a_payment(hand("payment", width), house)


def month_statement(hand: Hand, today: date) -> None:
    hand.picture("front")
    document = hand.download(r"^Month statement \(PDF\)$")
    assert hand.clicks <= MOST
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(document)).pages)
    last = today.replace(day=1) - timedelta(days=1)
    gifts = gifts_of(last.replace(day=1), last)
    assert gifts > 0
    assert money(gifts) in text.replace("\xa0", " ")
    assert f"{last:%B %Y}" in text or last.isoformat() in text


def donations_of_an_office(hand: Hand) -> None:
    hand.click("^Donations of an office$")
    hand.type("office", OFFICE)
    hand.picture("office")
    file = hand.download("^Export$")
    assert hand.clicks <= MOST
    rows = list(csv.DictReader(io.StringIO(file.decode("utf-8-sig")), delimiter=";"))
    there = (
        "SELECT d.public_id FROM donations d JOIN placements p ON p.code = d.placement "
        "JOIN offices o ON o.id = p.office_id WHERE o.code = :office AND d.paid_at IS NOT NULL"
    )
    expected = set(db.session.scalars(sa.text(there), {"office": OFFICE}))
    db.session.rollback()
    assert expected
    assert [{row["Donation"] for row in rows}, {row["Office"] for row in rows}] == [expected, {OFFICE}]


def why_less_than_yesterday(hand: Hand, story: Story, house: House) -> None:
    assert "200.00 less than at the end of yesterday" in hand.page.inner_text("main").replace("\xa0", " ").replace(
        "BYN ", ""
    )
    hand.click("^What changed, one by one$")
    hand.picture("changes")
    row = hand.page.locator("tbody tr", has_text="Refund").first
    assert "-200.00" in digits(row.inner_text())
    hand.clicks += 1
    row.locator("a").click()
    assert hand.clicks <= MOST
    hand.picture("refund")
    assert story.refund in hand.page.inner_text("main")
    assert house.count(Refund, Refund.refund_ref == story.refund) == 1


def record_a_payment(hand: Hand, house: House) -> None:
    before = house.count(Disbursement)
    hand.click("^Record a payment to a programme$")
    typed = {"amount": "1500.00", "beneficiary": "Training in Brest, group 3", "document": "Act 7 of 20.11.2026"}
    for field, text in {**typed, "specialists": "12"}.items():
        hand.page.fill(f"#{field}", text)  # with the tabulator: typing is no click
    hand.picture("payment")
    hand.click("^Put it before a second person$")
    assert hand.clicks <= MOST
    assert house.count(Disbursement) == before + 1
    stored = db.session.scalars(sa.select(Disbursement).order_by(Disbursement.id.desc())).first()
    assert stored is not None
    assert (stored.amount_minor, stored.currency, stored.specialists) == (150_000, "BYN", 12)
    assert (stored.state, stored.beneficiary, stored.document) == ("proposed", *list(typed.values())[1:])
    hand.picture("proposed")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_figures_are_all_in_sight_and_labels_do_not_touch(
    story: Story, site: str, open_page: Any, today: date, language: str
) -> None:
    begin = today - timedelta(days=100)
    for width in (DESK, PHONE):
        page = open_page(width, language=language)
        sign_in(page, site, make_member(f"wide-{width}@example.org", "finance"))
        for query in ("by=month", "by=office", f"by=day&first={begin}&last={today}"):
            page.goto(f"{site}/staff/totals?{query}")
            for box in page.locator(".table-scroll").all():
                assert box.evaluate("box => box.scrollWidth <= box.clientWidth"), (width, query)
            found = page.locator(".chart text").all()
            assert found, (width, query)
            boxes = [each.bounding_box() for each in found]
            for one, then in itertools.pairwise(boxes):
                beside, below = one["x"] + one["width"] < then["x"], one["y"] + one["height"] <= then["y"]
                assert beside or below, (width, query)
