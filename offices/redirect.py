"""The hottest path of the service: `/q/<code>` of a link in use, answered before Flask wakes up.

One indexed read on connections of its own, one addition in memory, one answer. Whatever is not plain here (a retired
or unknown code, letters of another script, a database that stumbles) goes on to the page in `offices.pages`, which
does the same with all the comfort of the framework.
"""

import logging
import sqlite3
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from core.db import BUSY_TIMEOUT_SECONDS, db
from offices.links import COOKIE, COOKIE_SECONDS, read_code
from offices.queries import FIND_LINK, Link
from offices.scans import ScanBuffer

log = logging.getLogger(__name__)

PREFIXES = ("/q/", "/Q/")
HEADERS = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Length", "0"),
    ("Cache-Control", "no-store"),  # a scan that a cache answers is not counted
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", "geolocation=(), microphone=(), payment=(), camera=(self)"),
]


def target(link: Link) -> str:
    """The campaign's page in the language of the link."""
    return f"/c/{quote(link.campaign)}?lang={link.language}"


def cookie(link: Link, *, secure: bool) -> str:
    """What attributes the gift that follows within a day: the link's code, which says nothing about the person."""
    return (
        f"{COOKIE}={link.code}; Max-Age={COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    )


class ShortLinks:
    """WSGI middleware."""

    def __init__(self, app: Flask, inner: WSGIApplication, scans: ScanBuffer) -> None:
        self.inner = inner
        self.scans = scans
        self.reader = _Reader(app)
        self.https = str(app.config["PUBLIC_URL"]).startswith("https://")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(PREFIXES) and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            link = self._find(path[3:])
            if link is not None and link.state == "active":
                return self._redirect(link, environ, start_response)
        return self.inner(environ, start_response)

    def _find(self, typed: str) -> Link | None:
        code = read_code(typed)
        if code is None:
            return None
        try:
            return self.reader.read(code)
        except self.reader.errors:
            log.warning("a short link was not read; the page asks again", exc_info=True)
            return None

    def _redirect(self, link: Link, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            self.scans.add(link.id)
        secure = self.https or environ["wsgi.url_scheme"] == "https"
        headers = [
            ("Location", environ.get("SCRIPT_NAME", "") + target(link)),
            ("Set-Cookie", cookie(link, secure=secure)),
            ("X-Request-Id", uuid.uuid4().hex[:12]),
            *HEADERS,
        ]
        if secure:
            headers.append(("Strict-Transport-Security", "max-age=31536000"))
        start_response("302 Found", headers)
        return [b""]


class _Reader:
    """Reads links with the driver itself: half of what a read costs is otherwise spent on making it comfortable.

    Each read is a transaction by itself, so nothing goes to the database but the read, and nothing is to be undone
    afterwards. A connection that broke meanwhile is noticed by the read, not by asking before each one.
    """

    def __init__(self, app: Flask) -> None:
        options: dict[str, Any] = {**app.config["SQLALCHEMY_ENGINE_OPTIONS"], "pool_pre_ping": False}
        self.engine = sa.create_engine(
            app.config["SQLALCHEMY_DATABASE_URI"], isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **options
        )
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _only_read)
        with app.app_context():
            db.engines["links"] = self.engine  # type: ignore[index]  # so it is closed with the others
        query = FIND_LINK.compile(self.engine)
        self.sql, self.by_place = str(query), query.positional
        self.errors: tuple[type[Exception], ...] = (SQLAlchemyError, self.engine.dialect.loaded_dbapi.Error)

    def read(self, code: str) -> Link | None:
        """Raises one of `errors`."""
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(self.sql, (code,) if self.by_place else {"code": code})
            row = cursor.fetchone()
            cursor.close()
        except self.engine.dialect.loaded_dbapi.Error as error:
            connection.invalidate(error)
            raise
        connection.close()  # back into the pool
        return None if row is None else Link._make(row)


def _only_read(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
    connection.execute("PRAGMA query_only = ON")
