"""The provider says nothing, says it late or does not answer: every payment is found, and none is made twice."""

from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from donations import queries
from donations.jobs import follow_up_open_payments
from donations.models import Donation, Payment
from donations.services import CHECKOUT_LIFETIME, CHECKOUT_RESUMABLE, ask_provider, pay_again
from donations.views import addresses
from payments.base import ProviderDown
from stickers.models import RedemptionCode
from tests.house import House
from tests.webhooks.support import at_once
from tests.webhooks.test_traps import altered, events
from webhooks.jobs import catch_up_with
from webhooks.models import InboxEvent

SESSIONS = "/v1/checkout/sessions"
CROWD = 50


@pytest.fixture(autouse=True)
def silence(request: pytest.FixtureRequest) -> None:
    """No notification ever arrives."""
    request.getfixturevalue("sandbox").drills.drop()


def look(house: House, donation: dict[str, Any]) -> None:
    """The donor looks at the status page."""
    assert house.client.get(f"/d/{donation['token']}").status_code == 200
    house.work()


def asked_long_ago() -> None:
    """The five seconds between two questions are over."""
    with unit_of_work() as session:
        session.execute(sa.update(Payment).values(asked_at=utcnow() - timedelta(minutes=1)))


def sweep_until_nothing_is_open(house: House, now: datetime) -> int:
    """Let the sweep come back whenever something is due; how often it had something to ask."""
    rounds = 0
    while (due := _next_question()) is not None:
        rounds += 1
        assert rounds < 100
        now = max(now, due)
        house.sandbox.clock.advance(max(0.0, now.timestamp() - house.sandbox.clock.now()))
        follow_up_open_payments(now)
    house.work()
    return rounds


def _next_question() -> datetime | None:
    due = db.session.scalar(sa.select(sa.func.min(Payment.next_ask_at)))
    db.session.rollback()
    return due


def questions(house: House) -> int:
    """How often the provider was asked about a session."""
    return sum(
        request["method"] == "GET" and request["path"].startswith(f"{SESSIONS}/")
        for request in house.sandbox.requests()
    )


def sessions(house: House, status: str) -> int:
    return len([each for each in house.sandbox.account.store.find("checkout.session") if each["status"] == status])


# Found without a word


