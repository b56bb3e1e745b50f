"""Notifications from Stripe: authentic, recent, of our mode and readable, or refused."""

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NoReturn

from core.clock import require_utc
from payments.base import BadNotification, ProviderEvent
from payments.stripe_read import Json, Malformed, moment, needed_text
from payments.stripe_scrub import scrub_event

TOLERANCE = 300  # seconds, in both directions; Stripe's own check lets signatures from the future pass

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


def verified_event(
    body: bytes, headers: Mapping[str, str], *, secrets: Sequence[str], livemode: bool, now: datetime
) -> ProviderEvent:
    """The notification in `body`. Raises `BadNotification`, and nothing else.

    The body is not even parsed before its signature is found right, and its age is judged against `now`.
    """
    timestamp = signed_at(body, _header(headers), secrets)
    if abs(timestamp - require_utc(now).timestamp()) > TOLERANCE:
        raise BadNotification("webhook_timestamp_invalid")
    event = _parsed(body)
    if event.get("livemode") is not livemode:
        raise BadNotification("webhook_wrong_mode" if isinstance(event.get("livemode"), bool) else "webhook_malformed")
    try:
        return event_of(event)
    except Malformed:
        raise BadNotification("webhook_malformed") from None


def event_of(event: Json) -> ProviderEvent:
    """The same event, without what we need not keep of the person. Raises `Malformed`."""
    if event.get("object") != "event":
        raise Malformed("object")
    payload = scrub_event(event)
    return ProviderEvent(
        provider="stripe",
        event_id=_identifier(payload, "id"),
        type=_identifier(payload, "type"),
        occurred_at=moment(payload, "created"),
        payload=payload,
    )


def _identifier(payload: Json, key: str) -> str:
    value = needed_text(payload, key)
    if len(value) > 255 or not value.isascii() or not value.isprintable():
        raise Malformed(key)
    return value


def _header(headers: Mapping[str, str]) -> str:
    return next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")


def signed_at(body: bytes, header: str, secrets: Sequence[str]) -> int:
    """When the body was signed, once one of the header's signatures is found to be by one of our secrets.

    `stripe.WebhookSignature` does the same over text; over bytes, nothing in a hostile body or header can make it fail
    in another way than by not matching.
    """
    pairs = [item.partition("=")[::2] for item in header.split(",")]
    timestamp = next((value for name, value in pairs if name == "t"), "")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadNotification("webhook_signature_invalid")
    given = [value.encode("utf-8", "replace") for name, value in pairs if name == "v1"]
    for secret in filter(str.strip, secrets):
        signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest().encode()
        if any(hmac.compare_digest(signed, signature) for signature in given):
            return int(timestamp)
    raise BadNotification("webhook_signature_invalid")


def _parsed(body: bytes) -> Json:
    try:
        # RecursionError: nested deeper than any event; ValueError: not UTF-8, not JSON, or a number without end.
        event: Any = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadNotification("webhook_malformed") from None
    if not isinstance(event, dict):
        raise BadNotification("webhook_malformed")
    return event


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
