"""Stripe as a `PaymentProvider`: hosted Checkout pages, refunds, events and the balance.

Nothing here is a module global of the `stripe` library, and one adapter serves any number of threads: the clients keep
one HTTP session per thread and change nothing after they are made.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from threading import BoundedSemaphore
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import stripe

from core.clock import require_utc
from core.money import Money
from payments.base import (
    BadNotification,
    Checkout,
    CheckoutRequest,
    Fact,
    Payout,
    ProviderDown,
    ProviderEvent,
    ProviderRefused,
    RefundFact,
    Settlement,
)
from payments.stripe_calls import call, pages, understood
from payments.stripe_facts import READERS, facts_of, refund_fact, session_fact
from payments.stripe_notification import event_of, verified_event
from payments.stripe_read import Json, Malformed, moment, objects, text, to_stripe
from payments.stripe_settlements import balance_of, payout_of, settlement_of

logger = logging.getLogger(__name__)

CHECKOUT_PAGES = "https://checkout.stripe.com"
LOCALES = {"ru": "ru", "en": "en", "be": "ru"}  # Stripe has no Belarusian
REFUND_REASONS = {"duplicate", "fraudulent", "requested_by_customer"}
EVENTS_KEPT = timedelta(days=30)
PAGE = 100
AT_ONCE_SECONDS = 1.5
QUEUE_SECONDS = 1.0  # how long a waiting person's call may queue behind others

# Prefix (up to 10), "* " and suffix share 22 characters: what is no longer than this fits behind any prefix.
_STATEMENT_SUFFIX = re.compile(r"(?=.*[A-Z])[A-Z0-9 .-]{1,10}", re.ASCII)
_CHECKOUT_EXPANDED = ["payment_intent.latest_charge.balance_transaction"]


class StripeAdapter:
    """`api_base` points at another server that speaks as Stripe does; None is Stripe itself.

    `waiting_at_once`: how many calls for people who wait may be under way; when Stripe hangs, the process still has
    threads for webhooks and pages.
    """

    name = "stripe"

    def __init__(
        self, api_key: str, webhook_secrets: Sequence[str], *, api_base: str | None = None, waiting_at_once: int = 12
    ) -> None:
        self._api_key = api_key
        self._api_base = api_base
        self._secrets = tuple(webhook_secrets)
        self._livemode = api_key.startswith(("sk_live_", "rk_live_"))
        self.page_origins: Sequence[str] = (_origin(api_base) if api_base else CHECKOUT_PAGES,)
        self._client = self._client_with(timeout=(3.05, 20), retries=2)
        # For a donor who waits: a call that failed is made again by the next press, with the same key.
        self._brisk = self._client_with(timeout=(2, 6), retries=0)
        self._waiting = BoundedSemaphore(waiting_at_once)
        self._impatient = lru_cache(maxsize=8)(self._impatient_client)

    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Asked again with the same request within a day, Stripe answers with the same session.

        An e-mail address that Stripe does not like (such as one in Cyrillic) is left out: it only prefills the page.
        """
        try:
            return self._open(request, f"checkout-{request.our_ref}")
        except ProviderRefused as refused:
            if refused.reason != "email_invalid" or not request.email:
                raise
            return self._open(replace(request, email=None), f"checkout-{request.our_ref}-no-email")

    def read_checkout(self, checkout_ref: str, *, timeout: float | None = None) -> Checkout:
        if timeout is None:
            return self._read_checkout(self._client, checkout_ref)
        with self._for_a_person():
            return self._read_checkout(self._impatient(max(round(timeout, 1), 0.1)), checkout_ref)

    def _read_checkout(self, client: stripe.StripeClient, checkout_ref: str) -> Checkout:
        params: Any = {"expand": _CHECKOUT_EXPANDED}
        return _checkout(call(lambda: client.v1.checkout.sessions.retrieve(checkout_ref, params)))

    def expire_checkout(self, checkout_ref: str) -> Checkout:
        try:
            return _checkout(self._promptly(lambda: self._brisk.v1.checkout.sessions.expire(checkout_ref)))
        except ProviderRefused:
            # Stripe refuses to expire what has ended already, without a code that says so: the state tells.
            with self._for_a_person():
                ended = self._read_checkout(self._brisk, checkout_ref)
            if ended.url is not None:
                raise
            return ended

    def create_refund(self, *, our_ref: str, payment_ref: str, amount: Money, reason: str) -> RefundFact:
        """Looks for this very refund first: Stripe forgets idempotency keys after a day, we must not pay twice."""
        made = next((refund for refund in self.list_refunds(payment_ref) if refund.our_ref == our_ref), None)
        if made is not None:
            return made
        units, currency = to_stripe(amount)
        logger.info("refunding %s %s as %s", units, currency, our_ref)
        params: Any = {
            "payment_intent": payment_ref,
            "amount": units,
            "reason": reason if reason in REFUND_REASONS else "requested_by_customer",
            "metadata": {"refund_id": our_ref},
        }
        options: Any = {"idempotency_key": f"refund-{our_ref}"}
        answer = call(lambda: self._client.v1.refunds.create(params, options))
        with understood():
            return refund_fact(answer)

    def list_refunds(self, payment_ref: str) -> Sequence[RefundFact]:
        params: Any = {
            "payment_intent": payment_ref,
            "limit": PAGE,
            "expand": ["data.failure_balance_transaction"],
        }
        answers = list(pages(lambda: self._client.v1.refunds.list(params)))
        with understood():
            return [refund_fact(answer) for answer in answers]

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> ProviderEvent:
        return verified_event(body, headers, secrets=self._secrets, livemode=self._livemode, now=now)

    def facts(self, payload: Mapping[str, Any]) -> Sequence[Fact]:
        try:
            return facts_of(payload)
        except Malformed:
            raise BadNotification("webhook_malformed") from None

    def list_events(self, since: datetime) -> Iterator[ProviderEvent]:
        """The kinds of event we read, of the last 30 days at most, up to the newest at the time of asking.

        Stripe lists newest first, so this goes day by day to give the oldest first without holding a month of them.
        """
        newest = self._newest_event_at()
        if newest is None:
            return
        start = max(require_utc(since), newest - EVENTS_KEPT).replace(microsecond=0)
        while start <= newest:
            end = start + timedelta(days=1)
            yield from self._events_between(start, end)
            start = end

    def read_settlement(self, ref: str) -> Settlement:
        params: Any = {"expand": ["source"]}
        answer = call(lambda: self._client.v1.balance_transactions.retrieve(ref, params))
        with understood():
            return settlement_of(answer)

    def list_settlements(
        self, *, since: datetime | None = None, until: datetime | None = None, payout_ref: str | None = None
    ) -> Iterator[Settlement]:
        """Lines made at or after `since` and before `until`, newest first; those of one payout, its own included."""
        params: Any = {"limit": PAGE, "expand": ["data.source"], "created": _between(since, until)}
        if payout_ref is not None:
            params["payout"] = payout_ref
        for answer in pages(lambda: self._client.v1.balance_transactions.list(params)):
            with understood():
                line = settlement_of(answer, payout_ref)
            yield line

    def read_payout(self, payout_ref: str) -> Payout:
        answer = call(lambda: self._client.v1.payouts.retrieve(payout_ref))
        with understood():
            return payout_of(answer)

    def read_balance(self) -> Mapping[str, Money]:
        answer = call(lambda: self._client.v1.balance.retrieve())
        with understood():
            return balance_of(answer)

    def _open(self, request: CheckoutRequest, idempotency_key: str) -> Checkout:
        params: Any = _checkout_params(request)
        options: Any = {"idempotency_key": idempotency_key}
        return _checkout(self._promptly(lambda: self._brisk.v1.checkout.sessions.create(params, options)))

    def _promptly(self, request: Callable[[], Any]) -> Json:
        """A call that somebody waits for. One that failed at once is made again; one that hung is not."""
        with self._for_a_person():
            began = monotonic()
            try:
                return call(request)
            except ProviderDown:
                if monotonic() - began > AT_ONCE_SECONDS:
                    raise
            return call(request)

    @contextmanager
    def _for_a_person(self) -> Iterator[None]:
        """Around a call that somebody waits for. Raises `ProviderDown` when too many wait already."""
        if not self._waiting.acquire(timeout=QUEUE_SECONDS):
            raise ProviderDown
        try:
            yield
        finally:
            self._waiting.release()

    def _newest_event_at(self) -> datetime | None:
        params: Any = {"limit": 1}
        answer = call(lambda: self._client.v1.events.list(params))
        with understood():
            if answer.get("data") is None:
                raise Malformed("data")
            newest = objects(answer, "data")
            return moment(newest[0], "created") if newest else None

    def _events_between(self, start: datetime, end: datetime) -> Iterator[ProviderEvent]:
        params: Any = {"types": list(READERS), "created": _between(start, end), "limit": PAGE}
        for answer in reversed(list(pages(lambda: self._client.v1.events.list(params)))):
            try:
                event = event_of(answer)
            except Malformed as missing:
                # As with a notification like it: it cannot be stored, and must not keep the others from being.
                logger.error("stripe event %s has no usable %s", text(answer, "id"), missing)
                continue
            yield event

    def _client_with(self, *, timeout: tuple[float, float], retries: int) -> stripe.StripeClient:
        base: Any = {"api": self._api_base} if self._api_base else None
        return stripe.StripeClient(
            self._api_key,
            base_addresses=base,
            http_client=stripe.RequestsClient(timeout=timeout),
            max_network_retries=retries,
        )

    def _impatient_client(self, seconds: float) -> stripe.StripeClient:
        """One try within `seconds`: a third of them to connect, the rest to be answered."""
        connect = seconds / 3
        return self._client_with(timeout=(connect, seconds - connect), retries=0)


