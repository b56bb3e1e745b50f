"""Books without a provider: the service on each database, with one fund in roubles and one in euros."""

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
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    application = create_app(databases.settings(database_url, tmp_path))
    with application.app_context():
        with unit_of_work() as session:
            session.add(Fund(code="specialists", name=Localized(ru="Обучение"), currency="BYN"))
            session.add(Fund(code="materials", name=Localized(ru="Материалы"), currency="EUR"))
        yield application
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def fund(app: Flask) -> Fund:
    return db.session.query(Fund).filter_by(code="specialists").one()


@pytest.fixture
def euro_fund(app: Flask) -> Fund:
    return db.session.query(Fund).filter_by(code="materials").one()
