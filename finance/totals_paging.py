"""A page of totals whose rows are too many to be read at once: which ones stand on it, and how many there are.

Rows come most money first. Adding up all of them to find the first hundred costs SQLite most of the time, and nearly
every link has one row in the sums that nothing was added to since: such a one is in its place as it is. Only the few
others are added up. PostgreSQL adds up by hashing, in less time than going through the rows once more would take.
"""

from typing import Any

import sqlalchemy as sa

from core.db import db
from finance.filters import NOBODY
from finance.reading import Source, World
from finance.summary_models import FIGURES
from ledger.models import Fund

Place = tuple[str, str]  # currency and key


def places(source: Source, by: str, world: World, limit: int, offset: int) -> tuple[list[Place], int]:
    """The rows of a page, in order, and how many rows there are on all pages."""
    if source.compact and world.currencies and db.session.get_bind().dialect.name == "sqlite":
        rows, count = _each_in_its_place(source, by, world, offset + limit)
    else:
        rows, count = _all_added_up(source, by)
    query = sa.select(rows.c.currency, rows.c.key, count.label("of")).order_by(*_order(rows.c))
    found = list(db.session.execute(query.limit(limit).offset(offset)))
    if not found and offset:
        return [], places(source, by, world, 1, 0)[1]
    return [(row.currency, row.key) for row in found], found[0].of if found else 0


def _order(columns: Any) -> list[sa.ColumnElement[Any]]:
    return [sa.case((columns.key == NOBODY, 1), else_=0), columns.gross.desc(), columns.key, columns.currency]


def _added_up(rows: Any, by: str, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Currency, key and gross of all rows that have any figure."""
    key, gross = rows.c[by], sa.func.sum(rows.c.gross).label("gross")
    query = sa.select(Fund.currency, key.label("key"), gross).join(Fund, Fund.id == rows.c.fund_id).where(*where)
    return query.group_by(Fund.currency, key).having(sa.or_(*(sa.func.sum(rows.c[name]) != 0 for name in FIGURES)))


def _all_added_up(source: Source, by: str) -> tuple[Any, sa.ColumnElement[int]]:
    """Rows, and how many they are."""
    return _added_up(source.rows(), by).subquery(), sa.func.count().over()


def _each_in_its_place(source: Source, by: str, world: World, first: int) -> tuple[Any, sa.ColumnElement[int]]:
    """As `_all_added_up`, but of the rows that stand alone only those that can be among the first."""
    busy = sa.select(_busy(source, by).c.key)
    together = _added_up(source.rows(lambda each: each.c[by].in_(busy)), by).cte("together")
    alone = sa.union_all(*source.sums).subquery()
    conditions = (alone.c[by].not_in(busy), sa.or_(*(alone.c[name] != 0 for name in FIGURES)))
    # A join of so many rows would cost more than the rows.
    currency = sa.case(dict(world.currencies), value=alone.c.fund_id).label("currency")
    places = sa.select(currency, alone.c[by].label("key"), alone.c.gross).where(*conditions)
    foremost = places.order_by(*_order(places.selected_columns)).limit(first).subquery()
    counts = (
        sa.select(sa.func.count()).select_from(alone).where(*conditions).scalar_subquery(),
        sa.select(sa.func.count()).select_from(together).scalar_subquery(),
    )
    return sa.union_all(sa.select(foremost), sa.select(together)).subquery(), counts[0] + counts[1]


def _busy(source: Source, by: str) -> sa.CTE:
    """Keys that more than one row stands for, in the sums or since."""
    kept = sa.union_all(*source.sums).subquery()
    repeated = sa.select(kept.c[by].label("key")).group_by(kept.c[by]).having(sa.func.count() > 1)
    return sa.union(repeated, *(sa.select(part.subquery().c[by]) for part in source.rest)).cte("busy")
