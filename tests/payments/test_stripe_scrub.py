"""Nothing of the person is kept: what may stay is listed, so everything else goes."""

import json
from typing import Any

import pytest

from payments.stripe_scrub import SHAPES, scrub, scrub_event

EVENTS = [
    "charge.dispute.closed.lost",
    "charge.dispute.closed.won",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.refunded.full",
    "charge.refunded.partial",
    "charge.succeeded",
    "charge.updated.balance_transaction",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.completed.unpaid",
    "checkout.session.expired",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "payout.failed",
    "payout.paid",
    "payout.reconciliation_completed",
    "refund.created",
    "refund.failed",
    "refund.updated",
]

# Where Stripe writes what belongs to the person (or to our secrets), at any depth.
PERSONAL_FIELDS = {
    "address",
    "billing_address",
    "billing_details",
    "client_secret",
    "collected_information",
    "custom_fields",
    "customer",
    "customer_details",
    "customer_email",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "description",
    "email",
    "evidence",
    "fingerprint",
    "last4",
    "name",
    "owner",
    "payment_method",
    "phone",
    "receipt_email",
    "receipt_url",
    "shipping",
    "shipping_address",
    "source_details",
    "url",
}

WORDS = {"Jenny Rosen", "donor@example.org", "Test Donor", "receipts/payment", "4242", "AOB934RVNwzk6xtn", "secret"}


def marked(value: Any, inside_personal: bool = False) -> Any:
    """A copy with a recognisable mark in every personal field, filled in or not."""
    match value:
        case dict():
            return {key: marked(item, inside_personal or key in PERSONAL_FIELDS) for key, item in value.items()}
        case list():
            return [marked(item, inside_personal) for item in value]
    return "PERSONAL" if inside_personal else value


@pytest.mark.parametrize("name", EVENTS)
def test_no_personal_string_of_a_real_event_survives(stripe_object, name) -> None:
    kept = json.dumps(scrub_event(stripe_object(name)))
    assert [word for word in WORDS if word in kept] == []


@pytest.mark.parametrize("name", EVENTS)
def test_a_personal_field_is_dropped_wherever_it_stands_and_whatever_it_holds(stripe_object, name) -> None:
    event = marked(stripe_object(name))
    event["data"]["object"].update(
        customer_email="PERSONAL",
        receipt_email="PERSONAL",
        customer_details={"email": "PERSONAL", "id": "PERSONAL"},
        billing_details={"name": "PERSONAL"},
        shipping={"name": "PERSONAL"},
        evidence={"customer_purchase_ip": "PERSONAL"},
        newly_invented={"name": "PERSONAL", "id": "PERSONAL"},
    )
    event["data"]["previous_attributes"] = {"customer_email": "PERSONAL", "billing_details": {"name": "PERSONAL"}}
    assert "PERSONAL" not in json.dumps(scrub_event(event))


@pytest.mark.parametrize("name", ["balance_transaction.charge", "balance_transaction.refund"])
def test_the_expanded_source_of_a_settlement_line_is_cut_down_too(stripe_object, name) -> None:
    charge = marked(stripe_object("charge.succeeded"))["data"]["object"]
    kept = scrub(stripe_object(name, source=charge))
    assert "PERSONAL" not in json.dumps(kept)
    assert kept["source"]["payment_intent"] == "pi_3donation0001"


def test_an_event_of_a_kind_we_do_not_know_leaves_only_how_to_look_it_up(stripe_object) -> None:
    event = stripe_object("charge.succeeded", object="customer", id="cus_1")
    assert scrub_event(event)["data"]["object"] == {
        "id": "cus_1",
        "object": "customer",
        "livemode": False,
        "created": 1_795_300_000,
        "status": "succeeded",
    }


def test_of_metadata_only_our_own_keys_are_kept(stripe_object) -> None:
    event = stripe_object("refund.created", metadata={"refund_id": "ref_1", "donor": "Jenny Rosen"})
    assert scrub_event(event)["data"]["object"]["metadata"] == {"refund_id": "ref_1"}


def test_what_finance_needs_of_a_dispute_is_kept(stripe_object) -> None:
    dispute = scrub_event(stripe_object("charge.dispute.closed.won"))["data"]["object"]
    assert (dispute["status"], dispute["reason"], dispute["amount"]) == ("won", "fraudulent", 2500)
    assert [line["net"] for line in dispute["balance_transactions"]] == [-2735, 2735]
    assert dispute["balance_transactions"][0]["exchange_rate"] == 0.294


def test_what_changed_is_kept_where_the_field_itself_is(stripe_object) -> None:
    kept = scrub_event(stripe_object("charge.refunded.partial"))
    assert kept["data"]["previous_attributes"] == {"amount_refunded": 0}


def test_an_id_is_kept_where_the_whole_object_was_sent(stripe_object) -> None:
    event = stripe_object("refund.created", charge={"id": "ch_1", "object": "charge", "receipt_email": "a@b.example"})
    assert scrub_event(event)["data"]["object"]["charge"] == "ch_1"


@pytest.mark.parametrize("name", EVENTS)
def test_scrubbing_twice_changes_nothing_more(stripe_object, name) -> None:
    once = scrub_event(stripe_object(name))
    assert scrub_event(once) == once


def every_key(shape: Any) -> set[str]:
    return set(shape) | set().union(*(every_key(inside) for inside in shape.values() if inside is not None), set())


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_no_list_of_what_may_stay_names_a_personal_field(kind) -> None:
    assert every_key(SHAPES[kind]) & PERSONAL_FIELDS == set()
