"""The second step of signing in, for members who have a second factor; and signing in with a passkey alone.

Between the steps the session says who gave the right password and when, and opens nothing. A passkey that showed who
holds it (fingerprint, face, PIN) is both factors at once.
"""

import time
from datetime import timedelta
from typing import Any, cast

import sqlalchemy as sa
from flask import Blueprint, Flask, flash, jsonify, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue, ResponseValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_security import UserMixin, current_user
from flask_security.tf_plugin import TfPluginBase
from flask_security.utils import login_user

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from staff import guesses, passkeys, second_factors
from staff.access import MEMBERS, allowed, before_second_factor, for_everybody, remember_sign_in
from staff.forms import is_console_path
from staff.models import StaffMember

WITHIN = timedelta(minutes=10)


class SecondStep(TfPluginBase):
    """How the library's sign-in finds out that a password is not enough."""

    def create_blueprint(self, app: Flask, bp: Blueprint, state: Any) -> None:
        """Our pages are in our own blueprint."""

    def get_setup_methods(self, user: UserMixin) -> list[tuple[str, str]]:
        return [("second", "second")] if cast(StaffMember, user).has_second_factor else []

    def tf_login(self, user: UserMixin, json_payload: dict[str, Any], next_loc: str | None) -> ResponseValue:
        """The password was right."""
        target = request.form.get("next", "")
        remember_sign_in()
        session["half"] = {
            "member": user.fs_uniquifier,
            "at": int(time.time()),
            "next": target if is_console_path(target) else "",
        }
        with unit_of_work():
            guesses.take_back()
        return redirect(url_for("staff.second_step"), code=303)


def half_signed_in() -> StaffMember | None:
    half: dict[str, Any] = session.get("half", {})
    if not half or time.time() - half["at"] > WITHIN.total_seconds():
        return None
    same = sa.and_(StaffMember.fs_uniquifier == half["member"], StaffMember.active)
    return db.session.scalar(sa.select(StaffMember).where(same))


@for_everybody
def second_step() -> ResponseReturnValue:
    member = half_signed_in()
    if member is None:
        flash(_("Please begin with your password."), "bad")
        return redirect(url_for("security.login"), code=303)
    if request.method == "GET":
        return _page(member, None)
    try:
        via = _take(member)
    except DomainError as refusal:
        if refusal.status == 429:
            raise
        return _page(member, refusal)
    return finish_sign_in(member, ["password", via])


def _take(member: StaffMember) -> str:
    """What proved it. Raises `LockedOut`, `WrongCode`, `WrongRecoveryCode`, `PasskeyRefused`."""
    form, now, subject = request.form, utcnow(), f"staff:{member.email}"
    if form.get("credential"):
        guesses.count(guesses.of_passkey(), subject)
        answer = passkeys.proved("second", form["credential"], member, now)
        with unit_of_work():
            second_factors.use_passkey(answer.passkey, answer.sign_count, now)
        return "passkey"
    if not form.get("recovery"):
        guesses.count(guesses.of_code(member), subject)
        with unit_of_work():
            second_factors.take_app_code(member, form.get("code", ""), now)
        return "app"
    guesses.count(guesses.of_recovery_code(member), subject)
    with unit_of_work():
        second_factors.take_recovery_code(member, form["recovery"], now)
        left = second_factors.recovery_codes_left(member)
    flash(ngettext("You have %(num)s recovery code left.", "You have %(num)s recovery codes left.", left), "good")
    return "recovery code"


def _page(member: StaffMember, refusal: DomainError | None) -> ResponseReturnValue:
    page = render_template("staff/second_step.html", member=member, refusal=refusal, origin=passkeys.origin())
    return page, refusal.status if refusal else 200


def finish_sign_in(member: StaffMember, via: list[str]) -> ResponseReturnValue:
    """A session anew, and to where the member wanted to go."""
    target = session.get("half", {}).get("next") or url_for("staff.front")
    flashed = session.get("_flashes")
    remember_sign_in()
    if flashed:
        session["_flashes"] = flashed
    login_user(member, authn_via=via)
    return redirect(target, code=303)


@for_everybody
def passkey_options() -> ResponseReturnValue:
    """A challenge for the page's script: of the second step for who has done the first, else of signing in."""
    member = half_signed_in()
    if member is not None:
        return jsonify(passkeys.to_prove("second", member, utcnow()))
    return jsonify(passkeys.to_prove("sign-in", None, utcnow()))


@for_everybody
def passkey_sign_in() -> ResponseReturnValue:
    """Sign in with a passkey alone: the browser says whose it is, and that its holder was checked."""
    now, target = utcnow(), request.form.get("next", "")
    guesses.count(guesses.of_passkey(), "staff:unknown")
    try:
        answer = passkeys.proved("sign-in", request.form.get("credential", ""), None, now)
        with unit_of_work():
            second_factors.use_passkey(answer.passkey, answer.sign_count, now)
    except DomainError as refusal:
        flash(refusal.message, "bad")
        return redirect(url_for("security.login", next=target if is_console_path(target) else None), code=303)
    session["half"] = {"next": target if is_console_path(target) else ""}
    return finish_sign_in(answer.member, ["passkey"])


@allowed(*MEMBERS)
@before_second_factor
def confirm_options() -> ResponseReturnValue:
    return jsonify(passkeys.to_prove("confirm", current_user._get_current_object(), utcnow()))


@allowed(*MEMBERS)
@before_second_factor
def confirm_passkey() -> ResponseReturnValue:
    """A passkey in place of the password, where the password is asked for again."""
    member, now, target = current_user._get_current_object(), utcnow(), request.form.get("next", "")
    target = target if is_console_path(target) else url_for("staff.account")
    guesses.count(guesses.of_passkey(), f"staff:{member.email}")
    try:
        answer = passkeys.proved("confirm", request.form.get("credential", ""), member, now)
        with unit_of_work():
            second_factors.use_passkey(answer.passkey, answer.sign_count, now)
            guesses.take_back()
    except DomainError as refusal:
        flash(refusal.message, "bad")
        return redirect(url_for("security.verify", next=target), code=303)
    session["fs_paa"] = time.time()
    return redirect(target, code=303)


def add_pages(blueprint: Blueprint) -> None:
    add = blueprint.add_url_rule
    add("/staff/login/second", "second_step", second_step, methods=["GET", "POST"])
    add("/staff/login/passkey", "passkey_sign_in", passkey_sign_in, methods=["POST"])
    add("/staff/login/passkey/challenge", "passkey_options", passkey_options, methods=["POST"])
    add("/staff/confirm/passkey", "confirm_passkey", confirm_passkey, methods=["POST"])
    add("/staff/confirm/passkey/challenge", "confirm_options", confirm_options, methods=["POST"])
