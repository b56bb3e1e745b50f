"""What each kind of Stripe's events says, in our words; and that it says the same from the stored payload."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from core.money import Money
from payments.base import (
    BadNotification,
    DisputeFact,
    DisputeState,
    Fact,
    PaymentFact,
    PaymentState,
    ProviderRead,
    RefundFact,
    RefundState,
)
from payments.stripe_adapter import StripeAdapter
from payments.stripe_facts import READERS
from payments.stripe_scrub import scrub_event

BYN_25 = Money(2500, "BYN")
Say = Callable[..., Sequence[Fact]]


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def say(adapter: StripeAdapter, stripe_object: Any) -> Say:
    """The facts of an event, read from the payload as it comes back from the database."""

    def read(name: str, **changes: Any) -> Sequence[Fact]:
        return adapter.facts(json.loads(json.dumps(scrub_event(stripe_object(name, **changes)))))

    return read


@pytest.fixture
def payment(say: Say) -> Callable[..., PaymentFact]:
    """The one payment fact of an event."""

    def read(name: str, **changes: Any) -> PaymentFact:
        (fact,) = [fact for fact in say(name, **changes) if isinstance(fact, PaymentFact)]
        return fact

    return read


@pytest.fixture
def dispute(say: Say) -> Callable[..., DisputeFact]:
    def read(name: str, **changes: Any) -> DisputeFact:
        (fact,) = [fact for fact in say(name, **changes) if isinstance(fact, DisputeFact)]
        return fact

    return read


# Payments


def test_a_completed_and_paid_checkout_has_succeeded(say) -> None:
    assert say("checkout.session.completed") == (
        PaymentFact(
            state=PaymentState.SUCCEEDED,
            amount=BYN_25,
            occurred_at=at(1_795_300_000),
            our_ref="pay_01JPAYMENT",
            checkout_ref="cs_test_a1donation0001",
            payment_ref="pi_3donation0001",
        ),
    )


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("checkout.session.completed.unpaid", PaymentState.PROCESSING),
        ("checkout.session.async_payment_succeeded", PaymentState.SUCCEEDED),
        ("checkout.session.async_payment_failed", PaymentState.FAILED),
        ("checkout.session.expired", PaymentState.EXPIRED),
    ],
)
def test_every_end_of_a_checkout_is_told_apart_from_paid(payment, name, state) -> None:
    fact = payment(name)
    assert (fact.state, fact.amount, fact.final) == (state, BYN_25, True)
    assert (fact.our_ref, fact.checkout_ref) == ("pay_01JPAYMENT", "cs_test_a1donation0001")


def test_an_expired_checkout_that_was_paid_counts_as_paid(payment) -> None:
    assert payment("checkout.session.expired", payment_status="paid").state is PaymentState.SUCCEEDED


def test_an_expired_checkout_has_no_payment_to_point_at(payment) -> None:
    assert payment("checkout.session.expired").payment_ref is None


def test_two_more_events_tell_the_same_success_with_the_same_references(payment) -> None:
    by_intent, by_charge = payment("payment_intent.succeeded"), payment("charge.succeeded")
    for fact in (by_intent, by_charge):
        assert (fact.state, fact.amount) == (PaymentState.SUCCEEDED, BYN_25)
        assert (fact.our_ref, fact.payment_ref) == ("pay_01JPAYMENT", "pi_3donation0001")
        assert fact.charge_ref == "ch_3donation0001"


def test_a_declined_try_is_not_the_end_of_the_payment(payment) -> None:
    event = {"last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"}}
    fact = payment("payment_intent.payment_failed", **event)
    assert (fact.state, fact.final) == (PaymentState.FAILED, False)
    assert fact.failure_code == "insufficient_funds"
    assert fact.our_ref == "pay_01JPAYMENT"


def test_a_card_payment_happened_when_its_charge_was_made(payment) -> None:
    assert payment("charge.succeeded", created=1_795_299_998).occurred_at == at(1_795_299_998)


def test_a_bank_debit_happened_when_it_succeeded_not_when_it_was_ordered(payment) -> None:
    fact = payment("charge.succeeded", created=1_795_000_000, payment_method_details={"type": "sepa_debit"})
    assert fact.occurred_at == at(1_795_300_001)


def test_no_event_dates_a_card_payment_before_its_charge(payment) -> None:
    """So the earliest of the facts is the charge's moment, in whatever order they came."""
    told = [payment(name) for name in ("checkout.session.completed", "payment_intent.succeeded", "charge.succeeded")]
    assert min(fact.occurred_at for fact in told) == payment("charge.succeeded").occurred_at


