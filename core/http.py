"""HTTP: one error handler that decides JSON or HTML by path, and the headers every answer carries."""

import hashlib
import hmac
import logging
import sqlite3
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask, Request, Response, abort, current_app, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from core.db import db
from core.errors import DomainError
from core.texts import storable

log = logging.getLogger(__name__)

MACHINE_PATHS = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")

RETRY_AFTER_SECONDS = 60
BODY_PART = 64 * 1024
SQLITE_OUTAGES = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")

csrf = CSRFProtect()

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

# Stable codes for what the framework itself refuses.
HTTP_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "validation_failed",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}


HTTP_TEXTS = {
    400: _l("We could not read this request."),
    403: _l("You may not do this."),
    404: _l("There is nothing at this address."),
    405: _l("This address does not work that way."),
    413: _l("That is too much data."),
    415: _l("Please send JSON (Content-Type: application/json)."),
    422: _l("Please check what you entered."),
    429: _l("Too many attempts. Please wait a few minutes."),
}
OUR_FAULT = _l("Something went wrong on our side. Nothing was lost; please try again in a minute.")


class _Texts(ImmutableMultiDict[str, Any]):
    """Fields of a form, a query or cookies, fit to be stored and looked for."""

    def __init__(self, mapping: Any = None) -> None:
        pairs = MultiDict[str, Any](mapping).items(multi=True)
        super().__init__([(name, storable(value) if isinstance(value, str) else value) for name, value in pairs])


class StorableRequest(Request):
    parameter_storage_class = _Texts
    dict_storage_class = _Texts


def http_message(status: int) -> str:
    return str(HTTP_TEXTS.get(status, OUR_FAULT))


def for_machines() -> bool:
    return request.path.startswith(MACHINE_PATHS)


def answer_error(
    status: int, code: str, message: str, errors: dict[str, Any] | None = None
) -> tuple[Response | str, int]:
    if for_machines():
        return jsonify(code=code, message=message, errors=errors or {}), status
    page = render_template(_error_page(), status=status, code=code, message=message, request_id=g.get("request_id"))
    return page, status


def _error_page() -> str:
    pages: dict[str, str] = current_app.extensions.get("error_pages", {})
    return next((page for prefix, page in pages.items() if request.path.startswith(prefix)), "core/error.html")


def use_error_page(app: Flask, prefix: str, template: str) -> None:
    """Show errors of all pages whose path begins with `prefix` in a frame of their own."""
    app.extensions.setdefault("error_pages", {})[prefix] = template


def before_body(app: Flask, check: Callable[[], ResponseReturnValue | None]) -> None:
    """Run `check` before anything reads the request's body; what it answers ends the request."""
    app.extensions.setdefault("before_body", []).append(check)


def _checked_before_body() -> ResponseReturnValue | None:
    checks: list[Callable[[], ResponseReturnValue | None]] = current_app.extensions.get("before_body", [])
    for check in checks:
        if (answer := check()) is not None:
            return answer
    if megabytes := getattr(current_app.view_functions.get(request.endpoint or ""), "upload_megabytes", 0):
        request.max_content_length = megabytes * 1024 * 1024
    return None


def takes_upload(megabytes: int) -> Callable[[View], View]:
    """Let a view take a larger body than MAX_CONTENT_LENGTH."""

    def declare(view: View) -> View:
        view.upload_megabytes = megabytes  # type: ignore[attr-defined]
        return view

    return declare


def _on_domain_error(error: DomainError) -> ResponseReturnValue:
    db.session.rollback()
    body, status = answer_error(error.status, error.code, error.message, error.errors)
    return body, status, error.headers


