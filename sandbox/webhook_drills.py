"""Drills on webhooks: twice, out of order, late, never, forged. Each method is also a command and an address."""

import copy
import random
from collections.abc import Sequence
from typing import Any

from sandbox import delivery, signature
from sandbox.account import EVERYTHING, Account
from sandbox.delivery import DeliveryError, Dispatcher
from sandbox.errors import ApiError, invalid, no_such
from sandbox.ids import new_id
from sandbox.store import Json, dumps

ORDERS = ("sent", "reverse", "shuffle")
FLAWS = ("wrong_secret", "stale", "future", "missing", "garbage", "altered_body")
_LONG = 3600


class WebhookDrills:
    """What a network and an unlucky day do to webhooks."""

    def __init__(self, account: Account, dispatcher: Dispatcher) -> None:
        self._account = account
        self._dispatcher = dispatcher

    def session_of(self, payment: str) -> str:
        """The session of a payment named by session, intent, charge, refund or dispute, or by `last`."""
        store = self._account.store
        if payment == "last":
            found = store.value("SELECT id FROM objects WHERE kind = 'checkout.session' ORDER BY seq DESC")
        else:
            obj = store.get(payment) or {}
            intent = obj.get("payment_intent") if obj.get("object") != "payment_intent" else obj["id"]
            is_session = obj.get("object") == "checkout.session"
            found = payment if is_session else store.hidden(intent or "").get("session")
        if found is None:
            raise no_such("payment", payment, "payment")
        return str(found)

    def resend(self, event: str, times: int = 1) -> Json:
        """Deliver an event again, `times` times, to every endpoint that wants it."""
        found = self._event(event)
        queued = 0
        with self._account.store.write():
            for endpoint in self._account.endpoints:
                if endpoint.wants(found["type"]):
                    for _ in range(times):
                        self._account.queue_delivery(event, endpoint.url)
                        queued += 1
        return {"event": event, "queued": queued}

    def deliver_twice(self, event: str) -> Json:
        """Deliver an event two times more, one right after the other."""
        return self.resend(event, 2)

    def out_of_order(self, payment: str = "last", order: str = "reverse", seed: int = 0) -> Json:
        """Send all events of a payment now, one after the other: reverse, shuffle or sent."""
        events = _ordered(self._account.events(self.session_of(payment)), order, seed)
        sent = [self._send_now(event) for event in events]
        return {"sent": [item for item in sent if item["statuses"]]}

    def hold(self, types: Sequence[str] = ()) -> Json:
        """Keep new webhooks of these types back (all when none is named) until `release`."""
        self._account.set_mode("hold", types or [EVERYTHING])
        return {"holding": self._account.mode("hold")}

    def release(self, order: str = "sent", seed: int = 0) -> Json:
        """Stop holding and deliver what was held: sent, reverse or shuffle."""
        rows = self._account.store.rows("SELECT seq FROM deliveries WHERE state = 'held' ORDER BY seq")
        held = _ordered([row["seq"] for row in rows], order, seed)
        start = self._account.clock.now()
        self._account.set_mode("hold", [])
        with self._account.store.write():
            for place, seq in enumerate(held):
                # Due one after the other, in the past: workers take the earliest first.
                due = start - 1 + place * 1e-6
                sql = "UPDATE deliveries SET state = 'pending', next_at = ? WHERE seq = ?"
                self._account.store.run(sql, (due, seq))
        return {"released": len(held)}

    def drop(self, types: Sequence[str] = ()) -> Json:
        """Never deliver new webhooks of these types (all when none is named): only /v1/events has them."""
        self._account.set_mode("drop", types or [EVERYTHING])
        return {"dropping": self._account.mode("drop")}

    def stop_dropping(self) -> Json:
        """Deliver again; what was dropped stays undelivered."""
        self._account.set_mode("drop", [])
        return {"dropping": []}

    def bad_signature(self, event: str, flaw: str = "wrong_secret") -> Json:
        """Send an event once with a signature that must be refused.

        Flaws: wrong_secret, stale, future, missing, garbage, altered_body.
        """
        found = self._event(event)
        if flaw not in FLAWS:
            raise invalid(f"no such flaw: {flaw}; one of {', '.join(FLAWS)}", "flaw")
        body = dumps(self._account.shown_event(found)).encode()
        statuses = {}
        for endpoint in self._account.endpoints:
            sent, headers = _flawed(body, endpoint.secret, self._account.clock.timestamp(), flaw)
            statuses[endpoint.url] = self._post(event, endpoint.url, sent, headers, flaw)
        return {"event": event, "flaw": flaw, "statuses": statuses}

    def forge(self, event: str, changes: dict[str, Any] | None = None, keep_id: bool = False) -> Json:
        """Send a properly signed copy of an event with `changes`, by dotted path, under a new id.

        {"livemode": true} makes a live event; {"data.object.amount_total": 1} a wrong amount; no changes at
        all tell the same fact under two ids.
        """
        forged = copy.deepcopy(self._event(event))
        if not keep_id:
            forged["id"] = new_id("evt_1")
        for path, value in (changes or {}).items():
            _put(forged, path.split("."), value, path)
        if not keep_id:
            subject = self._account.store.value("SELECT subject FROM events WHERE id = ?", (event,))
            with self._account.store.write():
                self._account.add_event(forged, subject)
            return {"event": forged["id"], "queued": True}
        return self._send_now(forged, "forged")

    def _event(self, event: str) -> Json:
        found = self._account.event(event)
        if found is None:
            raise no_such("event", event, "event")
        return found

    def _send_now(self, event: Json, note: str | None = None) -> Json:
        statuses = {}
        for endpoint in self._account.endpoints:
            if endpoint.wants(event["type"]):
                body, headers = delivery.signed(self._account, event, endpoint.secret)
                statuses[endpoint.url] = self._post(event["id"], endpoint.url, body, headers, note)
        return {"event": event["id"], "type": event["type"], "statuses": statuses}

    def _post(self, event_id: str, url: str, body: bytes, headers: dict[str, str], note: str | None) -> Any:
        """The status, or the reason why there is none. Delivered counts, unless it was a trick (`note`)."""
        status, error = None, None
        try:
            status = self._dispatcher.transport(url, body, headers)
        except DeliveryError as failure:
            error = str(failure)
        with self._account.store.write():
            delivery.record_attempt(self._account, event_id, url, status, error, note or "drill")
            if note is None and status is not None and 200 <= status < 300:
                self._account.store.run(
                    "UPDATE deliveries SET state = 'delivered' WHERE event_id = ? AND url = ?", (event_id, url)
                )
        return status if error is None else error


