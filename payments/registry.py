"""Which providers this installation has. The first one configured is the one new donations go to."""

import logging
import os
from collections.abc import Sequence

from flask import Flask, current_app

from core.errors import NotFound, Unavailable
from payments.base import PaymentProvider
from payments.stripe_adapter import StripeAdapter

KEPT_THREADS = 4  # of a web process: for webhooks and pages while the provider hangs


def init_app(app: Flask) -> None:
    """Reads `STRIPE_API_KEY`, `STRIPE_WEBHOOK_SECRETS`, `STRIPE_API_BASE`, `WEB_THREADS`; no key, no Stripe."""
    providers: dict[str, PaymentProvider] = {}
    if app.config.get("STRIPE_API_KEY"):
        stripe = _stripe(app)
        providers[stripe.name] = stripe
    app.extensions["payments"] = providers


def get_provider(name: str) -> PaymentProvider:
    """The provider called `name`. Raises `NotFound`."""
    provider = _providers().get(name)
    if provider is None:
        raise NotFound
    return provider


def default_provider() -> PaymentProvider:
    """The one new donations go to. Raises `Unavailable` when none is configured."""
    provider = next(iter(_providers().values()), None)
    if provider is None:
        raise Unavailable
    return provider


def all_providers() -> Sequence[PaymentProvider]:
    return tuple(_providers().values())


def _providers() -> dict[str, PaymentProvider]:
    providers: dict[str, PaymentProvider] = current_app.extensions["payments"]
    return providers


def _stripe(app: Flask) -> StripeAdapter:
    base = app.config.get("STRIPE_API_BASE") or None
    # The library logs whole bodies, which hold donors' e-mails, at DEBUG and error messages at INFO; and it turns
    # notices for test accounts into warnings.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    os.environ.setdefault("STRIPE_SUPPRESS_NOTICES", "true")
    secrets = app.config.get("STRIPE_WEBHOOK_SECRETS") or ()
    at_once = max(1, app.config.get("WEB_THREADS", 16) - KEPT_THREADS)
    return StripeAdapter(app.config["STRIPE_API_KEY"], secrets, api_base=base, waiting_at_once=at_once)
