"""Movements of stock as an export."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import pandas
import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from offices.models import Office
from stickers.models import StickerPack
from stickers.stock import services as shelves
from tests.finance.exports.conftest import made, sign_in
from tests.staff.machines import Machine

WHO = "office@example.org"


@pytest.fixture
def now() -> datetime:
    return utcnow()


@pytest.fixture
def places(history: Flask, now: datetime) -> tuple[str, str, str]:
    """Packs came to two offices, some were damaged, the last of them just now; codes of the offices and the pack."""
    here, other = db.session.execute(sa.select(Office.id, Office.code).order_by(Office.id).limit(2)).all()
    pack = db.session.execute(sa.select(StickerPack.id, StickerPack.code).order_by(StickerPack.id)).first()
    assert pack is not None
    with unit_of_work():
        for hours, office, quantity in ((30, here, 50), (2, other, 7)):
            at = now - timedelta(hours=hours)
            shelves.receive(office.id, pack.id, quantity, reference="=1+1", actor=WHO, now=at)
        for at, quantity in ((now - timedelta(hours=1), 1), (now - timedelta(seconds=5), 2)):
            shelves.damage(here.id, pack.id, quantity, reason="wet", actor=WHO, now=at)
    db.session.remove()
    return here.code, other.code, pack.code


def test_movements_up_to_the_moment_are_exported_in_their_order(
    places: tuple[str, str, str], now: datetime, tmp_path: Path
) -> None:
    here, other, pack = places
    path, manifest = made(tmp_path / "x", now, dataset="stock")
    with path.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    names = ("office", "pack", "kind", "delta", "level", "note", "actor")
    assert [tuple(row[name] for name in names) for row in found] == [
        (here, pack, "received", "50", "50", "'=1+1", WHO),
        (other, pack, "received", "7", "7", "'=1+1", WHO),
        (here, pack, "damaged", "-1", "49", "wet", WHO),
    ]
    assert datetime.fromisoformat(found[0]["at"]) == (now - timedelta(hours=30)).replace(microsecond=0)
    assert manifest["rows"] == 3


def test_movements_of_an_office_or_of_a_range_of_days(
    places: tuple[str, str, str], now: datetime, tmp_path: Path
) -> None:
    here, other, _ = places
    counts = {
        name: made(tmp_path / name, now, dataset="stock", **wanted)[1]["rows"]
        for name, wanted in {
            "here": {"office": here},
            "other": {"office": other},
            "nowhere": {"office": "direct"},
            "long ago": {"first": "2020-01-01", "last": "2020-12-31"},
        }.items()
    }
    assert counts == {"here": 2, "other": 1, "nowhere": 0, "long ago": 0}


def test_a_workbook_of_movements_has_whole_numbers(places: tuple[str, str, str], now: datetime, tmp_path: Path) -> None:
    path, _ = made(tmp_path / "x", now, dataset="stock", format="xlsx", locale="en")
    frame = pandas.read_excel(path)
    assert list(frame["Packs more or fewer"]) == [50, 7, -1]
    assert list(frame["What happened"]) == ["Received", "Received", "Damaged"]


def test_finance_exports_it_and_a_machine_reads_it(
    history: Flask, places: tuple[str, str, str], machine: Machine
) -> None:
    finance = sign_in(history, "finance", "keeper")
    assert "Stock of packs" in finance.get("/staff/exports").text
    answer = finance.post("/staff/exports", {"dataset": "stock", "format": "csv", "locale": "en"})
    assert answer.status_code == 303
    with finance.get(answer.location) as file:
        assert file.data.count(b"\r\n") == 4
    rows = (machine.get("/api/v1/exports/stock").json or {})["rows"]
    assert [row["delta"] for row in rows] == [50, 7, -1]
    for role in ("office", "campaign"):
        refused = sign_in(history, role).post("/staff/exports", {"dataset": "stock", "format": "csv"})
        assert refused.status_code == 403, role
