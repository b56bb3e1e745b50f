"""Webhooks arrive signed, at least once, in any order or not at all, and survive a crash of the sandbox."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sandbox.delivery import DeliveryError
from sandbox.server import SandboxServer
from sandbox.settings import SettingsError
from tests.sandbox.support import HOOK, SECRET, Inbox, client_of, close, donation, paid, wait_for


def deliveries(server) -> dict:
    return server.state()["deliveries"]


class Endpoint:
    """A real HTTP endpoint on loopback."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.inbox(self.path, body, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Quiet."""

        class Quiet(ThreadingHTTPServer):
            block_on_close = False

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/stripe"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint():
    opened = Endpoint()
    yield opened
    opened.close()


# Ordinary delivery


def test_workers_deliver_over_http_by_themselves(make_server, endpoint):
    server = make_server(webhook_url=endpoint.url, transport=None, auto_deliver=True, txn_delay=0.05)
    client = client_of(server)
    session_ids = [client.v1.checkout.sessions.create(donation()).id for _ in range(25)]
    server.drills.pay(session_ids)
    wait_for(lambda: deliveries(server)["delivered"] == 100)
    assert endpoint.inbox.types.count("charge.updated") == 25
    assert len({event["id"] for event in endpoint.inbox.events}) == 100
    assert deliveries(server)["pending"] == 0
    close(client)


def test_pending_webhooks_counts_endpoints_that_have_not_had_the_event(server, client, inbox):
    server.add_webhook("http://127.0.0.1:9/second", SECRET)
    paid(server, client)
    event = client.v1.events.list({"type": "charge.succeeded"}).data[0]
    assert event.pending_webhooks == 2
    assert event.id in {item.id for item in client.v1.events.list({"delivery_success": False}).data}
    server.deliver_pending()
    assert client.v1.events.retrieve(event.id).pending_webhooks == 0
    assert client.v1.events.list({"delivery_success": False}).data == []
    assert inbox.types.count("charge.succeeded") == 2


def test_endpoint_gets_only_what_it_asked_for(make_server, inbox):
    server = make_server(webhook_url=None)
    server.add_webhook(HOOK, SECRET, ("charge.succeeded",))
    server.add_webhook("http://127.0.0.1:9/all", SECRET, ("*",))
    client = client_of(server)
    paid(server, client)
    server.deliver_pending()
    assert inbox.types.count("charge.succeeded") == 2
    assert inbox.types.count("payment_intent.created") == 1
    close(client)


def test_refused_webhooks_are_retried_until_the_schedule_ends(make_server, inbox):
    server = make_server(retry_schedule=(10, 100))
    client = client_of(server)
    session = client.v1.checkout.sessions.create(donation())
    server.drills.expire(session.id)
    inbox.status = 500
    assert server.deliver_pending() == 1
    assert server.deliver_pending() == 0
    server.clock.advance(11)
    assert server.deliver_pending() == 1
    server.clock.advance(101)
    assert server.deliver_pending() == 1
    server.clock.advance(10_000)
    assert server.deliver_pending() == 0
    assert deliveries(server)["failed"] == 1
    assert client.v1.events.list({"delivery_success": False}).data[0].type == "checkout.session.expired"
    assert len(set(inbox.bodies)) == 1
    close(client)


def test_unreachable_endpoint_is_retried_and_the_attempts_are_shown(server, client, inbox):
    def nobody(url: str, body: bytes, headers: dict[str, str]) -> int:
        raise DeliveryError("connection refused")

    session = client.v1.checkout.sessions.create(donation())
    server.drills.expire(session.id)
    server.deliver_pending(nobody)
    server.clock.advance(5)
    server.deliver_pending()
    import requests

    event_id = server.events()[0]["id"]
    with requests.get(f"{server.url}/_sandbox/deliveries/{event_id}", timeout=5) as response:
        attempts = response.json()["attempts"]
    assert [(item["status"], item["error"]) for item in attempts] == [(None, "connection refused"), (200, None)]


def test_a_crashing_transport_does_not_stop_the_workers(make_server, caplog):
    calls = []

    def fragile(url: str, body: bytes, headers: dict[str, str]) -> int:
        calls.append(body)
        if len(calls) == 1:
            raise RuntimeError("boom")
        return 200

    server = make_server(transport=fragile, auto_deliver=True, retry_schedule=(0.01,), workers=1)
    client = client_of(server)
    paid(server, client)
    wait_for(lambda: deliveries(server)["delivered"] == 4)
    assert len(calls) == 5
    assert "unforeseen" in caplog.text
    close(client)


def test_a_hanging_endpoint_does_not_hold_up_the_stop(make_server):
    entered, leave = threading.Event(), threading.Event()

    def hanging(url: str, body: bytes, headers: dict[str, str]) -> int:
        entered.set()
        leave.wait(30)
        return 200

    server = SandboxServer(webhook_url=HOOK, transport=hanging).start()
    client = client_of(server)
    paid(server, client)
    close(client)
    assert entered.wait(5)
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < 2
    leave.set()


