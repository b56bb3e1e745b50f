"""The adapter against a stand-in Stripe server that speaks the real wire protocol to the real stripe library."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import stripe

from core.money import Money
from payments.base import (
    CheckoutRequest,
    PaymentFact,
    PaymentState,
    ProviderDown,
    ProviderRefused,
    RefundFact,
    RefundState,
    SettlementKind,
)
from payments.stripe_adapter import StripeAdapter
from sandbox.server import SandboxServer

SECRET = "whsec_sandbox"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """Stripe, with nothing happening by itself; the library's retries do not wait."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
    with SandboxServer(auto_deliver=False, txn_delay=None) as running:
        yield running


@pytest.fixture
def adapter(server: SandboxServer) -> StripeAdapter:
    return StripeAdapter("sk_test_adapter", [SECRET], api_base=server.url)


@pytest.fixture
def request_() -> CheckoutRequest:
    return CheckoutRequest(
        our_ref="pay_01JPAYMENT",
        donation_ref="don_01JDONATION",
        campaign="winter",
        amount=Money(2500, "BYN"),
        product="Ахвяраванне: інтэрнэт без цкавання",
        description="Donation don_01JDONATION",
        locale="be",
        success_url="https://donate.example/d/token",
        cancel_url="https://donate.example/d/token?canceled=1",
        notification_url="https://donate.example/webhooks/stripe",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        email="donor@example.org",
    )


@pytest.fixture
def paid(server: SandboxServer, adapter: StripeAdapter, request_: CheckoutRequest) -> PaymentFact:
    """A donation of 25.00 BYN that was paid."""
    checkout = adapter.create_checkout(request_)
    server.drills.pay([checkout.checkout_ref])
    return adapter.read_checkout(checkout.checkout_ref).fact


def sent(server: SandboxServer, path: str, method: str = "POST") -> list[dict[str, Any]]:
    return [call for call in server.requests() if call["path"] == path and call["method"] == method]


# Opening a checkout


def test_a_checkout_asks_stripe_for_exactly_what_a_donation_needs(server, adapter, request_) -> None:
    adapter.create_checkout(request_)
    (call,) = sent(server, "/v1/checkout/sessions")
    metadata = {"donation_id": "don_01JDONATION", "payment_id": "pay_01JPAYMENT", "campaign": "winter"}
    price = {"currency": "byn", "unit_amount": "2500", "product_data": {"name": request_.product}}
    assert call["params"] == {
        "mode": "payment",
        "submit_type": "donate",
        "line_items": {"0": {"quantity": "1", "price_data": price}},
        "customer_email": "donor@example.org",
        "customer_creation": "if_required",
        "client_reference_id": "don_01JDONATION",
        "expires_at": str(int(request_.expires_at.timestamp())),
        "success_url": "https://donate.example/d/token",
        "cancel_url": "https://donate.example/d/token?canceled=1",
        "locale": "ru",
        "metadata": metadata,
        "payment_intent_data": {
            "metadata": metadata,
            "description": "Donation don_01JDONATION",
            "statement_descriptor_suffix": "WINTER",
        },
        "adaptive_pricing": {"enabled": "false"},
    }
    assert call["idempotency_key"] == "checkout-pay_01JPAYMENT"


def test_a_new_checkout_is_open_and_has_a_page_to_go_to(server, adapter, request_) -> None:
    checkout = adapter.create_checkout(request_)
    assert checkout.url is not None
    assert checkout.url.startswith(server.url)
    assert checkout.url.startswith(adapter.page_origins[0])
    assert checkout.fact.state is PaymentState.CREATED
    assert (checkout.fact.our_ref, checkout.fact.amount) == ("pay_01JPAYMENT", Money(2500, "BYN"))


def test_the_same_request_again_is_the_same_checkout(adapter, request_) -> None:
    assert adapter.create_checkout(request_) == adapter.create_checkout(request_)


def test_an_answer_that_is_lost_does_not_open_a_second_checkout(server, adapter, request_) -> None:
    server.drills.fault("lost", times=1)
    checkout = adapter.create_checkout(request_)
    assert len(sent(server, "/v1/checkout/sessions")) == 2
    assert [session["id"] for session in server.account.store.find("checkout.session", "1")] == [checkout.checkout_ref]


def test_a_checkout_that_could_not_be_opened_can_be_asked_for_again_later(server, adapter, request_) -> None:
    server.drills.fault("lost", times=2)  # one that fails at once is asked a second time
    with pytest.raises(ProviderDown):
        adapter.create_checkout(request_)
    checkout = adapter.create_checkout(request_)
    assert [session["id"] for session in server.account.store.find("checkout.session", "1")] == [checkout.checkout_ref]


