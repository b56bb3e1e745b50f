"""What tests of offices and links share: placements by one call, and scans as a phone makes them."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from core.clock import utcnow
from core.db import db, unit_of_work
from offices import links
from offices.models import Placement
from tests.house import House

Add = Callable[..., Placement]


@pytest.fixture
def placed(app: Flask) -> Add:
    """Make a placement; keywords are its columns."""

    def add(**columns: Any) -> Placement:
        values: dict[str, Any] = {
            "code": links.new_code(),
            "campaign_id": 1,
            "medium": "office_poster",
            "language": "ru",
            "created_at": utcnow(),
        }
        with unit_of_work() as session:
            placement = Placement(**{**values, **columns})
            session.add(placement)
        db.session.expunge(placement)  # a value from here on, whatever happens to its row
        return placement

    return add


@pytest.fixture
def phone(app: Flask) -> FlaskClient:
    """A browser with cookies of its own."""
    return app.test_client()


def scans(house: House | Flask, placement: Placement) -> int:
    """What is counted once the process has written what it holds."""
    app = house.app if isinstance(house, House) else house
    db.session.rollback()
    app.extensions["scans"].flush()
    db.session.expire_all()
    return int(db.session.scalar(sa.select(Placement.scans).where(Placement.id == placement.id)) or 0)
