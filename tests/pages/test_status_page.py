"""The status page says the truth in every state, and never more than its holder may know."""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import unit_of_work
from donations.models import Campaign, Dispute, Donation, Payment
from donations.standing import PAUSES, WAITING, next_look
from sandbox.server import SandboxServer
from stickers.models import RedemptionCode
from tests.house import House
from tests.pages.donor import Donor, text_of

NBSP = "\u00a0"


def standing(page: str) -> str:
    found = re.search(r'data-standing="(\w+)"', page)
    assert found
    return found[1]


def change(model: type[Any], **values: Any) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(model).values(values))


def test_a_paid_donation_shows_thanks_receipt_codes_and_how_to_collect(donor: Donor, house: House) -> None:
    donation = house.given(6000, donor={"email": "anna@example.by"})
    page = donor.read(f"/d/{donation['token']}")
    text = text_of(page).replace(NBSP, " ")
    codes = [each["code"] for each in house.state(donation)["sticker_codes"]]
    assert standing(page) == "paid"
    assert len(codes) == 3
    for expected in (*codes, "BYN 60.00", house.state(donation)["receipt_number"], "MTS office", "Ready to collect"):
        assert expected in text
    assert page.count('class="qr"') == 2, "a QR code for each pack to collect, none for the digital one"
    assert "<title>Thank you! Your donation has arrived" in page
    assert 'name="robots" content="noindex' in page
    assert 'http-equiv="refresh"' not in page


def test_while_we_wait_the_page_looks_again_and_at_last_leaves_it_to_the_donor(donor: Donor, house: House) -> None:
    token = house.give()["token"]
    page = donor.read(f"/d/{token}")
    assert standing(page) == "confirming"
    assert f'<meta http-equiv="refresh" content="2;url=/d/{token}?n=1">' in page
    last = donor.client.get(f"/d/{token}?n={len(PAUSES)}&lang=en").text
    assert 'http-equiv="refresh"' not in last
    assert "No payment has reached us yet" in last
    assert "Check again" in last


def test_pauses_grow_and_end_after_about_two_minutes() -> None:
    pauses = [next_look(WAITING[0], looks) for looks in range(len(PAUSES))]
    assert pauses == sorted(PAUSES)
    assert 100 <= sum(PAUSES) <= 140
    assert next_look("confirming", len(PAUSES)) is None
    assert next_look("confirming", -1) is None
    assert next_look("paid", 0) is None


def test_coming_back_without_paying_says_not_charged_and_offers_to_continue(donor: Donor, house: House) -> None:
    donation = house.give()
    page = donor.client.get(f"/d/{donation['token']}?back=1&lang=en").text
    assert standing(page) == "back"
    assert "You have not been charged" in page
    assert donation["checkout_url"] in page


def test_a_declined_try_says_so_and_another_try_can_be_paid(donor: Donor, house: House) -> None:
    donation = house.give()
    house.pay(donation, "decline")
    house.deliver()
    page = donor.read(f"/d/{donation['token']}")
    assert standing(page) == "declined"
    assert "You have not been charged" in page
    assert f'action="/d/{donation["token"]}/pay"' in page

    answer = donor.try_again(donation["token"])
    assert answer.status_code == 303
    house.pay({"checkout_url": answer.location})
    house.deliver()
    assert standing(donor.read(f"/d/{donation['token']}")) == "paid"


def test_when_no_payment_page_could_be_opened_nothing_was_charged(
    donor: Donor, house: House, sandbox: SandboxServer
) -> None:
    sandbox.stop()
    answer = donor.give(choice="2500")
    assert answer.status_code == 303
    page = donor.read(answer.location.removeprefix("http://give.test"))
    assert standing(page) == "unopened"
    assert "Nothing was charged" in page
    assert "Try again" in page
    assert 'http-equiv="refresh"' not in page


