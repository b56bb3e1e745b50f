"""Password sign-in by Flask-Security: its settings, and our rules around its views.

The library's views read, and where they write they do so inside one of our units of work. Guesses are counted in the
database before the password is looked at, per account, per address and for both together; one that proves right is
uncounted. Passwords are checked outside of any write transaction: hashing takes time, and SQLite has one writer.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, cast

import sqlalchemy as sa
from flask import Flask, g, request
from flask.typing import ResponseReturnValue
from flask_security import Security, SQLAlchemyUserDatastore, current_user
from flask_security.signals import password_changed, user_authenticated

from core import throttle
from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import TooMany
from core.http import client_address
from staff import audit, messages
from staff.access import PREFIX, acting
from staff.forms import NewPasswordForm, SignInForm
from staff.models import MemberRole, StaffMember

WINDOW = timedelta(minutes=15)
# Guesses of one window. An office has one address for all its clerks; a botnet has many for one account.
PER_PAIR, PER_ACCOUNT, PER_ADDRESS = 8, 24, 80
PASSWORD_LENGTH = 12

SETTINGS: dict[str, Any] = {
    "URL_PREFIX": PREFIX,
    "LOGIN_URL": "/login",
    "LOGOUT_URL": "/logout",
    "LOGOUT_METHODS": ["POST"],
    "CHANGEABLE": True,
    "CHANGE_URL": "/password",
    "POST_LOGIN_VIEW": PREFIX,
    "POST_CHANGE_VIEW": PREFIX,
    "POST_LOGOUT_VIEW": f"{PREFIX}/login",
    "LOGIN_USER_TEMPLATE": "staff/sign_in.html",
    "CHANGE_PASSWORD_TEMPLATE": "staff/password.html",
    "SEND_PASSWORD_CHANGE_EMAIL": False,
    "RETURN_GENERIC_RESPONSES": True,
    "PASSWORD_HASH": "argon2",
    "PASSWORD_SCHEMES": ["argon2"],
    "PASSWORD_SINGLE_HASH": {"argon2"},
    "PASSWORD_LENGTH_MIN": PASSWORD_LENGTH,
    "EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "API_ENABLED_METHODS": ["session"],
    "FRESHNESS": timedelta(seconds=-1),
    "STATIC_FOLDER": None,
    "CLI_USERS_NAME": None,
    "CLI_ROLES_NAME": None,
}
FAST_HASH = {"argon2__time_cost": 1, "argon2__memory_cost": 64, "argon2__parallelism": 1}  # of tests


def init_app(app: Flask) -> None:
    app.config.update({f"SECURITY_{name}": value for name, value in SETTINGS.items()})
    app.config.update(messages.settings())
    if app.testing:
        app.config["SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS"] = FAST_HASH
    security = Security()
    store = SQLAlchemyUserDatastore(db, StaffMember, MemberRole)
    security.init_app(app, store, login_form=SignInForm, change_password_form=NewPasswordForm)
    security.want_json(lambda _request: False)
    security.login_manager.request_loader(lambda _request: None)  # no signed tokens in headers or addresses
    app.before_request_funcs.setdefault("security", []).append(_count_guess)
    for endpoint in ("security.logout", "security.change_password"):
        app.view_functions[endpoint] = _within_unit(app.view_functions[endpoint])
    user_authenticated.connect(_signed_in, app)
    password_changed.connect(_changed_password, app)


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


def _counters(account: str) -> list[tuple[str, str, int]]:
    address = client_address()
    return [
        ("sign-in-pair", f"{account}|{address}", PER_PAIR),
        ("sign-in-account", account, PER_ACCOUNT),
        ("sign-in-address", address, PER_ADDRESS),
    ]


def _count_guess() -> None:
    """Raises `TooMany` when there were too many guesses, whether this one is right or not."""
    if request.method != "POST" or request.endpoint not in ("security.login", "security.change_password"):
        return
    typed = current_user.email if current_user.is_authenticated else request.form.get("email", "")
    g.guess = (typed.strip().lower()[:254], utcnow())
    account, now = g.guess
    counts = [(throttle.count(scope, key, WINDOW, now), most) for scope, key, most in _counters(account)]
    if any(count > most for count, most in counts):
        raise TooMany


def _uncount_guess() -> None:
    account, now = g.guess
    for scope, key, _most in _counters(account):
        throttle.take_back(scope, key, WINDOW, now)


def _signed_in(_app: Flask, *, user: StaffMember, authn_via: list[str], **_more: Any) -> None:
    if authn_via == ["change"]:  # a changed password renews the session; that is no sign-in
        return
    member_id, email, now = user.id, user.email, utcnow()
    with unit_of_work() as session:
        _uncount_guess()
        session.execute(sa.update(StaffMember).where(StaffMember.id == member_id).values(signed_in_at=now))
        audit.record(email, "staff.signed_in", f"staff:{email}", now=now, address=client_address())


def _end_sessions() -> None:
    """A new identifier in all sessions of the member: copies of the cookie are dead too."""
    actor = acting()
    member = current_user._get_current_object()
    member.fs_uniquifier = uuid.uuid4().hex
    audit.record(actor.email, "staff.signed_out", f"staff:{actor.email}", now=utcnow(), address=actor.address)


def _changed_password(_app: Flask, *, user: StaffMember, **_more: Any) -> None:
    _uncount_guess()
    audit.record(user.email, "staff.password_changed", f"staff:{user.email}", now=utcnow(), address=client_address())
