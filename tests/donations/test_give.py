"""The way of a gift: from the API's request to a sticker code, a receipt and a ledger that adds up."""

from core.models import OutboxMessage
from donations.models import Donation, Payment
from stickers.models import RedemptionCode
from tests.house import House


def test_a_gift_becomes_money_in_the_fund_a_code_a_receipt_and_an_email(house: House) -> None:
    donation = house.give(2500, donor={"email": "donor@example.org", "name": "Алеся"})
    assert donation["status"] == "pending"
    assert house.totals()["raised"] == 0

    house.pay(donation)
    house.deliver()

    state = house.state(donation)
    assert state["status"] == "paid"
    assert state["checkout_url"] is None
    assert state["receipt_number"].endswith("-000001")
    assert [code["status"] for code in state["sticker_codes"]] == ["issued"]
    totals = house.totals()
    assert (totals["donations"], totals["raised"], totals["refunded"]) == (1, 2500, 0)
    assert totals["earmarked"] == totals["raised"] - totals["fees"]
    assert totals["fees"] > 0
    assert house.count(OutboxMessage, OutboxMessage.outcome == "sent") == 1
    assert house.balances()["fund:specialists:gift"] == -2500


def test_nothing_is_counted_before_the_money_has_come(house: House) -> None:
    donation = house.give(2500)
    house.pay(donation, "delay")
    house.deliver()

    assert house.state(donation)["status"] == "processing"
    assert house.totals()["raised"] == 0
    assert house.count(RedemptionCode) == 0
    assert house.balances() == {}


def test_the_same_key_twice_is_one_donation(house: House) -> None:
    first, second = house.give(2500, key="same"), house.give(2500, key="same")
    assert first == second
    assert (house.count(Donation), house.count(Payment)) == (1, 1)


def test_whoever_asks_the_api_learns_what_the_provider_knows_without_a_notification(house: House) -> None:
    donation = house.give(2500)
    house.pay(donation)

    answer = house.client.get(f"/api/v1/donations/{donation['token']}")
    assert answer.json is not None
    assert answer.json["status"] == "paid"
    assert house.balances()["fund:specialists:gift"] == -2500
