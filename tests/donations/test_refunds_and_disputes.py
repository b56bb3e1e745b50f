"""Money that goes back: what becomes of the ledger, the codes, the receipt and what the donor sees."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.jobs import request_due_refunds
from donations.models import Donation, Payment, Receipt, Refund
from donations.services import pay_again
from donations.views import addresses
from finance.models import PayoutRecord
from ledger.models import JournalEntry, LedgerException
from stickers.models import RedemptionCode
from tests.house import House

GIFT, REFUND, DISPUTE = "fund:specialists:gift", "fund:specialists:refund", "fund:specialists:dispute"


def page_of(donation: dict[str, Any]) -> str:
    return str(donation["checkout_url"].rpartition("/")[2])


def codes(house: House, donation: dict[str, Any]) -> list[str]:
    return [code["status"] for code in house.state(donation)["sticker_codes"]]


def voided_at(house: House, donation: dict[str, Any]) -> object:
    receipt = house.row(donation).receipt
    assert receipt is not None
    return receipt.voided_at


def open_exceptions(house: House) -> list[str]:
    db.session.rollback()
    query = sa.select(LedgerException.kind).where(LedgerException.resolved_at.is_(None)).order_by(LedgerException.id)
    return list(db.session.scalars(query))


def hand_over(donation: dict[str, Any]) -> None:
    """The pack is given at the counter."""
    with unit_of_work() as session:
        mine = sa.select(Donation.id).where(Donation.token == donation["token"]).scalar_subquery()
        session.execute(
            sa.update(RedemptionCode)
            .where(RedemptionCode.donation_id == mine)
            .values(status="redeemed", redeemed_at=utcnow())
        )


# Refunds


def test_partial_refunds_leave_code_and_receipt_alone(house: House) -> None:
    donation = house.given()
    for amount in (500, 700):
        house.sandbox.drills.refund(page_of(donation), amount)
    house.deliver()

    assert house.row(donation).status == "partially_refunded"
    assert codes(house, donation) == ["issued"]
    assert voided_at(house, donation) is None
    assert house.balances()[REFUND] == 1200
    assert house.totals()["refunded"] == 1200
    assert house.totals()["donations"] == 1


def test_partial_refunds_that_add_up_to_all_void_code_and_receipt(house: House) -> None:
    donation = house.given()
    for amount in (500, 2000):
        house.sandbox.drills.refund(page_of(donation), amount)
    house.deliver()

    assert house.row(donation).status == "refunded"
    assert codes(house, donation) == ["voided"]
    assert voided_at(house, donation) is not None
    assert house.balances()[GIFT] + house.balances()[REFUND] == 0


def test_a_refund_under_way_counts_as_gone(house: House) -> None:
    donation = house.given()
    house.sandbox.drills.refund(page_of(donation), status="pending")
    house.deliver()
    assert house.row(donation).status == "refunded"
    assert house.totals()["refunded"] == 2500


def test_a_refund_that_fails_weeks_later_brings_back_code_receipt_and_money(house: House) -> None:
    donation = house.given()
    code = house.state(donation)["sticker_codes"][0]["code"]
    refund = house.sandbox.drills.refund(page_of(donation))["id"]
    house.deliver()
    assert (house.row(donation).status, codes(house, donation)) == ("refunded", ["voided"])

    house.sandbox.drills.fail_refund(refund)
    house.deliver()
    state = house.state(donation)
    assert state["status"] == "paid"
    assert [(each["code"], each["status"]) for each in state["sticker_codes"]] == [(code, "issued")]
    assert voided_at(house, donation) is None
    assert house.count(Receipt) == 1
    assert REFUND not in house.balances()
    assert house.totals()["refunded"] == 0


def test_a_failed_refund_is_dated_by_the_day_the_money_returned(house: House) -> None:
    donation = house.given()
    refund = house.sandbox.drills.refund(page_of(donation))["id"]
    house.sandbox.drills.fail_refund(refund)
    house.deliver()
    [failed] = [event for event in house.sandbox.events() if event["type"] == "refund.failed"]
    db.session.rollback()
    entry = db.session.scalars(sa.select(JournalEntry).where(JournalEntry.kind == "refund_failed")).one()
    assert entry.occurred_at.timestamp() == failed["created"]


def test_a_canceled_refund_is_no_refund(house: House) -> None:
    donation = house.given()
    refund = house.sandbox.drills.refund(page_of(donation), 1000, "requires_action")["id"]
    house.deliver()
    house.sandbox.drills.cancel_refund(refund)
    house.deliver()
    assert house.row(donation).status == "paid"
    assert REFUND not in house.balances()


def test_a_new_refund_after_a_failed_one_is_not_more_than_was_paid_whatever_comes_first(house: House) -> None:
    donation = house.given()
    failing = house.sandbox.drills.refund(page_of(donation), 1500)["id"]
    house.sandbox.drills.fail_refund(failing)
    house.sandbox.drills.refund(page_of(donation), 2500)
    created = [event for event in house.sandbox.events() if event["type"] == "refund.created"]
    for event in created:
        assert house.post_event(event) == 200
    house.work()
    assert open_exceptions(house) == ["over_refunded"]  # nobody has told that the first one failed

    house.deliver()
    assert open_exceptions(house) == []
    assert house.row(donation).status == "refunded"
    assert house.totals()["refunded"] == 2500


def test_more_refunded_than_paid_is_shown_until_it_is_no_longer_so(house: House) -> None:
    donation = house.given()
    first = house.sandbox.drills.refund(page_of(donation), 2500)["id"]
    house.deliver()
    [event] = [event for event in house.sandbox.events() if event["type"] == "refund.created"]
    event["id"], event["data"]["object"]["id"] = "evt_1another", "re_another"
    event["data"]["object"]["balance_transaction"] = None
    assert house.post_event(event) == 200
    assert open_exceptions(house) == ["over_refunded"]
    assert house.row(donation).status == "refunded"

    house.sandbox.drills.fail_refund(first)
    house.deliver()
    assert open_exceptions(house) == []


# Disputes


def test_an_open_dispute_holds_the_code_and_takes_the_money(house: House) -> None:
    donation = house.given()
    house.sandbox.drills.dispute(page_of(donation))
    house.deliver()

    assert house.row(donation).status == "disputed"
    assert codes(house, donation) == ["held"]
    assert voided_at(house, donation) is None
    assert house.balances()[DISPUTE] == 2500
    assert house.totals()["disputed"] == 2500


def test_a_won_dispute_gives_back_money_fee_and_code(house: House) -> None:
    donation = house.given()
    before = house.balances()
    dispute = house.sandbox.drills.dispute(page_of(donation))["id"]
    house.deliver()
    held = house.balances()
    assert held["fund:specialists:fee"] > before["fund:specialists:fee"]  # the bank's fee, withdrawn with the amount

    house.sandbox.drills.win_dispute(dispute)
    house.deliver()
    assert house.row(donation).status == "paid"
    assert codes(house, donation) == ["issued"]
    assert house.balances() == before


def test_a_lost_dispute_voids_the_code(house: House) -> None:
    donation = house.given()
    dispute = house.sandbox.drills.dispute(page_of(donation))["id"]
    house.sandbox.drills.lose_dispute(dispute)
    house.deliver()

    assert house.row(donation).status == "disputed"
    assert codes(house, donation) == ["voided"]
    assert house.totals()["disputed"] == 2500


def test_a_pack_that_was_handed_over_stays_handed_over(house: House) -> None:
    donation = house.given()
    hand_over(donation)
    dispute = house.sandbox.drills.dispute(page_of(donation))["id"]
    house.deliver()
    assert codes(house, donation) == ["redeemed"]

    house.sandbox.drills.lose_dispute(dispute)
    house.deliver()
    assert codes(house, donation) == ["redeemed"]
    assert house.totals()["disputed"] == 2500


def test_an_inquiry_moves_nothing(house: House) -> None:
    donation = house.given()
    before = house.balances()
    question = house.sandbox.drills.dispute(page_of(donation), inquiry=True)["id"]
    house.deliver()
    assert (house.row(donation).status, codes(house, donation)) == ("paid", ["issued"])
    assert house.balances() == before

    house.sandbox.drills.close_inquiry(question)
    house.deliver()
    assert house.balances() == before


def test_an_inquiry_that_becomes_a_dispute_is_one(house: House) -> None:
    donation = house.given()
    question = house.sandbox.drills.dispute(page_of(donation), inquiry=True)["id"]
    house.sandbox.drills.escalate_inquiry(question)
    house.deliver()
    assert (house.row(donation).status, codes(house, donation)) == ("disputed", ["held"])


def test_a_dispute_on_a_refunded_charge_is_lost_twice_and_shown_so(house: House) -> None:
    donation = house.given()
    house.sandbox.drills.refund(page_of(donation))
    house.deliver()
    dispute = house.sandbox.drills.dispute(page_of(donation))["id"]
    house.deliver()
    assert house.row(donation).status == "disputed"
    assert codes(house, donation) == ["voided"]
    assert voided_at(house, donation) is not None  # refunded it still is
    totals = house.totals()
    assert (totals["refunded"], totals["disputed"]) == (2500, 2500)

    house.sandbox.drills.win_dispute(dispute)
    house.deliver()
    assert house.row(donation).status == "refunded"
    assert codes(house, donation) == ["voided"]
    assert house.totals()["disputed"] == 0


# Two payments of one donation


def pay_twice(house: House) -> dict[str, Any]:
    """An attempt ended for us while its page was open; the donor pays there and on the new page."""
    donation = house.give()
    [first] = house.payments(donation)
    with unit_of_work() as session:
        session.execute(sa.update(Payment).where(Payment.id == first.id).values(state="failed", next_ask_at=None))
    url = pay_again(first.donation_id, addresses(), utcnow())
    db.session.remove()
    house.pay(donation)
    house.pay({"checkout_url": url})
    return donation


def test_two_payments_are_both_booked_and_the_later_one_is_given_back(house: House) -> None:
    donation = pay_twice(house)
    house.deliver()
    house.deliver()

    state = house.state(donation)
    assert state["status"] == "paid"
    assert codes(house, donation) == ["issued"]
    first, second = house.payments(donation)
    assert (first.state, second.state) == ("succeeded", "succeeded")
    assert first.refunds == []
    assert [(refund.origin, refund.state, refund.amount_minor) for refund in second.refunds] == [
        ("surplus", "succeeded", 2500)
    ]
    assert (house.balances()[GIFT], house.balances()[REFUND]) == (-5000, 2500)
    assert house.count(Receipt) == house.count(RedemptionCode) == 1
    assert voided_at(house, donation) is None
    assert house.totals()["donations"] == 1
    assert open_exceptions(house) == []


def test_the_later_attempt_is_given_back_also_when_its_events_come_first(house: House) -> None:
    donation = pay_twice(house)
    completed = [event for event in house.sandbox.events() if event["type"] == "checkout.session.completed"]
    for event in completed[::-1]:
        assert house.post_event(event) == 200
    house.work()
    house.deliver()
    first, second = house.payments(donation)
    assert (first.refunds, len(second.refunds)) == ([], 1)
    assert house.row(donation).status == "paid"


def test_a_webhook_that_tells_of_our_refund_before_the_answer_finds_our_row(house: House) -> None:
    donation = pay_twice(house)
    house.sandbox.drills.fault("lost", times=3, path="/v1/refunds", method="POST")
    house.deliver()
    [refund] = house.payments(donation)[1].refunds
    assert (refund.state, refund.refund_ref) == ("requested", None)

    house.deliver()  # refund.created comes, although we never had an answer
    [refund] = house.payments(donation)[1].refunds
    assert (refund.state, refund.origin, refund.next_try_at) == ("succeeded", "surplus", None)
    assert house.count(Refund) == 1
    assert house.balances()[REFUND] == 2500


def test_a_refund_is_asked_for_again_while_the_provider_is_down_and_made_once(house: House) -> None:
    donation = pay_twice(house)
    house.sandbox.drills.fault("lost", times=3, path="/v1/refunds", method="POST")
    house.deliver()
    now = utcnow()
    request_due_refunds(now)
    [refund] = house.payments(donation)[1].refunds
    assert refund.state == "requested"  # not due yet
    assert refund.next_try_at is not None

    request_due_refunds(refund.next_try_at)
    [refund] = house.payments(donation)[1].refunds
    assert (refund.state, refund.tries) == ("succeeded", 2)
    house.deliver()
    assert house.count(Refund) == 1
    assert house.balances()[REFUND] == 2500
    made = [request for request in house.sandbox.requests() if request["path"] == "/v1/refunds"]
    assert {each["idempotency_key"] for each in made if each["method"] == "POST"} == {f"refund-{refund.public_id}"}


def test_a_worker_that_dies_while_asking_leaves_the_refund_to_the_next_one(house: House) -> None:
    donation = pay_twice(house)
    house.sandbox.deliver_pending(house.transport)  # queued, and no worker runs
    with unit_of_work() as session:  # as the worker's claim left it
        session.execute(sa.update(Refund).values(tries=1, next_try_at=utcnow() + timedelta(minutes=2)))
    request_due_refunds(utcnow() + timedelta(minutes=3))
    [refund] = house.payments(donation)[1].refunds
    assert (refund.state, refund.tries) == ("succeeded", 2)


def test_a_refund_that_the_provider_refuses_is_for_finance(house: House) -> None:
    donation = pay_twice(house)
    completed = [event for event in house.sandbox.events() if event["type"] == "checkout.session.completed"]
    second = completed[1]["data"]["object"]["id"]
    house.sandbox.drills.dispute(second)  # disputed charges cannot be refunded
    house.deliver()

    [refund] = house.payments(donation)[1].refunds
    assert (refund.state, refund.failure_code) == ("failed", "charge_disputed")
    assert "refund_refused" in open_exceptions(house)
    assert REFUND not in house.balances()


def test_a_surplus_that_somebody_gave_back_already_is_not_given_back_again(house: House) -> None:
    donation = pay_twice(house)
    completed = [event for event in house.sandbox.events() if event["type"] == "checkout.session.completed"]
    house.sandbox.drills.refund(completed[1]["data"]["object"]["id"])
    for event in completed:
        assert house.post_event(event) == 200
    house.deliver()

    refunds = {refund.origin: refund.state for refund in house.payments(donation)[1].refunds}
    assert refunds == {"surplus": "canceled", "provider": "succeeded"}
    assert house.balances()[REFUND] == 2500
    assert open_exceptions(house) == []


# Payouts


def test_a_payout_moves_what_the_provider_holds_to_the_bank_once(house: House) -> None:
    house.given()
    house.sandbox.drills.payout()
    house.deliver()
    balances = house.balances()
    assert "provider:stripe:EUR" not in balances
    assert balances["transit:stripe:EUR"] > 0
    assert house.count(PayoutRecord, PayoutRecord.state == "paid") == 1
