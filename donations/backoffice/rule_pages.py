"""Console page of what gifts to a campaign earn."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError, NotFound
from donations import queries
from donations.backoffice import campaigns, rules
from staff.access import acting, allowed
from stickers.backoffice.packs import packs_in_use
from stickers.services import rules_of


@allowed("campaign", "admin")
def rule_list(slug: str) -> str:
    return _page(slug)


def _page(slug: str, refusal: DomainError | None = None) -> str:
    campaign = queries.campaign_by_slug(slug)
    return render_template(
        "donations/backoffice/rules.html",
        campaign=campaign,
        rules=rules_of(campaign.id),
        packs=packs_in_use(),
        refusal=refusal,
        running=campaigns.described(campaign, utcnow()) == "open",
        most=rules.MOST_PACKS,
    )


@allowed("campaign", "admin")
def add_rule(slug: str) -> ResponseReturnValue:
    try:
        with unit_of_work():
            rules.add(slug, request.form, acting(), utcnow())
    except NotFound:
        raise
    except DomainError as refusal:
        return _page(slug, refusal), refusal.status
    flash(_("Saved. It holds for gifts that are paid from now on."), "good")
    return redirect(url_for(".rules", slug=slug), code=303)


@allowed("campaign", "admin")
def remove_rule(slug: str, rule_id: int) -> ResponseReturnValue:
    with unit_of_work():
        rules.remove(slug, rule_id, acting(), utcnow())
    flash(_("The rule is removed. Codes that donors have stay good."), "good")
    return redirect(url_for(".rules", slug=slug), code=303)


def add_to(blueprint: Blueprint) -> None:
    blueprint.get("/staff/campaigns/<slug>/rules", endpoint="rules")(rule_list)
    blueprint.post("/staff/campaigns/<slug>/rules")(add_rule)
    blueprint.post("/staff/campaigns/<slug>/rules/<int:rule_id>/remove")(remove_rule)