@pytest.mark.parametrize("mode", ["subscription", "setup"])
def test_a_checkout_that_is_no_payment_is_none_of_ours(say, mode) -> None:
    assert say("checkout.session.completed", mode=mode, amount_total=None, currency=None) == ()


def test_a_payment_of_another_integration_has_none_of_our_references(payment) -> None:
    fact = payment("charge.succeeded", metadata={"order": "7"}, payment_intent=None)
    assert (fact.our_ref, fact.payment_ref) == (None, "ch_3donation0001")


def test_a_charge_that_is_only_authorised_has_not_succeeded(payment) -> None:
    fact = payment("charge.succeeded", captured=False, amount_captured=0)
    assert (fact.state, fact.amount) == (PaymentState.PROCESSING, BYN_25)


# Settlement


def test_a_charge_update_with_a_balance_transaction_advises_to_read_it(say) -> None:
    assert say("charge.updated.balance_transaction") == (
        ProviderRead("settlement", "txn_3donation0001", "pi_3donation0001"),
    )


def test_a_charge_update_without_one_says_nothing(say) -> None:
    assert say("charge.updated.balance_transaction", balance_transaction=None) == ()


@pytest.mark.parametrize("name", ["payout.paid", "payout.reconciliation_completed", "payout.failed"])
def test_a_payout_advises_to_read_it(say, name) -> None:
    assert say(name) == (ProviderRead("payout", "po_1donation0001"),)


def test_a_payout_that_came_back_advises_to_read_the_line_of_its_return(say) -> None:
    facts = say("payout.failed", failure_balance_transaction="txn_back")
    assert facts == (ProviderRead("payout", "po_1donation0001"), ProviderRead("settlement", "txn_back"))


# Refunds


def test_a_refund_is_told_per_refund_with_its_settlement_line(say) -> None:
    assert say("refund.created") == (
        RefundFact(
            refund_ref="re_3donation0001",
            payment_ref="pi_3donation0001",
            state=RefundState.PENDING,
            amount=Money(1000, "BYN"),
            occurred_at=at(1_795_386_400),
            our_ref="ref_01JREFUND",
        ),
        ProviderRead("settlement", "txn_3refund0001", "pi_3donation0001"),
    )


def test_a_refund_keeps_its_day_when_it_succeeds_later(say) -> None:
    pending, succeeded = say("refund.created")[0], say("refund.updated")[0]
    assert succeeded.state is RefundState.SUCCEEDED
    assert succeeded.occurred_at == pending.occurred_at


def test_a_refund_that_fails_weeks_later_gives_the_money_back_on_that_day(say) -> None:
    fact, *reads = say("refund.failed")
    assert (fact.state, fact.failure_code) == (RefundState.FAILED, "expired_or_canceled_card")
    assert fact.occurred_at == at(1_797_300_000)
    assert [read.ref for read in reads] == ["txn_3refund0001", "txn_3refundfail0001"]


@pytest.mark.parametrize("status", [None, "on_its_way"])
def test_a_refund_whose_status_we_do_not_know_is_still_under_way(say, status) -> None:
    assert say("refund.updated", status=status)[0].state is RefundState.PENDING


@pytest.mark.parametrize("name", ["charge.refunded.partial", "charge.refunded.full"])
def test_the_running_total_of_refunds_is_never_an_amount_of_one(say, name) -> None:
    assert say(name) == (ProviderRead("refunds", "pi_3donation0001", "pi_3donation0001"),)


