"""Console page of administrators: the offices that one member works for. The pages of staff lead here."""

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from offices import belonging, queries
from staff.access import acting, allowed
from staff.queries import member_by_id

blueprint = Blueprint("office_members", __name__)


@blueprint.get("/staff/members/<int:member_id>/offices")
@allowed("admin")
def offices_of_member(member_id: int) -> str:
    return _page(member_id)


def _page(member_id: int, refusal: DomainError | None = None) -> str:
    member = member_by_id(member_id)
    return render_template(
        "offices/member.html",
        member=member,
        offices=belonging.offices_of(member),
        choices=belonging.open_offices(),
        refusal=refusal,
    )


@blueprint.post("/staff/members/<int:member_id>/offices")
@allowed("admin")
def change_offices(member_id: int) -> ResponseReturnValue:
    """Add one office, or take one away."""
    act = belonging.release if request.form.get("act") == "release" else belonging.assign
    actor = acting()
    try:
        with unit_of_work():
            office, email = queries.office_by_code(request.form.get("office", "")), member_by_id(member_id).email
            act(office, email, actor=actor.email, address=actor.address, now=utcnow())
    except DomainError as refusal:
        if refusal.field is None:
            raise
        return _page(member_id, refusal), refusal.status
    flash(_("Saved."), "good")
    return redirect(url_for(".offices_of_member", member_id=member_id), code=303)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
