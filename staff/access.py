"""Who may open which page. Under /staff/ everything is refused that does not say whom it is for.

A view says so with `@allowed("office", "admin")`; the views of the sign-in library are listed here. The check runs
before anything reads the request's body, and reads the member anew each time: who was disabled a second ago is out.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

from flask import Flask, abort, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from flask_security.utils import logout_user

from core.http import before_body, client_address, use_error_page
from staff.models import ROLES, StaffMember

PREFIX = "/staff"
EVERYBODY = frozenset({"everybody"})  # also who has not signed in
MEMBERS = frozenset(ROLES)
OF_THE_LIBRARY = {
    "security.login": EVERYBODY,
    "security.logout": MEMBERS,
    "security.change_password": MEMBERS,
}

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


@dataclass(frozen=True)
class Actor:
    """The member who acts, as values for services and the audit log."""

    id: int
    email: str
    name: str
    roles: frozenset[str]
    address: str

    def has(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)


def allowed(*roles: str) -> Callable[[View], View]:
    """Let members with one of these roles in; raises `ValueError` for none or unknown ones."""
    if not roles or not MEMBERS.issuperset(roles):
        raise ValueError(f"roles are {', '.join(ROLES)}")

    def declare(view: View) -> View:
        view.staff_roles = frozenset(roles)  # type: ignore[attr-defined]
        return view

    return declare


def roles_of(app: Flask, endpoint: str) -> frozenset[str]:
    """Who may use it; empty when it does not say so, and then nobody may."""
    declared: frozenset[str] = getattr(app.view_functions[endpoint], "staff_roles", frozenset())
    return OF_THE_LIBRARY.get(endpoint, declared)


def is_guarded(app: Flask, endpoint: str, rule: str) -> bool:
    return rule.startswith(PREFIX) or hasattr(app.view_functions[endpoint], "staff_roles")


def acting() -> Actor:
    """Who acts in this request. The guard has let a member in, or there is no such request."""
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
    if request.url_rule is None or not is_guarded(current_app, request.url_rule.endpoint, request.url_rule.rule):
        return None
    roles = roles_of(current_app, request.url_rule.endpoint)
    if current_user.is_authenticated and _has_run_out():
        logout_user()
    if roles == EVERYBODY:
        return None
    if not current_user.is_authenticated:
        return _to_sign_in()
    if roles.isdisjoint(current_user.role_names()):
        abort(HTTPStatus.FORBIDDEN)
    return None


def _to_sign_in() -> ResponseReturnValue:
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    if back == url_for("staff.front"):
        back = None
    return redirect(url_for("security.login", next=back), code=303)


def init_app(app: Flask) -> None:
    before_body(app, guard)
    use_error_page(app, PREFIX, "staff/error.html")
