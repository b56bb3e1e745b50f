"""Answers that no Stripe should give: every one is either a fact or `ProviderDown`, never a stray exception."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from payments.base import PaymentState, ProviderDown, ProviderRefused
from payments.stripe_adapter import StripeAdapter

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=8,
)
NOT_JSON = [b"", b"<html>Bad Gateway</html>", b"\xff\xfe", b"{", b"[" * 50_000]
DEEP = b'{"a":' * 600 + b"1" + b"}" * 600
NO_OBJECT = [b"null", b"7", b'"text"', b"true", b"[]", b'[{"id": "cs_1"}]', b"{}", b'{"object": "list"}', DEEP]
BAD_ERRORS = [b"{}", b"[]", b"null", b'{"error": null}', b'{"error": []}', b'{"error": 7}', b'{"error": {"code": 7}}']

Answer = tuple[int, bytes]


class _Scripted(ThreadingHTTPServer):
    """Gives one answer to whatever it is asked."""

    answer: Answer = (200, b"{}")


class _Handler(BaseHTTPRequestHandler):
    server: _Scripted

    def do_GET(self) -> None:
        status, body = self.server.answer
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[_Scripted]:
    with _Scripted(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def adapter(server: _Scripted) -> Iterator[StripeAdapter]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
        yield StripeAdapter("sk_test_x", ["whsec_x"], api_base=f"http://127.0.0.1:{server.server_port}")


READS: dict[str, Callable[[StripeAdapter], Any]] = {
    "checkout": lambda adapter: adapter.read_checkout("cs_1"),
    "refunds": lambda adapter: adapter.list_refunds("pi_1"),
    "settlement": lambda adapter: adapter.read_settlement("txn_1"),
    "settlements": lambda adapter: list(adapter.list_settlements()),
    "payout": lambda adapter: adapter.read_payout("po_1"),
    "events": lambda adapter: list(adapter.list_events(datetime(2026, 1, 1, tzinfo=UTC))),
}
LISTS = {"refunds", "settlements", "events"}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:8]))
def test_an_answer_that_is_not_json_is_no_answer(server, adapter, read, status, body) -> None:
    server.answer = status, body
    with pytest.raises(ProviderDown):
        READS[read](adapter)


@pytest.mark.parametrize("read", sorted(set(READS) - LISTS))
@pytest.mark.parametrize("body", NO_OBJECT, ids=lambda body: repr(body[:20]))
def test_an_answer_that_is_no_object_of_the_kind_is_no_answer(server, adapter, read, body) -> None:
    server.answer = 200, body
    with pytest.raises(ProviderDown):
        READS[read](adapter)


@pytest.mark.parametrize("read", sorted(LISTS))
@pytest.mark.parametrize("body", NO_OBJECT, ids=lambda body: repr(body[:20]))
def test_an_answer_that_is_no_list_is_no_answer_rather_than_an_empty_one(server, adapter, read, body) -> None:
    server.answer = 200, body
    with pytest.raises(ProviderDown):
        READS[read](adapter)


@pytest.mark.parametrize("read", sorted(LISTS))
@pytest.mark.parametrize("item", [None, 7, "cs_1", [], {}], ids=repr)
def test_a_list_of_what_are_no_objects_is_no_answer_rather_than_a_short_one(server, adapter, read, item) -> None:
    server.answer = 200, json.dumps({"object": "list", "data": [item], "has_more": False}).encode()
    with pytest.raises(ProviderDown):
        READS[read](adapter)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("body", BAD_ERRORS, ids=repr)
def test_an_error_without_a_proper_error_object_is_down_or_refused(server, adapter, status, body) -> None:
    server.answer = status, body
    with pytest.raises((ProviderDown, ProviderRefused)):
        adapter.read_checkout("cs_1")


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (400, {"type": "invalid_request_error", "code": "amount_too_large"}, "amount_too_large"),
        (400, {"type": "invalid_request_error"}, "invalid_request"),
        (400, {"type": "invalid_request_error", "code": "donor@example.org"}, "invalid_request"),
        (401, {"type": "invalid_request_error"}, "authentication"),
        (402, {"type": "card_error", "code": "card_declined"}, "card_declined"),
        (403, {"type": "invalid_request_error"}, "permission"),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}, "resource_missing"),
    ],
)
def test_a_refusal_carries_the_code_of_the_error_and_nothing_else(server, adapter, status, error, reason) -> None:
    server.answer = status, json.dumps({"error": {**error, "message": "for donor@example.org"}}).encode()
    with pytest.raises(ProviderRefused) as refused:
        adapter.read_checkout("cs_1")
    assert refused.value.reason == reason
    assert "donor" not in repr(refused.value.args) + str(refused.value.__dict__)
    assert refused.value.__context__ is None, "the library's exception holds the whole answer"


@pytest.mark.parametrize("status", [409, 429, 500, 502, 503])
def test_what_passes_by_itself_is_down(server, adapter, status) -> None:
    server.answer = status, json.dumps({"error": {"type": "api_error", "code": "lock_timeout"}}).encode()
    with pytest.raises(ProviderDown):
        adapter.read_checkout("cs_1")


def test_nobody_listening_is_down() -> None:
    nobody = StripeAdapter("sk_test_x", ["whsec_x"], api_base="http://127.0.0.1:9")
    with pytest.raises(ProviderDown):
        nobody.read_checkout("cs_1", timeout=1)


@given(st.sampled_from(["status", "payment_status", "amount_total", "currency", "created", "metadata", "id"]), JSON)
def test_a_session_with_anything_anywhere_is_a_fact_or_no_answer(server, adapter, stripe_object, field, value) -> None:
    session = stripe_object("checkout.session.completed")["data"]["object"]
    server.answer = 200, json.dumps({**session, field: value}).encode("utf-8", "surrogatepass")
    try:
        assert isinstance(adapter.read_checkout("cs_1").fact.state, PaymentState)
    except ProviderDown:
        return


@given(st.sampled_from(["amount", "fee", "net", "currency", "exchange_rate", "source", "available_on", "type"]), JSON)
def test_a_line_with_anything_anywhere_is_a_settlement_or_no_answer(
    server, adapter, stripe_object, field, value
) -> None:
    line = {**stripe_object("balance_transaction.charge"), field: value}
    server.answer = 200, json.dumps(line).encode("utf-8", "surrogatepass")
    try:
        assert json.dumps(adapter.read_settlement("txn_1").payload, allow_nan=False)
    except ProviderDown:
        return


@pytest.mark.parametrize(
    ("category", "type_", "kind"),
    [
        ("charge", "payment", "charge"),
        ("refund", "payment_refund", "refund"),
        ("refund_failure", "refund_failure", "refund_failure"),
        ("dispute", "adjustment", "dispute"),
        ("dispute_reversal", "adjustment", "dispute_reversal"),
        ("payout", "payout", "payout"),
        ("payout_reversal", "payout_cancel", "payout_failure"),
        ("payout_reversal", "payout_failure", "payout_failure"),
        ("fee", "stripe_fee", "fee"),
        ("charge_failure", "payment_failure_refund", "other"),
        ("invented_tomorrow", "charge", "other"),
        (None, "payment", "charge"),
        (None, "payment_refund", "refund"),
        (None, "payout_failure", "payout_failure"),
        (None, None, "other"),
    ],
)
def test_each_line_of_the_balance_is_of_one_kind(server, adapter, stripe_object, category, type_, kind) -> None:
    line = stripe_object("balance_transaction.charge", reporting_category=category, type=type_)
    server.answer = 200, json.dumps(line).encode()
    assert adapter.read_settlement("txn_1").kind == kind


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("ch_1", "charge_ref"),
        ("py_1", "charge_ref"),
        ("re_1", "refund_ref"),
        ("pyr_1", "refund_ref"),
        ("du_1", "dispute_ref"),
        ("dp_1", "dispute_ref"),
        ("po_1", "payout_ref"),
    ],
)
def test_a_source_that_was_not_expanded_is_known_by_its_id(server, adapter, stripe_object, source, field) -> None:
    server.answer = 200, json.dumps(stripe_object("balance_transaction.charge", source=source)).encode()
    assert getattr(adapter.read_settlement("txn_1"), field) == source


def test_an_event_that_cannot_be_stored_does_not_keep_the_others_from_being(server, adapter, stripe_object) -> None:
    good = stripe_object("refund.created")
    bad = {**stripe_object("refund.failed", metadata={"refund_id": "a\0b"}), "created": good["created"]}
    server.answer = 200, json.dumps({"object": "list", "data": [bad, good], "has_more": False}).encode()
    assert [event.event_id for event in adapter.list_events(datetime(2027, 1, 1, tzinfo=UTC))] == []
    since = datetime.fromtimestamp(good["created"], UTC)
    assert [event.event_id for event in adapter.list_events(since)] == [good["id"]]
