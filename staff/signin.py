"""Password sign-in by Flask-Security: its settings, and our rules around its views.

The library's views read, and where they write they do so inside one of our units of work. Guesses are counted in the
database before the password is looked at. Passwords are checked outside of any write transaction: hashing takes time,
and SQLite has one writer. Reset by e-mail, second factors and the account are pages of ours; the library's own views
for them are turned off.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, cast

import sqlalchemy as sa
from flask import Flask, g, request, session
from flask.typing import ResponseReturnValue
from flask_security import PasswordUtil, Security, SQLAlchemyUserDatastore, current_user
from flask_security.signals import password_changed, user_authenticated
from flask_security.utils import login_user

from core.clock import utcnow
from core.db import db, unit_of_work
from core.http import client_address
from staff import audit, errors, guesses, letters, messages
from staff.access import FRESH, PREFIX, acting
from staff.forms import ConfirmForm, NewPasswordForm, SignInForm
from staff.models import MemberRole, StaffMember
from staff.obvious import is_obvious

PASSWORD_LENGTH = 12

SETTINGS: dict[str, Any] = {
    "URL_PREFIX": PREFIX,
    "LOGIN_URL": "/login",
    "LOGOUT_URL": "/logout",
    "LOGOUT_METHODS": ["POST"],
    "CHANGEABLE": True,
    "CHANGE_URL": "/password",
    "VERIFY_URL": "/confirm",
    "POST_LOGIN_VIEW": PREFIX,
    "POST_CHANGE_VIEW": f"{PREFIX}/account",
    "POST_VERIFY_VIEW": f"{PREFIX}/account",
    "POST_LOGOUT_VIEW": f"{PREFIX}/login",
    "LOGIN_USER_TEMPLATE": "staff/sign_in.html",
    "CHANGE_PASSWORD_TEMPLATE": "staff/password.html",
    "VERIFY_TEMPLATE": "staff/confirm.html",
    "SEND_PASSWORD_CHANGE_EMAIL": False,  # ours is sent, through the outbox
    "RETURN_GENERIC_RESPONSES": True,
    "PASSWORD_HASH": "argon2",
    "PASSWORD_SCHEMES": ["argon2"],
    "PASSWORD_SINGLE_HASH": {"argon2"},
    "PASSWORD_LENGTH_MIN": PASSWORD_LENGTH,
    "EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "API_ENABLED_METHODS": ["session"],
    "FRESHNESS": FRESH,
    "FRESHNESS_GRACE_PERIOD": timedelta(0),
    "TWO_FACTOR_IMPLEMENTATIONS": {"code": "staff.second_step.SecondStep"},
    "CACHE_CONTROL": {},  # ours is sent: the library writes a malformed one
    "STATIC_FOLDER": None,
    "CLI_USERS_NAME": None,
    "CLI_ROLES_NAME": None,
}
FAST_HASH = {"argon2__time_cost": 1, "argon2__memory_cost": 64, "argon2__parallelism": 1}  # of tests
GUESSED_AT = ("security.login", "security.change_password", "security.verify")
NO_SIGN_IN = (["change"], ["renewed"])  # what renews a session of who is signed in


def init_app(app: Flask) -> None:
    app.config.update({f"SECURITY_{name}": value for name, value in SETTINGS.items()})
    app.config.update(messages.settings())
    if app.testing:
        app.config["SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS"] = FAST_HASH
    security = Security(password_util_cls=_Passwords)
    store = SQLAlchemyUserDatastore(db, StaffMember, MemberRole)
    security.init_app(app, store, login_form=SignInForm, change_password_form=NewPasswordForm, verify_form=ConfirmForm)
    security.support_mfa = True  # our second step alone: the library's own factors would bring views that we do not use
    security.want_json(lambda _request: False)
    security.login_manager.request_loader(lambda _request: None)  # no signed tokens in headers or addresses
    app.before_request_funcs.setdefault("security", []).append(_count_guess)
    for endpoint in ("security.logout", "security.change_password"):
        app.view_functions[endpoint] = _within_unit(app.view_functions[endpoint])
    for endpoint in GUESSED_AT:
        app.view_functions[endpoint] = _uncounted_unless_wrong(app.view_functions[endpoint])
    user_authenticated.connect(_signed_in, app)
    password_changed.connect(_changed_password, app)


class _Passwords(PasswordUtil):
    """What the library's form for a new password asks."""

    def validate(self, password: str, is_register: bool, **about: Any) -> tuple[list[Any] | None, str]:
        refused, plain = super().validate(password, is_register, **about)
        if not refused and is_obvious(password, current_user.email):
            refused = [errors.PasswordObvious.text]
        return refused, plain


