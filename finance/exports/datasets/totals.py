"""The table of the totals page, by each of its dimensions."""

from datetime import date
from functools import partial
from typing import Any

from flask_babel import lazy_gettext as _l

from finance.exports.columns import Column, Row
from finance.exports.datasets.base import Dataset
from finance.exports.words import KEYS
from finance.filters import Filters
from finance.totals import DIMENSIONS, TIMES, totals
from finance.totals import Row as TotalsRow
from finance.totals_names import DIMENSION_NAMES

FIGURES = {
    "gross": _l("Received"),
    "refunds": _l("Refunds"),
    "disputes": _l("Disputes"),
    "fees": _l("Fees"),
    "sponsored": _l("Fees of the sponsor"),
    "fx": _l("Differences of exchange"),
    "net": _l("Net"),
    "earmarked": _l("Earmarked"),
}


def _key_columns(by: str) -> tuple[Column, ...]:
    currency = Column("currency", "code", _l("Currency"))
    if by == "currency":
        return (currency,)
    return Column(by, "day" if by in TIMES else "code", DIMENSION_NAMES[by], words=KEYS.get(by, {})), currency


def _keys(by: str, row: TotalsRow) -> tuple[Any, ...]:
    if by == "currency":
        return (row.currency,)
    return date.fromisoformat(row.key) if by in TIMES else row.key, row.currency


def _columns(by: str) -> tuple[Column, ...]:
    return (
        *_key_columns(by),
        Column("gifts", "whole", _l("Gifts"), counted="currency"),
        *(Column(name, "money", title, "currency") for name, title in FIGURES.items()),
        Column("disbursed", "money", _l("Spent"), "currency"),
        Column("available", "money", _l("Available"), "currency", summed=False),
    )


def _table(by: str, filters: Filters) -> list[Row]:
    return [
        (
            *_keys(by, row),
            row.figures.gifts,
            *(getattr(row.figures, name) for name in FIGURES),
            row.disbursed,
            row.available,
        )
        for row in totals(filters, by).rows
    ]


ALL = tuple(
    Dataset(f"totals-{by}", _l("Totals (%(by)s)", by=DIMENSION_NAMES[by]), _columns(by), table=partial(_table, by))
    for by in DIMENSIONS
)
