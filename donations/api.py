"""The public JSON API of gifts."""

import secrets
from typing import Any

from flask import Flask, request

from core.clock import utcnow
from core.http import caller_hash, csrf
from core.schemas import Blueprint, ErrorOut
from donations import queries, schemas, views
from donations.services import Gift, ensure_checkout, start_donation
from ledger.queries import FundTotals

blueprint = Blueprint("donations_api", __name__, url_prefix="/api/v1", description="Giving, and public totals")

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "Any text of your own, one for each gift (best a UUID). The same key with the same body answers "
    "with the donation made before; with another body it is refused (409).",
}


@blueprint.post("/donations")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
@blueprint.arguments(schemas.DonationIn)
@blueprint.response(201, schemas.DonationOut)
@blueprint.alt_response(409, schema=ErrorOut)
@blueprint.alt_response(422, schema=ErrorOut)
@blueprint.alt_response(502, schema=ErrorOut)
def create_donation(body: dict[str, Any]) -> dict[str, Any]:
    """Start a donation and get the address where the donor pays it."""
    now = utcnow()
    views.require_patience(now)
    donor = body.pop("donor") or {}
    gift = Gift(channel="api", caller=caller_hash(), amount_minor=body.pop("amount"), **body, **donor)
    donation = start_donation(gift, request.headers.get("Idempotency-Key", secrets.token_hex(16)), now)
    ensure_checkout(donation, views.addresses(), now)
    return views.represent(donation)


@blueprint.get("/donations/<token>")
@blueprint.response(200, schemas.DonationStateOut)
@blueprint.alt_response(404, schema=ErrorOut)
def read_donation(token: str) -> dict[str, Any]:
    """How a donation stands, with its receipt number and sticker codes."""
    return views.represent(views.donation_as_of_now(token, utcnow()))


@blueprint.get("/campaigns/<slug>/totals")
@blueprint.response(200, schemas.TotalsOut)
@blueprint.alt_response(404, schema=ErrorOut)
def read_totals(slug: str) -> dict[str, Any]:
    """What came in, what went back, what the provider kept and what of it is earmarked."""
    campaign = queries.campaign_by_slug(slug)
    totals = queries.campaign_totals(campaign, utcnow())
    own, fund = totals.own, totals.fund
    of_fund = {"spent": fund.spent, "specialists_trained": totals.specialists_trained}
    return {
        "currency": own.currency,
        "goal": totals.goal,
        "donations": totals.donations,
        **_sums(own),
        **(dict.fromkeys(of_fund) if totals.shared else of_fund),
        "fund": {
            "code": campaign.fund.code,
            "name": str(campaign.fund.name),
            "shared": totals.shared,
            **_sums(fund),
            **of_fund,
            "available": fund.available,
        },
        "as_of": totals.as_of,
    }


def _sums(totals: FundTotals) -> dict[str, int]:
    names = ("raised", "refunded", "disputed", "fees", "fees_pending", "fx", "earmarked")
    return {name: getattr(totals, name) for name in names}


def init_app(app: Flask) -> None:
    csrf.exempt(blueprint)
    app.extensions["api"].register_blueprint(blueprint)
