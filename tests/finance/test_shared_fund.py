"""Two campaigns that give to one fund: each tells its own gifts, and what is the fund's is told as the fund's."""

from typing import Any

import pytest

from core.clock import utcnow
from finance import summaries
from ledger.sums import REST
from tests.finance import funds
from tests.finance.books import approve, person, proposed
from tests.house import House

OF_FUND = ("spent", "specialists_trained")


def told(house: House, slug: str) -> dict[str, Any]:
    return dict(house.client.get(f"/api/v1/campaigns/{slug}/totals").json or {})


@pytest.fixture
def two(house: House) -> House:
    """25.00 for the first campaign, 100.00 for the second, which got 40.00 back; 10.00 of their fund are spent."""
    funds.campaign("second")
    house.given(2500)
    gift = house.given(10_000, campaign="second")
    house.sandbox.drills.refund(str(house.payments(gift)[0].checkout_ref), 4000)
    house.deliver()
    approve(proposed(1000, person("anna"), utcnow(), day=utcnow().date(), trained=3), person("boris"), utcnow())
    return house


def test_a_campaign_alone_with_its_fund_tells_what_is_spent(house: House) -> None:
    house.given(2500)
    totals = house.totals()
    assert (totals["spent"], totals["specialists_trained"], totals["raised"]) == (0, 0, 2500)
    assert {name: totals["fund"][name] for name in totals if name in totals["fund"]} == {
        name: value for name, value in totals.items() if name in totals["fund"]
    }
    assert (totals["fund"]["code"], totals["fund"]["shared"]) == ("specialists", False)
    assert "already spent" in house.client.get("/?lang=en").text
    assert "The fund: " not in house.client.get("/?lang=en").text


@pytest.mark.parametrize("kept", [False, True], ids=["postings", "sums"])
def test_public_totals_of_a_campaign_are_its_own(two: House, kept: bool) -> None:
    if kept:
        summaries.catch_up(utcnow() + 2 * REST)
    first, second = two.totals(), told(two, "second")
    assert (first["donations"], first["raised"], first["refunded"]) == (1, 2500, 0)
    assert (second["donations"], second["raised"], second["refunded"]) == (1, 10_000, 4000)
    fund = first["fund"]
    assert second["fund"] == fund
    for name in ("raised", "refunded", "disputed", "fees", "fees_pending", "earmarked"):
        assert first[name] + second[name] == fund[name], name
    assert min(first["fees"], second["fees"]) > 0
    for each in (first, second):
        assert each["earmarked"] == each["raised"] - each["refunded"] - each["fees"]
        assert {name: each[name] for name in OF_FUND} == dict.fromkeys(OF_FUND)
    assert (fund["spent"], fund["specialists_trained"], fund["shared"]) == (1000, 3, True)
    assert fund["available"] == fund["earmarked"] - fund["fees_pending"] - 1000
    assert fund["name"]


def test_the_public_page_marks_what_is_of_the_fund(two: House) -> None:
    second = told(two, "second")
    text = two.client.get("/c/second?lang=en").text.replace("\u00a0", " ")
    own, _, of_fund = text.partition("The fund: ")
    for minor in (second["raised"], second["earmarked"]):
        assert f"BYN {minor / 100:.2f}" in own
    assert "already spent" not in own
    assert "Several campaigns give to this fund" in of_fund
    assert "BYN 10.00" in of_fund
    assert "3 specialists have been trained" in of_fund
    assert f"BYN {second['fund']['earmarked'] / 100:.2f}" in of_fund
    assert f"BYN {second['fund']['earmarked'] / 100:.2f}" not in own
