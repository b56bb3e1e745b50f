"""What a donor sees of a hand-over: when and where, on the page and through the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import unit_of_work
from donations.models import Campaign
from stickers import codes
from tests.counter.conftest import OWN, Counter, check
from tests.staff.console import Browser


@pytest.fixture
def donation(counter: Counter) -> dict[str, Any]:
    return counter.house.given(1000)


def page(counter: Counter, donation: dict[str, Any]) -> str:
    return counter.house.client.get(f"/d/{donation['token']}?lang=en").text


def told(counter: Counter, donation: dict[str, Any]) -> dict[str, Any]:
    answer = counter.house.client.get(f"/api/v1/donations/{donation['token']}").json or {}
    return dict(answer["sticker_codes"][0])


def test_the_donor_sees_when_and_where_and_that_an_undo_gave_it_back(
    counter: Counter, donation: dict[str, Any]
) -> None:
    before = told(counter, donation)
    assert (before["status"], before["redeemed_at"], before["office"]) == ("issued", None, None)
    at = utcnow().replace(hour=11, minute=5)
    redemption = counter.redeem(codes.read(before["code"]), now=at)
    after = told(counter, donation)
    assert (after["status"], after["redeemed_at"], after["office"]) == ("redeemed", at.isoformat(), OWN)
    shown = page(counter, donation)
    assert f"Collected at {counter.office.name.in_locale('en')} on" in shown
    assert "14:05" in shown
    assert 'class="qr"' not in shown
    counter.undo(redemption, now=at)
    assert told(counter, donation) == before
    assert "Ready to collect" in page(counter, donation)


def test_until_when_packs_are_handed_over_is_told_in_time_and_afterwards(
    counter: Counter, donation: dict[str, Any]
) -> None:
    for days, said, symbols in ((1, "Ready to collect, until", 1), (-1, "Packs were handed over until", 0)):
        with unit_of_work() as session:
            session.execute(sa.update(Campaign).values(collect_until=utcnow() + timedelta(days=days)))
        shown = page(counter, donation)
        assert said in shown
        assert shown.count('class="qr"') == symbols


def test_an_end_at_midnight_names_the_day_that_ends_then(
    counter: Counter, donation: dict[str, Any], till: Browser
) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(Campaign).values(collect_until=datetime(2025, 11, 20, 21, tzinfo=UTC)))  # in Minsk
    assert "Packs were handed over until November 20, 2025" in page(counter, donation)
    shown = check(till, codes.read(told(counter, donation)["code"])).text
    assert "Expired: the last day to collect packs was November 20, 2025<" in shown