def test_the_status_page_finds_the_payment(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    look(house, donation)

    state = house.state(donation)
    assert (state["status"], [code["status"] for code in state["sticker_codes"]]) == ("paid", ["issued"])
    assert house.balances()["fund:specialists:gift"] == -2500
    assert house.count(InboxEvent) == 0


def test_the_status_page_asks_at_most_every_five_seconds(house: House) -> None:
    donation = house.give()
    for _ in range(3):
        look(house, donation)
    assert questions(house) == 1

    asked_long_ago()
    for _ in range(3):
        look(house, donation)
    assert questions(house) == 2


def test_five_seconds_are_counted_for_all_who_look(house: House) -> None:
    donation = house.give()
    [payment] = house.payments(donation)
    now = utcnow()
    answers = at_once(house.app, 8, lambda _: ask_provider(payment.id, now))
    assert sorted(answers) == [False] * 7 + [True]
    assert ask_provider(payment.id, now + timedelta(seconds=4.9)) is False
    assert ask_provider(payment.id, now + timedelta(seconds=5)) is True


def test_the_status_page_waits_three_seconds_for_the_provider_and_no_longer(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    house.sandbox.drills.fault("slow", times=1, seconds=8, path=SESSIONS)
    began = monotonic()
    look(house, donation)
    assert monotonic() - began < 5
    assert house.row(donation).status == "pending"  # said honestly, and asked again later

    house.sandbox.drills.clear_faults()
    asked_long_ago()
    look(house, donation)
    assert house.row(donation).status == "paid"


@pytest.mark.parametrize("trouble", ["error", "garbage", "close", "rate_limit"])
def test_the_status_page_stands_whatever_the_provider_answers(house: House, trouble: str) -> None:
    donation = house.give()
    house.pay(donation)
    house.sandbox.drills.fault(trouble, path=SESSIONS)
    look(house, donation)
    assert house.row(donation).status == "pending"
    assert house.balances() == {}


def test_the_sweep_finds_every_end_a_payment_can_take(house: House) -> None:
    given = {outcome: house.give() for outcome in ("pay", "delay", "late", "lost", "expire", "decline")}
    for outcome, button in (("pay", "pay"), ("delay", "delay"), ("late", "delay"), ("lost", "delay")):
        house.pay(given[outcome], button)
    house.pay(given["decline"], "decline")
    page = {outcome: donation["checkout_url"].rpartition("/")[2] for outcome, donation in given.items()}
    house.sandbox.drills.expire(page["expire"])
    follow_up_open_payments(utcnow() + timedelta(minutes=1))
    house.work()
    assert house.row(given["pay"]).status == "paid"
    assert house.row(given["late"]).status == "processing"
    assert house.row(given["expire"]).status == "expired"

    for outcome in ("delay", "late"):
        house.sandbox.drills.finish_delayed(page[outcome])
    house.sandbox.drills.finish_delayed(page["lost"], "failure")
    sweep_until_nothing_is_open(house, utcnow() + timedelta(minutes=1))
    statuses = {outcome: house.row(donation).status for outcome, donation in given.items()}
    assert statuses == {
        "pay": "paid",
        "delay": "paid",
        "late": "paid",
        "lost": "failed",
        "expire": "expired",
        "decline": "expired",
    }
    assert house.balances()["fund:specialists:gift"] == -3 * 2500
    assert house.count(RedemptionCode) == 3


def test_an_open_payment_is_asked_about_until_it_ends_ever_more_seldom(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    pauses, now = [], _next_question()
    assert now is not None
    for _ in range(14):
        follow_up_open_payments(now)
        due = _next_question()
        assert due is not None
        pauses.append(due - now)
        now = due
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(minutes=1), timedelta(hours=6))

    house.sandbox.drills.finish_delayed(donation["checkout_url"].rpartition("/")[2])
    follow_up_open_payments(now)
    assert _next_question() is None
    assert house.row(donation).status == "paid"


def test_a_sweep_that_meets_a_provider_in_trouble_comes_again(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    house.sandbox.drills.fault("error", path=SESSIONS)
    now = utcnow() + timedelta(minutes=1)
    follow_up_open_payments(now)
    assert house.row(donation).status == "pending"

    house.sandbox.drills.clear_faults()
    follow_up_open_payments(now + timedelta(minutes=2))
    assert house.row(donation).status == "paid"


def test_two_sweeps_at_once_ask_once(house: House) -> None:
    house.give()
    now = utcnow() + timedelta(minutes=1)
    at_once(house.app, 4, lambda _: follow_up_open_payments(now))
    assert questions(house) == 1


def test_a_payment_under_review_is_left_alone(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    [completed] = events(house, "checkout.session.completed")
    assert house.post_event(altered(completed, amount_total=1)) == 200
    look(house, donation)
    follow_up_open_payments(utcnow() + timedelta(days=1))
    assert questions(house) == 0
    assert house.row(donation).status == "processing"
    assert house.totals()["raised"] == 0


def test_catching_up_finds_what_nobody_looked_for(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    house.sandbox.drills.refund(donation["checkout_url"].rpartition("/")[2], 700)
    assert catch_up_with(house.app.extensions["payments"]["stripe"], utcnow()) > 0
    house.work()
    assert house.row(donation).status == "partially_refunded"
    assert house.totals()["fees_pending"] == 0


# Trouble at checkout


def start(house: House, key: str) -> Any:
    body = {"campaign": "bullying-free-internet", "amount": 2500, "currency": "BYN"}
    return house.client.post("/api/v1/donations", json=body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("trouble", ["error", "garbage", "close", "rate_limit", "lost"])
def test_a_provider_in_trouble_is_told_honestly_and_the_same_key_resumes(house: House, trouble: str) -> None:
    house.sandbox.drills.fault(trouble, path=SESSIONS)
    answer = start(house, "one")
    assert answer.status_code == 502
    assert (answer.json or {})["code"] == "provider_unavailable"

    house.sandbox.drills.clear_faults()
    answer = start(house, "one")
    assert answer.status_code == 201
    donation = dict(answer.json or {})
    assert (house.count(Donation), house.count(Payment)) == (1, 1)
    assert sessions(house, "open") == 1
    house.pay(donation)
    look(house, donation)
    assert house.row(donation).status == "paid"
    assert house.balances()["fund:specialists:gift"] == -2500


def test_an_answer_that_was_lost_is_the_same_page_when_asked_again(house: House) -> None:
    house.sandbox.drills.fault("lost", times=2, path=SESSIONS)  # what fails at once is asked a second time
    assert start(house, "one").status_code == 502
    [session] = house.sandbox.account.store.find("checkout.session")
    assert start(house, "one").json["checkout_url"] == session["url"]  # type: ignore[index]


def test_a_crash_before_the_answer_is_stored_leads_to_the_same_page(house: House) -> None:
    donation = house.give(key="one")
    with unit_of_work() as session:  # what a process killed between answer and commit leaves behind
        session.execute(sa.update(Payment).values(checkout_url=None, checkout_ref=None))
    assert house.give(key="one")["checkout_url"] == donation["checkout_url"]
    assert len(house.sandbox.account.store.find("checkout.session")) == 1


def test_a_notification_binds_the_page_whose_address_was_never_stored(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    with unit_of_work() as session:
        session.execute(sa.update(Payment).values(checkout_url=None, checkout_ref=None))
    [completed] = events(house, "checkout.session.completed")
    assert house.post_event(completed) == 200
    assert house.row(donation).status == "paid"


def test_a_checkout_that_was_never_opened_is_given_up_after_its_time(house: House) -> None:
    house.sandbox.drills.fault("error", path=SESSIONS)
    assert start(house, "one").status_code == 502
    [payment] = db.session.scalars(sa.select(Payment))
    begun, payment_id = payment.created_at, payment.id
    db.session.rollback()
    follow_up_open_payments(begun + CHECKOUT_RESUMABLE - timedelta(seconds=1))
    db.session.expire_all()
    assert db.session.get_one(Payment, payment_id).state == "created"
    db.session.rollback()

    follow_up_open_payments(begun + CHECKOUT_LIFETIME + timedelta(minutes=10))
    db.session.expire_all()
    payment = db.session.get_one(Payment, payment_id)
    assert (payment.state, payment.failure_code, payment.next_ask_at) == ("failed", "checkout_not_opened", None)
    assert payment.donation.status == "failed"


def test_a_page_that_was_opened_is_never_given_up_unasked(house: House) -> None:
    donation = house.give()
    [payment] = house.payments(donation)
    house.pay(donation)
    follow_up_open_payments(payment.created_at + timedelta(days=1))
    assert house.row(donation).status == "paid"


# Another try


def press_pay_again(house: House, donation: dict[str, Any]) -> str | None:
    row = house.row(donation)
    url = pay_again(row.id, addresses(), utcnow())
    db.session.remove()
    return url


def test_another_try_closes_the_old_page_first(house: House) -> None:
    donation = house.give()
    url = press_pay_again(house, donation)

    assert url is not None
    assert url != donation["checkout_url"]
    assert (sessions(house, "open"), sessions(house, "expired")) == (1, 1)
    assert [payment.state for payment in house.payments(donation)] == ["expired", "created"]
    assert house.row(donation).status == "pending"
    assert house.state(donation)["checkout_url"] == url


def test_another_try_that_finds_the_old_page_paid_takes_that_as_the_payment(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    assert press_pay_again(house, donation) is None
    house.work()
    assert house.row(donation).status == "paid"
    assert house.count(Payment) == 1
    assert house.balances()["fund:specialists:gift"] == -2500


def test_another_try_that_finds_a_slow_payment_under_way_waits_for_it(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    assert press_pay_again(house, donation) is None
    assert house.row(donation).status == "processing"
    assert house.count(Payment) == 1


def test_no_new_page_is_opened_while_the_old_one_cannot_be_closed(house: House) -> None:
    donation = house.give()
    house.sandbox.drills.fault("close", path=SESSIONS)
    with pytest.raises(ProviderDown):
        press_pay_again(house, donation)
    assert house.count(Payment) == 1


def test_another_try_after_a_failed_one_is_paid_once(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    house.sandbox.drills.finish_delayed(donation["checkout_url"].rpartition("/")[2], "failure")
    look(house, donation)
    assert house.row(donation).status == "failed"

    url = press_pay_again(house, donation)
    house.pay({"checkout_url": url})
    look(house, donation)
    assert house.row(donation).status == "paid"
    assert house.balances()["fund:specialists:gift"] == -2500


# Many at once


def test_fifty_that_press_pay_again_at_once_end_with_one_open_page(house: House) -> None:
    donation = house.give()
    row_id = house.row(donation).id
    db.session.remove()
    answers = at_once(house.app, CROWD, lambda _: pay_again(row_id, addresses(), utcnow()))
    assert [answer for answer in answers if not isinstance(answer, str | DomainError | None)] == []

    open_attempts = [payment for payment in house.payments(donation) if payment.state == "created"]
    assert len(open_attempts) == 1
    assert house.count(Donation) == 1
    url = press_resume(house, donation)
    assert sessions(house, "open") == 1
    house.pay({"checkout_url": url})
    look(house, donation)
    assert house.row(donation).status == "paid"
    assert house.balances()["fund:specialists:gift"] == -2500


def press_resume(house: House, donation: dict[str, Any]) -> str:
    url = house.state(donation)["checkout_url"] or press_pay_again(house, donation)
    assert url is not None
    return str(url)


def test_fifty_that_start_with_one_key_at_once_are_one_donation(house: House) -> None:
    def begin(_: int) -> tuple[int, str | None]:
        body = {"campaign": "bullying-free-internet", "amount": 2500, "currency": "BYN"}
        answer = house.app.test_client().post("/api/v1/donations", json=body, headers={"Idempotency-Key": "same"})
        return answer.status_code, (answer.json or {}).get("checkout_url")

    answers = at_once(house.app, CROWD, begin)
    assert (house.count(Donation), house.count(Payment)) == (1, 1)
    assert len(house.sandbox.account.store.find("checkout.session")) == 1
    urls = {answer[1] for answer in answers if answer[0] == 201}
    assert len(urls) == 1
    assert {answer[0] for answer in answers} <= {201, 502}  # a few may be told to come again
    assert start(house, "same").json["checkout_url"] in urls  # type: ignore[index]
    assert queries.open_payments(utcnow() + timedelta(days=1)) != []


def test_one_address_is_paid_by_many_only_once(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    [payment] = house.payments(donation)
    now = utcnow()
    [completed] = events(house, "checkout.session.completed")
    body, headers = house.sandbox.signed(completed)

    def act(number: int) -> Any:
        match number % 3:
            case 0:
                return house.app.test_client().get(f"/d/{donation['token']}").status_code
            case 1:
                return house.app.test_client().post("/webhooks/stripe", data=body, headers=headers).status_code
            case _:
                return follow_up_open_payments(now + timedelta(minutes=1))

    at_once(house.app, 12, act)
    house.work()
    assert house.row(donation).status == "paid"
    assert house.balances()["fund:specialists:gift"] == -2500
    assert house.count(RedemptionCode) == 1
    assert payment.public_id
