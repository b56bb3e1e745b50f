"""Console pages of administrators: who works here, as what; inviting, editing, letting in no longer."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.i18n import LANGUAGE_NAMES
from staff import errors, frame, invitations, labels, queries, services
from staff.access import Actor, acting, allowed
from staff.models import ROLES, StaffMember

blueprint = Blueprint("staff_members", __name__)


@blueprint.context_processor
def names() -> dict[str, object]:
    return {
        "roles": [(role, labels.ROLE_NAMES[role], labels.ROLE_NOTES[role]) for role in ROLES],
        "states": labels.STATE_NAMES,
        "languages": LANGUAGE_NAMES,
        "zone": labels.ZONE,
    }


@blueprint.get("/staff/members")
@allowed("admin")
def member_list() -> str:
    page = queries.members_page(request.args, request.args.get("page", 1, type=int))
    offices = queries.offices_of(member.id for member in page.rows)
    return render_template("staff/members.html", page=page, offices=offices)


@blueprint.get("/staff/members/invite")
@allowed("admin")
def invite_page() -> str:
    return render_template("staff/invite.html")


@blueprint.post("/staff/members/invite")
@allowed("admin")
def invite() -> ResponseReturnValue:
    try:
        with unit_of_work():
            invited = invitations.invite_member(
                request.form.get("email", ""),
                request.form.get("name", ""),
                request.form.getlist("role"),
                locale=request.form.get("locale", ""),
                **_by(acting()),
            )
    except DomainError as refusal:
        return render_template("staff/invite.html", refusal=refusal), refusal.status
    flash(_("%(email)s gets a letter with a link that is good for a week.", email=invited.email), "good")
    return redirect(url_for(".member", member_id=invited.id), code=303)


def _by(actor: Actor) -> dict[str, Any]:
    return {"actor": actor.email, "address": actor.address, "now": utcnow()}


@blueprint.get("/staff/members/<int:member_id>")
@allowed("admin")
def member(member_id: int) -> str:
    return _page(member_id)


def _page(member_id: int, refusal: DomainError | None = None) -> str:
    found = queries.member_by_id(member_id)
    return render_template(
        "staff/member.html",
        member=found,
        is_me=found.id == acting().id,
        offices=queries.offices_of([found.id]).get(found.id, []),
        tokens=[token for token in queries.tokens_of(found.id) if token.is_in_force(utcnow())],
        refusal=refusal,
        typed=request.form if refusal else None,
    )


def _change(member_id: int, act: Callable[[StaffMember, dict[str, Any]], object], done: str) -> ResponseReturnValue:
    """Do it in one unit of work; a refusal is shown on the member's page, with what was typed."""
    try:
        with unit_of_work():
            found = queries.member_by_id(member_id)
            act(found, _by(acting()))
    except errors.NoSuchMember:
        raise
    except DomainError as refusal:
        return _page(member_id, refusal), refusal.status
    flash(done, "good")
    return redirect(url_for(".member", member_id=member_id), code=303)


def _not_oneself(found: StaffMember) -> None:
    """Raises `OwnAccount`: nobody locks themselves out by one wrong press."""
    if found.id == acting().id:
        raise errors.OwnAccount


@blueprint.post("/staff/members/<int:member_id>")
@allowed("admin")
def edit(member_id: int) -> ResponseReturnValue:
    def act(found: StaffMember, by: dict[str, Any]) -> None:
        roles = request.form.getlist("role")
        if "admin" not in roles:
            _not_oneself(found)
        name, locale = request.form.get("name", ""), request.form.get("locale")
        services.edit_member(found.email, name=name, roles=roles, locale=locale, **by)

    return _change(member_id, act, _("Saved."))


@blueprint.post("/staff/members/<int:member_id>/email")
@allowed("admin")
def change_email(member_id: int) -> ResponseReturnValue:
    def act(found: StaffMember, by: dict[str, Any]) -> None:
        services.change_email(found.email, request.form.get("email", ""), **by)

    return _change(member_id, act, _("The address is changed. A letter to it says so."))


@blueprint.post("/staff/members/<int:member_id>/disable")
@allowed("admin")
def disable(member_id: int) -> ResponseReturnValue:
    def act(found: StaffMember, by: dict[str, Any]) -> None:
        _not_oneself(found)
        services.set_active(found.email, False, **by)

    return _change(member_id, act, _("This member is let in no longer; sessions and tokens are ended."))


@blueprint.post("/staff/members/<int:member_id>/enable")
@allowed("admin")
def enable(member_id: int) -> ResponseReturnValue:
    return _change(
        member_id, lambda found, by: services.set_active(found.email, True, **by), _("This member may sign in again.")
    )


@blueprint.post("/staff/members/<int:member_id>/invitation")
@allowed("admin")
def resend(member_id: int) -> ResponseReturnValue:
    return _change(
        member_id,
        lambda found, by: invitations.resend_invitation(found.email, **by),
        _("A new letter is on its way; the link of the old one is dead."),
    )


@blueprint.post("/staff/members/<int:member_id>/invitation/withdraw")
@allowed("admin")
def withdraw(member_id: int) -> ResponseReturnValue:
    return _change(
        member_id,
        lambda found, by: invitations.withdraw_invitation(found.email, **by),
        _("The invitation is withdrawn: its link is dead."),
    )


@blueprint.post("/staff/members/<int:member_id>/second-factor")
@allowed("admin")
def reset_second_factor(member_id: int) -> ResponseReturnValue:
    def act(found: StaffMember, by: dict[str, Any]) -> None:
        _not_oneself(found)
        services.reset_second_factor(found.email, **by)

    return _change(member_id, act, _("The second factor is taken away. At the next sign-in a new one is set up."))


def _card(_actor: Actor) -> str:
    invited, bare = queries.waiting_members()
    return render_template("staff/_members_card.html", invited=invited, bare=bare)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "staff_members.member_list", _l("Staff"), icon="people", order=90)
    frame.add_card(app, _card, "admin", order=2)
