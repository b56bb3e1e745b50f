"""Console pages of tokens: one's own for everybody, those of all for administrators."""

from datetime import datetime, timedelta

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from staff import labels, queries, tokens
from staff.access import acting, allowed, fresh
from staff.models import ROLES

blueprint = Blueprint("staff_tokens", __name__)

LIFETIMES = {"30": _l("30 days"), "90": _l("90 days"), "365": _l("One year"), "": _l("Until it is revoked")}


@blueprint.get("/staff/tokens")
@allowed(*ROLES)
def own() -> str:
    actor = acting()
    found = queries.tokens_of(actor.id)
    return render_template(
        "staff/tokens.html", tokens=found, for_all=actor.has("admin"), zone=labels.ZONE, now=utcnow()
    )


@blueprint.get("/staff/tokens/new")
@allowed(*ROLES)
@fresh
def new() -> str:
    return _form()


def _form(refusal: DomainError | None = None) -> str:
    permitted = [(scope, labels.SCOPE_NAMES[scope], scope) for scope in tokens.scopes_for(acting().roles)]
    return render_template("staff/new_token.html", permitted=permitted, lifetimes=LIFETIMES, refusal=refusal)


@blueprint.post("/staff/tokens/new")
@allowed(*ROLES)
@fresh
def make() -> ResponseReturnValue:
    """The answer itself shows the secret: it is stored nowhere, so no page could show it after a redirect."""
    actor, now = acting(), utcnow()
    try:
        with unit_of_work():
            member = queries.member_by_id(actor.id)
            label, scopes = request.form.get("label", ""), request.form.getlist("scopes")
            by = {"actor": actor.email, "address": actor.address}
            token, secret = tokens.make_token(member, label, scopes, _expiry(now), now=now, **by)
    except DomainError as refusal:
        return _form(refusal), refusal.status
    return render_template("staff/token_made.html", token=token, secret=secret, zone=labels.ZONE), 201


def _expiry(now: datetime) -> datetime | None:
    """What was chosen; the shortest for what nobody offered."""
    days = request.form.get("days", "30")
    days = days if days in LIFETIMES else "30"
    return now + timedelta(days=int(days)) if days else None


@blueprint.post("/staff/tokens/<int:token_id>/revoke")
@allowed(*ROLES)
def revoke(token_id: int) -> ResponseReturnValue:
    """Administrators revoke those of others, too."""
    actor = acting()
    with unit_of_work():
        owner = None if actor.has("admin") else actor.id
        by = {"actor": actor.email, "address": actor.address}
        token = tokens.revoke_token(token_id, owner=owner, now=utcnow(), **by)
    flash(_("The token “%(label)s” opens nothing any more.", label=token.label), "good")
    return redirect(url_for(".own" if token.member_id == actor.id else ".everybodys"), code=303)


@blueprint.get("/staff/tokens/all")
@allowed("admin")
def everybodys() -> str:
    return render_template(
        "staff/all_tokens.html",
        page=queries.tokens_page(request.args, request.args.get("page", 1, type=int)),
        names=labels.SCOPE_NAMES,
        zone=labels.ZONE,
        now=utcnow(),
    )


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