def test_a_refund_of_a_foreign_charge_names_the_charge(say) -> None:
    fact = say("refund.created", payment_intent=None, metadata={})[0]
    assert (fact.payment_ref, fact.our_ref) == ("ch_3donation0001", None)


# Disputes


def test_an_opened_dispute_has_not_moved_money_yet(dispute) -> None:
    fact = dispute("charge.dispute.created")
    assert (fact.state, fact.amount, fact.reason) == (DisputeState.OPEN, BYN_25, "fraudulent")
    assert (fact.payment_ref, fact.movements) == ("pi_3donation0001", ())


@pytest.mark.parametrize(
    ("name", "state", "withdrawn"),
    [
        ("charge.dispute.updated", DisputeState.OPEN, [True]),
        ("charge.dispute.funds_withdrawn", DisputeState.OPEN, [True]),
        ("charge.dispute.closed.lost", DisputeState.LOST, [True]),
        ("charge.dispute.closed.won", DisputeState.WON, [True, False]),
        ("charge.dispute.funds_reinstated", DisputeState.WON, [True, False]),
    ],
)
def test_a_dispute_tells_its_state_and_every_movement_of_money(dispute, name, state, withdrawn) -> None:
    fact = dispute(name)
    assert fact.state is state
    assert [movement.withdrawn for movement in fact.movements] == withdrawn


def test_each_movement_of_a_dispute_advises_to_read_its_settlement_line(say) -> None:
    fact, *reads = say("charge.dispute.closed.won")
    assert [read.ref for read in reads] == [movement.settlement_ref for movement in fact.movements]
    assert {read.payment_ref for read in reads} == {"pi_3donation0001"}


@pytest.mark.parametrize("status", ["warning_needs_response", "warning_under_review", "warning_closed", "prevented"])
def test_a_warning_moves_no_money(dispute, status) -> None:
    fact = dispute("charge.dispute.created", status=status)
    assert (fact.state, fact.movements) == (DisputeState.INQUIRY, ())


@pytest.mark.parametrize("status", ["appeal_needs_response", "appeal_under_review", "invented_tomorrow"])
def test_a_dispute_status_we_do_not_know_is_still_open(dispute, status) -> None:
    assert dispute("charge.dispute.updated", status=status).state is DisputeState.OPEN


def test_a_dispute_is_dated_by_itself_whatever_event_tells_of_it(dispute) -> None:
    names = ["charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed.lost"]
    assert {dispute(name).occurred_at for name in names} == {at(1_796_200_000)}


# The rest


@pytest.mark.parametrize("kind", ["customer.created", "charge.expired", "payment_intent.created", "invented.tomorrow"])
def test_a_kind_of_event_we_have_no_use_for_says_nothing(adapter, stripe_object, kind) -> None:
    assert adapter.facts(scrub_event({**stripe_object("refund.created"), "type": kind})) == ()


@pytest.mark.parametrize("kind", sorted(READERS))
def test_an_event_of_a_kind_we_need_that_lacks_what_we_need_is_malformed(adapter, kind) -> None:
    hollow = {"object": "event", "type": kind, "created": 1_795_300_000, "data": {"object": {}}}
    if kind in {"charge.updated", "charge.refunded"}:
        assert adapter.facts(hollow) == ()  # they only ever advise
    else:
        with pytest.raises(BadNotification, match="webhook_malformed"):
            adapter.facts(hollow)


@pytest.mark.parametrize(
    "payload", [{}, {"type": 7}, {"type": "refund.created"}, {"type": "refund.created", "created": 1}]
)
def test_a_payload_that_is_no_event_is_malformed(adapter, payload) -> None:
    with pytest.raises(BadNotification, match="webhook_malformed"):
        adapter.facts(payload)


def test_an_amount_in_a_currency_that_nobody_knows_is_for_a_person_to_see(say) -> None:
    with pytest.raises(BadNotification, match="webhook_malformed"):
        say("charge.succeeded", currency="qqq")


def test_whole_yen_stay_whole_yen(payment) -> None:
    assert payment("checkout.session.completed", currency="jpy", amount_total=500).amount == Money(500, "JPY")
