"""Notifications: only authentic, recent ones of our mode get in, and nothing hostile gets more than a refusal."""

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from payments.base import BadNotification
from payments.stripe_adapter import StripeAdapter
from payments.stripe_notification import signed_at

SECONDS = st.integers(-10_000, 10_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=20,
)


@pytest.fixture(scope="session")
def refusal(adapter, now):
    """The code under which a notification is refused."""

    def refuse(body: bytes, headers: Mapping[str, str]) -> str:
        with pytest.raises(BadNotification) as refused:
            adapter.verify(body, headers, now=now)
        assert refused.value.__cause__ is None
        assert refused.value.args == (refused.value.code,), "the body must not travel with the refusal"
        return refused.value.code

    return refuse


def outcome(act: Callable[[], Any]) -> str:
    try:
        act()
    except BadNotification as refused:
        return refused.code
    return "accepted"


# Who and when


def test_an_authentic_notification_is_told_in_our_words(adapter, stripe_object, signed, now) -> None:
    event = adapter.verify(*signed(stripe_object("checkout.session.completed")), now=now)
    assert (event.provider, event.event_id, event.type) == ("stripe", "evt_1synth0001", "checkout.session.completed")
    assert event.occurred_at.timestamp() == 1_795_300_000
    assert event.payload["data"]["object"]["amount_total"] == 2500


def test_the_former_secret_still_counts_while_secrets_are_rotated(adapter, stripe_object, signed, now) -> None:
    body, headers = signed(stripe_object("refund.created"), secret="whsec_previous")
    assert adapter.verify(body, headers, now=now).event_id == "evt_1synth0009"


def test_any_of_several_signatures_in_the_header_may_be_the_right_one(adapter, stripe_object, signed, now) -> None:
    body, headers = signed(stripe_object("refund.created"))
    stamp, _, good = headers["Stripe-Signature"].partition(",")
    header = {"stripe-signature": f"{stamp},v1={'0' * 64},v0=x,{good}"}
    assert adapter.verify(body, header, now=now).type == "refund.created"


@pytest.mark.parametrize("name", ["Stripe-Signature", "stripe-signature", "STRIPE-SIGNATURE"])
def test_the_header_is_found_however_its_name_is_spelled(adapter, stripe_object, signed, now, name) -> None:
    body, headers = signed(stripe_object("refund.created"))
    assert adapter.verify(body, {name: headers["Stripe-Signature"]}, now=now)


def test_a_signature_by_anyone_else_is_refused(refusal, stripe_object, signed) -> None:
    assert refusal(*signed(stripe_object("refund.created"), secret="whsec_guess")) == "webhook_signature_invalid"


def test_a_body_changed_by_one_byte_is_refused(refusal, stripe_object, signed) -> None:
    body, headers = signed(stripe_object("refund.created"))
    assert refusal(body.replace(b"1000", b"9000"), headers) == "webhook_signature_invalid"


@pytest.mark.parametrize("secrets", [[], [""], ["  "], ["", "\t"]])
def test_without_a_secret_everything_is_refused(stripe_object, signed, now, secrets) -> None:
    unguarded = StripeAdapter("sk_test_unused", secrets)
    for secret in ("", " ", "whsec_current"):
        with pytest.raises(BadNotification, match="webhook_signature_invalid"):
            unguarded.verify(*signed(stripe_object("refund.created"), secret=secret), now=now)


@given(SECONDS)
def test_a_signature_counts_for_five_minutes_in_both_directions(adapter, stripe_object, signed, now, late) -> None:
    body, headers = signed(stripe_object("refund.created"), at=now - timedelta(seconds=late))
    expected = "accepted" if abs(late) <= 300 else "webhook_timestamp_invalid"
    assert outcome(lambda: adapter.verify(body, headers, now=now)) == expected


def test_age_is_judged_by_the_given_now_in_whatever_zone(adapter, stripe_object, signed, now) -> None:
    body, headers = signed(stripe_object("refund.created"))
    assert adapter.verify(body, headers, now=now.astimezone(timezone(timedelta(hours=3))))


def test_a_signature_too_old_tells_nothing_to_who_cannot_sign(refusal, stripe_object, signed, now) -> None:
    event = stripe_object("refund.created")
    body, headers = signed(event, secret="whsec_guess", at=now - timedelta(days=1))
    assert refusal(body, headers) == "webhook_signature_invalid"


@pytest.mark.parametrize(("key", "livemode"), [("sk_test_x", True), ("rk_test_x", True), ("sk_live_x", False)])
def test_an_event_of_the_other_mode_is_refused(stripe_object, signed, now, key, livemode) -> None:
    adapter = StripeAdapter(key, ["whsec_current"])
    event = {**stripe_object("refund.created"), "livemode": livemode}
    with pytest.raises(BadNotification, match="webhook_wrong_mode"):
        adapter.verify(*signed(event), now=now)


@pytest.mark.parametrize("key", ["sk_live_x", "rk_live_x"])
def test_a_live_key_takes_live_events(stripe_object, signed, now, key) -> None:
    event = {**stripe_object("refund.created"), "livemode": True}
    assert StripeAdapter(key, ["whsec_current"]).verify(*signed(event), now=now)


