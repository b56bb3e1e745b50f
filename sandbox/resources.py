"""The API's routes: what each method and path does, on checked parameters."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox import balance, checkout, listing, refunds
from sandbox.account import Account
from sandbox.checks import Check, array, boolean, one_of, text, time_range
from sandbox.endpoints import NOTHING, REFUND_CREATE, SESSION_CREATE
from sandbox.endpoints import listing as list_of
from sandbox.errors import invalid, no_such
from sandbox.listing import Query
from sandbox.store import Json

_EVENT_DAYS = 30  # https://docs.stripe.com/api/events: events of the last 30 days


@dataclass(frozen=True)
class Route:
    """`act(account, id, params)` answers; `id` is empty where the path has none."""

    method: str
    pattern: re.Pattern[str]
    check: Check
    act: Callable[[Account, str, Json], Json]


def _route(method: str, path: str, check: Check, act: Callable[[Account, str, Json], Json]) -> Route:
    return Route(method, re.compile(path.replace("{id}", "([A-Za-z0-9_-]+)")), check, act)


def _retrieve(kind: str, what: str, param: str) -> Callable[[Account, str, Json], Json]:
    def act(account: Account, object_id: str, params: Json) -> Json:
        found = account.store.get(object_id, kind)
        if found is None:
            raise no_such(what, object_id, param)
        return listing.shown(account, found)

    return act


def _list(kind: str, what: str, url: str, *fields: str) -> Callable[[Account, str, Json], Json]:
    """A list of documents, filtered by equality on `fields` and by the time of creation."""

    def act(account: Account, _: str, params: Json) -> Json:
        query = Query("objects", ["kind = ?"], [kind], lambda obj: listing.shown(account, obj))
        for name in fields:
            if name in params:
                query.add(f"json_extract(body, '$.{name}') = ?", params[name])
        if "payout" in params:
            query.add("json_extract(hidden, '$.payout') = ?", params["payout"])
        query.add_times("created", params.get("created"))
        query.add_times("json_extract(body, '$.arrival_date')", params.get("arrival_date"))
        return listing.page(account, query, params, url, what)

    return act


def _list_events(account: Account, _: str, params: Json) -> Json:
    query = Query("events", [], [], account.shown_event)
    if "type" in params and "types" in params:
        raise invalid("You may only specify one of these parameters: type, types.", "types")
    types = params.get("types", [params["type"]] if "type" in params else [])
    if types:
        query.add("(" + " OR ".join(["type GLOB ?"] * len(types)) + ")", *types)  # charge.* is Stripe's way too
    if "delivery_success" in params:
        undelivered = (
            "SELECT 1 FROM deliveries d WHERE d.event_id = events.id AND d.url NOT IN"
            " (SELECT url FROM deliveries s WHERE s.event_id = d.event_id AND s.state = 'delivered')"
        )
        query.add(f"{'NOT ' if params['delivery_success'] else ''}EXISTS ({undelivered})")
    query.add_times("created", params.get("created"))
    query.add("created >= ?", account.clock.timestamp() - _EVENT_DAYS * 86400)
    return listing.page(account, query, params, "/v1/events", "event")


def _retrieve_event(account: Account, event_id: str, params: Json) -> Json:
    event = account.event(event_id)
    if event is None or event["created"] < account.clock.timestamp() - _EVENT_DAYS * 86400:
        raise no_such("event", event_id, "id")
    return account.shown_event(event)


def _line_items(account: Account, session_id: str, params: Json) -> Json:
    _retrieve("checkout.session", "checkout.session", "session")(account, session_id, params)
    lines = account.store.hidden(session_id)["lines"]
    return listing.plain_list(lines, f"/v1/checkout/sessions/{session_id}/line_items")


def _expire(account: Account, session_id: str, params: Json) -> Json:
    _retrieve("checkout.session", "checkout.session", "session")(account, session_id, params)
    return checkout.expire(account, session_id)


def _account_object(account: Account, _: str, params: Json) -> Json:
    return {
        "id": "acct_1SandboxAccount00",
        "object": "account",
        "charges_enabled": True,
        "country": "LT",
        "default_currency": account.settings.settlement_currency,
        "details_submitted": True,
        "payouts_enabled": True,
        "settings": {"card_payments": {"statement_descriptor_prefix": account.settings.statement_prefix}},
        "type": "standard",
    }


def _country_spec(account: Account, country: str, params: Json) -> Json:
    if country != "LT":
        raise no_such("country_spec", country, "country")
    settlement = account.settings.settlement_currency
    return {
        "id": country,
        "object": "country_spec",
        "default_currency": settlement,
        "supported_bank_account_currencies": {settlement: [country]},
        "supported_payment_currencies": sorted(account.rates),
        "supported_payment_methods": ["card"],
        "supported_transfer_countries": [country],
    }


_ID = text()
_SESSIONS, _INTENTS, _CHARGES = "/v1/checkout/sessions", "/v1/payment_intents", "/v1/charges"
_REFUNDS, _DISPUTES, _TXNS = "/v1/refunds", "/v1/disputes", "/v1/balance_transactions"
_PAYOUTS, _EVENTS = "/v1/payouts", "/v1/events"

ROUTES = [
    _route("POST", _SESSIONS, SESSION_CREATE, lambda account, _, params: checkout.create(account, params)),
    _route(
        "GET",
        _SESSIONS,
        list_of(payment_intent=_ID, status=one_of(["complete", "expired", "open"])),
        _list("checkout.session", "checkout.session", _SESSIONS, "payment_intent", "status"),
    ),
    _route("GET", _SESSIONS + "/{id}", NOTHING, _retrieve("checkout.session", "checkout.session", "session")),
    _route("GET", _SESSIONS + "/{id}/line_items", list_of(), _line_items),
    _route("POST", _SESSIONS + "/{id}/expire", NOTHING, _expire),
    _route("GET", _INTENTS, list_of(), _list("payment_intent", "payment_intent", _INTENTS)),
    _route("GET", _INTENTS + "/{id}", NOTHING, _retrieve("payment_intent", "payment_intent", "intent")),
    _route("GET", _CHARGES, list_of(payment_intent=_ID), _list("charge", "charge", _CHARGES, "payment_intent")),
    _route("GET", _CHARGES + "/{id}", NOTHING, _retrieve("charge", "charge", "id")),
    _route("POST", _REFUNDS, REFUND_CREATE, lambda account, _, params: refunds.create(account, params)),
    _route(
        "GET",
        _REFUNDS,
        list_of(charge=_ID, payment_intent=_ID),
        _list("refund", "refund", _REFUNDS, "charge", "payment_intent"),
    ),
    _route("GET", _REFUNDS + "/{id}", NOTHING, _retrieve("refund", "refund", "refund")),
    _route(
        "POST",
        _REFUNDS + "/{id}/cancel",
        NOTHING,
        lambda account, refund_id, _: refunds.cancel(account, refund_id),
    ),
    _route(
        "GET",
        _DISPUTES,
        list_of(charge=_ID, payment_intent=_ID),
        _list("dispute", "dispute", _DISPUTES, "charge", "payment_intent"),
    ),
    _route("GET", _DISPUTES + "/{id}", NOTHING, _retrieve("dispute", "dispute", "dispute")),
    _route(
        "GET",
        _TXNS,
        list_of(currency=text(3), payout=_ID, source=_ID, type=_ID),
        _list("balance_transaction", "balance transaction", _TXNS, "currency", "source", "type"),
    ),
    _route("GET", _TXNS + "/{id}", NOTHING, _retrieve("balance_transaction", "balance transaction", "id")),
    _route(
        "GET",
        _PAYOUTS,
        list_of(arrival_date=time_range, destination=_ID, status=_ID),
        _list("payout", "payout", _PAYOUTS, "destination", "status"),
    ),
    _route("GET", _PAYOUTS + "/{id}", NOTHING, _retrieve("payout", "payout", "payout")),
    _route(
        "GET",
        _EVENTS,
        list_of(type=_ID, types=array(_ID, max_items=20), delivery_success=boolean),
        _list_events,
    ),
    _route("GET", _EVENTS + "/{id}", NOTHING, _retrieve_event),
    _route("GET", "/v1/balance", NOTHING, lambda account, _, params: balance.totals(account)),
    _route("GET", "/v1/account", NOTHING, _account_object),
    _route("GET", "/v1/country_specs/{id}", NOTHING, _country_spec),
]


def find(method: str, path: str) -> tuple[Route, str] | None:
    """The route for a request and the id in its path, or None."""
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match and route.method == method:
            return route, match.group(1) if match.groups() else ""
    return None
