"""The service on each database, without a provider and without a campaign."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from core.db import db
from tests import databases
from tests.client import SeparateClient


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> dict[str, Any]:
    return databases.settings(database_url, tmp_path, STRIPE_API_BASE="http://127.0.0.1:9")


@pytest.fixture
def app(settings: dict[str, Any]) -> Iterator[Flask]:
    application = create_app(settings)
    application.test_client_class = SeparateClient
    with application.app_context():
        yield application
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
