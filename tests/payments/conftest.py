"""What the tests of the Stripe adapter share: Stripe's own objects, real signatures, and adapters."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stripe

from payments.stripe_adapter import StripeAdapter

OBJECTS = Path(__file__).parent / "stripe_objects"
SECRET = "whsec_current"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

Objects = Callable[..., dict[str, Any]]
Signed = Callable[..., tuple[bytes, dict[str, str]]]


@pytest.fixture(scope="session")
def stripe_object() -> Objects:
    """One of Stripe's objects or events by name; keywords change fields of the object (an event's `data.object`)."""

    def load(name: str, **changes: Any) -> dict[str, Any]:
        found = json.loads((OBJECTS / f"{name}.json").read_text("utf-8"))
        (found["data"]["object"] if found["object"] == "event" else found).update(copy.deepcopy(changes))
        return found

    return load


@pytest.fixture(scope="session")
def signed() -> Signed:
    """A notification as Stripe sends it: the body and its headers, signed by the stripe library itself."""

    def sign(event: Any, *, secret: str = SECRET, at: datetime = NOW) -> tuple[bytes, dict[str, str]]:
        text = event if isinstance(event, str) else json.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(text, secret, int(at.timestamp()))
        return text.encode(), {"Stripe-Signature": header}

    return sign


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def adapter() -> StripeAdapter:
    """One that never speaks to anybody: for what needs no network."""
    return StripeAdapter("sk_test_unused", [SECRET, "whsec_previous"], api_base="http://127.0.0.1:9")
