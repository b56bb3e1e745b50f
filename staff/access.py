"""Who may open which page. Under /staff/ everything is refused that does not say whom it is for.

A view says so with `@allowed("office", "admin")`; the views of the sign-in library are listed here. The check runs
before anything reads the request's body, and reads the member anew each time: who was disabled a second ago is out.

With `scope="codes:redeem"` the view is one of the JSON API and opens to a token of that scope alone, whose member has
one of the roles. The two ways in are apart: a session opens nothing under /api/, so that no foreign page can use it,
and a token nothing under /staff/.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

from flask import Flask, abort, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from flask_security.utils import logout_user

from core.clock import utcnow
from core.http import before_body, client_address, csrf, use_error_page
from staff import errors, second_factors, tokens
from staff.models import ROLES, StaffMember

PREFIX = "/staff"
API_PREFIX = "/api/"
BEARER = "staffToken"  # its name in the OpenAPI document
EVERYBODY = frozenset({"everybody"})  # also who has not signed in
MEMBERS = frozenset(ROLES)
OF_THE_LIBRARY = {
    "security.login": EVERYBODY,
    "security.logout": MEMBERS,
    "security.change_password": MEMBERS,
    "security.verify": MEMBERS,
}
# What is open to members who must set up a second factor first; views of ours say it by `before_second_factor`.
BEFORE_SECOND_FACTOR = {"security.logout", "security.verify"}
FRESH = timedelta(minutes=15)

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


@dataclass(frozen=True)
class Actor:
    """The member who acts, as values for services and the audit log."""

    id: int
    email: str
    name: str
    roles: frozenset[str]
    address: str
    token: str | None = None  # which one acts for the member, if one does; the audit log says so by itself

    def has(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)


def allowed(*roles: str, scope: str | None = None) -> Callable[[View], View]:
    """Let members with one of these roles in; with `scope`, their tokens of that scope, and nobody else.

    On views of the API it may stand above or below the decorators of its blueprint, but below the route. Raises
    `ValueError` for no roles, unknown ones or an unknown scope.
    """
    if not roles or not MEMBERS.issuperset(roles):
        raise ValueError(f"roles are {', '.join(ROLES)}")
    if scope is not None and scope not in tokens.SCOPES:
        raise ValueError(f"scopes are {', '.join(tokens.SCOPES)}")

    def declare(view: View) -> View:
        view.staff_roles = frozenset(roles)  # type: ignore[attr-defined]
        if scope is not None:
            view.staff_scope = scope  # type: ignore[attr-defined]
            csrf.exempt(view)  # no cookie opens it
            _describe(view, scope)
        return view

    return declare


def for_everybody(view: View) -> View:
    """Let in who has not signed in, too."""
    view.staff_roles = EVERYBODY  # type: ignore[attr-defined]
    return view


def before_second_factor(view: View) -> View:
    """Let members in who must set up a second factor before they reach anything else."""
    view.staff_before_second_factor = True  # type: ignore[attr-defined]
    return view


def fresh(view: View) -> View:
    """Ask for the password (or a passkey) again when the last time is more than `FRESH` ago."""

    @wraps(view)
    def check(*args: Any, **values: Any) -> ResponseReturnValue:
        if is_fresh():
            return view(*args, **values)
        back = request.path if request.method == "GET" else url_for("staff.account")
        return redirect(url_for("security.verify", next=back), code=303)

    return cast(View, check)


def is_fresh() -> bool:
    return time.time() - float(session.get("fs_paa", 0)) < FRESH.total_seconds()


def must_set_up_second_factor() -> bool:
    member: StaffMember = current_user._get_current_object()
    return second_factors.is_missing(member)


def _describe(view: View, scope: str) -> None:
    """For the OpenAPI document: in it only OAuth has scopes, so ours stands beside."""
    about = deepcopy(getattr(view, "_apidoc", {}))
    manual = about.setdefault("manual_doc", {})
    manual |= {"security": [{BEARER: []}], "x-scope": scope}
    manual.setdefault("responses", {}).update({"401": "UNAUTHORIZED", "403": "FORBIDDEN"})
    view._apidoc = about  # type: ignore[attr-defined]


def roles_of(app: Flask, endpoint: str) -> frozenset[str]:
    """Who may use it; empty when it does not say so, and then nobody may."""
    declared: frozenset[str] = getattr(app.view_functions[endpoint], "staff_roles", frozenset())
    return OF_THE_LIBRARY.get(endpoint, declared)


def scope_of(app: Flask, endpoint: str) -> str | None:
    """The scope that opens it; None for what no token opens."""
    scope: str | None = getattr(app.view_functions[endpoint], "staff_scope", None)
    return scope


def is_guarded(app: Flask, endpoint: str, rule: str) -> bool:
    return rule.startswith(PREFIX) or hasattr(app.view_functions[endpoint], "staff_roles")


def acting() -> Actor:
    """Who acts in this request. The guard has let a member or a token in, or there is no such request."""
    bearer: Actor | None = g.get("staff_bearer")
    if bearer is not None:
        return bearer
    member: StaffMember = current_user._get_current_object()
    return Actor(member.id, member.email, member.name, member.role_names(), client_address())


def remember_sign_in() -> None:
    """Begin a session anew: nothing that somebody planted before survives, the clock starts."""
    session.clear()
    g.pop("csrf_token", None)
    session["since"] = session["seen"] = int(time.time())


def _has_run_out() -> bool:
    now = int(time.time())
    idle = timedelta(minutes=current_app.config["STAFF_IDLE_MINUTES"]).total_seconds()
    whole = timedelta(hours=current_app.config["STAFF_SESSION_HOURS"]).total_seconds()
    if now - session.get("seen", 0) > idle or now - session.get("since", 0) > whole:
        return True
    if now - session["seen"] >= 60:  # a cookie a minute is enough
        session["seen"] = now
    return False


def guard() -> ResponseReturnValue | None:
    """Let in, send to the sign-in page, or refuse."""
    g.staff_bearer = None
    if request.url_rule is None or not is_guarded(current_app, request.url_rule.endpoint, request.url_rule.rule):
        return None
    roles = roles_of(current_app, request.url_rule.endpoint)
    scope = scope_of(current_app, request.url_rule.endpoint)
    if (scope is not None) != request.url_rule.rule.startswith(API_PREFIX):  # declared wrongly: for nobody
        abort(HTTPStatus.FORBIDDEN)
    if scope is not None:
        g.staff_bearer = _bearer(roles, scope)
        return None
    if current_user.is_authenticated and _has_run_out():
        logout_user()
    if roles == EVERYBODY:
        return None
    if not current_user.is_authenticated:
        return _to_sign_in()
    if roles.isdisjoint(current_user.role_names()):
        abort(HTTPStatus.FORBIDDEN)
    if must_set_up_second_factor() and not _is_before_second_factor(request.url_rule.endpoint):
        return redirect(url_for("staff.second_factors"), code=303)
    return None


def _is_before_second_factor(endpoint: str) -> bool:
    declared = getattr(current_app.view_functions[endpoint], "staff_before_second_factor", False)
    return declared or endpoint in BEFORE_SECOND_FACTOR


def _bearer(roles: frozenset[str], scope: str) -> Actor:
    """Who acts by the token of this request. Raises `TokenInvalid`, `ScopeMissing`, `Forbidden`, `TooMany`."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise errors.TokenInvalid
    token = tokens.present(secret.strip(), client_address(), utcnow())
    if scope not in token.scope_names():
        raise errors.ScopeMissing(scope=scope)
    member = token.member
    if roles.isdisjoint(member.role_names()):
        raise errors.Forbidden
    name = f"{token.hint}… {token.label}"
    return Actor(member.id, member.email, member.name, member.role_names(), client_address(), name)


def _to_sign_in() -> ResponseReturnValue:
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    if back == url_for("staff.front"):
        back = None
    return redirect(url_for("security.login", next=back), code=303)


def describe_bearer(app: Flask) -> None:
    """Tell readers of the OpenAPI document how a token is shown. Call once the document exists."""
    text = (
        "A staff token, made in the console under “Tokens”: `Authorization: Bearer bfi_…`. `x-scope` of an operation "
    )
    text += "names the scope that the token needs; its member needs a role that may do it, too."
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "bfi_…", "description": text}
    app.extensions["api"].spec.components.security_scheme(BEARER, scheme)


def init_app(app: Flask) -> None:
    before_body(app, guard)
    use_error_page(app, PREFIX, "staff/error.html")
