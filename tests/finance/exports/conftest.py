"""Years of gifts in a small database, and exports of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from benchmarks.history import fill
from core.clock import utcnow
from core.db import db
from finance.exports.making import make
from finance.exports.orders import Order
from tests import databases
from tests.client import SeparateClient
from tests.staff.console import Browser, make_member
from tests.staff.machines import Machine

GIFTS = 450


@pytest.fixture
def history(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """GIFTS gifts of three years, some refunded or disputed, by donors with names that spreadsheets would run."""
    application = create_app(databases.settings(database_url, tmp_path, PUBLIC_URL="http://give.test"))
    application.test_client_class = SeparateClient
    with application.app_context():
        fill(application, GIFTS, until=utcnow() - timedelta(hours=1), placements=60)
        db.session.remove()
        yield application
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def finance(history: Flask) -> Browser:
    return sign_in(history, "finance")


@pytest.fixture
def machine(history: Flask) -> Machine:
    return Machine(history, make_member("reports@example.org", "finance"), "finance:read")


def sign_in(app: Flask, role: str, name: str = "") -> Browser:
    """A browser with a new member of that role; pages are English."""
    email = make_member(f"{name or role}@example.org", role)
    browser = Browser(app)
    browser.get("/staff/login?lang=en")
    assert browser.sign_in(email).status_code == 302
    return browser


def made(path: Path, now: datetime | None = None, **options: Any) -> tuple[Path, dict[str, Any]]:
    """The file of an order, and its manifest."""
    now = now or utcnow()
    order = Order.read({"dataset": "donations", "format": "csv", "locale": "ru", **options}, now)
    path.mkdir(parents=True, exist_ok=True)
    target = path / order.file_name
    manifest = make(order, target, who="test", now=now)
    return target, manifest
