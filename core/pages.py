"""The frame of all pages: base layout, static files, the description of the API."""

import zlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, current_app, render_template, request
from flask_babel import format_date, format_decimal, format_time
from flask_bootstrap import Bootstrap5

from core import openapi
from core.clock import utcnow

blueprint = Blueprint(
    "core", __name__, template_folder="templates", static_folder="static", static_url_path="/static/core"
)


@blueprint.get("/api/docs")
def api_docs() -> str:
    return render_template("core/api_docs.html", api=openapi.describe(current_app.extensions["api"].spec.to_dict()))


def language_href(locale: str, path: str | None = None) -> str:
    """This page in that language: the same path and query. `path` where the present one answers no GET."""
    query = {**request.args.to_dict(flat=False), "lang": [locale]}
    return f"{path or quote(request.path)}?{urlencode(query, doseq=True)}"


def format_day(moment: datetime, zone: str) -> str:
    """The day in the campaign's zone: `9 February 2021`."""
    return str(format_date(moment.astimezone(ZoneInfo(zone)), "long", rebase=False))


def format_last_day(until: datetime, zone: str) -> str:
    """The last day before that moment: of midnight the day that ends then."""
    return format_day(until - timedelta(microseconds=1), zone)


def format_clock(moment: datetime, zone: str) -> str:
    """The time of day in the campaign's zone: `14:05`."""
    return str(format_time(moment.astimezone(ZoneInfo(zone)), "HH:mm", rebase=False))


def format_moment(moment: datetime, zone: str) -> str:
    """Day and time in the campaign's zone: `9 February 2021, 14:05`."""
    return f"{format_day(moment, zone)}, {format_clock(moment, zone)}"


def format_month(month: object) -> str:
    """A day's month, or one written as 2021-02: `February 2021`."""
    return str(format_date(date.fromisoformat(f"{str(month)[:7]}-01"), "LLLL y", rebase=False))


def plain(text: str) -> str:
    """What a macro of an HTML file says, for subjects and plain letters: its escapes taken back."""
    return unescape(text)


@cache
def _fingerprint(path: Path) -> str:
    return f"{zlib.crc32(path.read_bytes()):08x}" if path.is_file() else ""


def _version_static_files(app: Flask) -> None:
    """Put a fingerprint of the content into addresses of static files: a new release is never mixed with an old one."""

    @app.url_defaults
    def add_fingerprint(endpoint: str, values: dict[str, Any]) -> None:
        room, _, name = endpoint.rpartition(".")
        if name == "static" and room in app.blueprints and "v" not in values:
            folder = app.blueprints[room].static_folder
            values["v"] = _fingerprint(Path(str(folder)) / str(values.get("filename", ""))) or None


def init_app(app: Flask) -> None:
    Bootstrap5(app)
    app.register_blueprint(blueprint)
    _version_static_files(app)
    days: Mapping[str, Any] = {"day": format_day, "last_day": format_last_day}
    moments: Mapping[str, Any] = {**days, "clock": format_clock, "moment": format_moment}
    app.jinja_env.filters.update({**moments, "month": format_month, "number": format_decimal})
    app.jinja_env.filters["plain"] = plain
    app.jinja_env.tests["past"] = lambda moment: moment <= utcnow()
    app.jinja_env.globals["language_href"] = language_href
