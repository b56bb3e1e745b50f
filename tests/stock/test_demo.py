"""The demonstration's shelves, and the way from a donor's code to an office."""

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from core.clock import utcnow
from core.db import db
from ops.demo_stock import EMPTY_OFFICE, LOW_OFFICE, seed_stock
from stickers.stock import queries
from stickers.stock.checks import faults
from stickers.stock.models import StockMovement
from tests.house import House


def test_the_demonstration_has_full_low_and_empty_shelves_once(app: Flask, offices: dict[str, int]) -> None:
    assert seed_stock(utcnow())
    places = {(place.office, place.pack): place.standing for place in queries.places({})}
    assert places[LOW_OFFICE, "kind-words"] == "low"
    assert places[EMPTY_OFFICE, "kind-words"] == "none"
    assert places["MINSK-01", "kind-words"] == "enough"
    assert len(queries.transfers(to=[offices["MINSK-01"]])) == 1
    made = db.session.scalar(sa.select(sa.func.count()).select_from(StockMovement))
    assert not seed_stock(utcnow())
    assert db.session.scalar(sa.select(sa.func.count()).select_from(StockMovement)) == made
    assert faults() == []


def test_without_the_demonstrations_offices_nothing_is_made(app: Flask) -> None:
    assert not seed_stock(utcnow())
    assert db.session.scalar(sa.select(sa.func.count()).select_from(StockMovement)) == 0


def test_a_donor_is_led_to_offices_that_have_the_pack(
    house: House, client: FlaskClient, offices: dict[str, int]
) -> None:
    donation = house.given(3000)
    page = client.get(f"/d/{donation['token']}?lang=en").text
    for pack in ("kind-words", "brave-hearts"):
        link = f"/offices?campaign=bullying-free-internet&amp;pack={pack}"
        assert page.count(link) == 1
        assert link in client.get("/").text
        assert client.get(link.replace("&amp;", "&")).status_code == 200
    assert donation["token"] not in client.get("/offices").text
