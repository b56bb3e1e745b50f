"""Pages to set up, name and take away one's second factors."""

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user

from core import qr
from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.http import client_address
from staff import errors, guesses, labels, passkeys, second_factors
from staff.access import MEMBERS, allowed, before_second_factor, fresh
from staff.models import StaffMember
from staff.signin import keep_this_session


def _by() -> dict[str, Any]:
    return {"address": client_address(), "now": utcnow()}


def _member() -> StaffMember:
    found: StaffMember = current_user._get_current_object()
    return found


@allowed(*MEMBERS)
@before_second_factor
def show_second_factors(refusal: DomainError | None = None) -> ResponseReturnValue:
    member = _member()
    page = render_template(
        "staff/second_factors.html",
        member=member,
        required=second_factors.is_required_of(member),
        codes_left=second_factors.recovery_codes_left(member),
        origin=passkeys.origin(),
        refusal=refusal,
        zone=labels.ZONE,
    )
    return page, refusal.status if refusal else 200


@allowed(*MEMBERS)
@before_second_factor
@fresh
def set_up_app() -> ResponseReturnValue:
    """The secret stands encrypted in the session until a code of the app shows that it arrived there."""
    if request.method == "GET":
        session["totp"] = second_factors.new_app_secret()
        return _app_page(None)
    member = _member()
    guesses.count(guesses.of_code(member), f"staff:{member.email}")
    try:
        secret = session.get("totp")
        if secret is None:
            raise errors.SetupTooOld
        with unit_of_work():
            codes = second_factors.enable_app(member, secret, request.form.get("code", ""), **_by())
            guesses.take_back()
    except errors.WrongCode as refusal:
        return _app_page(refusal)
    session.pop("totp")
    return _added(member, codes, _("The app is set up. Other devices are signed out."))


def _app_page(refusal: DomainError | None) -> ResponseReturnValue:
    uri, typed = second_factors.shown_secret(session["totp"], _member().email)
    page = render_template("staff/set_up_app.html", symbol=qr.svg(uri), uri=uri, secret=typed, refusal=refusal)
    return page, refusal.status if refusal else 200


@allowed(*MEMBERS)
@before_second_factor
@fresh
def add_passkey() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("staff/add_passkey.html", origin=passkeys.origin(), refusal=None)
    member, by = _member(), _by()
    try:
        credential = passkeys.registered(request.form.get("credential", ""), by["now"])
        with unit_of_work():
            codes = second_factors.add_passkey(member, request.form.get("name", ""), credential, **by)
    except DomainError as refusal:
        page = render_template("staff/add_passkey.html", origin=passkeys.origin(), refusal=refusal, typed=request.form)
        return page, refusal.status
    return _added(member, codes, _("The passkey is here. Other devices are signed out."))


@allowed(*MEMBERS)
@before_second_factor
def register_options() -> ResponseReturnValue:
    return jsonify(passkeys.to_register(_member(), utcnow()))


@allowed(*MEMBERS)
def rename_passkey(passkey_id: int) -> ResponseReturnValue:
    try:
        with unit_of_work():
            second_factors.rename_passkey(_member(), passkey_id, request.form.get("name", ""), **_by())
    except DomainError as refusal:
        return show_second_factors(refusal)
    flash(_("Saved."), "good")
    return redirect(url_for(".second_factors"), code=303)


@allowed(*MEMBERS)
@fresh
def remove_passkey(passkey_id: int) -> ResponseReturnValue:
    member = _member()
    try:
        with unit_of_work():
            second_factors.remove_passkey(member, passkey_id, **_by())
    except DomainError as refusal:
        return show_second_factors(refusal)
    return _removed(member)


@allowed(*MEMBERS)
@fresh
def remove_app() -> ResponseReturnValue:
    member = _member()
    try:
        with unit_of_work():
            second_factors.remove_app(member, **_by())
    except DomainError as refusal:
        return show_second_factors(refusal)
    return _removed(member)


@allowed(*MEMBERS)
@fresh
def renew_recovery_codes() -> ResponseReturnValue:
    try:
        with unit_of_work():
            codes = second_factors.renew_recovery_codes(_member(), **_by())
    except DomainError as refusal:
        return show_second_factors(refusal)
    return render_template("staff/recovery_codes.html", codes=codes)


def _added(member: StaffMember, codes: list[str], text: str) -> ResponseReturnValue:
    """Codes are in this answer alone: they are stored as hashes, so no page can show them after a redirect."""
    keep_this_session(member)
    flash(text, "good")
    if codes:
        return render_template("staff/recovery_codes.html", codes=codes)
    return redirect(url_for(".second_factors"), code=303)


def _removed(member: StaffMember) -> ResponseReturnValue:
    keep_this_session(member)
    flash(_("It is taken away. Other devices are signed out."), "good")
    return redirect(url_for(".second_factors"), code=303)


def add_pages(blueprint: Blueprint) -> None:
    add, base = blueprint.add_url_rule, "/staff/account/second-factors"
    add(base, "second_factors", show_second_factors, methods=["GET"])
    add(f"{base}/app", "set_up_app", set_up_app, methods=["GET", "POST"])
    add(f"{base}/app/remove", "remove_app", remove_app, methods=["POST"])
    add(f"{base}/passkey", "add_passkey", add_passkey, methods=["GET", "POST"])
    add(f"{base}/passkey/challenge", "register_options", register_options, methods=["POST"])
    add(f"{base}/passkey/<int:passkey_id>", "rename_passkey", rename_passkey, methods=["POST"])
    add(f"{base}/passkey/<int:passkey_id>/remove", "remove_passkey", remove_passkey, methods=["POST"])
    add(f"{base}/recovery-codes", "renew_recovery_codes", renew_recovery_codes, methods=["POST"])
