"""Console pages of campaigns: the list, the form, which one stands at the front."""

from collections.abc import Mapping

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.i18n import LANGUAGE_NAMES
from donations import queries
from donations.backoffice import campaigns, reading, resource_pages, rule_pages
from donations.backoffice.errors import UnknownResource, UnknownRule
from donations.errors import UnknownCampaign
from donations.models import Campaign
from staff import frame
from staff.access import Actor, acting, allowed
from staff.editing import opened_on

blueprint = Blueprint("campaigns", __name__)
resource_pages.add_to(blueprint)
rule_pages.add_to(blueprint)

STATE_NAMES = {"planned": _l("not begun"), "open": _l("open"), "over": _l("over")}
FEE_NAMES = {"fund": _l("the fund"), "sponsor": _l("a sponsor")}


@blueprint.context_processor
def names() -> dict[str, object]:
    return {"state_names": STATE_NAMES, "languages": LANGUAGE_NAMES, "limits": reading}


@blueprint.get("/staff/campaigns")
@allowed("campaign", "admin")
def campaign_list() -> str:
    now, page = utcnow(), campaigns.campaigns_page(request.args, request.args.get("page", 1, type=int))
    states = {each.id: campaigns.described(each, now) for each in page.rows}
    front = queries.front_campaign().id if page.rows else None
    return render_template("donations/backoffice/campaigns.html", page=page, states=states, front=front)


@blueprint.get("/staff/campaigns/new")
@allowed("campaign", "admin")
def new() -> str:
    return _form(None, reading.empty_fields())


@blueprint.post("/staff/campaigns/new")
@allowed("campaign", "admin")
def make() -> ResponseReturnValue:
    if (shaped := _shaped()) is not None:
        return _form(None, shaped)
    try:
        with unit_of_work():
            slug = campaigns.make(request.form, acting(), utcnow()).slug
    except DomainError as refusal:
        return _form(None, request.form, refusal), refusal.status
    flash(_("Saved. Now add what helps, and what gifts earn."), "good")
    return redirect(url_for(".edit", slug=slug), code=303)


@blueprint.get("/staff/campaigns/<slug>")
@allowed("campaign", "admin")
def edit(slug: str) -> str:
    campaign = queries.campaign_by_slug(slug)
    return _form(campaign, reading.fields_of(campaign))


@blueprint.post("/staff/campaigns/<slug>")
@allowed("campaign", "admin")
def save(slug: str) -> ResponseReturnValue:
    if (shaped := _shaped()) is not None:
        return _form(queries.campaign_by_slug(slug), shaped)
    try:
        with unit_of_work():
            changed = campaigns.change(slug, request.form, acting(), utcnow()).slug
    except UnknownCampaign:
        raise
    except DomainError as refusal:
        return _form(queries.campaign_by_slug(slug), request.form, refusal), refusal.status
    flash(_("Saved."), "good")
    return redirect(url_for(".edit", slug=changed), code=303)


def _shaped() -> dict[str, str] | None:
    """The form with a place more or less for what the money does, when one of those buttons was pressed."""
    act, _colon, place = request.form.get("shape", "").partition(":")
    if act == "add":
        return reading.with_use(request.form.to_dict())
    if act == "remove" and place.isascii() and place.isdigit() and len(place) < 4:
        return reading.without_use(request.form.to_dict(), int(place))
    return None


def _form(campaign: Campaign | None, fields: Mapping[str, str], refusal: DomainError | None = None) -> str:
    stored = reading.fields_of(campaign) if campaign else {}
    return render_template(
        "donations/backoffice/campaign.html",
        campaign=campaign,
        fields=fields,
        seen=opened_on(stored, fields, refusal),
        refusal=refusal,
        uses=reading.use_count(fields),
        funds=campaigns.funds(),
        fee_names=FEE_NAMES,
        fixed=campaign is not None and campaigns.is_given_to(campaign),
        state=campaigns.described(campaign, utcnow()) if campaign else None,
        is_front=campaign is not None and queries.front_campaign().id == campaign.id,
    )


@blueprint.post("/staff/campaigns/<slug>/front")
@allowed("campaign", "admin")
def put_at_front(slug: str) -> ResponseReturnValue:
    with unit_of_work():
        campaigns.put_at_front(slug, acting(), utcnow())
    flash(_("This campaign stands at the front now."), "good")
    return redirect(url_for(".edit", slug=slug), code=303)


@blueprint.errorhandler(UnknownResource)
@blueprint.errorhandler(UnknownRule)
def gone(refusal: DomainError) -> ResponseReturnValue:
    """Somebody has removed it meanwhile: the list says so, and what there is now."""
    flash(refusal.message, "bad")
    endpoint = ".rules" if isinstance(refusal, UnknownRule) else ".resources"
    return redirect(url_for(endpoint, slug=(request.view_args or {})["slug"]), code=303)


def _card(_actor: Actor) -> str:
    return render_template("donations/backoffice/_card.html", **campaigns.overview(utcnow()))


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "campaigns.campaign_list", _l("Campaigns"), icon="heart", order=62)
    frame.add_card(app, _card, "campaign", "admin", order=12)
