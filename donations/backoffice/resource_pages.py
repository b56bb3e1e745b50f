"""Console pages of a campaign's resources: the list in its order, the form of one."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError, NotFound
from donations import queries
from donations.backoffice import resources
from donations.models import RESOURCE_KINDS, CampaignResource
from staff.access import acting, allowed
from staff.editing import opened_on

KIND_NAMES = {
    "helpline": _l("Helpline"),
    "consultation": _l("Consultation"),
    "video": _l("Video"),
    "test": _l("Test"),
    "workbook": _l("Workbook"),
    "article": _l("Article"),
}


@allowed("campaign", "admin")
def resource_list(slug: str) -> str:
    campaign = queries.campaign_by_slug(slug)
    return render_template(
        "donations/backoffice/resources.html", campaign=campaign, resources=resources.of(campaign), kinds=KIND_NAMES
    )


@allowed("campaign", "admin")
def new_resource(slug: str) -> str:
    return _form(slug, None, {"kind": "article"})


@allowed("campaign", "admin")
def make_resource(slug: str) -> ResponseReturnValue:
    try:
        with unit_of_work():
            resources.make(slug, request.form, acting(), utcnow())
    except NotFound:
        raise
    except DomainError as refusal:
        return _form(slug, None, request.form, refusal), refusal.status
    return _saved(slug)


@allowed("campaign", "admin")
def resource(slug: str, resource_id: int) -> str:
    found = resources.find(queries.campaign_by_slug(slug), resource_id)
    return _form(slug, found, resources.fields_of(found))


@allowed("campaign", "admin")
def save_resource(slug: str, resource_id: int) -> ResponseReturnValue:
    try:
        with unit_of_work():
            resources.change(slug, resource_id, request.form, acting(), utcnow())
    except NotFound:
        raise
    except DomainError as refusal:
        found = resources.find(queries.campaign_by_slug(slug), resource_id)
        return _form(slug, found, request.form, refusal), refusal.status
    return _saved(slug)


def _saved(slug: str) -> ResponseReturnValue:
    flash(_("Saved."), "good")
    return redirect(url_for(".resources", slug=slug), code=303)


def _form(
    slug: str, found: CampaignResource | None, fields: Mapping[str, str], refusal: DomainError | None = None
) -> str:
    stored = resources.fields_of(found) if found else {}
    return render_template(
        "donations/backoffice/resource.html",
        campaign=queries.campaign_by_slug(slug),
        resource=found,
        fields=fields,
        seen=opened_on(stored, fields, refusal),
        refusal=refusal,
        kinds=[(kind, KIND_NAMES[kind]) for kind in RESOURCE_KINDS],
        rules=resources,
    )


@allowed("campaign", "admin")
def remove_resource(slug: str, resource_id: int) -> ResponseReturnValue:
    with unit_of_work():
        resources.remove(slug, resource_id, acting(), utcnow())
    flash(_("The resource is removed."), "good")
    return redirect(url_for(".resources", slug=slug), code=303)


@allowed("campaign", "admin")
def move_resource(slug: str, resource_id: int) -> ResponseReturnValue:
    with unit_of_work():
        resources.move(slug, resource_id, up=request.form.get("to") == "up", actor=acting(), now=utcnow())
    return redirect(url_for(".resources", slug=slug) + f"#resource-{resource_id}", code=303)


def add_to(blueprint: Blueprint) -> None:
    all_of, one = "/staff/campaigns/<slug>/resources", "/staff/campaigns/<slug>/resources/<int:resource_id>"
    blueprint.get(all_of, endpoint="resources")(resource_list)
    blueprint.get(f"{all_of}/new")(new_resource)
    blueprint.post(f"{all_of}/new")(make_resource)
    blueprint.get(one)(resource)
    blueprint.post(one)(save_resource)
    blueprint.post(f"{one}/remove")(remove_resource)
    blueprint.post(f"{one}/move")(move_resource)