def _ordered(items: list[Any], order: str, seed: int) -> list[Any]:
    if order not in ORDERS:
        raise invalid(f"no such order: {order}; one of {', '.join(ORDERS)}", "order")
    if order == "shuffle":
        shuffled = list(items)
        random.Random(seed).shuffle(shuffled)  # noqa: S311  (a repeatable order, no secret)
        return shuffled
    return items[::-1] if order == "reverse" else items


def _flawed(body: bytes, secret: str, now: int, flaw: str) -> tuple[bytes, dict[str, str]]:
    signatures = {
        "wrong_secret": signature.signature(body, "whsec_not_the_secret", now),
        "stale": signature.signature(body, secret, now - _LONG),
        "future": signature.signature(body, secret, now + _LONG),
        "missing": None,
        "garbage": "t=now,v1=\u043d\u0435 \u043f\u043e\u0434\u043f\u0438\u0441\u044c".encode().decode("latin-1"),
        "altered_body": signature.signature(body, secret, now),
    }
    sent = body.replace(b'"livemode":false', b'"livemode": false') if flaw == "altered_body" else body
    return sent, signature.headers(signatures[flaw])


def _put(node: Json, steps: list[str], value: Any, path: str) -> None:
    for step in steps[:-1]:
        child = node.get(step)
        if not isinstance(child, dict):
            raise ApiError(f"The event has no {path}", param="changes")
        node = child
    node[steps[-1]] = value
