"""The inbox: nothing hostile gets in, nothing stored gets lost, nothing is applied twice."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.models import Donation
from ledger.models import JournalEntry, LedgerException
from sandbox import signature
from tests.house import House
from tests.webhooks.support import at_once
from tests.webhooks.test_traps import altered, events
from webhooks import services
from webhooks.jobs import catch_up_with
from webhooks.models import CatchUp, InboxEvent


def stored(house: House) -> list[InboxEvent]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(InboxEvent).order_by(InboxEvent.id)))


def paid(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
    """A donation that is paid at the provider, and the event that says so, not delivered yet."""
    donation = house.give(donor={"name": "Алеся Каваль", "email": "alesia@example.org"})
    house.pay(donation)
    return donation, events(house, "checkout.session.completed")[-1]


@pytest.mark.parametrize("flaw", ["wrong_secret", "stale", "future", "missing", "garbage", "altered_body"])
def test_what_the_provider_did_not_sign_just_now_is_refused_and_stored_nowhere(house: House, flaw: str) -> None:
    donation, event = paid(house)
    house.sandbox.drills._dispatcher.transport = house.transport
    answer = house.sandbox.drills.bad_signature(event["id"], flaw)

    assert list(answer["statuses"].values()) == [400]
    assert house.count(InboxEvent) == 0
    assert house.row(donation).status == "pending"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe{",
        b'{"object": "event"',
        b'{"object": "event", "id": "evt_1", "type": "x", "livemode": false}',
        b'{"object": "v2.core.event", "id": "evt_1", "type": "x", "livemode": false, "created": "2026-01-01"}',
        b'{"object": "event", "id": 5, "type": "x", "livemode": false, "created": 1700000000}',
        b'{"object": "event", "id": "evt_1", "type": null, "livemode": false, "created": NaN}',
        b"[" * 50_000,
    ],
)
def test_what_is_signed_but_no_event_is_refused_and_stored_nowhere(house: House, body: bytes) -> None:
    headers = signature.headers(signature.signature(body, "whsec_sandbox", house.sandbox.clock.timestamp()))
    assert house.transport("", body, headers) == 400
    assert house.count(InboxEvent) == 0


def test_an_event_that_lacks_what_we_need_is_kept_and_shown(house: House) -> None:
    _, event = paid(house)
    broken = altered(event)
    del broken["data"]["object"]["amount_total"]
    assert house.post_event(broken) == 200
    [row] = stored(house)
    assert row.processed_at is None
    assert row.last_error == "BadNotification webhook_malformed"


def test_a_provider_we_do_not_have_is_not_found(house: House) -> None:
    answer = house.client.post("/webhooks/nobody", data=b"{}")
    assert answer.status_code == 404
    assert house.count(InboxEvent) == 0


def test_what_cannot_be_stored_is_not_acknowledged(house: House) -> None:
    _, event = paid(house)
    with db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE inbox_events RENAME TO inbox_events_gone"))
    try:
        status = house.post_event(event)
    finally:
        with db.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE inbox_events_gone RENAME TO inbox_events"))
    assert status == 500
    assert house.post_event(event) == 200


def test_no_personal_data_is_kept_of_an_event(house: House) -> None:
    donation, _ = paid(house)
    house.sandbox.drills.refund(donation["checkout_url"].rpartition("/")[2], 300)
    house.sandbox.drills.dispute(donation["checkout_url"].rpartition("/")[2], 500)
    house.deliver()

    text = " ".join(json.dumps(event.payload, ensure_ascii=False) for event in stored(house))
    assert len(stored(house)) >= 8
    for private in ("alesia", "example.org", "Алеся", "Каваль"):
        assert private not in text
    assert "billing_details" not in text


def break_the_books() -> None:
    """From now on no payment can be applied to its end: the last statement finds no table."""
    with db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE receipt_counters RENAME TO receipt_counters_gone"))


def mend_the_books() -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE receipt_counters_gone RENAME TO receipt_counters"))


def test_an_event_that_cannot_be_applied_is_kept_with_its_error_and_applied_later(house: House) -> None:
    donation, event = paid(house)
    break_the_books()
    assert house.post_event(event) == 200
    [row] = stored(house)
    assert (row.processed_at, row.attempts) == (None, 1)
    assert row.last_error in ("OperationalError", "ProgrammingError")
    assert house.row(donation).status == "pending"
    assert house.count(JournalEntry) == 0  # all of it or nothing

    mend_the_books()
    assert row.next_attempt_at is not None
    assert services.apply_due(row.next_attempt_at - timedelta(seconds=1)) == 0
    assert services.apply_due(row.next_attempt_at) == 1
    assert house.row(donation).status == "paid"
    assert house.balances()["fund:specialists:gift"] == -2500
    [row] = stored(house)
    assert (row.last_error, row.next_attempt_at, row.attempts) == (None, None, 2)


def test_pauses_grow_and_an_event_that_never_works_is_given_up_shown_and_can_be_revived(house: House) -> None:
    donation, event = paid(house)
    break_the_books()
    assert house.post_event(event) == 200
    pauses, now = [], utcnow()
    while (due := stored(house)[0].next_attempt_at) is not None:
        pauses.append(due - now)
        now = due
        services.apply_due(now)
    assert len(pauses) == services.MAX_ATTEMPTS - 1
    assert pauses[1:] == sorted(pauses[1:])
    assert max(pauses) <= services.LONGEST_PAUSE
    [row] = stored(house)
    assert row.dead_at is not None
    assert house.count(LedgerException, LedgerException.kind == "dead_event") == 1
    assert services.apply_due(now + timedelta(days=30)) == 0

    mend_the_books()
    result = house.app.test_cli_runner().invoke(args=["webhooks", "retry", "--dead"])
    assert result.exit_code == 0, result.output
    assert house.row(donation).status == "paid"
    assert stored(house)[0].dead_at is None
    assert house.count(LedgerException, LedgerException.resolved_at.is_(None)) == 0


def test_reading_from_a_provider_that_is_down_is_tried_again(house: House) -> None:
    house.give()
    donation, _ = paid(house)
    house.sandbox.drills.fault("error", path="/v1/balance_transactions")
    house.deliver()
    [waiting] = [row for row in stored(house) if row.processed_at is None]
    assert (waiting.type, waiting.last_error) == ("charge.updated", "ProviderDown provider_unavailable")
    assert house.row(donation).status == "paid"
    assert house.totals()["fees_pending"] == 2500

    house.sandbox.drills.clear_faults()
    services.apply_due(utcnow() + timedelta(minutes=1))
    assert house.totals()["fees_pending"] == 0


def test_what_an_event_says_itself_does_not_wait_for_what_must_be_read(house: House) -> None:
    donation, _ = paid(house)
    house.deliver()
    house.sandbox.drills.fault("error", path="/v1/balance_transactions")
    dispute = house.sandbox.drills.dispute()
    house.sandbox.drills.lose_dispute(dispute["id"])
    house.deliver()

    assert house.row(donation).status == "disputed"
    assert [code["status"] for code in house.state(donation)["sticker_codes"]] == ["voided"]
    assert house.totals()["disputed"] == 2500
    assert [row for row in stored(house) if row.processed_at is None] != []  # its settlement lines are still to be read


def test_a_worker_that_dies_leaves_its_event_to_the_next_one_after_the_lease(house: House) -> None:
    donation, event = paid(house)
    provider = house.app.extensions["payments"]["stripe"]
    body, headers = house.sandbox.signed(event)
    now = utcnow()
    event_id = services.store_event(provider.verify(body, headers, now=now), now)
    assert event_id is not None  # and whoever stored it is gone
    assert services.apply_due(now + services.LEASE / 2) == 0
    assert services.apply_due(now + services.LEASE) == 1
    assert house.row(donation).status == "paid"


def test_two_workers_that_want_one_event_apply_it_once(house: House) -> None:
    donation, event = paid(house)
    provider = house.app.extensions["payments"]["stripe"]
    body, headers = house.sandbox.signed(event)
    now = utcnow()
    event_id = services.store_event(provider.verify(body, headers, now=now), now)
    later = now + services.LEASE
    db.session.remove()

    claims = at_once(house.app, 4, lambda _: services.claim(event_id, later))
    assert sorted(claims) == [False, False, False, True]
    applied = at_once(house.app, 4, lambda _: services.apply_held(event_id, later))  # even without a claim
    assert applied == [True] * 4

    assert house.row(donation).status == "paid"
    assert house.count(JournalEntry) == 1
    assert stored(house)[0].attempts == 1


def test_the_same_notification_arriving_at_once_is_stored_once(house: House) -> None:
    donation, event = paid(house)
    body, headers = house.sandbox.signed(event)
    answers = at_once(
        house.app,
        6,
        lambda _: house.app.test_client().post("/webhooks/stripe", data=body, headers=headers).status_code,
    )
    house.work()
    assert answers == [200] * 6
    assert house.count(InboxEvent) == 1
    assert house.count(JournalEntry) == 1
    assert house.row(donation).status == "paid"


# The operator's commands


def test_an_operator_sees_what_came_and_what_waits(house: House) -> None:
    house.given()
    _, event = paid(house)
    late = altered(event)
    runner = house.app.test_cli_runner()
    assert house.post_event({**late, "type": "refund.created"}) == 200  # lacks all that a refund has

    listed = runner.invoke(args=["webhooks", "list", "--state", "waiting"])
    assert listed.exit_code == 0
    assert listed.output.count("\n") == 1
    assert late["id"] in listed.output
    assert "webhook_malformed" in listed.output
    assert runner.invoke(args=["webhooks", "list", "--state", "applied"]).output.count("\n") == 4
    assert runner.invoke(args=["webhooks", "list", "--state", "dead"]).output == ""

    shown = runner.invoke(args=["webhooks", "show", late["id"]])
    assert shown.exit_code == 0
    assert '"object": "event"' in shown.output
    assert "alesia" not in shown.output
    assert runner.invoke(args=["webhooks", "show", "evt_none"]).exit_code != 0


def test_a_retry_that_fails_again_says_so(house: House) -> None:
    _, event = paid(house)
    assert house.post_event({**altered(event), "id": "evt_1broken", "type": "refund.created"}) == 200
    result = house.app.test_cli_runner().invoke(args=["webhooks", "retry", "evt_1broken"])
    assert result.exit_code == 1
    assert "applied 0 of 1" in result.output


def test_a_replay_of_everything_changes_nothing(house: House) -> None:
    donation = house.given(donor={"email": "a@example.org"})
    house.sandbox.drills.refund(donation["checkout_url"].rpartition("/")[2], 700)
    house.deliver()
    before = house.balances(), house.count(JournalEntry), house.state(donation)
    result = house.app.test_cli_runner().invoke(args=["webhooks", "replay", "--since-hours", "1"])
    house.work()
    assert result.exit_code == 0, result.output
    assert (house.balances(), house.count(JournalEntry), house.state(donation)) == before
    assert house.count(InboxEvent, InboxEvent.processed_at.is_(None)) == 0


def test_catching_up_finds_every_event_that_never_came(house: House) -> None:
    donation, _ = paid(house)
    result = house.app.test_cli_runner().invoke(args=["webhooks", "catch-up"])
    house.work()
    assert result.exit_code == 0, result.output
    assert house.row(donation).status == "paid"
    assert house.totals()["fees_pending"] == 0
    assert house.count(CatchUp) == 1

    house.deliver()  # now they come after all
    assert house.balances()["fund:specialists:gift"] == -2500


def test_a_catching_up_that_is_cut_short_begins_again_where_it_began(house: House) -> None:
    donation, _ = paid(house)
    provider = house.app.extensions["payments"]["stripe"]
    house.sandbox.drills.fault("error", path="/v1/events")
    result = house.app.test_cli_runner().invoke(args=["webhooks", "catch-up"])
    assert result.exit_code != 0
    assert house.count(CatchUp) == 0

    house.sandbox.drills.clear_faults()
    assert catch_up_with(provider, utcnow()) > 0
    assert catch_up_with(provider, utcnow()) == 0
    house.work()
    assert house.row(donation).status == "paid"


def test_two_different_events_of_one_donation_applied_at_once_add_up(house: House) -> None:
    donation = house.given()
    page = donation["checkout_url"].rpartition("/")[2]
    for amount in (300, 400, 500, 600):
        house.sandbox.drills.refund(page, amount)
    told = [house.sandbox.signed(event) for event in events(house, "refund.created", "charge.refunded")]
    answers = at_once(
        house.app,
        len(told),
        lambda number: (
            house.app.test_client().post("/webhooks/stripe", data=told[number][0], headers=told[number][1]).status_code
        ),
    )
    assert answers == [200] * len(told)
    at_once(house.app, 4, lambda _: services.apply_due(utcnow() + timedelta(minutes=5)))
    house.work()

    assert house.totals()["refunded"] == 1800
    assert house.row(donation).status == "partially_refunded"
    assert house.row(donation).version >= 4
    assert house.count(InboxEvent, InboxEvent.processed_at.is_(None)) == 0


def test_receipts_of_many_payments_at_once_have_no_gap(house: House) -> None:
    donations = [house.give() for _ in range(24)]
    for donation in donations:
        house.pay(donation)
    told = [house.sandbox.signed(event) for event in events(house, "checkout.session.completed")]
    at_once(
        house.app,
        8,
        lambda number: [
            house.app.test_client().post("/webhooks/stripe", data=body, headers=headers).status_code
            for body, headers in told[number::8]
        ],
    )
    services.apply_due(utcnow() + timedelta(minutes=5))
    house.work()

    numbers = sorted(house.state(donation)["receipt_number"].partition("-")[2] for donation in donations)
    assert numbers == [f"{number:06d}" for number in range(1, 25)]
    assert house.balances()["fund:specialists:gift"] == -24 * 2500
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count(Donation.id)).where(Donation.status == "paid")) == 24
