"""Books without a provider for tests that ask for `books`; with one for those that ask for `house`; members of staff
at their desk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from core.db import db, unit_of_work
from core.i18n import Localized
from ledger.models import Fund
from tests import databases
from tests.staff.console import Browser, make_member


@pytest.fixture
def books(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    application = create_app(databases.settings(database_url, tmp_path))
    with application.app_context():
        with unit_of_work() as session:
            session.add(Fund(code="specialists", name=Localized(ru="Обучение"), currency="BYN"))
        db.session.remove()
        yield application
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def at_desk(app: Flask) -> Callable[..., Browser]:
    """A browser in which a new member has signed in; pages are English."""

    def sign_in(name: str, role: str = "finance") -> Browser:
        email = make_member(f"{name}@example.org", role)
        browser = Browser(app)
        browser.get("/staff/login?lang=en")
        assert browser.sign_in(email).status_code == 302
        return browser

    return sign_in


@pytest.fixture
def anna(at_desk: Callable[..., Browser]) -> Browser:
    """Of finance."""
    return at_desk("anna")
