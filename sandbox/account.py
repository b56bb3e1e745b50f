"""The one Stripe account this server plays: its objects, its events, and what is to happen later."""

import json
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from sandbox import balance_shapes
from sandbox.clock import Clock
from sandbox.settings import Endpoint, Settings, require_loopback_url
from sandbox.store import Json, Store, dumps

NO_REQUEST: Json = {"id": None, "idempotency_key": None}

# The API request being served, which Stripe names in the events it causes.
current_request: ContextVar[Json] = ContextVar("current_request", default=NO_REQUEST)

EVERYTHING = "*"


class Account:
    """State shared by all parts of the server; every change goes through `store.write()`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.store = Store(settings.db_path)
        self.endpoints: list[Endpoint] = list(settings.endpoints)
        self.base_url = settings.public_url or f"http://{settings.host}:{settings.port}"
        self.rates: dict[str, float] = {**settings.exchange_rates, **self.switch("rates", {})}
        self._modes: dict[str, list[str]] = {name: self.switch(name, []) for name in ("drop", "hold")}

    def close(self) -> None:
        self.store.close()

    # Webhook endpoints

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Send events to one more place from now on; raises SettingsError when it is not on loopback."""
        require_loopback_url(endpoint.url)
        self.endpoints.append(endpoint)

    def endpoint(self, url: str) -> Endpoint | None:
        return next((known for known in self.endpoints if known.url == url), None)

    # Switches survive a restart

    def switch(self, name: str, default: Any) -> Any:
        raw = self.store.value("SELECT value FROM switches WHERE name = ?", (name,))
        return default if raw is None else json.loads(raw)

    def set_switch(self, name: str, value: Any) -> None:
        sql = "INSERT INTO switches VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        with self.store.write():
            self.store.run(sql, (name, dumps(value)))

    def mode(self, name: str) -> list[str]:
        """Event types now dropped (`drop`) or held back (`hold`); `["*"]` is all of them."""
        return self._modes[name]

    def set_mode(self, name: str, types: Iterable[str]) -> None:
        self._modes[name] = list(types)
        self.set_switch(name, self._modes[name])

    def set_rate(self, currency: str, rate: float) -> None:
        self.rates[currency] = rate
        self.set_switch("rates", self.rates)

    # Events

    def emit(self, kind: str, obj: Json, previous: Json | None = None) -> Json:
        """Record an event about `obj` as it now is, and a delivery to every endpoint that asked for it."""
        prefix = "evt_3" if obj["object"] in ("payment_intent", "charge", "refund") else "evt_1"
        now = self.clock.timestamp()
        event = balance_shapes.event(now, kind, obj, previous, current_request.get(), prefix)
        with self.store.write():
            self.add_event(event, self._subject(obj))
        return event

    def add_event(self, event: Json, subject: str | None) -> None:
        """Store a finished event and queue its deliveries; call inside `store.write()`."""
        kind = event["type"]
        self.store.run(
            "INSERT INTO events (id, type, created, subject, body) VALUES (?, ?, ?, ?, ?)",
            (event["id"], kind, event["created"], subject, dumps(event)),
        )
        state = self._delivery_state(kind)
        for endpoint in self.endpoints:
            if endpoint.wants(kind):
                self.queue_delivery(event["id"], endpoint.url, state)

    def queue_delivery(self, event_id: str, url: str, state: str = "pending") -> None:
        self.store.run(
            "INSERT INTO deliveries (event_id, url, state, next_at) VALUES (?, ?, ?, ?)",
            (event_id, url, state, self.clock.now()),
        )

    def _delivery_state(self, kind: str) -> str:
        for mode, state in (("drop", "dropped"), ("hold", "held")):
            if kind in self._modes[mode] or EVERYTHING in self._modes[mode]:
                return state
        return "pending"

    def _subject(self, obj: Json) -> str | None:
        """The session that an object belongs to: events are grouped by it."""
        if obj["object"] == "checkout.session":
            return str(obj["id"])
        intent_id = obj["id"] if obj["object"] == "payment_intent" else obj.get("payment_intent")
        session: str | None = self.store.hidden(intent_id).get("session") if intent_id else None
        return session

    def shown_event(self, event: Json) -> Json:
        """The event with `pending_webhooks` counted: how many endpoints have not had it yet."""
        sql = (
            "SELECT count(DISTINCT url) FROM deliveries WHERE event_id = ? AND url NOT IN"
            " (SELECT url FROM deliveries WHERE event_id = ? AND state = 'delivered')"
        )
        return {**event, "pending_webhooks": self.store.value(sql, (event["id"], event["id"]))}

    def event(self, event_id: str) -> Json | None:
        raw = self.store.value("SELECT body FROM events WHERE id = ?", (event_id,))
        return None if raw is None else json.loads(raw)

    def events(self, subject: str | None = None) -> list[Json]:
        """All events, or those of one payment, in the order in which they happened."""
        where, args = ("WHERE subject = ?", (subject,)) if subject else ("", ())
        rows = self.store.rows(f"SELECT body FROM events {where} ORDER BY seq", args)
        return [self.shown_event(json.loads(row["body"])) for row in rows]

    # Later

    def schedule(self, action: str, target: str, delay: float) -> None:
        """Have `action` (see sandbox.timers) done to `target` after `delay` seconds of the server's clock."""
        self.store.run(
            "INSERT INTO timers (due, action, target) VALUES (?, ?, ?)",
            (self.clock.now() + delay, action, target),
        )