def test_without_an_address_none_is_sent(server, adapter, request_) -> None:
    adapter.create_checkout(replace(request_, email=None))
    assert "customer_email" not in sent(server, "/v1/checkout/sessions")[0]["params"]


def test_an_address_stripe_does_not_like_does_not_stop_the_donation(server, adapter, request_) -> None:
    odd = replace(request_, email="донар@пошта.бел")
    checkout = adapter.create_checkout(odd)
    assert checkout.url is not None
    assert adapter.create_checkout(odd).checkout_ref == checkout.checkout_ref
    assert "customer_email" not in sent(server, "/v1/checkout/sessions")[1]["params"]


@pytest.mark.parametrize(("ours", "stripes"), [("ru", "ru"), ("be", "ru"), ("en", "en"), ("xx", "auto")])
def test_the_page_speaks_the_donors_language_or_the_nearest(server, adapter, request_, ours, stripes) -> None:
    adapter.create_checkout(replace(request_, locale=ours))
    assert sent(server, "/v1/checkout/sessions")[0]["params"]["locale"] == stripes


@pytest.mark.parametrize("campaign", ["bullying-free-internet", "зіма", "2026", "a*b"])
def test_a_campaign_that_no_statement_can_name_is_left_out_of_it(server, adapter, request_, campaign) -> None:
    adapter.create_checkout(replace(request_, campaign=campaign))
    intent_data = sent(server, "/v1/checkout/sessions")[0]["params"]["payment_intent_data"]
    assert "statement_descriptor_suffix" not in intent_data
    assert intent_data["metadata"]["campaign"] == campaign


def test_the_same_reference_with_another_amount_is_refused(adapter, request_) -> None:
    adapter.create_checkout(request_)
    with pytest.raises(ProviderRefused) as refused:
        adapter.create_checkout(replace(request_, amount=Money(9900, "BYN")))
    assert refused.value.reason == "idempotency_error"


def test_what_stripe_will_not_take_is_refused_with_its_reason(adapter, request_) -> None:
    with pytest.raises(ProviderRefused) as refused:
        adapter.create_checkout(replace(request_, amount=Money(1, "BYN")))
    assert refused.value.reason == "amount_too_small"


# Reading it


def test_a_paid_checkout_read_back_names_its_payment_and_dates_it_by_its_charge(server, paid) -> None:
    charge = server.account.store.get(paid.charge_ref)
    assert paid.state is PaymentState.SUCCEEDED
    assert paid.payment_ref == charge["payment_intent"]
    assert paid.occurred_at.timestamp() == charge["created"]


def test_a_read_and_the_charges_event_tell_the_very_same_success(server, adapter, paid) -> None:
    (event,) = [event for event in server.events() if event["type"] == "charge.succeeded"]
    (fact,) = adapter.facts(adapter.verify(*server.signed(event), now=datetime.now(UTC)).payload)
    assert replace(fact, checkout_ref=paid.checkout_ref) == paid


def test_a_delayed_payment_is_under_way_until_it_succeeds(server, adapter, request_) -> None:
    checkout_ref = adapter.create_checkout(request_).checkout_ref
    server.drills.pay([checkout_ref], "delay")
    processing = adapter.read_checkout(checkout_ref)
    assert (processing.fact.state, processing.url) == (PaymentState.PROCESSING, None)
    server.drills.finish_delayed(checkout_ref)
    assert adapter.read_checkout(checkout_ref).fact.state is PaymentState.SUCCEEDED


def test_a_delayed_payment_is_dated_by_its_arrival_on_the_balance_not_by_its_order(server, adapter, request_) -> None:
    checkout_ref = adapter.create_checkout(request_).checkout_ref
    server.drills.pay([checkout_ref], "delay")
    server.drills.advance_clock(3 * 86_400)
    server.drills.finish_delayed(checkout_ref)
    server.drills.settle(checkout_ref)
    (event,) = [event for event in server.events() if event["type"] == "checkout.session.async_payment_succeeded"]
    read = adapter.read_checkout(checkout_ref).fact
    assert abs(read.occurred_at.timestamp() - event["created"]) < 60


def test_a_delayed_payment_that_fails_is_read_as_failed_with_its_reason(server, adapter, request_) -> None:
    checkout_ref = adapter.create_checkout(request_).checkout_ref
    server.drills.pay([checkout_ref], "delay")
    server.drills.finish_delayed(checkout_ref, "failure")
    fact = adapter.read_checkout(checkout_ref).fact
    assert fact.state is PaymentState.FAILED
    assert fact.failure_code


