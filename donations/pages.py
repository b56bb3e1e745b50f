"""Donor pages: the campaign with its form, and the status of a donation."""

from datetime import datetime

from flask import Blueprint, Flask, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from core.clock import utcnow
from core.errors import DomainError
from core.http import public_url
from core.i18n import Localized, current_locale
from core.money import EXPONENTS
from core.qr import svg
from donations import queries, views
from donations.forms import DonationForm
from donations.friends import address_of
from donations.models import Campaign, Donation
from donations.services import Gift, ensure_checkout, pay_again, require_open, start_donation
from donations.standing import decline_reason, never_opened, next_look, standing_of
from payments.base import ProviderDown, ProviderRefused
from stickers.models import StickerRule
from stickers.pages import download_of
from stickers.passing import kept_codes
from stickers.services import rules_of

blueprint = Blueprint(
    "donations", __name__, template_folder="templates", static_folder="static", static_url_path="/static/donations"
)


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
        placement=form.placement.data or views.followed_link(),
    )
    # The form's key makes a double press one donation. Going back and changing the amount is another gift, though
    # the browser sends the same key: what is given is part of it.
    return start_donation(gift, f"{form.key.data or ''}:{gift.fingerprint()}"[:255], now)


def _campaign_page(found: Campaign, form: DonationForm, refusal: DomainError | None = None) -> str:
    now, rules = utcnow(), rules_of(found.id)
    return render_template(
        "donations/campaign.html",
        campaign=found,
        form=form,
        refusal=refusal,
        closed=_closed(found, now),
        totals=queries.campaign_totals(found, now),
        uses=[{name: Localized(texts) for name, texts in use.items()} for use in found.uses],
        rules=rules,
        earn_sentences=_earn_sentences(rules),
        decimals=EXPONENTS[found.currency],
        origin=current_app.config["PUBLIC_URL"],
        address=public_url("donations.campaign", slug=found.slug),
    )


def _closed(found: Campaign, now: datetime) -> DomainError | None:
    try:
        require_open(found, now)
    except DomainError as reason:
        return reason
    return None


def _earn_sentences(rules: list[StickerRule]) -> list[str]:
    """What the form's hint says when an amount earns no, one, two … packs."""
    most = sum(rule.quantity for rule in rules)
    some = [
        ngettext("You get %(num)s sticker pack:", "You get %(num)s sticker packs:", count)
        for count in range(1, most + 1)
    ]
    return [_("Sticker packs as a thank-you:"), *some]


@blueprint.get("/d/<token>")
def status(token: str) -> ResponseReturnValue:
    return _status_page(views.donation_as_of_now(token, utcnow()))


def _status_page(donation: Donation, refusal: DomainError | None = None) -> str:
    standing = standing_of(donation, came_back=bool(request.args.get("back")))
    looks = request.args.get("n", 0, type=int)
    return render_template(
        "donations/status.html",
        donation=donation,
        campaign=donation.campaign,
        standing=standing,
        codes=kept_codes(donation.id),
        friend_url=address_of,
        qr=svg,
        checkout_url=views.checkout_url(donation),
        reason=decline_reason(donation.payments[-1]),
        failed_tries=[each for each in donation.payments if each.state == "failed" and not never_opened(each)],
        pause=next_look(standing, looks),
        looks=looks,
        closed=_closed(donation.campaign, utcnow()),
        refusal=refusal,
    )


@blueprint.post("/d/<token>/pay")
def pay(token: str) -> ResponseReturnValue:
    donation, now = queries.donation_by_token(token), utcnow()
    try:
        views.require_patience(now)
        url = pay_again(donation.id, views.addresses(), now)
    except DomainError as refusal:
        return _status_page(queries.donation_by_token(token), refusal), refusal.status
    return redirect(url or url_for(".status", token=token), code=303)


@blueprint.get("/d/<token>/packs/<code>")
def pack(token: str, code: str) -> ResponseReturnValue:
    """The file of a digital pack, for whoever has the donation's address and the pack's code."""
    return download_of(queries.donation_by_token(token).id, code)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
