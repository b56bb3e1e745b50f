"""What we keep of Stripe's objects: a list of what may stay, so that a field Stripe adds tomorrow is not kept.

Kept are ids, amounts, states, times, codes and our own metadata. Names, addresses, e-mails, receipts, evidence, free
texts and secrets are not named here and so never reach the database.
"""

import math
from collections.abc import Mapping
from typing import Any

from core.money import MAX_MINOR
from payments.stripe_read import Json, Malformed

# None: a plain value. A mapping: an object (or a list of them) cut down to these keys; where Stripe gives an id in
# place of the object, the id stays.
Shape = Mapping[str, "Shape | None"]

LONGEST_TEXT = 500  # Stripe's own limit for a metadata value; ids are shorter


def _plain(names: str) -> dict[str, "Shape | None"]:
    return dict.fromkeys(names.split())


METADATA: Shape = _plain("donation_id payment_id refund_id campaign")

BALANCE_TRANSACTION: Shape = {
    **_plain("id object amount fee net currency exchange_rate created available_on status type"),
    **_plain("reporting_category balance_type"),
    "fee_details": _plain("amount currency type"),
    "source": _plain("id object charge payment_intent status"),
}

CHECKOUT_SESSION: Shape = {
    **_plain("id object livemode created expires_at mode status payment_status submit_type locale"),
    **_plain("amount_subtotal amount_total currency payment_intent client_reference_id"),
    "metadata": METADATA,
}

PAYMENT_INTENT: Shape = {
    **_plain("id object livemode created status amount amount_received currency latest_charge"),
    **_plain("canceled_at cancellation_reason"),
    "last_payment_error": _plain("type code decline_code charge"),
    "metadata": METADATA,
}

CHARGE: Shape = {
    **_plain("id object livemode created status amount amount_captured amount_refunded currency"),
    **_plain("captured paid refunded disputed payment_intent failure_code"),
    **_plain("balance_transaction failure_balance_transaction"),
    "outcome": _plain("type reason network_status"),
    "payment_method_details": {"type": None, "card": _plain("brand")},
    "metadata": METADATA,
}

REFUND: Shape = {
    **_plain("id object created status amount currency charge payment_intent reason failure_reason pending_reason"),
    **_plain("balance_transaction failure_balance_transaction"),
    "metadata": METADATA,
}

DISPUTE: Shape = {
    **_plain("id object livemode created status amount currency charge payment_intent reason"),
    **_plain("network_reason_code is_charge_refundable"),
    "balance_transactions": BALANCE_TRANSACTION,
    "evidence_details": _plain("due_by has_evidence past_due submission_count"),
    "metadata": METADATA,
}

PAYOUT: Shape = {
    **_plain("id object livemode created status amount currency arrival_date automatic method type"),
    **_plain("balance_transaction failure_balance_transaction failure_code"),
    **_plain("reconciliation_status original_payout reversed_by"),
}

SHAPES: Mapping[str, Shape] = {
    "balance_transaction": BALANCE_TRANSACTION,
    "checkout.session": CHECKOUT_SESSION,
    "payment_intent": PAYMENT_INTENT,
    "charge": CHARGE,
    "refund": REFUND,
    "dispute": DISPUTE,
    "payout": PAYOUT,
}

OTHER: Shape = _plain("id object livemode created status")  # kinds we have no use for: enough to look them up

EVENT: Shape = _plain("id object type created livemode api_version")


def scrub(obj: Json) -> dict[str, Any]:
    """A copy of one of Stripe's objects with only what we keep.

    Raises `Malformed` when something kept could not be stored as JSON: U+0000, half a surrogate pair, a number no
    JSON reader holds.
    """
    return _cut(obj, _shape_of(obj))


def scrub_event(event: Json) -> dict[str, Any]:
    """The same for an event; its `data` is cut by the kind of the object it is about."""
    data = event.get("data")
    about = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(about, Mapping):
        raise Malformed("data")
    kept = {"object": scrub(about)}
    previous = data.get("previous_attributes")
    if isinstance(previous, Mapping):
        kept["previous_attributes"] = _cut(previous, _shape_of(about))
    return {**_cut(event, EVENT), "data": kept}


def _shape_of(obj: Json) -> Shape:
    kind = obj.get("object")
    return SHAPES.get(kind, OTHER) if isinstance(kind, str) else OTHER


def _cut(obj: Json, shape: Shape) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, inside in shape.items():
        value = obj.get(key)
        if isinstance(value, Mapping):
            if inside is not None:
                kept[key] = _cut(value, inside)
            elif isinstance(value.get("id"), str):
                kept[key] = _storable(key, value["id"])
        elif isinstance(value, list):
            if inside is not None:
                kept[key] = [
                    _cut(item, inside) if isinstance(item, Mapping) else _storable(key, item) for item in value
                ]
        elif key in obj:
            kept[key] = _storable(key, value)
    return kept


def _storable(key: str, value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case int() if abs(value) <= MAX_MINOR:
            return value
        case float() if math.isfinite(value):
            return value
        case str() if len(value) <= LONGEST_TEXT and "\0" not in value and not _has_surrogate(value):
            return value
    raise Malformed(key)


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)