def test_a_declined_try_leaves_the_checkout_open(server, adapter, request_) -> None:
    checkout_ref = adapter.create_checkout(request_).checkout_ref
    server.drills.pay([checkout_ref], "decline")
    read = adapter.read_checkout(checkout_ref)
    assert read.fact.state is PaymentState.CREATED
    assert read.url is not None


def test_an_abandoned_checkout_can_be_closed(adapter, request_) -> None:
    expired = adapter.expire_checkout(adapter.create_checkout(request_).checkout_ref)
    assert (expired.fact.state, expired.url) == (PaymentState.EXPIRED, None)


def test_closing_a_checkout_that_was_paid_meanwhile_answers_that_it_is_paid(adapter, paid) -> None:
    assert adapter.expire_checkout(paid.checkout_ref).fact == paid


def test_closing_twice_is_the_same_as_closing_once(adapter, request_) -> None:
    checkout_ref = adapter.create_checkout(request_).checkout_ref
    first = adapter.expire_checkout(checkout_ref)
    assert adapter.expire_checkout(checkout_ref).fact == first.fact


@pytest.mark.parametrize("method", ["read_checkout", "expire_checkout"])
def test_a_checkout_that_stripe_does_not_know_is_refused(adapter, method) -> None:
    with pytest.raises(ProviderRefused) as refused:
        getattr(adapter, method)("cs_test_nobody")
    assert refused.value.reason == "resource_missing"


# Trouble


@pytest.mark.parametrize("kind", ["error", "garbage", "close", "rate_limit"])
def test_trouble_at_stripe_is_not_a_refusal(server, adapter, request_, kind) -> None:
    server.drills.fault(kind)
    with pytest.raises(ProviderDown) as down:
        adapter.create_checkout(request_)
    assert down.value.__context__ is None, "the library's exception holds the whole request"


def test_a_passing_error_is_not_even_noticed(server, adapter, request_) -> None:
    server.drills.fault("error", times=1)
    assert adapter.create_checkout(request_).url


def test_when_too_many_wait_already_a_donor_is_told_so_instead_of_queueing(server, request_) -> None:
    adapter = StripeAdapter("sk_test_adapter", [SECRET], api_base=server.url, waiting_at_once=1)
    with adapter._for_a_person(), pytest.raises(ProviderDown):
        adapter.create_checkout(request_)
    assert server.requests() == []
    assert adapter.create_checkout(request_).url


def test_a_person_who_waits_is_not_made_to_wait_for_a_slow_stripe(server, adapter, request_) -> None:
    checkout_ref = adapter.create_checkout(request_).checkout_ref
    server.drills.fault("slow", seconds=1.5, times=1)
    started = time.monotonic()
    with pytest.raises(ProviderDown):
        adapter.read_checkout(checkout_ref, timeout=0.3)
    assert time.monotonic() - started < 1
    assert len(sent(server, f"/v1/checkout/sessions/{checkout_ref}", "GET")) <= 1


def test_a_person_who_waits_gets_the_state_when_stripe_answers_in_time(adapter, paid) -> None:
    assert adapter.read_checkout(paid.checkout_ref, timeout=3).fact == paid


def test_a_wrong_key_is_refused_and_stands_in_no_log(server, request_, caplog) -> None:
    stranger = StripeAdapter("sk_live_verysecretkey", [SECRET], api_base=server.url)
    with pytest.raises(ProviderRefused) as refused:
        stranger.create_checkout(request_)
    assert refused.value.reason == "authentication"
    assert "AuthenticationError" in caplog.text
    assert "verysecret" not in caplog.text


def test_nothing_of_the_donor_is_logged_or_carried_by_a_refusal(server, adapter, request_, caplog) -> None:
    with pytest.raises(ProviderRefused) as refused:
        adapter.create_checkout(replace(request_, email="donor@example", success_url="nowhere"))
    assert "donor" not in repr(refused.value.args) + str(refused.value.__dict__) + caplog.text


def test_one_adapter_serves_many_threads(server, adapter, request_) -> None:
    ready = threading.Barrier(8)

    def donate(number: int) -> str:
        ready.wait()
        return adapter.create_checkout(replace(request_, our_ref=f"pay_{number}")).fact.our_ref or ""

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(donate, range(8))) == [f"pay_{number}" for number in range(8)]


# Refunds


