"""Keys, versions, idempotency, lists and expansion: the parts of Stripe's protocol every call goes through."""

import json
import threading
from pathlib import Path

import pytest
import requests
import stripe

from tests.sandbox.support import client_of, close, donation, paid, wait_for

FIELDS = json.loads((Path(__file__).parent / "stripe_fields.json").read_text(encoding="utf-8"))


def get(server, path: str, **headers: str) -> requests.Response:
    headers.setdefault("Authorization", "Bearer sk_test_abcdef")
    with requests.get(server.url + path, headers=headers, timeout=5) as response:
        return response


# Keys and versions


@pytest.mark.parametrize("key", ["sk_live_0123456789", "pk_test_0123456789", "nonsense-0123456789"])
def test_only_secret_test_keys_are_let_in(server, key):
    client = client_of(server, key)
    with pytest.raises(stripe.AuthenticationError) as refusal:
        client.v1.charges.list()
    assert refusal.value.http_status == 401
    assert key not in str(refusal.value)
    close(client)


def test_a_configured_key_is_the_only_one(make_server):
    server = make_server(api_key="sk_test_the_one_key")
    right, wrong = client_of(server, "sk_test_the_one_key"), client_of(server, "sk_test_another_key")
    assert right.v1.charges.list().data == []
    with pytest.raises(stripe.AuthenticationError):
        wrong.v1.charges.list()
    close(right)
    close(wrong)


def test_request_without_a_key_is_refused(server):
    with requests.get(f"{server.url}/v1/charges", timeout=5) as response:
        assert response.status_code == 401
        assert response.json()["error"]["type"] == "invalid_request_error"


def test_version_is_echoed_and_a_malformed_one_refused(server, client):
    answer = client.v1.charges.list()
    assert answer.last_response.headers["Stripe-Version"] == "2026-10-28.endive"
    assert get(server, "/v1/charges", **{"Stripe-Version": "2024-04-10"}).headers["Stripe-Version"] == "2024-04-10"
    assert get(server, "/v1/charges", **{"Stripe-Version": "latest"}).status_code == 400


