"""Movements of the stock of packs: every one, with the level after it. Rows are only ever added, at the moment `at`."""

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from finance.exports.columns import Column, Query
from finance.exports.datasets.base import Dataset
from finance.exports.datasets.conditions import DAYS_OF_BOOKS, books_zone
from finance.filters import DIRECT, ELSEWHERE, NOBODY, Filters
from offices.models import Office
from stickers.models import StickerPack
from stickers.stock.labels import KIND_NAMES
from stickers.stock.models import StockMovement

COLUMNS = (
    Column("at", "moment", _l("Moment")),
    Column("office", "code", _l("Office")),
    Column("pack", "code", _l("Pack")),
    Column("kind", "code", _l("What happened"), words=KIND_NAMES),
    Column("delta", "whole", _l("Packs more or fewer")),
    Column("level", "whole", _l("Level after it")),
    Column("note", "text", _l("Note")),
    Column("actor", "text", _l("Who")),
)


def query(filters: Filters, names: bool) -> Query:
    move = StockMovement
    rows = (
        sa.select(
            move.id.label("key"),
            move.at,
            Office.code,
            StickerPack.code,
            move.kind,
            move.delta,
            move.level,
            move.note,
            move.actor,
        )
        .join(Office, Office.id == move.office_id)
        .join(StickerPack, StickerPack.id == move.pack_id)
        .where(move.at <= filters.as_of, *DAYS_OF_BOOKS.within(move.at, filters))
    )
    for value, column in ((filters.office, Office.code), (filters.region, Office.region)):
        if value is not None:
            rows = rows.where(sa.false() if value in (DIRECT, ELSEWHERE, NOBODY) else column == value)
    return rows.order_by(move.id)


DATASET = Dataset(
    "stock", _l("Stock of packs"), COLUMNS, query, zones=books_zone, filters=frozenset({"office", "region"})
)