def test_a_refund_names_the_payment_the_amount_and_our_own_refund(server, adapter, paid) -> None:
    refund = adapter.create_refund(
        our_ref="ref_01JREFUND", payment_ref=paid.payment_ref, amount=Money(1000, "BYN"), reason="donor asked"
    )
    (call,) = sent(server, "/v1/refunds")
    assert call["params"] == {
        "payment_intent": paid.payment_ref,
        "amount": "1000",
        "reason": "requested_by_customer",
        "metadata": {"refund_id": "ref_01JREFUND"},
    }
    assert call["idempotency_key"] == "refund-ref_01JREFUND"
    assert (refund.state, refund.amount) == (RefundState.SUCCEEDED, Money(1000, "BYN"))
    assert (refund.our_ref, refund.payment_ref) == ("ref_01JREFUND", paid.payment_ref)


def refund_of(adapter: StripeAdapter, paid: PaymentFact, our_ref: str, minor: int = 1000) -> RefundFact:
    amount = Money(minor, "BYN")
    return adapter.create_refund(our_ref=our_ref, payment_ref=paid.payment_ref or "", amount=amount, reason="")


def test_the_same_refund_asked_for_again_days_later_is_not_paid_twice(server, adapter, paid) -> None:
    first = refund_of(adapter, paid, "ref_1")
    server.drills.advance_clock(3 * 86_400)  # Stripe has forgotten the idempotency key by now
    assert refund_of(adapter, paid, "ref_1") == first
    assert len(sent(server, "/v1/refunds")) == 1


def test_a_refund_whose_answer_is_lost_is_made_once(server, adapter, paid) -> None:
    server.drills.fault("lost", times=3, path="/v1/refunds", method="POST")
    with pytest.raises(ProviderDown):
        refund_of(adapter, paid, "ref_1")
    made = refund_of(adapter, paid, "ref_1")
    assert list(adapter.list_refunds(paid.payment_ref)) == [made]


def test_two_refunds_of_the_same_amount_are_two_refunds(adapter, paid) -> None:
    first, second = refund_of(adapter, paid, "ref_1"), refund_of(adapter, paid, "ref_2")
    assert first.refund_ref != second.refund_ref
    assert {refund.our_ref for refund in adapter.list_refunds(paid.payment_ref)} == {"ref_1", "ref_2"}


def test_more_than_was_paid_cannot_be_refunded(adapter, paid) -> None:
    with pytest.raises(ProviderRefused):
        refund_of(adapter, paid, "ref_1", 2501)


def test_a_refund_that_failed_is_listed_so_and_dated_by_the_return_of_the_money(server, adapter, paid) -> None:
    made = refund_of(adapter, paid, "ref_1")
    server.drills.advance_clock(20 * 86_400)
    server.drills.fail_refund(made.refund_ref)
    (failed,) = adapter.list_refunds(paid.payment_ref)
    assert (failed.state, failed.failure_code) == (RefundState.FAILED, "expired_or_canceled_card")
    assert failed.occurred_at - made.occurred_at >= timedelta(days=20)


# Events


def test_events_are_listed_oldest_first_just_as_notifications_give_them(server, adapter, paid) -> None:
    refund_of(adapter, paid, "ref_1")
    listed = list(adapter.list_events(datetime.now(UTC) - timedelta(hours=1)))
    notified = [adapter.verify(*server.signed(event), now=datetime.now(UTC)) for event in server.events()]
    assert listed == [event for event in notified if event.type != "payment_intent.created"]
    assert "checkout.session.completed" in [event.type for event in listed]


def test_events_of_many_days_come_page_by_page_and_in_order(server, adapter, request_) -> None:
    for number in range(3):
        for checkout in range(40):
            opened = adapter.create_checkout(
                replace(
                    request_,
                    our_ref=f"pay_{number}_{checkout}",
                    expires_at=datetime.fromtimestamp(server.clock.timestamp(), UTC) + timedelta(hours=1),
                )
            )
            server.drills.pay([opened.checkout_ref])
        server.drills.advance_clock(2 * 86_400)
    listed = [event.event_id for event in adapter.list_events(datetime.now(UTC) - timedelta(days=60))]
    assert listed == [event["id"] for event in server.events() if event["type"] != "payment_intent.created"]
    assert len(listed) == 360


def test_only_the_kinds_of_event_we_read_are_asked_for(server, adapter, paid) -> None:
    list(adapter.list_events(datetime.now(UTC) - timedelta(hours=1)))
    asked = [call["params"]["types"] for call in sent(server, "/v1/events", "GET") if "types" in call["params"]]
    assert asked
    assert all(len(types) <= 20 for types in asked)


