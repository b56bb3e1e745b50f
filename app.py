"""The composition root: the only place that knows every package."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import Migrate
from flask_smorest import Api

import config
import core.db
import core.http
import core.i18n
import core.jobs
import core.outbox
import core.pages
import core.throttle
import donations.api
import donations.backoffice.pages
import donations.friends
import donations.jobs
import donations.letters
import donations.lost_codes
import donations.pages
import donations.posters
import finance.api
import finance.bank.cli
import finance.bank.pages
import finance.books_cli
import finance.cli
import finance.exception_pages
import finance.exceptions_cli
import finance.exports.api
import finance.exports.cli
import finance.exports.jobs
import finance.exports.pages
import finance.front
import finance.gift_pages
import finance.jobs
import finance.pages
import finance.period_pages
import finance.run_letters
import finance.runs_cli
import finance.spending_pages
import finance.suspense_pages
import finance.totals_cli
import finance.totals_pages
import offices.belonging_cli
import offices.cli
import offices.console
import offices.form_console
import offices.member_console
import offices.pages
import offices.posters_cli
import offices.print_console
import ops.cli
import ops.health
import ops.metrics
import payments.registry
import staff.access
import staff.audit_pages
import staff.cli
import staff.member_pages
import staff.pages
import staff.token_pages
import stickers.backoffice.pages
import stickers.counter.api
import stickers.counter.pages
import stickers.pages
import stickers.stock.api
import stickers.stock.cli
import stickers.stock.closing
import stickers.stock.letters
import stickers.stock.pages
import stickers.stock.public
import webhooks.acts
import webhooks.api
import webhooks.cli
import webhooks.jobs
from core.schemas import ErrorOut

OPENAPI = {
    "API_TITLE": "#BullyingFreeInternet",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.0.3",
    "OPENAPI_URL_PREFIX": "/api",
    "OPENAPI_JSON_PATH": "openapi.json",
}


class DescribedApi(Api):  # type: ignore[misc]  # flask-smorest has no types
    """The API's document; refusals that no endpoint names look like all others."""

    ERROR_SCHEMA = ErrorOut


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """The application with these settings (from the environment by default; raises `config.ConfigError`)."""
    app = Flask(__name__, static_folder=None, static_url_path="/static")
    app.config.from_mapping(config.load() if settings is None else settings)
    app.config.from_mapping(OPENAPI)
    Path(app.config["INSTANCE_DIR"]).mkdir(parents=True, exist_ok=True)
    if not app.testing:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("huey").setLevel(logging.WARNING)
    for room in (core.db, core.i18n, core.http, core.pages, staff.pages, staff.cli, payments.registry):
        room.init_app(app)
    for room in (staff.member_pages, staff.token_pages, staff.audit_pages):
        room.init_app(app)
    Migrate(app, core.db.db, directory=str(Path(__file__).parent / "migrations"), render_as_batch=False)
    app.extensions["api"] = DescribedApi(app)
    staff.access.describe_bearer(app)
    for room in (
        donations.api,
        donations.pages,
        donations.friends,
        donations.lost_codes,
        donations.posters,
        donations.backoffice.pages,
        stickers.pages,
        stickers.backoffice.pages,
        stickers.counter.pages,
        stickers.counter.api,
        stickers.stock.pages,
        stickers.stock.public,
        stickers.stock.api,
        stickers.stock.cli,
        stickers.stock.closing,
        offices.pages,
        offices.console,
        offices.print_console,
        offices.form_console,
        offices.member_console,
        offices.cli,
        offices.belonging_cli,
        offices.posters_cli,
        finance.pages,
        finance.front,
        finance.gift_pages,
        finance.spending_pages,
        finance.totals_pages,
        finance.totals_cli,
        finance.api,
        finance.period_pages,
        finance.bank.pages,
        finance.exception_pages,
        finance.suspense_pages,
        finance.exports.pages,
        finance.exports.api,
        finance.cli,
        finance.exports.cli,
        finance.books_cli,
        finance.bank.cli,
        finance.exceptions_cli,
        finance.runs_cli,
        webhooks.api,
        webhooks.cli,
        ops.cli,
        ops.health,
        ops.metrics,
    ):
        room.init_app(app)
    core.http.allow_form_targets(
        app, [origin for provider in app.extensions["payments"].values() for origin in provider.page_origins]
    )
    # flask-smorest installs an app-wide JSON handler of its own; ours decides by path.
    core.http.install_error_handlers(app)
    core.jobs.init_app(app)
    return app
