"""What pages and API have in common: addresses, throttling, what is shown of a donation."""

from datetime import datetime, timedelta
from typing import Any

from flask import current_app, request

from core import throttle
from core.db import db
from core.http import client_address, public_url
from donations import errors, queries
from donations.models import Donation
from donations.services import Addresses, ask_provider
from offices.links import COOKIE
from payments.base import ProviderDown, ProviderRefused
from stickers.passing import kept_codes

START_WINDOW = timedelta(minutes=10)
ASK_TIMEOUT_SECONDS = 3.0


def status_url(donation: Donation) -> str:
    return public_url("donations.status", token=donation.token)


def addresses() -> Addresses:
    # Neither placeholder survives url_for's quoting, so they are put in afterwards.
    return Addresses(
        status=public_url("donations.status", token="TOKEN").replace("TOKEN", "{token}"),  # noqa: S106
        notification=f"{current_app.config['PUBLIC_URL']}/webhooks/{{provider}}",
    )


def require_patience(now: datetime) -> None:
    """Raises `TooManyStarts` when this address starts payments faster than people do."""
    limit = current_app.config["STARTS_PER_ADDRESS"]
    if limit and throttle.count("start", client_address(), START_WINDOW, now) > limit:
        raise errors.TooManyStarts


def followed_link() -> str | None:
    """The code of the short link that this browser came by within a day; unchecked."""
    return request.cookies.get(COOKIE)


def donation_as_of_now(token: str, now: datetime) -> Donation:
    """The donation; an open one after asking the provider, since somebody is waiting. Raises `UnknownDonation`."""
    donation = queries.donation_by_token(token)
    if donation.status not in ("pending", "processing"):
        return donation
    try:
        ask_provider(donation.payments[-1].id, now, timeout=ASK_TIMEOUT_SECONDS)
    except (ProviderDown, ProviderRefused):
        db.session.rollback()  # we say that we are still waiting, and the sweep asks again
    return queries.donation_by_token(token)


def checkout_url(donation: Donation) -> str | None:
    payment = donation.payments[-1]
    return payment.checkout_url if donation.status == "pending" and payment.state == "created" else None


def represent(donation: Donation) -> dict[str, Any]:
    """The public API's view of a donation, to be dumped by `DonationOut` or `DonationStateOut`."""
    return {
        "public_id": donation.public_id,
        "token": donation.token,
        "status": donation.status,
        "amount_minor": donation.amount_minor,
        "currency": donation.currency,
        "checkout_url": checkout_url(donation),
        "status_url": status_url(donation),
        "receipt_number": donation.receipt.shown if donation.receipt else None,
        "sticker_codes": kept_codes(donation.id),
    }
