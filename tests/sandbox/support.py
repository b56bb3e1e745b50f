"""A webhook endpoint in memory, a client of the real `stripe` library, and a donation's parameters."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import stripe

from sandbox.server import SandboxServer

SECRET = "whsec_of_the_tests"
HOOK = "http://127.0.0.1:9/webhooks/stripe"  # never called: tests hand over a transport


@dataclass
class Inbox:
    """A webhook endpoint in memory: verifies every signature as a service must."""

    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.bodies.append(body)
        self.headers.append(headers)
        try:
            stripe.Webhook.construct_event(body, headers.get("Stripe-Signature", ""), SECRET)
        except (stripe.SignatureVerificationError, UnicodeError, TypeError):
            return 400
        return self.status

    @property
    def events(self) -> list[dict]:
        return [json.loads(body) for body in self.bodies]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


def client_of(server: SandboxServer, key: str = "sk_test_of_the_tests", retries: int = 0) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": server.url},
        http_client=stripe.RequestsClient(timeout=5),
        max_network_retries=retries,
    )


def close(client: stripe.StripeClient) -> None:
    """Close kept-alive connections: a socket left to the garbage collector is a warning, thus an error."""
    client._requestor._client.close()


def donation(amount: int = 2500, currency: str = "byn", **changes: object) -> dict:
    """Parameters of a session as a donation service sends them."""
    product = {"name": "Bullying-free internet"}
    price = {"currency": currency, "unit_amount": amount, "product_data": product}
    params = {
        "mode": "payment",
        "submit_type": "donate",
        "line_items": [{"quantity": 1, "price_data": price}],
        "customer_email": "donor@example.org",
        "customer_creation": "if_required",
        "client_reference_id": "018f2c5e-0001",
        "success_url": "http://127.0.0.1:5000/d/token?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:5000/d/token",
        "metadata": {"donation_id": "018f2c5e-0001"},
        "payment_intent_data": {"metadata": {"donation_id": "018f2c5e-0001"}},
        "adaptive_pricing": {"enabled": False},
        "locale": "ru",
    }
    merged = {**params, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def paid(server: SandboxServer, client: stripe.StripeClient, amount: int = 2500, outcome: str = "pay") -> str:
    """The id of a session that was created and acted upon."""
    session = client.v1.checkout.sessions.create(donation(amount))
    server.drills.pay([session.id], outcome)
    return session.id


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
