"""Pages that the links of letters lead to: a new password, an invitation, a new e-mail address.

To ask for a new password is answered alike whether an address is known, in words and in the rows that are written;
beyond some letters an hour wishes are taken and not followed, without a word.
"""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security.utils import login_user

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.http import client_address
from staff import guesses, invitations, letters, passwords
from staff.access import for_everybody, remember_sign_in
from staff.errors import LinkDead, LockedOut


@for_everybody
def forgot_password() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("staff/forgot.html", sent=request.args.get("sent") == "1")
    email = request.form.get("email", "").strip().lower()[:254]
    guesses.count(guesses.of_reset(), "staff:password reset")
    try:
        guesses.count(guesses.of_reset_letter(email), "staff:password reset")
        with unit_of_work():
            passwords.ask_reset(email, address=client_address(), now=utcnow())
    except LockedOut:
        pass  # enough letters went there: perhaps somebody else asked for them, so the owner reads no refusal
    return redirect(url_for(".forgot_password", sent=1), code=303)


@for_everybody
def reset_password(token: str) -> ResponseReturnValue:
    now, refusal = utcnow(), None
    _count_link()
    if request.method == "POST":
        try:
            password = _typed_password()
            with unit_of_work():
                passwords.reset_by_link(token, password, address=client_address(), now=now)
            flash(_("The password is changed. Please sign in with it."), "good")
            return redirect(url_for("security.login"), code=303)
        except LinkDead:
            raise
        except DomainError as error:
            refusal = error
    member = letters.open_link("reset", token, now).member
    return render_template("staff/reset.html", member=member, refusal=refusal), refusal.status if refusal else 200


@for_everybody
def join(token: str) -> ResponseReturnValue:
    """Signs in at once: who has the link and chose the password is the member."""
    now, refusal = utcnow(), None
    _count_link()
    if request.method == "POST":
        try:
            password = _typed_password()
            name = request.form.get("name", "")
            with unit_of_work():
                member = invitations.accept_invitation(token, name, password, address=client_address(), now=now)
            remember_sign_in()
            login_user(member, authn_via=["invitation"])
            return redirect(url_for("staff.front"), code=303)
        except LinkDead:
            raise
        except DomainError as error:
            refusal = error
    member = invitations.invited_by(token, now)
    page = render_template("staff/join.html", member=member, refusal=refusal, typed=request.form.get("name"))
    return page, refusal.status if refusal else 200


@for_everybody
def confirm_email(token: str) -> ResponseReturnValue:
    """Opening the link changes nothing: programs that look at mail open links, too."""
    now = utcnow()
    _count_link()
    if request.method == "POST":
        with unit_of_work():
            passwords.change_email_by_link(token, address=client_address(), now=now)
        flash(_("The e-mail address is changed. Please sign in with it."), "good")
        return redirect(url_for("security.login"), code=303)
    letter = letters.open_link("email", token, now)
    return render_template("staff/confirm_email.html", member=letter.member, new=letter.values["to"])


def _typed_password() -> str:
    return passwords.typed_twice(request.form.get("password", "")[:1024], request.form.get("again", "")[:1024])


def _count_link() -> None:
    """Links are long random texts; who tries many is told to wait all the same."""
    guesses.count(guesses.of_link(), "staff:link")


def add_pages(blueprint: Blueprint) -> None:
    add = blueprint.add_url_rule
    add("/staff/forgot", "forgot_password", forgot_password, methods=["GET", "POST"])
    add("/staff/reset/<token>", "reset_password", reset_password, methods=["GET", "POST"])
    add("/staff/join/<token>", "join", join, methods=["GET", "POST"])
    add("/staff/email/<token>", "confirm_email", confirm_email, methods=["GET", "POST"])
