"""Clerks and the campaign team at the console: what they enter becomes stock, once."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from core.db import db
from core.texts import storable
from stickers.stock.checks import faults
from stickers.stock.models import StockSheet, StockTransfer
from tests.console.conftest import OTHER, OWN, acts
from tests.staff.console import Browser
from tests.stock.conftest import CLERK, level, movements

AtConsole = Callable[..., Browser]
Stocked = Callable[[str, str, int], tuple[int, int]]
PACK = "kind-words"
NONCE = re.compile(r'name="nonce" value="([^"]+)"')


def fill(browser: Browser, page: str, to: str = "", **typed: Any) -> TestResponse:
    """Open the page, fill its form in and send it."""
    nonce = NONCE.search(browser.get(page).text)
    assert nonce, page
    return browser.post(to or page, {"nonce": nonce[1], **typed})


@pytest.fixture
def clerk(at_console: AtConsole) -> Browser:
    return at_console("office")


@pytest.fixture
def place(offices: dict[str, int], packs: dict[str, int]) -> tuple[int, int]:
    return offices[OWN], packs[PACK]


def newest_transfer() -> StockTransfer:
    db.session.rollback()
    return db.session.scalars(sa.select(StockTransfer).order_by(StockTransfer.id.desc())).first()


def test_a_clerk_with_one_office_is_led_to_its_stock(clerk: Browser) -> None:
    answer = clerk.get("/staff/stock")
    assert (answer.status_code, answer.location) == (303, f"/staff/stock/{OWN}")
    page = clerk.get(f"/staff/stock/{OWN}").text
    assert "Kind words" in page
    assert "Chat friends" not in page  # downloaded, not handed over


def test_packs_are_received_with_their_document(clerk: Browser, place: tuple[int, int]) -> None:
    answer = fill(clerk, f"/staff/stock/{OWN}/{PACK}/receive", quantity="20", reference="TTN 0042")
    assert (answer.status_code, answer.location) == (303, f"/staff/stock/{OWN}")
    assert movements(place) == [("received", 20, 20)]
    assert acts() == [(CLERK, "stock.received", f"stock:{OWN}:{PACK}")]
    assert "TTN 0042" in clerk.get(f"/staff/stock/{OWN}/history").text


def test_the_same_form_twice_is_one_movement_told_quietly(clerk: Browser, place: tuple[int, int]) -> None:
    page = f"/staff/stock/{OWN}/{PACK}/receive"
    nonce = NONCE.search(clerk.get(page).text)[1]
    form = {"nonce": nonce, "quantity": "20", "reference": "TTN 0042"}
    assert [clerk.post(page, form).status_code for _ in range(2)] == [303, 303]
    assert "nothing was changed twice" in clerk.get(f"/staff/stock/{OWN}").text
    assert level(place) == 20
    assert len(acts()) == 1
    clerk.post(page, {**form, "quantity": "5"})  # gone back and changed: another delivery
    assert level(place) == 25


MISTAKES: list[tuple[str, dict[str, str]]] = [
    ("receive", {"quantity": "0", "reference": "TTN"}),
    ("receive", {"quantity": "-3", "reference": "TTN"}),
    ("receive", {"quantity": "three", "reference": "TTN"}),
    ("receive", {"quantity": "٣", "reference": "TTN"}),
    ("receive", {"quantity": "100001", "reference": "TTN"}),
    ("receive", {"quantity": "9" * 40, "reference": "TTN"}),
    ("receive", {"quantity": "3", "reference": "  "}),
    ("receive", {"quantity": "3", "reference": "x" * 201}),
    ("damage", {"quantity": "11", "reason": "wet"}),
    ("damage", {"quantity": "1", "reason": ""}),
    ("send", {"quantity": "11", "office": OTHER}),
    ("send", {"quantity": "1", "office": OWN}),
    ("send", {"quantity": "1", "office": "NOWHERE"}),
    ("send", {"quantity": "1", "office": "\0"}),
    ("send", {"quantity": "1", "office": ""}),
    ("count", {"counted": "9", "expected": "10", "reason": ""}),
    ("count", {"counted": "", "expected": "10", "reason": "x"}),
    ("count", {"counted": "9", "expected": "8", "reason": "x"}),
]


def test_what_a_tired_person_types_changes_nothing_and_is_not_lost(clerk: Browser, stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 10)
    for act, typed in MISTAKES:
        answer = fill(clerk, f"/staff/stock/{OWN}/{PACK}/{act}", **typed)
        assert answer.status_code in (404, 409, 422), (act, typed)
        assert 'class="field-error"' in answer.text, (act, typed)
        for name, value in typed.items():
            assert not value or name == "expected" or f'value="{storable(value)}"' in answer.text, (act, typed)
    assert movements(place) == [("received", 10, 10)]
    assert acts() == []


def test_a_form_without_its_number_or_its_token_is_refused(clerk: Browser, stocked: Stocked) -> None:
    place, page = stocked(OWN, PACK, 1), f"/staff/stock/{OWN}/{PACK}/receive"
    clerk.get(page)
    assert clerk.post(page, {"quantity": "5", "reference": "TTN"}).status_code == 422
    clerk.token = "forged"
    assert clerk.post(page, {"quantity": "5", "reference": "TTN", "nonce": "n"}).status_code == 400
    assert level(place) == 1


def test_damaged_and_counted_packs_leave_with_their_reason(clerk: Browser, stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 12)
    fill(clerk, f"/staff/stock/{OWN}/{PACK}/count", counted="11", expected="12", reason="one missing")
    fill(clerk, f"/staff/stock/{OWN}/{PACK}/damage", quantity="2", reason="coffee")
    fill(clerk, f"/staff/stock/{OWN}/{PACK}/count", counted="9", expected="9")
    assert movements(place) == [("received", 12, 12), ("counted", -1, 11), ("damaged", -2, 9), ("counted", 0, 9)]
    history = clerk.get(f"/staff/stock/{OWN}/history").text
    assert "one missing" in history
    assert "coffee" in history
    assert [act for _, act, _ in acts()] == ["stock.counted", "stock.damaged", "stock.counted"]


def test_packs_travel_and_arrive(
    clerk: Browser, at_console: AtConsole, stocked: Stocked, offices: dict[str, int]
) -> None:
    here = stocked(OWN, PACK, 10)
    there = offices[OTHER], here[1]
    fill(clerk, f"/staff/stock/{OWN}/{PACK}/send", quantity="4", office=OTHER.lower(), note="with Ivan")
    assert (level(here), level(there)) == (6, None)
    page = f"/staff/stock/transfers/{newest_transfer().public_id}"
    assert clerk.post(f"{page}/confirm", {"nonce": "n", "arrived": "4"}).status_code == 403  # not theirs to confirm
    receiver = at_console("campaign")
    assert re.search(r'name="arrived"[^>]*value="\d', receiver.get(page).text) is None  # to be counted, not copied
    answer = fill(receiver, page, f"{page}/confirm", arrived="3", reason="")
    assert answer.status_code == 422  # a difference needs a reason
    answer = fill(receiver, page, f"{page}/confirm", arrived="100000", reason="so many")
    assert (answer.status_code, 'id="arrived-error"' in answer.text) == (422, True)
    fill(receiver, page, f"{page}/confirm", arrived="3", reason="the box was open")
    assert movements(there) == [("arrived", 4, 4), ("variance", -1, 3)]
    assert level(here) == 6
    differences = receiver.get("/staff/stock/differences").text
    assert "the box was open" in differences
    assert "1 difference in the last seven days" in receiver.get("/staff").text
    assert receiver.post(f"{page}/confirm", {"nonce": "other", "arrived": "4"}).status_code == 409
    assert clerk.post(f"{page}/cancel", {"nonce": "another"}).status_code == 409
    assert (level(here), level(there)) == (6, 3)
    assert faults() == []


def test_who_declines_without_a_reason_is_told_there(clerk: Browser, at_console: AtConsole, stocked: Stocked) -> None:
    stocked(OWN, PACK, 10)
    fill(clerk, f"/staff/stock/{OWN}/{PACK}/send", quantity="4", office=OTHER)
    page = f"/staff/stock/transfers/{newest_transfer().public_id}"
    answer = fill(at_console("campaign"), page, f"{page}/decline", decline_reason=" ")
    assert answer.status_code == 422
    assert ('id="decline_reason-error"' in answer.text, 'id="reason-error"' in answer.text) == (True, False)
    assert newest_transfer().state == "on_the_way"


@pytest.mark.parametrize(("act", "state"), [("cancel", "cancelled"), ("decline", "declined")])
def test_packs_that_are_not_taken_return_to_the_sender(
    clerk: Browser, at_console: AtConsole, stocked: Stocked, act: str, state: str
) -> None:
    here = stocked(OWN, PACK, 10)
    fill(clerk, f"/staff/stock/{OWN}/{PACK}/send", quantity="4", office=OTHER)
    page = f"/staff/stock/transfers/{newest_transfer().public_id}"
    browser = at_console("campaign") if act == "decline" else clerk
    fill(browser, page, f"{page}/{act}", decline_reason="no room", cancel_reason="")
    assert movements(here)[-2:] == [("sent", -4, 6), ("returned", 4, 10)]
    assert newest_transfer().state == state
    assert acts()[-1][1] == f"stock.{state}"
    assert faults() == []


def test_the_shift_is_closed_with_a_sheet_that_stays(clerk: Browser, stocked: Stocked) -> None:
    words, hearts = stocked(OWN, PACK, 12), stocked(OWN, "brave-hearts", 3)
    close = f"/staff/stock/{OWN}/close"
    form = {f"expected-{words[1]}": "12", f"expected-{hearts[1]}": "3", f"counted-{hearts[1]}": "3"}
    refused = fill(clerk, close, **form, **{f"counted-{words[1]}": "11"})
    assert refused.status_code == 422
    assert f'id="reason-{words[1]}-error"' in refused.text
    assert (level(words), level(hearts)) == (12, 3)
    answer = fill(clerk, close, **form, **{f"counted-{words[1]}": "11", f"reason-{words[1]}": "gift to a child"})
    assert answer.status_code == 303
    sheet = clerk.get(answer.location).text
    assert "gift to a child" in sheet
    assert re.search(r"<dt>Closed by</dt>\s*<dd>office</dd>", sheet), "the name, as said before"
    assert movements(words)[-1] == ("counted", -1, 11)
    assert movements(hearts)[-1] == ("counted", 0, 3)
    kept = db.session.scalars(sa.select(StockSheet)).one()
    assert [(line.expected, line.counted) for line in kept.lines] == [(12, 11), (3, 3)]
    assert kept.public_id in clerk.get(f"/staff/stock/{OWN}/sheets").text
    assert acts() == [(CLERK, "stock.shift_closed", f"stock_sheet:{kept.public_id}")]


def test_a_sheet_that_misses_a_pack_or_is_stale_closes_nothing(clerk: Browser, stocked: Stocked) -> None:
    words, hearts = stocked(OWN, PACK, 12), stocked(OWN, "brave-hearts", 3)
    close = f"/staff/stock/{OWN}/close"
    only_one = {f"expected-{words[1]}": "12", f"counted-{words[1]}": "12"}
    assert fill(clerk, close, **only_one).status_code == 422
    both = {**only_one, f"expected-{hearts[1]}": "4", f"counted-{hearts[1]}": "3"}
    stale = fill(clerk, close, **both)
    assert stale.status_code == 409
    assert "the system now says 3" in stale.text
    assert db.session.scalar(sa.select(sa.func.count()).select_from(StockSheet)) == 0
    assert movements(words) == [("received", 12, 12)]


PAGES = ["", "/history", "/close", "/sheets", "/transfers", f"/{PACK}/receive", f"/{PACK}/count", f"/{PACK}/send"]


def test_another_offices_stock_is_closed_to_a_clerk(clerk: Browser, at_console: AtConsole) -> None:
    finance = at_console("finance")
    for page in PAGES:
        assert clerk.get(f"/staff/stock/{OWN}{page}").status_code == 200, page
        assert clerk.get(f"/staff/stock/{OTHER}{page}").status_code == 403, page
        assert finance.get(f"/staff/stock/{OWN}{page}").status_code == 403, page


def test_what_a_clerk_may_not_do_is_refused(clerk: Browser, stocked: Stocked) -> None:
    place = stocked(OTHER, PACK, 5)
    clerk.get(f"/staff/stock/{OWN}")
    form = {"nonce": "n", "quantity": "1", "reference": "x", "reason": "x", "office": OWN, "low_mark": "1"}
    for act in ("receive", "send", "damage", "count", "mark"):
        assert clerk.post(f"/staff/stock/{OTHER}/{PACK}/{act}", form).status_code == 403, act
    for page in ("all.csv", "differences", "on-the-way", f"{OWN}/{PACK}/mark"):
        assert clerk.get(f"/staff/stock/{page}").status_code == 403, page
    assert movements(place) == [("received", 5, 5)]
    for page in ("NOWHERE", f"{OWN}/chat-friends/receive", f"{OWN}/nothing/receive", "transfers/x", "sheets/x"):
        assert clerk.get(f"/staff/stock/{page}").status_code == 404, page


def test_the_campaign_team_sees_filters_and_downloads_all_offices(at_console: AtConsole, stocked: Stocked) -> None:
    stocked(OWN, PACK, 20)
    stocked(OTHER, PACK, 2)
    team = at_console("campaign")
    page = team.get("/staff/stock").text
    assert page.count('<th scope="row"><a href="/staff/stock/') == 8 * 2  # every office with every physical pack
    low = team.get("/staff/stock?level=low").text
    assert f"/staff/stock/{OTHER}" in low
    assert f'/staff/stock/{OWN}"' not in low
    for page in ("", "/all.csv", "/differences", f"/{OWN}/history"):
        odd = f"/staff/stock{page}?region=%00&pack=%00&office=%25%00&kind=%00&level=%00&sort=%00&page=-7"
        assert team.get(odd).status_code == 200, page
    csv = team.get("/staff/stock/all.csv?level=some&sort=least")
    lines = csv.text.removeprefix("\ufeff").splitlines()
    assert csv.mimetype == "text/csv"
    assert [line.split(",")[0] for line in lines] == ["office", OTHER, OWN]
    assert len(team.get("/staff/stock/all.csv").text.splitlines()) == 1 + 8 * 2


def test_the_mark_is_the_campaign_teams(at_console: AtConsole, stocked: Stocked) -> None:
    stocked(OWN, PACK, 8)
    team = at_console("campaign")
    fill(team, f"/staff/stock/{OWN}/{PACK}/mark", low_mark="10")
    assert "Warn at 10 or fewer" in team.get(f"/staff/stock/{OWN}").text
    assert "Running low" in team.get(f"/staff/stock/{OWN}").text
    assert acts() == [("campaign@example.org", "stock.low_mark", f"stock:{OWN}:{PACK}")]


def test_the_front_page_tells_the_clerk_what_is_left_and_what_waits(
    clerk: Browser, at_console: AtConsole, stocked: Stocked
) -> None:
    stocked(OWN, PACK, 3)
    stocked(OTHER, PACK, 9)
    fill(at_console("campaign"), f"/staff/stock/{OTHER}/{PACK}/send", quantity="4", office=OWN)
    front = clerk.get("/staff").text
    assert "<strong>3</strong>" in front
    assert "Running low" in front
    assert f"/staff/stock/transfers/{newest_transfer().public_id}" in front
