"""The queue of finance on a phone: long texts in the reader's language have the whole width.

`QUEUE_PICTURES=directory` keeps pictures of what was seen.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.money import Money
from finance.exception_kinds import KINDS
from ledger.services import open_exception
from sandbox.server import SandboxServer
from tests.browser.conftest import DESK, PHONE
from tests.browser.sight import fits
from tests.browser.test_console import sign_in
from tests.staff.console import make_member

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

READABLE = 200  # pixels that a column of text has on a phone
DETAILS: dict[str, Any] = {
    "booked": 831,
    "expected": 836,
    "its lines": 14_700,
    "day": "2026-10-30",
    "says": "ОПЛАТА ПО ДОГОВОРУ " * 6,
    "examples": [f"payment {'0' * 8}-0000-4000-8000-{'0' * 12}"] * 4,
    "unheard_of": "x" * 90,
}
# How wide each cell of text is, and whether what is in it is wider than it.
WIDTHS = """cells => cells.map(cell => {
  const text = cell.querySelector("span") || cell;
  return [Math.round(text.getBoundingClientRect().width), cell.scrollWidth > cell.clientWidth + 1];
})"""


@pytest.fixture
def sandbox() -> Any:
    with SandboxServer(webhook_url="http://127.0.0.1:9/webhooks/stripe", auto_deliver=False) as server:
        yield server


@pytest.fixture
def queue(app: Flask) -> int:
    """One matter of each kind; the number of the one with all details."""
    now = utcnow()
    with unit_of_work():
        for kind in KINDS:
            amount = Money(-123_456_789, "EUR")
            since = now - timedelta(days=40)
            source = "00000000-0000-4000-8000-000000000000"
            open_exception(kind, "settlement", source, now=now, amount=amount, since=since, details=DETAILS)
    db.session.remove()
    return 1


def keep(page: Any, name: str) -> None:
    if directory := os.environ.get("QUEUE_PICTURES"):
        page.screenshot(path=str(Path(directory) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_queue_is_read_on_a_phone(queue: int, site: str, open_page: Callable[..., Any], language: str) -> None:
    page = open_page(PHONE, language=language)
    sign_in(page, site, make_member("anna@example.org", "finance"))
    page.goto(f"{site}/staff?lang={language}")
    assert fits(page)
    keep(page, f"front-{language}")
    page.goto(f"{site}/staff/exceptions")
    assert fits(page)
    causes = page.locator("td.told").evaluate_all(WIDTHS)
    assert len(causes) == len(KINDS)
    assert [cell for cell in causes if cell[0] < READABLE or cell[1]] == []
    titles = page.locator(".list tbody th").evaluate_all(WIDTHS)
    assert [cell for cell in titles if cell[0] < READABLE or cell[1]] == []
    keep(page, f"queue-{language}")
    page.goto(f"{site}/staff/exceptions/{queue}")
    assert fits(page)
    keep(page, f"matter-{language}")
    if language == "ru":
        page.set_viewport_size({"width": DESK, "height": 900})
        page.goto(f"{site}/staff/exceptions")
        assert fits(page)
        keep(page, "queue-wide")
