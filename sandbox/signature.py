"""Stripe's webhook signature: `t=<unix>,v1=<HMAC-SHA256 of "<t>.<body>" under the whole whsec_… string>`."""

import hashlib
import hmac

USER_AGENT = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


def signature(body: bytes, secret: str, timestamp: int) -> str:
    signed = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def headers(stripe_signature: str | None) -> dict[str, str]:
    """The headers of a webhook request; None leaves the signature out (a drill)."""
    base = {"Content-Type": "application/json; charset=utf-8", "User-Agent": USER_AGENT, "Accept": "*/*"}
    return base if stripe_signature is None else {**base, "Stripe-Signature": stripe_signature}
