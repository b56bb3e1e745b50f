"""Movements of stock as an export. Their table is another room's; here is one of the same columns."""

import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import UtcDateTime, db
from finance.exports.datasets import DATASETS, stock
from offices.models import Office
from stickers.models import StickerPack
from tests.finance.exports.conftest import made


@pytest.fixture
def movements(history: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Table]:
    types = {"id": sa.Integer(), "at": UtcDateTime(), "kind": sa.String(12), "note": sa.Text(), "actor": sa.Text()}
    columns = [
        sa.Column(column.name, types.get(column.name, sa.BigInteger()), primary_key=column.name == "id")
        for column in stock.MOVEMENTS.c
    ]
    table = sa.Table("stock_movements", sa.MetaData(), *columns)
    table.create(db.engine, checkfirst=True)
    monkeypatch.setitem(DATASETS, "stock", stock.DATASET)
    yield table
    db.session.remove()
    table.drop(db.engine)


def test_movements_up_to_the_moment_are_exported_in_their_order(movements: sa.Table, tmp_path: Path) -> None:
    office = db.session.scalars(sa.select(Office).order_by(Office.id)).first()
    pack = db.session.scalars(sa.select(StickerPack).order_by(StickerPack.id)).first()
    assert office is not None
    assert pack is not None
    now, office_code, pack_code = utcnow(), office.code, pack.code
    common = {"office_id": office.id, "pack_id": pack.id, "actor": "office@example.org"}
    db.session.remove()
    with db.engine.begin() as connection:
        rows = [
            {"id": 1, "kind": "received", "delta": 50, "level": 50, "note": "=1+1", "at": now - timedelta(hours=2)},
            {"id": 2, "kind": "handed_over", "delta": -1, "level": 49, "note": "", "at": now - timedelta(hours=1)},
            {"id": 3, "kind": "damaged", "delta": -2, "level": 47, "note": "wet", "at": now - timedelta(seconds=5)},
        ]
        connection.execute(sa.insert(movements), [{**common, **row} for row in rows])
    path, manifest = made(tmp_path / "x", dataset="stock", office=office_code)
    with path.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["kind"], row["delta"], row["level"], row["note"]) for row in found] == [
        ("received", "50", "50", "'=1+1"),
        ("handed_over", "-1", "49", ""),
    ]
    assert {(row["office"], row["pack"]) for row in found} == {(office_code, pack_code)}
    assert manifest["rows"] == 2
