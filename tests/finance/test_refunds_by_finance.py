"""Finance gives money back: by one person up to a limit, by two above it; once, whatever is killed meanwhile."""

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from core.money import Money
from donations.jobs import request_due_refunds
from donations.models import Refund
from finance import errors, refunds
from finance.models import RefundOrder
from finance.refunds import Wish
from ledger.models import JournalEntry, LedgerException
from payments.registry import get_provider
from stickers.models import RedemptionCode
from tests.donations.test_refunds_and_disputes import hand_over, page_of
from tests.finance.books import person, undone
from tests.house import House

LIMIT = 10_000
REFUND = "fund:specialists:refund"


def order(house: House, donation: dict[str, Any], amount: int, by: str = "anna", **more: Any) -> str:
    """The number of an order for a refund of the donation's first payment."""
    payment = house.payments(donation)[0]
    values = {"reason": "the donor asked", "knows": False, "key": str(uuid.uuid4()), **more}
    wish = Wish(payment_id=payment.id, amount=Money(amount, "BYN"), **values)
    actor = person(by)
    with unit_of_work():
        made = refunds.propose(house.row(donation), wish, actor, alone_up_to=LIMIT, now=utcnow())
        number = made.public_id
    db.session.remove()
    return number


def approve(number: str, by: str, *, knows: bool = False) -> None:
    actor = person(by)
    with unit_of_work():
        refunds.approve(refunds.find(number), actor, knows=knows, now=utcnow())
    db.session.remove()


def standing(number: str) -> str:
    db.session.rollback()
    db.session.expire_all()
    return refunds.standing(refunds.find(number))


def at_provider(house: House) -> list[dict[str, Any]]:
    return list(house.sandbox.account.store.find("refund", "1 = 1"))


def test_a_small_refund_is_asked_for_at_once_and_is_the_same_that_the_provider_tells_of(house: House) -> None:
    donation = house.given(2500)
    number = order(house, donation, 1000)
    assert standing(number) == "requested"
    house.work()
    assert standing(number) == "succeeded"
    house.deliver()  # refund.created, charge.refunded and the rest say it again
    [refund] = house.payments(donation)[0].refunds
    [made] = at_provider(house)
    assert (refund.refund_ref, refund.origin, refund.state) == (made["id"], "finance", "succeeded")
    assert made["metadata"] == {"refund_id": refund.public_id}
    assert house.balances()[REFUND] == 1000
    assert house.count(JournalEntry, JournalEntry.source_type == "refund") == 1
    assert (house.row(donation).status, house.totals()["refunded"]) == ("partially_refunded", 1000)


def test_all_of_a_gift_given_back_voids_its_code_and_receipt(house: House) -> None:
    donation = house.given(2500)
    order(house, donation, 2500)
    house.work()
    house.deliver()
    state = house.state(donation)
    assert (state["status"], [code["status"] for code in state["sticker_codes"]]) == ("refunded", ["voided"])


def test_above_the_limit_another_person_approves_before_anybody_is_asked(house: House) -> None:
    donation = house.given(20_000)
    number = order(house, donation, 10_001)
    house.work()
    assert (standing(number), at_provider(house)) == ("proposed", [])
    with pytest.raises(errors.SamePerson), undone():
        approve(number, "anna")
    approve(number, "boris")
    house.work()
    assert standing(number) == "succeeded"
    assert [made["amount"] for made in at_provider(house)] == [10_001]


def test_many_small_refunds_of_one_gift_are_one_large_one(house: House) -> None:
    donation = house.given(20_000)
    first = order(house, donation, 9_000)
    second = order(house, donation, 2_000, by="boris")
    house.work()
    assert (standing(first), standing(second)) == ("succeeded", "proposed")


def test_never_more_than_is_left_counting_what_is_asked_for_and_proposed(house: House) -> None:
    donation = house.given(20_000)
    house.sandbox.drills.refund(page_of(donation), 3_000)
    house.deliver()
    with pytest.raises(errors.AmountTooLarge), undone():
        order(house, donation, 17_001)
    order(house, donation, 12_000)  # proposed
    order(house, donation, 5_000)  # asked for
    with pytest.raises(errors.AmountTooLarge), undone():
        order(house, donation, 1)
    house.work()
    house.deliver()
    assert house.balances()[REFUND] == 8_000


def test_what_was_refunded_at_the_provider_meanwhile_stops_the_approval(house: House) -> None:
    donation = house.given(20_000)
    number = order(house, donation, 20_000)
    house.sandbox.drills.refund(page_of(donation), 1_000)
    house.deliver()
    with pytest.raises(errors.AmountTooLarge), undone():
        approve(number, "boris")
    assert standing(number) == "proposed"
    actor = person("anna")
    with unit_of_work():
        refunds.withdraw(refunds.find(number), actor, utcnow())
    assert standing(number) == "withdrawn"


