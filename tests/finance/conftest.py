"""Books without a provider for tests that ask for `books`; with one for those that ask for `house`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from core.db import db, unit_of_work
from core.i18n import Localized
from ledger.models import Fund
from tests import databases


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
