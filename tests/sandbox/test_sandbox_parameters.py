"""Stripe refuses what it does not know; so must its stand-in, or mistakes surface in production."""

import time

import pytest
import stripe

from tests.sandbox.support import donation, paid


def price(**changes: object) -> dict:
    data = {"currency": "byn", "unit_amount": 2500, "product_data": {"name": "Gift"}, **changes}
    return {"line_items": [{"quantity": 1, "price_data": {k: v for k, v in data.items() if v is not None}}]}


REFUSED = {
    "payment_method_types is gone": ({"payment_method_types": ["card"]}, "payment_method_types", "parameter_unknown"),
    "an invented parameter": ({"colour": "red"}, "colour", "parameter_unknown"),
    "an invented nested one": ({"adaptive_pricing": {"x": 1}}, "adaptive_pricing[x]", "parameter_unknown"),
    "the old ui_mode": ({"ui_mode": "hosted"}, "ui_mode", None),
    "a ui_mode this server does not play": ({"ui_mode": "embedded_page"}, "ui_mode", "sandbox_unsupported"),
    "a customer, which it does not play": ({"customer": "cus_1"}, "customer", "sandbox_unsupported"),
    "no mode": ({"mode": None}, "mode", "parameter_missing"),
    "no success_url": ({"success_url": None}, "success_url", "parameter_missing"),
    "no line items": ({"line_items": None}, "line_items", "parameter_missing"),
    "empty success_url": ({"success_url": ""}, "success_url", "parameter_invalid_empty"),
    "success_url without scheme": ({"success_url": "donate.example/ok"}, "success_url", "url_invalid"),
    "a script as cancel_url": ({"cancel_url": "javascript:alert(1)"}, "cancel_url", "url_invalid"),
    "an unreadable url": ({"cancel_url": "http://[::1/x"}, "cancel_url", "url_invalid"),
    "an address without a domain": ({"customer_email": "donor@localhost"}, "customer_email", "email_invalid"),
    "an address with a space": ({"customer_email": "do nor@example.org"}, "customer_email", "email_invalid"),
    "Belarusian, which Stripe lacks": ({"locale": "be"}, "locale", None),
    "a long reference": ({"client_reference_id": "r" * 201}, "client_reference_id", None),
    "too many metadata": ({"metadata": {str(n): "x" for n in range(51)}}, "metadata", None),
    "a long metadata key": ({"metadata": {"k" * 41: "x"}}, "metadata", None),
    "a long metadata value": ({"metadata": {"k": "x" * 501}}, "metadata[k]", None),
    "metadata that is no object": ({"metadata": "x"}, "metadata", None),
    "a word for a switch": ({"adaptive_pricing": {"enabled": "no"}}, "adaptive_pricing[enabled]", None),
    "an unknown currency": (price(currency="xxx"), "line_items[0][price_data][currency]", None),
    "an amount with decimals": (
        price(unit_amount="25.00"),
        "line_items[0][price_data][unit_amount]",
        "parameter_invalid_integer",
    ),
    "a negative amount": (
        price(unit_amount=-1),
        "line_items[0][price_data][unit_amount]",
        "parameter_invalid_integer",
    ),
    "no currency": (price(currency=None), "line_items[0][price_data][currency]", "parameter_missing"),
    "no name": (
        price(product_data={"description": "x"}),
        "line_items[0][price_data][product_data][name]",
        "parameter_missing",
    ),
    "less than half a euro": (price(unit_amount=168), "line_items", "amount_too_small"),
    "more than 999,999.99": (price(unit_amount=100_000_000), "line_items[0][price_data][unit_amount]", None),
    "expiry that is no number": ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
    "a suffix with a star": (
        {"payment_intent_data": {"statement_descriptor_suffix": "A*B"}},
        "payment_intent_data[statement_descriptor_suffix]",
        None,
    ),
    "a suffix without a letter": (
        {"payment_intent_data": {"statement_descriptor_suffix": "2026"}},
        "payment_intent_data[statement_descriptor_suffix]",
        None,
    ),
    "a suffix in Cyrillic": (
        {"payment_intent_data": {"statement_descriptor_suffix": "ЗИМА"}},
        "payment_intent_data[statement_descriptor_suffix]",
        None,
    ),
    "a suffix too long with its prefix": (
        {"payment_intent_data": {"statement_descriptor_suffix": "BULLYING FREE 26"}},
        "payment_intent_data[statement_descriptor_suffix]",
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "param", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_session_create_refuses(server, client, changes, param, code):
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.checkout.sessions.create(donation(**changes))
    assert refusal.value.http_status == 400
    assert refusal.value.param == param
    if code:
        assert refusal.value.code == code
    assert refusal.value.request_id.startswith("req_")
    assert server.state()["payments"] == []


@pytest.mark.parametrize("ahead", [60, 29 * 60, 24 * 3600 + 60])
def test_expiry_must_be_between_half_an_hour_and_a_day_ahead(server, client, ahead):
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.checkout.sessions.create(donation(expires_at=int(time.time()) + ahead))
    assert refusal.value.param == "expires_at"


@pytest.mark.parametrize("amount", [169, 2500, 99_999_999])
def test_amounts_from_the_least_to_the_most_are_taken(client, amount):
    assert client.v1.checkout.sessions.create(donation(amount)).amount_total == amount


def test_currency_is_taken_in_either_case_and_answered_in_lower_case(client):
    assert client.v1.checkout.sessions.create(donation(currency="BYN")).currency == "byn"


def test_lines_add_up_and_can_be_listed(client):
    line = {"quantity": 2, "price_data": {"currency": "byn", "unit_amount": 500, "product_data": {"name": "Pack"}}}
    session = client.v1.checkout.sessions.create(donation(line_items=[line, line], expand=["line_items"]))
    assert session.amount_total == 2000
    assert [item.amount_total for item in session.line_items.data] == [1000, 1000]
    assert client.v1.checkout.sessions.line_items.list(session.id).data[0].description == "Pack"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 2501}, "amount"),
        ({"amount": "ten"}, "amount"),
        ({"reason": "because"}, "reason"),
        ({"comment": "x"}, "comment"),
    ],
)
def test_refund_create_refuses(server, client, params, param):
    paid(server, client)
    charge = client.v1.charges.list().data[0].id
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"charge": charge, **params})
    assert refusal.value.param == param
    assert client.v1.refunds.list().data == []


def test_refund_of_nothing_is_refused(client):
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({})
    assert refusal.value.code == "parameter_missing"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.refunds.create({"payment_intent": "pi_unknown"})
    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")


def test_only_forms_are_taken_as_bodies(server):
    import requests

    headers = {"Authorization": "Bearer sk_test_abcdef"}
    with requests.post(f"{server.url}/v1/refunds", json={"a": 1}, headers=headers, timeout=5) as response:
        assert response.status_code == 400
    with requests.post(f"{server.url}/v1/refunds", data="a[=1", headers=headers, timeout=5) as response:
        assert response.status_code == 400
