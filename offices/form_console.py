"""Console pages of the forms of one office and one link."""

from collections.abc import Mapping

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from offices import forms, queries
from offices.console import names
from offices.errors import PlacementNotActive, UnknownOffice, UnknownPlacement
from offices.models import Office, Placement
from staff.access import acting, allowed
from staff.editing import opened_on

blueprint = Blueprint("office_forms", __name__)
blueprint.context_processor(names)


@blueprint.get("/staff/offices/new")
@allowed("campaign", "admin")
def new_office() -> str:
    return _office_form(None, {"active": "yes"})


@blueprint.post("/staff/offices/new")
@allowed("campaign", "admin")
def make_office() -> ResponseReturnValue:
    try:
        with unit_of_work():
            code = forms.make_office(request.form, acting(), utcnow()).code
    except DomainError as refusal:
        return _office_form(None, request.form, refusal), refusal.status
    flash(_("Saved."), "good")
    return redirect(url_for("prints.office_page", code=code), code=303)


@blueprint.get("/staff/offices/<code>/edit")
@allowed("campaign", "admin")
def edit_office(code: str) -> str:
    office = queries.office_by_code(code)
    return _office_form(office, forms.office_fields(office))


@blueprint.post("/staff/offices/<code>/edit")
@allowed("campaign", "admin")
def save_office(code: str) -> ResponseReturnValue:
    try:
        with unit_of_work():
            forms.change_office(code, request.form, acting(), utcnow())
    except UnknownOffice:
        raise
    except DomainError as refusal:
        return _office_form(queries.office_by_code(code), request.form, refusal), refusal.status
    flash(_("Saved."), "good")
    return redirect(url_for(".edit_office", code=code), code=303)


def _office_form(office: Office | None, fields: Mapping[str, str], refusal: DomainError | None = None) -> str:
    return render_template(
        "offices/edit_office.html",
        office=office,
        fields=fields,
        seen=opened_on(forms.office_fields(office) if office else {}, fields, refusal),
        refusal=refusal,
        regions=queries.regions(),
    )


@blueprint.get("/staff/links/<code>/edit")
@allowed("campaign", "admin")
def edit_link(code: str) -> str:
    placement = queries.placement_by_code(code)
    return _link_form(placement, forms.link_fields(placement))


@blueprint.post("/staff/links/<code>/edit")
@allowed("campaign", "admin")
def save_link(code: str) -> ResponseReturnValue:
    try:
        with unit_of_work():
            changed = forms.change_link(code, request.form, acting(), utcnow()).code
    except (UnknownPlacement, PlacementNotActive):
        raise
    except DomainError as refusal:
        return _link_form(queries.placement_by_code(code), request.form, refusal), refusal.status
    flash(_("Saved."), "good")
    return redirect(url_for("offices.link_list", code=changed), code=303)


def _link_form(placement: Placement, fields: Mapping[str, str], refusal: DomainError | None = None) -> str:
    return render_template(
        "offices/edit_link.html",
        placement=placement,
        fields=fields,
        seen=opened_on(forms.link_fields(placement), fields, refusal),
        refusal=refusal,
        printed=forms.is_printed(placement),
        given=queries.is_given_through(placement.code),
    )


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
