"""Offices of the demonstration, its physical packs, and what is done with them."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from stickers.models import StickerPack
from stickers.stock import services
from stickers.stock.models import StockLevel, StockMovement
from tests.console.conftest import at_console, offices  # noqa: F401 - fixtures

CLERK = "office@example.org"


@pytest.fixture
def packs(app: Flask) -> dict[str, int]:
    """Ids of the demonstration's packs by code."""
    found = {pack.code: pack.id for pack in db.session.scalars(sa.select(StickerPack))}
    db.session.rollback()
    return found


@pytest.fixture
def stocked(offices: dict[str, int], packs: dict[str, int]) -> Callable[[str, str, int], tuple[int, int]]:  # noqa: F811
    """Have an office receive packs; (office, pack) as ids."""

    def receive(office: str, pack: str, quantity: int) -> tuple[int, int]:
        with unit_of_work():
            services.receive(
                offices[office], packs[pack], quantity, reference="ТТН 1", actor="warehouse@example.org", now=utcnow()
            )
        return offices[office], packs[pack]

    return receive


def level(place: tuple[int, int]) -> int | None:
    """The level of (office, pack); None when there is none. Read anew."""
    db.session.rollback()
    return db.session.scalar(sa.select(StockLevel.quantity).filter_by(office_id=place[0], pack_id=place[1]))


def movements(place: tuple[int, int]) -> list[tuple[str, int, int]]:
    """(kind, delta, level after it) in their order."""
    db.session.rollback()
    query = sa.select(StockMovement.kind, StockMovement.delta, StockMovement.level)
    rows = db.session.execute(query.filter_by(office_id=place[0], pack_id=place[1]).order_by(StockMovement.id))
    return [tuple(row) for row in rows]
