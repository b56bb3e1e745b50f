"""One's own account: name, language, e-mail address, password, second factors, sessions."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import current_user

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.http import client_address
from core.i18n import LANGUAGE_NAMES
from staff import audit, guesses, labels, passwords, second_factors, services
from staff.access import MEMBERS, acting, allowed, fresh
from staff.models import StaffMember
from staff.signin import keep_this_session


@allowed(*MEMBERS)
def account() -> ResponseReturnValue:
    return _page(None)


def _page(refusal: DomainError | None) -> ResponseReturnValue:
    member: StaffMember = current_user._get_current_object()
    page = render_template(
        "staff/account.html",
        member=member,
        refusal=refusal,
        typed=request.form,
        languages=list(LANGUAGE_NAMES.items()),
        required=second_factors.is_required_of(member),
        codes_left=second_factors.recovery_codes_left(member),
        sign_ins=services.last_sign_ins(member.email, 5),
        zone=labels.ZONE,
    )
    return page, refusal.status if refusal else 200


@allowed(*MEMBERS)
def save_profile() -> ResponseReturnValue:
    locale, actor = request.form.get("locale", ""), acting()
    try:
        with unit_of_work():
            services.edit_member(
                actor.email,
                name=request.form.get("name", ""),
                roles=actor.roles,
                locale=locale,
                actor=actor.email,
                address=actor.address,
                now=utcnow(),
            )
    except DomainError as refusal:
        return _page(refusal)
    flash(_("Saved."), "good")
    return redirect(url_for(".account", lang=services.known_locale(locale)), code=303)


@allowed(*MEMBERS)
@fresh
def ask_email_change() -> ResponseReturnValue:
    member: StaffMember = current_user._get_current_object()
    guesses.count(guesses.of_email_change(member), f"staff:{member.email}")
    try:
        with unit_of_work():
            email = request.form.get("email", "")[:320]
            passwords.ask_email_change(member, email, address=client_address(), now=utcnow())
    except DomainError as refusal:
        return _page(refusal)
    flash(_("A letter with a link is on its way to the new address. Nothing changes before you open it."), "good")
    return redirect(url_for(".account"), code=303)


@allowed(*MEMBERS)
def end_other_sessions() -> ResponseReturnValue:
    member: StaffMember = current_user._get_current_object()
    with unit_of_work():
        services.end_sessions(member)
        subject, address = f"staff:{member.email}", client_address()
        audit.record(member.email, "staff.sessions_ended", subject, now=utcnow(), address=address)
    keep_this_session(member)
    flash(_("You are signed out everywhere else."), "good")
    return redirect(url_for(".account"), code=303)


def add_pages(blueprint: Blueprint) -> None:
    add = blueprint.add_url_rule
    add("/staff/account", "account", account, methods=["GET"])
    add("/staff/account", "save_profile", save_profile, methods=["POST"])
    add("/staff/account/email", "ask_email_change", ask_email_change, methods=["POST"])
    add("/staff/account/sessions", "end_other_sessions", end_other_sessions, methods=["POST"])