def test_a_delayed_payment_is_on_its_way_and_asks_for_no_second_one(donor: Donor, house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    house.deliver()
    page = donor.read(f"/d/{donation['token']}")
    assert standing(page) == "processing"
    assert "please do not pay again" in page
    assert "<form" not in page


def test_money_that_differs_from_what_we_asked_is_under_review(donor: Donor, house: House) -> None:
    donation = house.give()
    change(Payment, review="amount_mismatch")
    change(Donation, status="processing")
    page = donor.read(f"/d/{donation['token']}")
    assert standing(page) == "review"
    assert "A person is checking it" in page
    assert "<form" not in page


@pytest.mark.parametrize(
    ("state", "code", "expected", "sentence"),
    [
        ("failed", "insufficient_funds", "failed", "not enough money on the card"),
        ("failed", "some_new_code", "failed", "Your bank has declined the payment."),
        ("failed", "refused_amount_too_small", "unopened", "Nothing was charged"),
        ("expired", None, "expired", "stays open for a limited time"),
    ],
)
def test_an_attempt_that_ended_offers_another(
    donor: Donor, house: House, state: str, code: str | None, expected: str, sentence: str
) -> None:
    donation = house.give()
    change(Payment, state=state, failure_code=code, next_ask_at=None)
    change(Donation, status=state)
    page = donor.read(f"/d/{donation['token']}")
    assert standing(page) == expected
    assert sentence in page
    assert "Try again" in page
    assert donor.try_again(donation["token"]).location.startswith(house.sandbox.url)


def test_no_other_try_once_the_campaign_is_over(donor: Donor, house: House) -> None:
    donation = house.give()
    hidden = donor.hidden()
    change(Payment, state="expired", next_ask_at=None)
    change(Donation, status="expired")
    change(Campaign, closes_at=utcnow() - timedelta(hours=1))
    assert "<form" not in donor.read(f"/d/{donation['token']}")
    answer = donor.client.post(f"/d/{donation['token']}/pay", data=hidden)
    assert answer.status_code == 409
    assert "This campaign is over." in answer.text


def test_a_paid_donation_is_not_paid_again(donor: Donor, house: House) -> None:
    token = house.given()["token"]
    answer = donor.try_again(token)
    assert answer.status_code == 409
    assert "This donation needs no further payment." in answer.text
    assert standing(answer.text) == "paid"
    assert f'href="/d/{token}?lang=be"' in answer.text


@pytest.mark.parametrize(
    ("status", "codes", "sentence", "qr"),
    [
        ("partially_refunded", "issued", "A part of your donation has been refunded", 1),
        ("refunded", "voided", "Your donation has been refunded", 0),
        ("disputed", "held", "Your bank has taken this payment back", 0),
    ],
)
def test_money_that_went_back_is_told_with_what_became_of_the_codes(
    donor: Donor, house: House, status: str, codes: str, sentence: str, qr: int
) -> None:
    token = house.given()["token"]
    change(Donation, status=status)
    change(RedemptionCode, status=codes, standing=codes)
    page = donor.read(f"/d/{token}")
    assert sentence in page
    assert page.count('class="qr"') == qr
    assert f'class="state-{codes}' in page


def test_an_open_question_of_the_bank_holds_the_codes(donor: Donor, house: House) -> None:
    donation = house.given()
    with unit_of_work() as session:
        payment = session.scalars(sa.select(Payment)).one()
        session.add(
            Dispute(
                payment=payment,
                provider="stripe",
                dispute_ref="du_1",
                amount_minor=2500,
                currency="BYN",
                state="open",
                opened_at=utcnow(),
            )
        )
    change(Donation, status="disputed")
    change(RedemptionCode, status="held", standing="held")
    page = donor.read(f"/d/{donation['token']}")
    assert standing(page) == "disputed"
    assert "On hold until the bank has decided" in page
    assert "Question of your bank" in page


def test_a_code_that_was_handed_over_shows_when(donor: Donor, house: House) -> None:
    token = house.given()["token"]
    change(RedemptionCode, status="redeemed", redeemed_at=utcnow())
    page = donor.read(f"/d/{token}")
    assert "Collected on " in page
    assert 'class="qr"' not in page


def test_the_page_names_nobody(donor: Donor, house: House) -> None:
    token = house.given(2500, donor={"name": "Ганна Каваль", "email": "hanna@example.by"})["token"]
    house.given(5000, donor={"name": "Іншы Дарыльнік", "email": "other@example.by"})
    page = donor.read(f"/d/{token}")
    for private in ("Ганна", "hanna@", "Іншы", "other@"):
        assert private not in page


def test_an_unknown_token_is_a_page_of_its_own(donor: Donor) -> None:
    assert "We do not know this donation" in donor.read("/d/no-such-token", status=404)


def test_the_digital_pack_opens_with_its_own_code_only(donor: Donor, house: House) -> None:
    donation, stranger = house.given(6000), house.given(6000)
    codes = {each["pack"]: each["code"] for each in house.state(donation)["sticker_codes"]}
    path = f"/d/{donation['token']}/packs"
    answer = donor.client.get(f"{path}/{codes['chat-friends'].lower()}")
    assert answer.status_code == 200
    assert answer.data.startswith(b"PK")
    assert "attachment" in answer.headers["Content-Disposition"]
    answer.close()
    foreign = next(each["code"] for each in house.state(stranger)["sticker_codes"] if each["pack"] == "chat-friends")
    assert donor.client.get(f"{path}/{codes['kind-words']}").status_code == 404
    assert donor.client.get(f"{path}/{foreign}").status_code == 404
    assert donor.client.get(f"{path}/12345").status_code == 422
    change(RedemptionCode, status="voided", standing="voided")
    assert donor.client.get(f"{path}/{codes['chat-friends']}").status_code == 409