def test_undelivered_webhooks_survive_a_restart(tmp_path, make_server, inbox):
    path = tmp_path / "sandbox.db"
    first = SandboxServer(path, HOOK, SECRET, auto_deliver=False, txn_delay=0).start()
    client = client_of(first)
    session_id = paid(first, client)
    open_id = client.v1.checkout.sessions.create(donation(), {"idempotency_key": "again"}).id
    first.drills.drop(["refund.created"])
    first.stop()
    close(client)

    second = make_server(db_path=path)
    client = client_of(second)
    assert second.deliver_pending() == 4
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "paid"
    assert client.v1.checkout.sessions.create(donation(), {"idempotency_key": "again"}).id == open_id
    assert second.state()["dropping"] == ["refund.created"]
    second.clock.advance(25 * 3600)
    assert client.v1.checkout.sessions.retrieve(open_id).status == "expired"
    close(client)


def test_webhooks_never_leave_the_machine(make_server):
    with pytest.raises(SettingsError):
        make_server(webhook_url="https://example.org/webhooks/stripe")


# Drills


def test_an_event_can_be_delivered_twice(server, client, inbox):
    paid(server, client)
    server.deliver_pending()
    event_id = client.v1.events.list({"type": "checkout.session.completed"}).data[0].id
    server.drills.deliver_twice(event_id)
    server.deliver_pending()
    assert [event["id"] for event in inbox.events].count(event_id) == 3


def test_events_of_a_payment_can_come_in_reverse(server, client, inbox):
    session_id = paid(server, client)
    server.drills.refund(session_id)
    paid(server, client)
    server.drills.out_of_order(session_id)
    assert inbox.types == [
        "charge.refunded",
        "refund.created",
        "charge.updated",
        "checkout.session.completed",
        "payment_intent.succeeded",
        "charge.succeeded",
    ]
    assert deliveries(server)["pending"] == 4  # the other payment's


def test_a_shuffle_is_the_same_for_the_same_seed(server, client, inbox):
    session_id = paid(server, client)
    orders = [[item["type"] for item in server.drills.out_of_order(session_id, "shuffle", 7)["sent"]] for _ in "12"]
    assert orders[0] == orders[1] != [event["type"] for event in server.events(session_id)][1:]


def test_held_webhooks_come_late_and_in_the_order_asked_for(server, client, inbox):
    server.drills.hold(["charge.succeeded", "checkout.session.completed"])
    paid(server, client)
    server.deliver_pending()
    assert inbox.types == ["payment_intent.succeeded", "charge.updated"]
    assert server.drills.release("reverse") == {"released": 2}
    server.deliver_pending()
    assert inbox.types[2:] == ["checkout.session.completed", "charge.succeeded"]
    assert server.state()["holding"] == []


def test_dropped_webhooks_are_found_in_the_list_of_events_only(server, client, inbox):
    server.drills.drop()
    paid(server, client)
    server.drills.stop_dropping()
    server.drills.refund()
    server.deliver_pending()
    assert inbox.types == ["refund.created", "charge.refunded"]
    missed = client.v1.events.list({"delivery_success": False}).data
    assert {event.type for event in missed} >= {"checkout.session.completed", "charge.updated"}


@pytest.mark.parametrize("flaw", ["wrong_secret", "stale", "missing", "garbage", "altered_body"])
def test_bad_signatures_are_refused_by_the_real_verifier(server, client, inbox, flaw):
    paid(server, client)
    event_id = server.events()[-1]["id"]
    assert server.drills.bad_signature(event_id, flaw)["statuses"] == {HOOK: 400}
    assert deliveries(server)["delivered"] == 0


def test_the_library_accepts_a_signature_from_the_future(server, client, inbox):
    """Known to the service, which must refuse it itself."""
    paid(server, client)
    assert server.drills.bad_signature(server.events()[-1]["id"], "future")["statuses"] == {HOOK: 200}


def test_a_fact_can_be_told_under_two_ids_and_with_changes(server, client, inbox):
    paid(server, client)
    event = client.v1.events.list({"type": "checkout.session.completed"}).data[0]
    server.drills.forge(event.id)
    server.drills.forge(event.id, {"livemode": True, "data.object.amount_total": 1})
    server.deliver_pending()
    told = [item for item in inbox.events if item["type"] == "checkout.session.completed"]
    assert len({item["id"] for item in told}) == 3
    assert told[1]["data"] == told[0]["data"]
    assert (told[2]["livemode"], told[2]["data"]["object"]["amount_total"]) == (True, 1)
    server.drills.forge(event.id, {"created": 1}, keep_id=True)
    assert (inbox.events[-1]["id"], inbox.events[-1]["created"]) == (event.id, 1)
    assert json.loads(inbox.bodies[0])["id"] != event.id