def _checkout(session: Json) -> Checkout:
    with understood():
        url = text(session, "url") if session.get("status") == "open" else None
        fact = session_fact(session)
        return Checkout(checkout_ref=fact.checkout_ref or "", url=url, fact=fact)


def _checkout_params(request: CheckoutRequest) -> dict[str, Any]:
    """Nothing of the person but the e-mail for Stripe's own form; the encoder drops what is None."""
    units, currency = to_stripe(request.amount)
    metadata = {
        "donation_id": request.donation_ref,
        "payment_id": request.our_ref,
        "campaign": request.campaign,
    }
    price = {"currency": currency, "unit_amount": units, "product_data": {"name": request.product}}
    return {
        "mode": "payment",
        "submit_type": "donate",
        "line_items": [{"quantity": 1, "price_data": price}],
        "customer_email": request.email or None,
        "customer_creation": "if_required",
        "client_reference_id": request.donation_ref,
        "expires_at": _unix(request.expires_at),
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "locale": LOCALES.get(request.locale, "auto"),
        "metadata": metadata,
        "payment_intent_data": {
            "metadata": metadata,
            "description": request.description or None,
            "statement_descriptor_suffix": _statement_suffix(request.campaign),
        },
        "adaptive_pricing": {"enabled": False},
    }


def _statement_suffix(campaign: str) -> str | None:
    """What card statements say after the account's own prefix; nothing where the campaign cannot be named whole."""
    suffix = campaign.upper()
    return suffix if _STATEMENT_SUFFIX.fullmatch(suffix) else None


def _between(start: datetime | None, end: datetime | None) -> dict[str, int]:
    bounds = {"gte": start, "lt": end}
    return {name: _unix(bound) for name, bound in bounds.items() if bound is not None}


def _unix(when: datetime) -> int:
    return int(require_utc(when).timestamp())


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