def test_unknown_objects_and_addresses_are_404(server, client):
    for call in (
        lambda: client.v1.checkout.sessions.retrieve("cs_test_none"),
        lambda: client.v1.payment_intents.retrieve("pi_none"),
        lambda: client.v1.charges.retrieve("ch_none"),
        lambda: client.v1.refunds.retrieve("re_none"),
        lambda: client.v1.disputes.retrieve("du_none"),
        lambda: client.v1.balance_transactions.retrieve("txn_none"),
        lambda: client.v1.payouts.retrieve("po_none"),
        lambda: client.v1.events.retrieve("evt_none"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            call()
        assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")
    assert get(server, "/v1/customers").status_code == 404


def test_an_object_of_another_kind_is_not_found(server, client):
    session_id = paid(server, client)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.charges.retrieve(session_id)


# Idempotency


def test_same_key_and_parameters_give_the_same_answer_once_performed(server, client):
    options = {"idempotency_key": "donation-1"}
    first = client.v1.checkout.sessions.create(donation(), options)
    second = client.v1.checkout.sessions.create(donation(), options)
    assert first.id == second.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert second.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert len(client.v1.checkout.sessions.list().data) == 1


def test_same_key_with_other_parameters_is_refused(client):
    client.v1.checkout.sessions.create(donation(), {"idempotency_key": "donation-1"})
    with pytest.raises(stripe.IdempotencyError) as refusal:
        client.v1.checkout.sessions.create(donation(3000), {"idempotency_key": "donation-1"})
    assert refusal.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        client.v1.refunds.create({"charge": "ch_1"}, {"idempotency_key": "donation-1"})


def test_refused_parameters_leave_the_key_unused(client):
    options = {"idempotency_key": "donation-1"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(donation(locale="be"), options)
    assert client.v1.checkout.sessions.create(donation(locale="ru"), options).status == "open"


def test_a_refusal_by_state_is_replayed(server, client):
    paid(server, client)
    charge = client.v1.charges.list().data[0].id
    client.v1.refunds.create({"charge": charge})
    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create({"charge": charge}, {"idempotency_key": "refund-1"})
        assert refusal.value.code == "charge_already_refunded"
        assert refusal.value.headers.get("Idempotent-Replayed") == replayed


def test_keys_are_forgotten_after_a_day(server, client):
    first = client.v1.checkout.sessions.create(donation(), {"idempotency_key": "donation-1"})
    server.clock.advance(25 * 3600)
    second = client.v1.checkout.sessions.create(donation(), {"idempotency_key": "donation-1"})
    assert first.id != second.id


def test_key_longer_than_255_characters_is_refused(client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(donation(), {"idempotency_key": "k" * 256})


def test_second_request_with_a_key_in_use_gets_409(server, client):
    server.drills.fault("slow", times=1, seconds=1.5)
    options = {"idempotency_key": "donation-1"}
    slow = threading.Thread(target=lambda: client.v1.checkout.sessions.create(donation(), options))
    slow.start()
    wait_for(lambda: not server.faults.listed())
    other = client_of(server)
    with pytest.raises(stripe.APIError) as refusal:  # the library has no class of its own for a 409
        other.v1.checkout.sessions.create(donation(), options)
    assert (refusal.value.http_status, refusal.value.error.code) == (409, "idempotency_key_in_use")
    slow.join()
    replayed = other.v1.checkout.sessions.create(donation(), options)
    assert replayed.last_response.headers["Idempotent-Replayed"] == "true"
    close(other)


def test_many_threads_with_one_key_make_one_session(server):
    clients = [client_of(server, retries=5) for _ in range(6)]
    ids: list[str] = []

    def create(client: stripe.StripeClient) -> None:
        ids.append(client.v1.checkout.sessions.create(donation(), {"idempotency_key": "donation-1"}).id)

    threads = [threading.Thread(target=create, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(ids), len(set(ids))) == (6, 1)
    for client in clients:
        close(client)


# Lists


def test_pages_are_newest_first_and_say_whether_there_is_more(client):
    made = [client.v1.checkout.sessions.create(donation()).id for _ in range(5)]
    page = client.v1.checkout.sessions.list({"limit": 2})
    assert ([item.id for item in page.data], page.has_more) == (made[:-3:-1], True)
    rest = client.v1.checkout.sessions.list({"limit": 3, "starting_after": page.data[-1].id})
    assert ([item.id for item in rest.data], rest.has_more) == (made[2::-1], False)
    back = client.v1.checkout.sessions.list({"limit": 2, "ending_before": made[0]})
    assert ([item.id for item in back.data], back.has_more) == ([made[2], made[1]], True)
    assert [item.id for item in client.v1.checkout.sessions.list({"limit": 2}).auto_paging_iter()] == made[::-1]


@pytest.mark.parametrize(
    "params",
    [{"limit": 0}, {"limit": 101}, {"starting_after": "cs_none"}, {"starting_after": "a", "ending_before": "b"}],
)
def test_impossible_pages_are_refused(client, params):
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        client.v1.checkout.sessions.list(params)
    assert refusal.value.http_status == 400


def test_lists_filter_by_time_status_and_relation(server, client):
    old = paid(server, client)
    server.clock.advance(3600)
    young = paid(server, client)
    open_one = client.v1.checkout.sessions.create(donation()).id
    boundary = server.clock.timestamp() - 60
    sessions = client.v1.checkout.sessions
    assert [item.id for item in sessions.list({"created": {"gte": boundary}}).data] == [open_one, young]
    assert [item.id for item in sessions.list({"created": {"lt": boundary}}).data] == [old]
    assert [item.id for item in sessions.list({"status": "open"}).data] == [open_one]
    intent = sessions.retrieve(old).payment_intent
    assert [item.id for item in sessions.list({"payment_intent": intent}).data] == [old]
    charge = client.v1.charges.list({"payment_intent": intent}).data[0]
    txns = client.v1.balance_transactions
    assert [item.id for item in txns.list({"source": charge.id}).data] == [charge.balance_transaction]
    assert len(txns.list({"type": "charge", "currency": "eur"}).data) == 2
    assert txns.list({"type": "refund"}).data == txns.list({"currency": "usd"}).data == []


def test_events_are_listed_by_type_and_forgotten_after_thirty_days(server, client):
    paid(server, client)
    events = client.v1.events
    assert [item.type for item in events.list({"type": "charge.succeeded"}).data] == ["charge.succeeded"]
    named = events.list({"types": ["charge.updated", "payment_intent.succeeded"]}).data
    assert [item.type for item in named] == ["charge.updated", "payment_intent.succeeded"]
    assert {item.type for item in events.list({"type": "charge.*"}).data} == {"charge.succeeded", "charge.updated"}
    with pytest.raises(stripe.InvalidRequestError):
        events.list({"types": [f"charge.x{number}" for number in range(21)]})
    event_id = named[0].id
    server.clock.advance(31 * 86400)
    assert events.list({"type": "charge.succeeded"}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        events.retrieve(event_id)


def test_events_caused_by_a_request_name_it(server, client):
    paid(server, client)
    charge = client.v1.charges.list().data[0].id
    refund = client.v1.refunds.create({"charge": charge}, {"idempotency_key": "refund-1"})
    created = client.v1.events.list({"type": "refund.created"}).data[0]
    assert created.request.idempotency_key == "refund-1"
    assert created.request.id == refund.last_response.request_id
    assert client.v1.events.list({"type": "charge.succeeded"}).data[0].request.id is None


# Expansion


def test_ids_are_expanded_along_dotted_paths(server, client):
    session_id = paid(server, client)
    expand = ["payment_intent.latest_charge.balance_transaction"]
    session = client.v1.checkout.sessions.retrieve(session_id, {"expand": expand})
    assert session.payment_intent.latest_charge.balance_transaction.fee == 46
    txn = client.v1.balance_transactions.list({"expand": ["data.source.payment_intent"]}).data[0]
    assert txn.source.payment_intent.id == session.payment_intent.id


@pytest.mark.parametrize("path", ["nonsense", "payment_intent.nonsense", "data.payment_intent", "a.b.c.d.e"])
def test_what_cannot_be_expanded_is_refused(server, client, path):
    session_id = paid(server, client)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.retrieve(session_id, {"expand": [path]})


def test_lists_expand_through_data_only(client):
    client.v1.checkout.sessions.create(donation())
    with pytest.raises(stripe.InvalidRequestError, match=r"data\.payment_intent"):
        client.v1.checkout.sessions.list({"expand": ["payment_intent"]})


# Shapes


def _paths(node: dict, prefix: str = "") -> set[str]:
    found = set()
    for name, value in node.items():
        found.add(prefix + name)
        if isinstance(value, dict):
            found |= _paths(value, f"{prefix}{name}.")
    return found


def test_every_object_has_the_fields_stripe_gives_it(server, client):
    """The lists are the fields of Stripe's public OpenAPI fixtures (MIT)."""
    server.drills.finish_delayed(paid(server, client, 90_000, outcome="delay"))
    paid(server, client)
    server.drills.fail_refund(server.drills.refund(amount=1000)["id"])
    server.drills.dispute()
    server.drills.payout()
    seen = {event["data"]["object"]["object"]: event["data"]["object"] for event in server.events()}
    seen["balance_transaction"] = client.v1.balance_transactions.list().data[0].to_dict(for_json=True)
    assert seen.keys() == FIELDS.keys()
    for kind, obj in seen.items():
        assert set(FIELDS[kind].split()) <= _paths(obj), kind


def test_account_balance_and_country_can_be_asked_for(server, client):
    paid(server, client)
    assert client.v1.balance.retrieve().pending[0].amount == 689
    assert client.v1.accounts.retrieve_current().default_currency == "eur"
    assert "byn" in client.v1.country_specs.retrieve("LT").supported_payment_currencies
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.country_specs.retrieve("BY")


def test_every_request_is_logged_with_parameters_and_key(server, client):
    client.v1.checkout.sessions.create(donation(), {"idempotency_key": "donation-1"})
    entry = server.requests()[-1]
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/v1/checkout/sessions", 200)
    assert entry["idempotency_key"] == "donation-1"
    assert entry["params"]["line_items"]["0"]["price_data"]["currency"] == "byn"
    with requests.get(f"{server.url}/_sandbox/requests", timeout=5) as response:
        assert response.json()["requests"] == [entry]