def test_one_form_sent_twice_gives_back_once(house: House) -> None:
    donation, key = house.given(2500), str(uuid.uuid4())
    assert order(house, donation, 500, key=key) == order(house, donation, 500, key=key)
    house.work()
    assert len(at_provider(house)) == 1
    assert house.count(RefundOrder) == house.count(Refund) == 1


def test_two_who_give_back_the_rest_at_once_give_it_back_once(house: House) -> None:
    donation = house.given(2500)
    person("anna"), person("boris")
    barrier, refusals = threading.Barrier(2), []

    def give_back(by: str) -> None:
        with house.app.app_context():
            try:
                house.payments(donation)
                barrier.wait()
                order(house, donation, 2500, by=by)
            except errors.AmountTooLarge as refusal:
                refusals.append(refusal.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=give_back, args=(by,)) for by in ("anna", "boris")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    house.work()
    assert refusals == ["amount_too_large"]
    assert [made["amount"] for made in at_provider(house)] == [2500]


def test_a_lost_queue_loses_no_refund(house: House) -> None:
    donation = house.given(2500)
    number = order(house, donation, 500)
    house.app.extensions["jobs"].queue.flush()
    house.work()
    assert standing(number) == "requested"
    request_due_refunds(utcnow())
    assert standing(number) == "succeeded"


def test_a_worker_killed_after_the_provider_did_it_does_not_give_back_twice(house: House) -> None:
    donation = house.given(2500)
    number = order(house, donation, 500)
    house.app.extensions["jobs"].queue.flush()
    refund, payment = house.payments(donation)[0].refunds[0], house.payments(donation)[0]
    with unit_of_work() as session:  # claimed, and then …
        session.execute(sa.update(Refund).values(next_try_at=utcnow() + timedelta(minutes=2), tries=1))
    get_provider("stripe").create_refund(
        our_ref=refund.public_id, payment_ref=str(payment.payment_ref), amount=refund.amount, reason=""
    )
    assert standing(number) == "sent"
    request_due_refunds(utcnow() + timedelta(minutes=3))
    assert standing(number) == "succeeded"
    assert len(at_provider(house)) == 1


def test_a_refund_that_the_provider_refuses_is_shown_and_its_money_can_be_given_back_again(house: House) -> None:
    donation = house.given(2500)
    house.sandbox.drills.refund(page_of(donation), 2000)  # not told yet
    number = order(house, donation, 2500)
    house.work()
    assert standing(number) == "failed"
    kinds = db.session.scalars(sa.select(LedgerException.kind).where(LedgerException.resolved_at.is_(None)))
    assert list(kinds) == ["refund_refused"]
    house.deliver()
    again = order(house, donation, 500)
    house.work()
    assert standing(again) == "succeeded"
    assert house.balances()[REFUND] == 2500


def test_a_refund_that_fails_weeks_later_is_shown_as_failed(house: House) -> None:
    donation = house.given(2500)
    number = order(house, donation, 500)
    house.work()
    house.sandbox.drills.fail_refund(at_provider(house)[0]["id"])
    house.deliver()
    assert standing(number) == "failed"
    assert REFUND not in house.balances()
    assert house.row(donation).status == "paid"


def test_after_a_pack_was_handed_over_one_must_say_that_one_knows(house: House) -> None:
    donation = house.given(20_000)
    hand_over(donation)
    with pytest.raises(errors.HandedOver), undone():
        order(house, donation, 500)
    assert house.count(RefundOrder) == 0
    number = order(house, donation, 15_000, knows=True)
    with pytest.raises(errors.HandedOver), undone():
        approve(number, "boris")
    approve(number, "boris", knows=True)
    house.work()
    assert standing(number) == "succeeded"
    statuses = db.session.scalars(sa.select(RedemptionCode.status))
    assert set(statuses) == {"redeemed"}


def test_what_the_bank_has_called_back_is_not_refunded_as_well(house: House) -> None:
    donation = house.given(2500)
    dispute = house.sandbox.drills.dispute(page_of(donation))["id"]
    house.deliver()
    with pytest.raises(errors.PaymentDisputed), undone():
        order(house, donation, 500)
    house.sandbox.drills.win_dispute(dispute)
    house.deliver()
    order(house, donation, 500)


def test_what_never_came_is_not_given_back(house: House) -> None:
    donation = house.give(2500)
    with pytest.raises(errors.NothingToRefund), undone():
        order(house, donation, 500)


def test_every_act_is_in_the_audit_log(house: House) -> None:
    donation = house.given(20_000)
    approve(order(house, donation, 15_000), "boris")
    rows = db.session.execute(
        sa.text("SELECT actor, action FROM audit_log WHERE subject LIKE 'refund%' ORDER BY number")
    )
    assert [tuple(row) for row in rows] == [
        ("anna@example.org", "refund.proposed"),
        ("boris@example.org", "refund.approved"),
    ]