def _on_http_exception(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    if isinstance(error, CSRFError):
        return answer_error(
            400, "csrf_failed", _("The form is out of date. Please go back, reload the page and try again.")
        )
    # webargs marks a body that is no JSON with `data`; what it says there is English and not for readers.
    malformed = status == HTTPStatus.BAD_REQUEST and hasattr(error, "data")
    code = "malformed_json" if malformed else HTTP_CODES.get(status, "error")
    body, status = answer_error(status, code, http_message(status))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return body, status, {"Allow": dict(error.get_headers()).get("Allow", "")}
    return body, status


def _on_crash(error: Exception) -> ResponseReturnValue:
    db.session.rollback()
    log.exception("request failed", extra={"request_id": g.get("request_id")})
    return answer_error(500, "internal_error", http_message(500))


def _on_database_error(error: OperationalError) -> ResponseReturnValue:
    """PostgreSQL says so of connections and resources only; SQLite of faulty SQL too, which is our fault."""
    if isinstance(error.orig, sqlite3.Error) and not error.orig.sqlite_errorname.startswith(SQLITE_OUTAGES):
        return _on_crash(error)
    db.session.rollback()
    log.error("the database does not answer: %s", type(error.orig).__name__)
    return answer_error(503, "unavailable", http_message(503))


def install_error_handlers(app: Flask) -> None:
    """Also called after flask-smorest, which installs an app-wide JSON handler of its own."""
    app.register_error_handler(DomainError, _on_domain_error)
    app.register_error_handler(HTTPException, _on_http_exception)
    app.register_error_handler(OperationalError, _on_database_error)
    app.register_error_handler(Exception, _on_crash)


def public_url(endpoint: str, **values: Any) -> str:
    """An address as the outside world reaches it, whatever host a request named; also where there is no request."""
    return str(current_app.config["PUBLIC_URL"]) + current_app.url_map.bind("localhost").build(endpoint, values)


def client_address() -> str:
    """The caller's address, behind as many proxies as are trusted. Personal data: hash it before keeping it."""
    return request.remote_addr or "unknown"


def caller_hash() -> str:
    """Tells anonymous callers apart without keeping their address: a short hash under the installation's secret."""
    secret = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.new(secret, client_address().encode(), hashlib.sha256).hexdigest()[:12]


def _content_security_policy(form_targets: list[str]) -> str:
    # Browsers apply form-action to the redirect after a POST too: the payment page's origin must be named.
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self' " + " ".join(form_targets),
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
    )


def _set_headers(response: Response) -> Response:
    app_headers = response.headers
    if response.status_code in (429, 503):
        app_headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    app_headers.setdefault("Content-Security-Policy", g.get("csp") or _content_security_policy(g.form_targets))
    app_headers.setdefault("X-Content-Type-Options", "nosniff")
    # The status page's address is a capability: no other site may learn it from us.
    app_headers.setdefault("Referrer-Policy", "same-origin")
    app_headers.setdefault("X-Request-Id", g.get("request_id", ""))
    app_headers.setdefault("Permissions-Policy", "geolocation=(), microphone=(), payment=(), camera=(self)")
    if request.is_secure:
        app_headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static" and not request.path.startswith("/static") and "Cache-Control" not in app_headers:
        app_headers["Cache-Control"] = "no-store"
    return response


def _end_body(response: Response) -> Response:
    """Read what nobody has read of the request's body, or say that the connection ends here.

    A server closes a connection whose body is still on its way: after an answer that did not say so, the client's next
    request on it is lost.
    """
    # `request.stream` ends with the body; below it is the connection, where reading on may wait for the next request.
    try:
        while request.stream.read(BODY_PART):
            pass
    except (ClientDisconnected, RequestEntityTooLarge):
        response.headers["Connection"] = "close"
    return response


def allow_form_targets(app: Flask, origins: list[str]) -> None:
    """Let forms lead (by redirect) to these origins: the hosted payment pages."""
    app.extensions["form_targets"] = sorted({*app.extensions.get("form_targets", []), *origins})


def init_app(app: Flask) -> None:
    if proxies := app.config["TRUSTED_PROXIES"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]
    app.request_class = StorableRequest

    @app.before_request
    def prepare() -> ResponseReturnValue | None:
        g.request_id = uuid.uuid4().hex[:12]
        g.form_targets = app.extensions.get("form_targets", [])
        if "\0" in request.path:  # no address of ours, and PostgreSQL cannot even look for it
            abort(HTTPStatus.NOT_FOUND)
        if (refusal := _checked_before_body()) is not None:
            return refusal
        # A body that comes without its length is cut off at the limit, without a word: half of it must not be read.
        limit = request.max_content_length
        if request.content_length is None and limit is not None and len(request.get_data()) >= limit:
            abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return None

    # After `prepare`: its refusals are answers that need headers too.
    csrf.init_app(app)
    app.after_request(_set_headers)
    app.after_request(_end_body)
    install_error_handlers(app)