def _within_unit(view: Callable[..., Any]) -> Callable[..., ResponseReturnValue]:
    """Let a view of the library write inside a unit of work; its own commit afterwards finds nothing to do."""

    @wraps(view)
    def run(**values: Any) -> ResponseReturnValue:
        if request.method != "POST":
            return cast(ResponseReturnValue, view(**values))
        with unit_of_work():
            if request.endpoint == "security.logout":
                _end_sessions()
            return cast(ResponseReturnValue, view(**values))

    return run


def _uncounted_unless_wrong(view: Callable[..., Any]) -> Callable[..., ResponseReturnValue]:
    """A guess that the form found right, or did not come to look at, is none."""

    @wraps(view)
    def run(**values: Any) -> ResponseReturnValue:
        answer = cast(ResponseReturnValue, view(**values))
        if g.get("guess") and not g.get("guess_was_wrong", True):
            with unit_of_work():
                guesses.take_back()
        return answer

    return run


def _count_guess() -> None:
    """Raises `LockedOut` when there were too many guesses, whether this one is right or not."""
    if request.method != "POST" or request.endpoint not in GUESSED_AT:
        return
    typed = current_user.email if current_user.is_authenticated else request.form.get("email", "")
    account = typed.strip().lower()[:254]
    limits = guesses.of_password(account)
    db.session.rollback()
    known = db.session.scalar(sa.select(StaffMember.email).where(StaffMember.email == _searchable(account)))
    # What was typed may be a password in the wrong field: it stands in no log.
    guesses.count(limits, f"staff:{known}" if known else "staff:unknown")


def _searchable(account: str) -> str:
    return account if account.isprintable() else "?"


def _signed_in(_app: Flask, *, user: StaffMember, authn_via: list[str], **_more: Any) -> None:
    if authn_via in NO_SIGN_IN:
        return
    member_id, email, now = user.id, user.email, utcnow()
    with unit_of_work() as work:
        guesses.take_back()
        work.execute(sa.update(StaffMember).where(StaffMember.id == member_id).values(signed_in_at=now))
        by = {"by": "+".join(authn_via)}
        audit.record(email, "staff.signed_in", f"staff:{email}", after=by, now=now, address=client_address())


def keep_this_session(member: StaffMember) -> None:
    """After all sessions of the member ended: go on in this one, as fresh as it was."""
    asked_before = session.get("fs_paa", 0)
    login_user(member, authn_via=["renewed"])
    session["fs_paa"] = asked_before


def _end_sessions() -> None:
    """A new identifier in all sessions of the member: copies of the cookie are dead too."""
    actor = acting()
    member = current_user._get_current_object()
    member.fs_uniquifier = uuid.uuid4().hex
    audit.record(actor.email, "staff.signed_out", f"staff:{actor.email}", now=utcnow(), address=actor.address)


def _changed_password(_app: Flask, *, user: StaffMember, **_more: Any) -> None:
    now = utcnow()
    guesses.take_back()
    letters.close_links(user.id, "reset", "email", now=now)
    letters.notify("password_changed", user, now)
    audit.record(user.email, "staff.password_changed", f"staff:{user.email}", now=now, address=client_address())
