"""Movements of the stock of packs: every one, with the level after it. Rows are only ever added, at the moment `at`."""

from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.db import UtcDateTime
from finance.exports.columns import Column, Query
from finance.exports.datasets.base import Dataset
from finance.exports.datasets.conditions import within
from finance.filters import DIRECT, ELSEWHERE, NOBODY, Filters
from offices.models import Office
from stickers.models import StickerPack

KINDS = {
    "received": _l("Received"),
    "sent": _l("Sent"),
    "arrived": _l("Arrived"),
    "returned": _l("Came back"),
    "variance": _l("Difference"),
    "handed_over": _l("Handed over"),
    "taken_back": _l("Taken back"),
    "damaged": _l("Damaged"),
    "counted": _l("Counted"),
}
COLUMNS = (
    Column("at", "moment", _l("Moment")),
    Column("office", "code", _l("Office")),
    Column("pack", "code", _l("Pack")),
    Column("kind", "code", _l("What happened"), words=KINDS),
    Column("delta", "whole", _l("Packs more or fewer")),
    Column("level", "whole", _l("Level after it")),
    Column("note", "text", _l("Note")),
    Column("actor", "text", _l("Who")),
)
_columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in ("id", "office_id", "pack_id", "kind", "delta")]
_columns += [sa.column("level"), sa.column("note"), sa.column("actor"), sa.column("at", UtcDateTime())]
MOVEMENTS = sa.table("stock_movements", *_columns)


def query(filters: Filters, names: bool) -> Query:
    move = MOVEMENTS.c
    columns = (move.at, Office.code, StickerPack.code, move.kind, move.delta, move.level, move.note, move.actor)
    rows = (
        sa.select(move.id.label("key"), *columns)
        .select_from(MOVEMENTS)
        .join(Office, Office.id == move.office_id)
        .join(StickerPack, StickerPack.id == move.pack_id)
        .where(move.at <= filters.as_of, *within(move.at, filters))
    )
    for value, column in ((filters.office, Office.code), (filters.region, Office.region)):
        if value is not None:
            rows = rows.where(sa.false() if value in (DIRECT, ELSEWHERE, NOBODY) else column == value)
    return rows.order_by(move.id)


DATASET = Dataset("stock", _l("Stock of packs"), COLUMNS, query, filters=frozenset({"office", "region"}))
