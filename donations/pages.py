"""Donor pages: the campaign with its form, and the status of a donation."""

from datetime import datetime

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.clock import utcnow
from core.db import db
from core.errors import DomainError
from core.i18n import current_locale
from donations import queries, views
from donations.forms import DonationForm
from donations.models import Campaign, Donation
from donations.services import Gift, ask_provider, ensure_checkout, pay_again, require_open, start_donation
from payments.base import ProviderDown, ProviderRefused
from stickers.services import codes_of, rules_of

blueprint = Blueprint(
    "donations", __name__, template_folder="templates", static_folder="static", static_url_path="/static/donations"
)

ASK_TIMEOUT_SECONDS = 3.0


@blueprint.get("/")
def front() -> ResponseReturnValue:
    return _campaign_page(queries.front_campaign(), DonationForm())


@blueprint.get("/c/<slug>")
def campaign(slug: str) -> ResponseReturnValue:
    return _campaign_page(queries.campaign_by_slug(slug), DonationForm())


@blueprint.post("/c/<slug>")
def give(slug: str) -> ResponseReturnValue:
    now, form = utcnow(), DonationForm()
    try:
        donation = _start(queries.campaign_by_slug(slug), form, now)
    except DomainError as refusal:
        return _campaign_page(queries.campaign_by_slug(slug), form, refusal), refusal.status
    try:
        url = ensure_checkout(donation, views.addresses(), now)
    except (ProviderDown, ProviderRefused):
        url = None  # the status page says so, and offers another try
    return redirect(url or views.status_url(donation), code=303)


def _start(found: Campaign, form: DonationForm, now: datetime) -> Donation:
    views.require_patience(now)
    money = form.money(found)
    gift = Gift(
        campaign=found.slug,
        amount_minor=money.minor,
        currency=money.currency,
        channel="page",
        locale=current_locale(),
        name=form.name.data,
        email=form.email.data,
        anonymous=bool(form.anonymous.data),
        placement=form.placement.data,
    )
    # The form's key makes a double press one donation. Going back and changing the amount is another gift, though
    # the browser sends the same key: what is given is part of it.
    return start_donation(gift, f"{form.key.data or ''}:{gift.fingerprint()}"[:255], now)


def _campaign_page(found: Campaign, form: DonationForm, refusal: DomainError | None = None) -> str:
    now = utcnow()
    closed = None
    try:
        require_open(found, now)
    except DomainError as reason:
        closed = reason
    return render_template(
        "donations/campaign.html",
        campaign=found,
        form=form,
        refusal=refusal,
        closed=closed,
        totals=queries.campaign_totals(found, now),
        rules=rules_of(found.id),
        title=str(found.title),
    )


@blueprint.get("/d/<token>")
def status(token: str) -> ResponseReturnValue:
    donation = queries.donation_by_token(token)
    if donation.status in ("pending", "processing"):
        donation = _heal(donation)
    return render_template(
        "donations/status.html",
        donation=donation,
        campaign=donation.campaign,
        payment=donation.payments[-1],
        codes=codes_of(donation.id),
        checkout_url=views.checkout_url(donation),
        came_back=bool(request.args.get("back")),
        refusal=None,
    )


def _heal(donation: Donation) -> Donation:
    """Ask the provider ourselves if no notification has come: the donor is looking at the page now."""
    token, payment_id = donation.token, donation.payments[-1].id
    try:
        ask_provider(payment_id, utcnow(), timeout=ASK_TIMEOUT_SECONDS)
    except (ProviderDown, ProviderRefused):
        db.session.rollback()  # the page says that we are still waiting, and the sweep asks again
    return queries.donation_by_token(token)


@blueprint.post("/d/<token>/pay")
def pay(token: str) -> ResponseReturnValue:
    donation = queries.donation_by_token(token)
    now = utcnow()
    views.require_patience(now)
    try:
        url = pay_again(donation.id, views.addresses(), now)
    except (ProviderDown, ProviderRefused):
        url = None
    return redirect(url or url_for(".status", token=token), code=303)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
