"""Totals by any dimension, each with the same grand total: sums of postings, whichever way they are read.

    gifts        donations, each counted once, on the day of its first payment
    gross        what donors paid
    refunds, disputes, fees, fx
                 what lessened it (`fx` either way); fees that a sponsor bears are in `sponsored` instead
    net          gross less refunds, disputes and fees
    earmarked    net and differences of exchange: what belongs to the designation
    disbursed    what of it was spent
    available    what could be spent at the end of the period: all that was earmarked until then, less what the
                 provider has not settled yet and what was spent

`disbursed` and `available` belong to a fund, so they are told by fund, by time, and of a campaign that has its fund for
itself; elsewhere they are None, never a guess. What no gift is behind is in the row `NOBODY`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.db import db
from core.errors import Invalid
from finance.filters import CHANNELS, DIRECT, ELSEWHERE, NOBODY, Filters
from finance.reading import Source, World, attribute_of, source_of
from finance.summary_models import FIGURES
from finance.totals_paging import places
from ledger import sums
from ledger.models import Fund
from offices.models import Office

TIMES = ("day", "week", "month")
OF_FUND = (*TIMES, "campaign", "designation", "currency")
DIMENSIONS = (*OF_FUND, "channel", "medium", "office", "region", "placement", "provider", "language")
PAGED = ("placement",)  # too many to be read at once


class DimensionUnknown(Invalid):
    code = "dimension_unknown"
    text = _l("Totals are made by %(known)s.")


def require_dimension(by: str) -> str:
    """Raises `DimensionUnknown`."""
    if by not in DIMENSIONS:
        raise DimensionUnknown(field="by", known=", ".join(DIMENSIONS))
    return by


@dataclass(slots=True)
class Figures:
    """Sums of postings in minor units of one currency; `gifts` is a count."""

    gifts: int = 0
    gross: int = 0
    refunds: int = 0
    disputes: int = 0
    fees: int = 0
    sponsored: int = 0
    fx: int = 0
    spent: int = 0
    unsettled: int = 0

    def add(self, other: Any) -> None:
        for name in FIGURES:
            setattr(self, name, getattr(self, name) + int(getattr(other, name) or 0))

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in FIGURES)

    @property
    def net(self) -> int:
        return self.gross - self.refunds - self.disputes - self.fees

    @property
    def earmarked(self) -> int:
        return self.net + self.fx

    @property
    def left(self) -> int:
        """What can be spent of it, when these are all figures since the beginning."""
        return self.earmarked - max(0, self.unsettled) - self.spent


assert [each.name for each in fields(Figures)] == list(FIGURES)


@dataclass(slots=True)
class Row:
    """One value of the dimension in one currency. `key` is a word or a code; of times it is the (first) day."""

    key: str
    currency: str
    figures: Figures = field(default_factory=Figures)
    disbursed: int | None = None
    available: int | None = None


@dataclass(slots=True)
class Report:
    """Rows (the part that was asked for, of `count`) and a total of all rows for each currency."""

    by: str
    filters: Filters
    rows: list[Row]
    totals: list[Row]
    count: int

    @property
    def currencies(self) -> list[str]:
        return [total.currency for total in self.totals]

    def rows_in(self, currency: str) -> list[Row]:
        return [row for row in self.rows if row.currency == currency]


def totals(filters: Filters, by: str, *, limit: int | None = None, offset: int = 0) -> Report:
    """Totals by a dimension: times in their order, all else most money first, what no gift is behind last.

    Raises `DimensionUnknown`. Best called after `read_snapshot`, when more than one thing is read.
    """
    require_dimension(by)
    return sums.consistently(lambda mark: _Reader(filters, by, mark).report(limit, offset))


def grand_totals(filters: Filters) -> list[Row]:
    """A total for each currency that has any figure."""
    return sums.consistently(lambda mark: _Reader(filters, "currency", mark).report(None, 0).totals)


class _Reader:
    def __init__(self, filters: Filters, by: str, mark: datetime) -> None:
        self.filters, self.by, self.mark = filters, by, mark
        self.world = World.read()
        self._region_of: dict[str, str] = {}
        campaign = filters.campaign
        # Whether money that was spent can be told of this selection at all.
        self.whole = not set(filters.values) - {"currency"} and (campaign is None or self.world.spends_alone(campaign))

    def report(self, limit: int | None, offset: int) -> Report:
        if self.by in PAGED and limit is not None:
            found, count = self._page(limit, offset)
            named = [Row(row.key, row.currency) for row in found]  # a table that adds up to nothing has a total, too
            totals = self._totals([*_Reader(self.filters, "currency", self.mark).read(), *named])
        else:
            every = self._in_order(self.read())
            self._tell_spending(every)
            count, totals = len(every), self._totals(every)
            found = every if limit is None else every[offset : offset + limit]
        return Report(self.by, self.filters, found, totals, count)

    # Reading

    def read(self, only: Sequence[str] | None = None) -> list[Row]:
        """All rows, or those of some values of the key, in no order; nothing is said of spending yet."""
        found: dict[tuple[str, str], Row] = {}
        for row in db.session.execute(self._query(only)):
            key = self._key(row)
            found.setdefault((key, row.currency), Row(key, row.currency)).figures.add(row)
        return [row for row in found.values() if row.figures]

    def _source(self) -> Source:
        return source_of(self.filters, self.by, self.world, self.mark)

    def _query(self, only: Sequence[str] | None) -> sa.Select[Any]:
        source = self._source().rows()
        keys = [source.c[name] for name in self._key_columns()]
        figures = [sa.func.sum(source.c[name]).label(name) for name in FIGURES]
        query = sa.select(Fund.currency, *keys, *figures).join(Fund, Fund.id == source.c.fund_id)
        if only is not None:
            query = query.where(source.c[self.by].in_(only))
        return query.group_by(Fund.currency, *keys)

    def _key_columns(self) -> list[str]:
        if self.by in TIMES:
            return ["occurred_on"]
        if self.by in OF_FUND:
            return {"campaign": ["fund_id", "campaign_id"], "designation": ["fund_id"], "currency": []}[self.by]
        return [attribute_of(self.by)]

    def _key(self, row: Any) -> str:
        match self.by:
            case "day":
                return str(row.occurred_on.isoformat())
            case "week":
                return str((row.occurred_on - timedelta(days=row.occurred_on.weekday())).isoformat())
            case "month":
                return str(row.occurred_on.replace(day=1).isoformat())
            case "campaign":
                return self.world.campaigns.get(row.campaign_id or self.world.sole.get(row.fund_id, 0), NOBODY)
            case "designation":
                return self.world.funds[row.fund_id]
            case "currency":
                return str(row.currency)
            case "region":
                return row.office if row.office in (NOBODY, DIRECT, ELSEWHERE) else self._regions()[row.office]
            case "channel":
                return channel_of(row.medium)
            case _:
                return str(getattr(row, self.by))

    def _regions(self) -> dict[str, str]:
        if not self._region_of:
            found = db.session.execute(sa.select(Office.code, Office.region))
            self._region_of = {row.code: row.region for row in found}
        return self._region_of

    def _page(self, limit: int, offset: int) -> tuple[list[Row], int]:
        """Rows in order, read no further than they are asked for; how many there are."""
        found, count = places(self._source(), self.by, self.world, limit, offset)
        figures = {(row.currency, row.key): row for row in self.read([key for _, key in found])}
        page = [figures[place] for place in found]
        self._tell_spending(page)
        return page, count

    # Order, totals, spending

    def _in_order(self, every: list[Row]) -> list[Row]:
        if self.by in TIMES:
            return sorted(every, key=lambda row: (row.key, row.currency))
        return sorted(every, key=lambda row: (row.key == NOBODY, -row.figures.gross, row.key, row.currency))

    def _totals(self, every: Sequence[Row]) -> list[Row]:
        found: dict[str, Row] = {}
        for row in every:
            found.setdefault(row.currency, Row("total", row.currency)).figures.add(row.figures)
        before = self._before("currency") if self.whole else {}
        for currency, row in found.items():
            if self.whole:
                row.disbursed = row.figures.spent
                row.available = _together(before.get(currency), row.figures).left
        return [found[currency] for currency in sorted(found)]

    def _tell_spending(self, every: list[Row]) -> None:
        """Say what was disbursed and is available, of the rows that it can be said of."""
        if self.by not in OF_FUND or not self.whole:
            for row in every:
                row.disbursed = row.figures.spent if row.key == NOBODY and self.whole else None
            return
        before = self._before(self.by)
        if self.by in TIMES:
            self._tell_of_times(every, before)
            return
        for row in every:
            if self.by != "campaign" or (row.key != NOBODY and self.world.spends_alone(row.key)):
                row.disbursed = row.figures.spent
                row.available = _together(before.get(row.key), row.figures).left
            elif row.key == NOBODY:
                row.disbursed = row.figures.spent

    def _tell_of_times(self, every: list[Row], before: dict[str, Figures]) -> None:
        for row in self._in_order(every):
            running = before.setdefault(row.currency, Figures())
            running.add(row.figures)
            row.disbursed, row.available = row.figures.spent, running.left

    def _before(self, by: str) -> dict[str, Figures]:
        """All figures of the days before the range: by key, or by currency for times."""
        if self.filters.first is None:
            return {}
        past = replace(self.filters, first=None, last=self.filters.first - timedelta(days=1))
        found: dict[str, Figures] = {}
        for row in _Reader(past, "currency" if by in TIMES else by, self.mark).read():
            found.setdefault(row.key, Figures()).add(row.figures)
        return found


def _together(before: Figures | None, now: Figures) -> Figures:
    found = Figures()
    found.add(before or Figures())
    found.add(now)
    return found


def channel_of(medium: str) -> str:
    return next((name for name, media in CHANNELS.items() if medium in media), medium)


def periods(filters: Filters) -> Iterator[tuple[str, Filters]]:
    """What a range is compared with: `before`, and `year_before` for a whole month; none for an open range."""
    if (before := filters.before()) is not None:
        yield "before", before
    if (year := filters.year_before()) is not None:
        yield "year_before", year
