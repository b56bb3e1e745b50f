"""What Stripe does that a first draft gets wrong: each is an event, or an order of events, and where it must end."""

import copy
import uuid
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from core.models import OutboxMessage
from donations.models import Donation, Receipt
from finance.jobs import look_at_unposted_lines, post_lines
from finance.models import SettlementLine
from ledger.models import JournalEntry, LedgerException
from stickers.models import RedemptionCode
from tests.house import House
from webhooks.models import InboxEvent

GIFT, SUSPENSE = "fund:specialists:gift", "suspense:BYN"


def events(house: House, *kinds: str) -> list[dict[str, Any]]:
    """The provider's events of these kinds (of all kinds we ask for), oldest first."""
    return [event for event in house.sandbox.events() if not kinds or event["type"] in kinds]


def tell(house: House, *kinds: str) -> None:
    """Deliver the events of these kinds, kind after kind, and let the worker finish."""
    for kind in kinds:
        told = events(house, kind)
        assert told, kind
        for event in told:
            assert house.post_event(event) == 200
    house.work()


def altered(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy under a new id; `changes` are fields of its object."""
    forged = copy.deepcopy(event)
    forged["id"] = f"evt_1{uuid.uuid4().hex}"
    forged["data"]["object"].update(changes)
    return forged


def exceptions(house: House) -> list[tuple[str, int | None, str | None]]:
    """Kind and amount of what finance has to look at."""
    db.session.rollback()
    query = sa.select(LedgerException).where(LedgerException.resolved_at.is_(None)).order_by(LedgerException.id)
    return [(row.kind, row.amount_minor, row.currency) for row in db.session.scalars(query)]


def page_of(donation: dict[str, Any]) -> str:
    return str(donation["checkout_url"].rpartition("/")[2])


def test_completed_but_unpaid_is_not_raised(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    tell(house, "checkout.session.completed")

    assert house.row(donation).status == "processing"
    assert (house.totals()["raised"], house.totals()["donations"]) == (0, 0)
    assert house.balances() == {}
    assert house.count(RedemptionCode) == house.count(Receipt) == house.count(OutboxMessage) == 0


def test_a_delayed_payment_that_arrives_is_received(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    house.deliver()
    house.sandbox.drills.finish_delayed(page_of(donation))
    house.deliver()

    assert house.row(donation).status == "paid"
    assert house.balances()[GIFT] == -2500
    assert house.count(RedemptionCode) == 1


def test_a_payment_that_fails_after_its_checkout_was_completed_brings_nothing(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    house.deliver()
    house.sandbox.drills.finish_delayed(page_of(donation), "failure")
    house.deliver()

    assert house.row(donation).status == "failed"
    assert house.balances() == {}
    assert house.count(RedemptionCode) == house.count(Receipt) == 0


def test_failed_told_before_completed_stays_failed(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    house.sandbox.drills.finish_delayed(page_of(donation), "failure")
    tell(house, "checkout.session.async_payment_failed", "checkout.session.completed")
    assert house.row(donation).status == "failed"


def test_expired_told_after_completed_leaves_it_paid(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    tell(house, "checkout.session.completed")
    [completed] = events(house, "checkout.session.completed")
    expired = altered(completed, status="expired", payment_status="unpaid", payment_intent=None)
    assert house.post_event({**expired, "type": "checkout.session.expired"}) == 200

    assert house.row(donation).status == "paid"
    assert house.balances()[GIFT] == -2500


def test_a_donor_who_pays_in_the_second_in_which_the_session_expires_has_paid(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    [completed] = events(house, "checkout.session.completed")
    expired = altered(completed, status="expired", payment_status="unpaid", payment_intent=None)
    assert house.post_event({**expired, "type": "checkout.session.expired"}) == 200
    assert house.row(donation).status == "expired"

    house.deliver()
    assert house.row(donation).status == "paid"
    assert [code["status"] for code in house.state(donation)["sticker_codes"]] == ["issued"]


def test_a_declined_card_leaves_the_page_open_and_the_next_card_pays(house: House) -> None:
    donation = house.give()
    house.pay(donation, "decline")
    house.deliver()
    [payment] = house.payments(donation)
    assert (payment.state, payment.failure_code) == ("created", "generic_decline")
    assert house.row(donation).status == "pending"

    house.pay(donation)
    house.deliver()
    assert house.row(donation).status == "paid"
    assert house.balances()[GIFT] == -2500
    [charged] = events(house, "charge.succeeded")
    assert house.payments(donation)[0].charge_ref == charged["data"]["object"]["id"]


def test_the_same_event_twice_is_one_event(house: House) -> None:
    donation = house.give(donor={"email": "donor@example.org"})
    house.pay(donation)
    house.deliver()
    before = house.balances(), house.count(JournalEntry)
    for event in events(house):
        assert house.post_event(event) == 200
    house.work()

    assert (house.balances(), house.count(JournalEntry)) == before
    assert house.count(RedemptionCode) == house.count(Receipt) == house.count(OutboxMessage) == 1


def test_one_fact_under_two_event_ids_counts_once(house: House) -> None:
    donation = house.give(donor={"email": "donor@example.org"})
    house.pay(donation)
    house.deliver()
    before = house.balances(), house.count(JournalEntry)
    for event in events(house):
        assert house.post_event(altered(event)) == 200
    house.work()

    assert (house.balances(), house.count(JournalEntry)) == before
    assert house.count(RedemptionCode) == house.count(Receipt) == house.count(OutboxMessage) == 1


def test_the_success_is_dated_by_its_first_moment_whichever_event_tells_it(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    [charged] = events(house, "charge.succeeded")
    [completed] = events(house, "checkout.session.completed")
    late = {**altered(completed), "created": completed["created"] + 90}
    assert house.post_event(late) == 200
    assert house.post_event(charged) == 200

    row = house.row(donation)
    assert row.paid_at is not None
    assert row.paid_at.timestamp() == charged["data"]["object"]["created"]


def test_the_fee_may_come_before_the_payment(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    tell(house, "charge.updated")
    assert house.balances() == {}
    assert house.count(SettlementLine, SettlementLine.posted_at.is_(None)) == 1

    tell(house, "checkout.session.completed")
    assert house.row(donation).status == "paid"
    assert house.count(SettlementLine, SettlementLine.posted_at.is_(None)) == 0
    assert house.totals()["fees"] > 0
    assert house.totals()["fees_pending"] == 0


def test_the_fee_of_a_delayed_payment_is_posted_when_the_payment_arrives(house: House) -> None:
    donation = house.give()
    house.pay(donation, "delay")
    tell(house, "checkout.session.completed")
    house.sandbox.drills.finish_delayed(page_of(donation))
    tell(house, "charge.updated")
    assert house.totals()["fees"] == 0
    tell(house, "checkout.session.async_payment_succeeded")

    assert house.row(donation).status == "paid"
    assert house.totals()["fees"] > 0
    assert house.totals()["fees_pending"] == 0


def test_a_fee_that_is_known_only_later_is_pending_until_then(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    tell(house, "checkout.session.completed", "payment_intent.succeeded", "charge.succeeded")
    assert (house.totals()["fees"], house.totals()["fees_pending"]) == (0, 2500)

    tell(house, "charge.updated")
    assert house.totals()["fees_pending"] == 0
    assert house.totals()["earmarked"] == 2500 - house.totals()["fees"]
    assert house.row(donation).status == "paid"


def test_a_refund_told_updated_before_created_ends_as_succeeded(house: House) -> None:
    donation = house.given()
    refund = house.sandbox.drills.refund(page_of(donation), 1000, "pending")["id"]
    house.sandbox.drills.finish_refund(refund)
    tell(house, "refund.updated", "refund.created")

    [made] = house.payments(donation)[0].refunds
    assert (made.state, made.amount_minor) == ("succeeded", 1000)
    assert house.row(donation).status == "partially_refunded"
    assert house.totals()["refunded"] == 1000


def test_a_refund_told_before_its_payment_waits_and_is_applied_with_it(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    house.sandbox.drills.refund(page_of(donation), 1000)
    tell(house, "refund.created")
    [event] = db.session.scalars(sa.select(InboxEvent))
    assert (event.processed_at, event.last_error) == (None, "payment unknown")

    tell(house, "checkout.session.completed")
    assert house.row(donation).status == "partially_refunded"
    assert house.balances()["fund:specialists:refund"] == 1000
    assert house.count(InboxEvent, InboxEvent.processed_at.is_(None)) == 0


def test_the_running_total_of_refunds_is_a_hint_and_never_an_amount(house: House) -> None:
    donation = house.given()
    for amount in (300, 300, 500):
        house.sandbox.drills.refund(page_of(donation), amount)
    tell(house, "charge.refunded")  # 300, 600, 1100, and no event of the refunds themselves
    assert house.totals()["refunded"] == 1100
    assert len(house.payments(donation)[0].refunds) == 3

    house.deliver()
    assert house.totals()["refunded"] == 1100
    assert house.row(donation).status == "partially_refunded"


def test_an_event_of_the_other_mode_is_refused_and_stored_nowhere(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    [completed] = events(house, "checkout.session.completed")
    assert house.post_event({**altered(completed), "livemode": True}) == 400

    assert house.count(InboxEvent) == 0
    assert house.row(donation).status == "pending"


def test_another_amount_than_we_asked_for_is_kept_flagged_and_not_counted(house: House) -> None:
    donation = house.give(2500)
    house.pay(donation)
    [completed] = events(house, "checkout.session.completed")
    assert house.post_event(altered(completed, amount_total=2400)) == 200

    assert house.row(donation).status == "processing"
    assert house.payments(donation)[0].review == "amount_mismatch"
    assert (house.totals()["raised"], house.totals()["donations"]) == (0, 0)
    assert house.balances() == {SUSPENSE: -2400, "receivable:stripe:-:BYN": 2400}
    assert exceptions(house) == [("amount_mismatch", 2400, "BYN")]
    assert house.count(RedemptionCode) == house.count(Receipt) == 0


def test_another_currency_than_we_asked_for_is_kept_flagged_and_not_counted(house: House) -> None:
    donation = house.give(2500)
    house.pay(donation)
    [completed] = events(house, "checkout.session.completed")
    assert house.post_event(altered(completed, currency="usd")) == 200

    assert house.row(donation).status == "processing"
    assert house.balances() == {"suspense:USD": -2500, "receivable:stripe:-:USD": 2500}
    assert exceptions(house) == [("amount_mismatch", 2500, "USD")]


def test_the_refund_of_money_that_is_not_ours_leaves_suspense_and_not_the_fund(house: House) -> None:
    donation = house.give(2500)
    house.pay(donation)
    [completed] = events(house, "checkout.session.completed")
    assert house.post_event(altered(completed, amount_total=2400)) == 200
    refund = house.sandbox.drills.refund(page_of(donation), 400)
    tell(house, "refund.created")
    assert refund["amount"] == 400

    # Both lines of the provider are settled; its fee of 1.50 is taken from what stands in suspense.
    assert house.balances() == {
        SUSPENSE: -1850,
        "conversion:BYN": 1850,
        "conversion:EUR": -571,
        "provider:stripe:EUR": 571,
    }
    assert house.totals()["refunded"] == 0


def test_a_wrong_amount_without_money_does_not_hold_the_donation_up(house: House) -> None:
    donation = house.give(2500)
    house.pay(donation, "decline")
    [declined] = events(house, "payment_intent.payment_failed")
    assert house.post_event(altered(declined, amount=2400)) == 200
    assert house.row(donation).status == "pending"
    assert exceptions(house) == [("amount_mismatch", 2400, "BYN")]

    house.pay(donation)
    house.deliver()
    assert house.row(donation).status == "paid"


def test_a_wrong_amount_told_before_or_after_the_right_one_ends_alike(house: House) -> None:
    before, after = house.give(), house.give()
    for donation in (before, after):
        house.pay(donation)
    first, second = events(house, "checkout.session.completed")
    for event in (altered(first, amount_total=1), first, second, altered(second, amount_total=1)):
        assert house.post_event(event) == 200
    house.work()

    assert house.row(before).status == house.row(after).status == "paid"
    assert house.balances() == {GIFT: -5000, "receivable:stripe:specialists": 5000}
    assert exceptions(house) == [("amount_mismatch", 1, "BYN")] * 2


def test_a_second_charge_under_the_same_attempt_goes_to_suspense(house: House) -> None:
    donation = house.given()
    before = house.balances()
    [charged] = events(house, "payment_intent.succeeded")
    assert house.post_event(altered(charged, id="pi_another")) == 200

    assert house.row(donation).status == "paid"
    assert house.balances() == {**before, SUSPENSE: -2500, "receivable:stripe:-:BYN": 2500}
    assert exceptions(house) == [("charged_twice", 2500, "BYN")]


def stranger(house: House, **changes: Any) -> dict[str, Any]:
    """A paid checkout that no donation of ours knows: the events are told, the donation's rows are not ours."""
    donation = house.give(2500)
    house.pay(donation)
    unknown = {"metadata": {"payment_id": "nobody"}, "client_reference_id": "nobody", **changes}
    for event in events(house, "payment_intent.succeeded", "charge.succeeded"):
        extra = {"payment_intent": "pi_unknown"} if event["type"].startswith("charge") else {"id": "pi_unknown"}
        # What the sandbox would answer about the line is about another payment: it has not appeared yet.
        blank = {"balance_transaction": None} if event["type"].startswith("charge") else {}
        assert house.post_event(altered(event, **unknown, **extra, **blank)) == 200
    return donation


def test_money_of_a_payment_we_do_not_know_goes_to_suspense_once_and_is_shown(house: House) -> None:
    stranger(house)
    assert house.balances() == {SUSPENSE: -2500, "receivable:stripe:-:BYN": 2500}
    assert exceptions(house) == [("unknown_payment", 2500, "BYN")]
    assert house.totals()["raised"] == 0


def test_the_refund_of_an_unknown_payment_takes_it_out_of_suspense_in_any_order(house: House) -> None:
    donation = house.give(2500)
    house.pay(donation)
    refund = house.sandbox.drills.refund(page_of(donation), 1000)
    house.sandbox.drills.fail_refund(refund["id"])
    unknown = {"payment_intent": "pi_unknown", "metadata": {}, "balance_transaction": None}
    [created] = events(house, "refund.created")
    [failed] = events(house, "refund.failed")
    assert house.post_event(altered(created, **unknown)) == 200
    house.work()
    assert house.balances() == {}
    assert house.count(InboxEvent, InboxEvent.waiting_for == "pi_unknown") == 1

    [charged] = events(house, "payment_intent.succeeded")
    assert house.post_event(altered(charged, id="pi_unknown", metadata={})) == 200
    house.work()
    assert house.balances() == {SUSPENSE: -1500, "receivable:stripe:-:BYN": 1500}

    assert house.post_event(altered(failed, **unknown, failure_balance_transaction=None)) == 200
    assert house.post_event(altered(created, **unknown)) == 200
    house.work()
    assert house.balances() == {SUSPENSE: -2500, "receivable:stripe:-:BYN": 2500}


def test_a_failed_refund_of_an_unknown_payment_told_before_its_beginning_moves_nothing(house: House) -> None:
    donation = house.given(2500)
    refund = house.sandbox.drills.refund(page_of(donation), 1000)
    house.sandbox.drills.fail_refund(refund["id"])
    [charged] = events(house, "payment_intent.succeeded")
    assert house.post_event(altered(charged, id="pi_unknown", metadata={})) == 200
    unknown = {"payment_intent": "pi_unknown", "metadata": {}, "balance_transaction": None}
    [created] = events(house, "refund.created")
    [failed] = events(house, "refund.failed")
    assert house.post_event(altered(failed, **unknown, failure_balance_transaction=None)) == 200
    assert house.post_event(altered(created, **unknown)) == 200
    assert house.balances()[SUSPENSE] == -2500


def test_a_dispute_of_an_unknown_payment_moves_suspense_and_is_shown(house: House) -> None:
    donation = house.given(2500)
    house.sandbox.drills.dispute(page_of(donation))
    [charged] = events(house, "payment_intent.succeeded")
    assert house.post_event(altered(charged, id="pi_unknown", metadata={})) == 200
    [withdrawn] = events(house, "charge.dispute.funds_withdrawn")
    for event in (altered(withdrawn, payment_intent="pi_unknown"), altered(withdrawn, payment_intent="pi_unknown")):
        assert house.post_event(event) == 200
    house.work()

    # The payment has left suspense again; what the dispute costs stands there: 20.00 EUR at its own ratio.
    assert house.balances()[SUSPENSE] == 6803
    assert ("unknown_dispute", 2500, "BYN") in exceptions(house)


def test_money_that_seemed_unknown_leaves_suspense_once_its_payment_is_named(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    [charged] = events(house, "payment_intent.succeeded")
    assert house.post_event(altered(charged, metadata={})) == 200
    assert house.balances()[SUSPENSE] == -2500

    tell(house, "checkout.session.completed")
    assert house.row(donation).status == "paid"
    assert house.balances() == {GIFT: -2500, "receivable:stripe:specialists": 2500}
    assert exceptions(house) == []


def test_kinds_of_event_that_we_do_not_know_are_stored_and_harmless(house: House) -> None:
    donation = house.given()
    before = house.balances()
    [completed] = events(house, "checkout.session.completed")
    assert house.post_event({**altered(completed), "type": "checkout.session.admired"}) == 200

    assert house.count(InboxEvent, InboxEvent.processed_at.is_(None)) == 0
    assert house.balances() == before
    assert house.count(Donation) == 1
    assert house.row(donation).status == "paid"


def test_a_line_that_belongs_to_nothing_we_know_is_shown_after_an_hour_and_until_it_does(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    tell(house, "charge.updated")
    look_at_unposted_lines(utcnow())
    assert exceptions(house) == []
    look_at_unposted_lines(utcnow() + timedelta(hours=2))
    assert [kind for kind, *_ in exceptions(house)] == ["missing_event"]

    tell(house, "checkout.session.completed")
    assert exceptions(house) == []
    assert house.totals()["fees_pending"] == 0


def test_hundreds_of_lines_that_nobody_knows_do_not_hold_up_the_one_we_know(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    tell(house, "charge.updated")
    line = db.session.scalars(sa.select(SettlementLine)).one()
    values = {column.name: getattr(line, column.name) for column in SettlementLine.__table__.columns}
    with unit_of_work() as session:
        others = [{**values, "id": 1000 + n, "ref": f"txn_0{n}", "payment_ref": f"pi_{n}"} for n in range(600)]
        session.execute(sa.insert(SettlementLine), others)
    house.sandbox.deliver_pending(house.transport)  # no worker runs, so nothing is woken
    look_at_unposted_lines(utcnow())
    assert house.totals()["fees_pending"] == 0
    assert house.count(SettlementLine, SettlementLine.posted_at.is_(None)) == 600


def test_a_line_that_cannot_be_posted_does_not_hold_up_the_others(house: House) -> None:
    donation = house.give()
    house.pay(donation)
    tell(house, "charge.updated")
    line = db.session.scalars(sa.select(SettlementLine)).one()
    values = {column.name: getattr(line, column.name) for column in SettlementLine.__table__.columns}
    with unit_of_work() as session:  # a currency that nobody keeps books in
        strange = {**values, "id": 1000, "ref": "txn_0", "kind": "other", "currency": "ZZZ", "net_minor": 5}
        session.execute(sa.insert(SettlementLine), [strange])
    tell(house, "checkout.session.completed")
    post_lines(utcnow())
    assert house.totals()["fees_pending"] == 0
    assert house.count(SettlementLine, SettlementLine.posted_at.is_(None)) == 1


def test_a_fee_on_a_line_of_its_own_is_borne_like_the_other_fees_of_its_gift(house: House) -> None:
    donation = house.given()
    house.sandbox.drills.dispute(page_of(donation))
    house.deliver()
    line = db.session.scalars(sa.select(SettlementLine).where(SettlementLine.kind == "dispute")).one()
    values = {column.name: getattr(line, column.name) for column in SettlementLine.__table__.columns}
    before = house.balances()
    values |= {"id": 1000, "ref": "txn_fee", "amount_minor": 0, "net_minor": -2000, "fee_minor": 2000}
    with unit_of_work() as session:
        session.execute(sa.insert(SettlementLine), [{**values, "posted_at": None}])
    look_at_unposted_lines(utcnow())
    assert exceptions(house) == []
    fee = "fund:specialists:fee"
    # 20.00 EUR at the ratio of the gift's own settlement: 2000 x 2500 / 735 = 6802.7...
    assert house.balances()[fee] == before[fee] + 6803
    assert house.balances()["provider:stripe:EUR"] == before["provider:stripe:EUR"] - 2000


def test_a_fee_that_names_nothing_is_for_a_person_to_place(house: House) -> None:
    house.given()
    line = db.session.scalars(sa.select(SettlementLine)).one()
    values = {column.name: getattr(line, column.name) for column in SettlementLine.__table__.columns}
    values |= {"id": 1000, "ref": "txn_fee", "kind": "fee", "amount_minor": -2000, "net_minor": -2000, "fee_minor": 0}
    with unit_of_work() as session:
        session.execute(sa.insert(SettlementLine), [{**values, "payment_ref": None, "posted_at": None}])
    look_at_unposted_lines(utcnow())
    assert [kind for kind, *_ in exceptions(house)] == ["unexplained_settlement"]
    assert house.balances()["suspense:EUR"] == 2000


def test_a_payout_told_early_and_often_moves_its_sum_once(house: House) -> None:
    for _ in range(3):
        house.pay(house.give())
    house.sandbox.drills.payout()
    tell(house, "payout.reconciliation_completed", "payout.paid", "payout.paid")
    assert "fund:specialists:fee" not in house.balances()  # of payments that nobody has told us about
    house.deliver()

    balances = house.balances()
    assert "provider:stripe:EUR" not in balances
    assert balances["transit:stripe:EUR"] > 0
    assert "receivable:stripe:specialists" not in balances
    assert house.totals()["fees_pending"] == 0
    assert house.count(SettlementLine, SettlementLine.payout_ref.is_(None)) == 0