def test_events_before_the_asked_time_are_not_listed(server, adapter, paid) -> None:
    server.drills.advance_clock(3600)
    later = refund_of(adapter, paid, "ref_1")
    since = later.occurred_at - timedelta(minutes=30)
    kinds = {event.type for event in adapter.list_events(since)}
    assert kinds == {"refund.created", "charge.refunded"}


def test_an_account_without_events_lists_none(adapter) -> None:
    assert list(adapter.list_events(datetime(2026, 1, 1, tzinfo=UTC))) == []


def test_trouble_while_listing_is_told_as_such(server, adapter, paid) -> None:
    server.drills.fault("error")
    with pytest.raises(ProviderDown):
        list(adapter.list_events(datetime.now(UTC) - timedelta(hours=1)))


# The balance


def test_a_settlement_line_is_read_with_its_fee_its_rate_and_its_payment(server, adapter, paid) -> None:
    (ref,) = server.drills.settle(paid.checkout_ref)["transactions"]
    line = adapter.read_settlement(ref)
    assert (line.ref, line.kind) == (ref, SettlementKind.CHARGE)
    assert (line.amount, line.fee, line.net) == (Money(735, "EUR"), Money(46, "EUR"), Money(689, "EUR"))
    assert line.exchange_rate == Decimal("0.294")
    assert (line.payment_ref, line.charge_ref) == (paid.payment_ref, paid.charge_ref)
    assert line.payload["source"]["id"] == paid.charge_ref


def test_every_line_of_a_payments_life_is_listed_with_its_kind_and_references(server, adapter, paid) -> None:
    server.drills.settle()
    refund = refund_of(adapter, paid, "ref_1")
    server.drills.fail_refund(refund.refund_ref)
    dispute = server.drills.dispute(paid.checkout_ref)["id"]
    server.drills.win_dispute(dispute)
    lines = list(adapter.list_settlements(since=datetime.now(UTC) - timedelta(hours=1)))[::-1]
    assert [line.kind for line in lines] == [
        SettlementKind.CHARGE,
        SettlementKind.REFUND,
        SettlementKind.REFUND_FAILURE,
        SettlementKind.DISPUTE,
        SettlementKind.DISPUTE_REVERSAL,
    ]
    assert {line.payment_ref for line in lines} == {paid.payment_ref}
    assert [line.refund_ref for line in lines] == [None, refund.refund_ref, refund.refund_ref, None, None]
    assert [line.dispute_ref for line in lines] == [None, None, None, dispute, dispute]
    assert all(line.amount - line.fee == line.net for line in lines)


def test_the_lines_of_a_payout_add_up_to_it(server, adapter, paid) -> None:
    server.drills.settle()
    payout = adapter.read_payout(server.drills.payout()["id"])
    lines = list(adapter.list_settlements(payout_ref=payout.ref))
    assert {line.payout_ref for line in lines} == {payout.ref}
    assert sum(line.net.minor for line in lines if line.kind is not SettlementKind.PAYOUT) == payout.amount.minor
    assert [line.net for line in lines if line.kind is SettlementKind.PAYOUT] == [-payout.amount]


def test_a_payout_that_failed_says_so_and_gives_the_money_back(server, adapter, paid) -> None:
    server.drills.settle()
    payout = adapter.read_payout(server.drills.payout("failed")["id"])
    assert payout.state == "failed"
    assert SettlementKind.PAYOUT_FAILURE in [line.kind for line in adapter.list_settlements()]


def test_settlement_lines_are_cut_at_both_ends_of_the_time_asked_for(server, adapter, paid) -> None:
    server.drills.settle()
    made_at = next(adapter.list_settlements()).created_at
    second = timedelta(seconds=1)
    assert len(list(adapter.list_settlements(since=made_at, until=made_at + second))) == 1
    assert list(adapter.list_settlements(since=made_at + second)) == []
    assert list(adapter.list_settlements(until=made_at)) == []


@pytest.mark.parametrize("read", ["read_settlement", "read_payout"])
def test_what_stripe_does_not_know_is_refused(adapter, read) -> None:
    with pytest.raises(ProviderRefused):
        getattr(adapter, read)("txn_nobody")


# Where the pages live


def test_the_pages_of_stripe_itself_live_at_stripe() -> None:
    assert list(StripeAdapter("sk_test_x", [SECRET]).page_origins) == ["https://checkout.stripe.com"]


def test_the_pages_of_a_stand_in_live_where_it_does() -> None:
    adapter = StripeAdapter("sk_test_x", [SECRET], api_base="http://127.0.0.1:4242/some/path")
    assert list(adapter.page_origins) == ["http://127.0.0.1:4242"]