# Hostile headers


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "t=",
        "v1=",
        "t=1,v1=",
        "t=é,v1=é",
        "t=1e9,v1=x",
        "t=-1,v1=x",
        "t=١٢٣,v1=x",
        "t=1",
        f"t={'9' * 5000},v1=x",
    ],
)
def test_a_header_that_is_no_signature_is_refused(refusal, header) -> None:
    assert refusal(b"{}", {"Stripe-Signature": header}) == "webhook_signature_invalid"


@pytest.mark.parametrize("signature", ["ключ", "\udcff", "\x00" * 64, "🔑" * 64])
def test_a_signature_that_is_not_even_ascii_is_refused(refusal, now, signature) -> None:
    header = f"t={int(now.timestamp())},v1={signature}"
    assert refusal(b"{}", {"Stripe-Signature": header}) == "webhook_signature_invalid"


def test_no_header_at_all_is_refused(refusal) -> None:
    assert refusal(b"{}", {}) == "webhook_signature_invalid"


@given(st.binary(max_size=200), st.text(max_size=200))
def test_no_bytes_and_no_header_raise_anything_but_a_refusal(refusal, body, header) -> None:
    assert refusal(body, {"Stripe-Signature": header}) == "webhook_signature_invalid"


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.integers(0, 2**36))
def test_our_check_and_the_librarys_agree(body, timestamp) -> None:
    header = stripe.WebhookSignature.generate_signature_header(body, "whsec_current", timestamp)
    assert stripe.WebhookSignature.verify_header(body, header, "whsec_current")
    assert signed_at(body.encode(), header, ["whsec_current"]) == timestamp


# Hostile bodies, with a right signature


def sign_bytes(signed: Any, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Sign what the library cannot: bytes that are not UTF-8."""
    _, headers = signed("{}")
    stamp = headers["Stripe-Signature"].partition(",")[0].removeprefix("t=")
    signature = hmac.new(b"whsec_current", stamp.encode() + b"." + body, "sha256").hexdigest()
    return body, {"Stripe-Signature": f"t={stamp},v1={signature}"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[]",
        b'["event"]',
        b"null",
        b"7",
        b'"event"',
        b"{}",
        b'{"livemode": false}',
        b'{"livemode": "false", "object": "event"}',
        b'{"livemode": 0, "object": "event"}',
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter", "livemode": false}',
        b'{"detail": {"id": "evt_1", "object": "event", "livemode": false}}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_a_body_that_is_no_event_is_malformed(refusal, signed, body) -> None:
    assert refusal(*sign_bytes(signed, body)) == "webhook_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": 7},
        {"id": ""},
        {"id": "evt_\x00"},
        {"id": "evt_\ud800"},
        {"id": "e" * 256},
        {"type": None},
        {"type": ["refund.created"]},
        {"type": "refund\u0000created"},
        {"created": None},
        {"created": True},
        {"created": 1.5},
        {"created": "1795300000"},
        {"created": -1},
        {"created": 10**12},
        {"created": 10**40},
        {"livemode": None},
        {"object": "v2.core.event"},
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"object": None}},
        {"data": {"object": "re_1"}},
        {"data": {"object": []}},
    ],
    ids=str,
)
def test_an_event_without_what_every_event_has_is_malformed(refusal, stripe_object, signed, change) -> None:
    assert refusal(*signed({**stripe_object("refund.created"), **change})) == "webhook_malformed"


@pytest.mark.parametrize("value", ["a\u0000b", "\ud800", "x" * 501, 2**53, -(10**30), float("1e308") * 10], ids=repr)
def test_what_the_database_could_not_hold_is_malformed(refusal, stripe_object, signed, value) -> None:
    event = stripe_object("refund.created", metadata={"refund_id": value})
    assert refusal(*signed(event)) == "webhook_malformed"


def test_the_same_in_a_field_that_is_not_kept_does_no_harm(adapter, stripe_object, signed, now) -> None:
    event = stripe_object("charge.succeeded", billing_details={"name": "Zoë\u0000\ud800"}, description=10**40)
    assert adapter.verify(*signed(event), now=now).type == "charge.succeeded"


@given(st.data())
def test_a_signed_event_with_anything_anywhere_is_stored_as_json_or_refused(
    adapter, stripe_object, signed, now, data
) -> None:
    name = data.draw(st.sampled_from(["charge.dispute.closed.won", "checkout.session.completed", "charge.succeeded"]))
    event = stripe_object(name)
    about = event["data"]["object"]
    about[data.draw(st.sampled_from(sorted(about)))] = data.draw(JSON)
    about[data.draw(st.sampled_from(sorted(about)))] = data.draw(JSON)

    def store_and_read() -> None:
        payload = adapter.verify(*signed(event), now=now).payload
        stored = json.dumps(payload, allow_nan=False, ensure_ascii=False).encode("utf-8")
        assert b"\\u0000" not in stored
        adapter.facts(json.loads(stored))

    assert outcome(store_and_read) in {"accepted", "webhook_malformed"}


@given(JSON)
def test_any_json_at_all_is_refused_in_good_order(refusal, signed, value) -> None:
    assert refusal(*signed(value)) in {"webhook_malformed", "webhook_wrong_mode"}
