"""Where the figures of a report are read from: sums for what they hold, postings for the rest.

The sums hold what was recorded before the mark. A report as of later takes all of them, and the postings recorded
since. A report as of a moment shortly before the mark takes all of them too, and takes away what was recorded between
the two; as of long before, it takes the days of recording that were over by then, and the postings of that moment's own
day. Range and moment are covered by as few rows as can be: whole months by sums of months, the days left at the ends
by sums of days. A question that no rollup can answer is asked of the postings alone: slow, and right.
"""

import calendar
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.db import db
from donations.models import Campaign
from finance.facts import facts
from finance.filters import CHANNELS, DIRECT, ELSEWHERE, NOBODY, Filters
from finance.summaries import DAY, EVER, MONTH, ROLLUPS
from finance.summary_models import FIGURES, ReportSum
from ledger import sums
from ledger.models import Fund, JournalEntry
from offices.models import Office

_ATTRIBUTE_OF = {"region": "office", "channel": "medium"}
_A_DAY = timedelta(days=1)
LOOKED_BACK = timedelta(days=32)  # so far a moment is reached by taking away what came after it
NAMED = 16  # pairs of fund and campaign: of more it is quicker to go through all


@dataclass(frozen=True, slots=True)
class World:
    """Campaigns and funds, as filters and rows need them."""

    campaigns: Mapping[int, str]  # slugs by id
    funds: Mapping[int, str]  # codes by id
    currencies: Mapping[int, str]  # by id of the fund
    sole: Mapping[int, int]  # id of the fund -> id of its only campaign

    @classmethod
    def read(cls) -> "World":
        funds = {row.id: row for row in db.session.execute(sa.select(Fund.id, Fund.code, Fund.currency))}
        campaigns = list(db.session.execute(sa.select(Campaign.id, Campaign.slug, Campaign.fund_id)))
        of_fund: dict[int, list[int]] = {}
        for row in campaigns:
            of_fund.setdefault(row.fund_id, []).append(row.id)
        return cls(
            campaigns={row.id: row.slug for row in campaigns},
            funds={key: row.code for key, row in funds.items()},
            currencies={key: row.currency for key, row in funds.items()},
            sole={fund: ids[0] for fund, ids in of_fund.items() if len(ids) == 1},
        )

    def campaign_id(self, slug: str) -> int:
        return next(key for key, each in self.campaigns.items() if each == slug)

    def spends_alone(self, slug: str) -> bool:
        """Whether what its fund spends and has left is this campaign's own."""
        return self.campaign_id(slug) in self.sole.values()


def attribute_of(name: str) -> str:
    """The key that a dimension is read from: a region from the office, a channel from the medium."""
    return _ATTRIBUTE_OF.get(name, name)


def conditions(filters: Filters, columns: Any, world: World) -> list[sa.ColumnElement[bool]]:
    """What the filters say of rows with these columns (by name), but for days and moments.

    What no gift is behind belongs to a campaign whose fund is nobody else's.
    """
    found: list[sa.ColumnElement[bool]] = []
    if filters.campaign:
        campaign = world.campaign_id(filters.campaign)
        own = [fund for fund, only in world.sole.items() if only == campaign]
        of_fund = sa.and_(columns["campaign_id"] == sums.NO_GIFT, columns["fund_id"].in_(own))
        found.append(sa.or_(columns["campaign_id"] == campaign, of_fund))
    if filters.fund:
        found.append(columns["fund_id"].in_([key for key, code in world.funds.items() if code == filters.fund]))
    if filters.currency:
        those = [key for key, currency in world.currencies.items() if currency == filters.currency]
        found.append(columns["fund_id"].in_(those))
    for name in ("office", "medium", "placement", "provider", "language"):
        if (value := getattr(filters, name)) is not None:
            found.append(columns[name] == value)
    if filters.channel:
        found.append(columns["medium"].in_(CHANNELS.get(filters.channel, (filters.channel,))))
    if filters.region in (DIRECT, ELSEWHERE, NOBODY):
        found.append(columns["office"] == filters.region)
    elif filters.region:
        found.append(columns["office"].in_(sa.select(Office.code).where(Office.region == filters.region)))
    return found


def needed(filters: Filters, by: str) -> set[str]:
    """Keys that must be kept apart to answer."""
    asked = {attribute_of(name) for name in filters.values if name != "currency"}
    return asked | ({attribute_of(by)} & {"placement", "office", "medium", "language", "provider"})


def rollup_for(keys: set[str]) -> str | None:
    """The smallest rollup that keeps them apart."""
    return next((name for name, kept in ROLLUPS.items() if keys <= set(kept)), None)


@dataclass(frozen=True, slots=True)
class _Part:
    """Sums at one grain: days of occurrence (both included) and of recording (the last not included)."""

    grain: str
    first: date | None
    last: date | None
    recorded_from: date | None = None
    recorded_before: date | None = None

    def is_one_period(self) -> bool:
        """Whether a combination of keys has a row for its moments of recording only."""
        return self.grain == EVER or (self.first is not None and self.first == self._last_begin())

    def _last_begin(self) -> date | None:
        return self.last.replace(day=1) if self.grain == MONTH and self.last is not None else self.last


def _of_range(first: date | None, last: date | None, fine: bool, ever: bool) -> Iterator[_Part]:
    """Parts of a range of days: months where they are whole, unless days are to be told apart."""
    if fine:
        yield _Part(DAY, first, last)
        return
    if first is None and last is None:
        yield _Part(EVER if ever else MONTH, None, None)
        return
    begin = first if first is None or first.day == 1 else _next_month(first)
    end = last if last is None or _is_month_end(last) else last.replace(day=1) - _A_DAY
    if begin and end and begin > end:
        yield _Part(DAY, first, last)
        return
    yield _Part(MONTH, begin, end)
    if first and begin and first < begin:
        yield _Part(DAY, first, begin - _A_DAY)
    if last and end and end < last:
        yield _Part(DAY, end + _A_DAY, last)


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _is_month_end(day: date) -> bool:
    return day.day == calendar.monthrange(day.year, day.month)[1]


def _recorded_by(part: _Part, day: date) -> Iterator[_Part]:
    """The parts of a part that were recorded on whole days before this one."""
    if part.grain == DAY:
        yield _Part(DAY, part.first, part.last, None, day)
        return
    month = day.replace(day=1)
    yield _Part(MONTH, part.first, part.last, None, month)
    if month < day:
        yield _Part(DAY, part.first, part.last, month, day)


@dataclass(frozen=True, slots=True)
class Source:
    """Selects of the same columns that together are all rows of a report.

    `sums` are read from the sums; `rest` from the postings, with what came after the report's moment taken away again.
    `compact`: in `sums` nearly every value of the dimension has one row.
    """

    sums: list[sa.Select[Any]]
    rest: list[sa.Select[Any]]
    compact: bool = False

    def rows(self, only: Callable[[Any], sa.ColumnElement[bool]] | None = None) -> sa.Subquery:
        """All of them together; `only` makes a condition of what has their columns in `c`."""
        parts = [*self.sums, *self.rest]
        if only is not None:
            each = [part.subquery() for part in parts]
            parts = [sa.select(part).where(only(part)) for part in each]
        return sa.union_all(*parts).subquery()


def source_of(filters: Filters, by: str, world: World, mark: datetime) -> Source:
    """All rows that the report adds up: `occurred_on`, `fund_id`, `campaign_id`, the keys needed, and figures.

    `occurred_on` is the day itself by day and week, by month a day of it, and means nothing otherwise.
    """
    keys = needed(filters, by)
    rollup = rollup_for(keys)
    names = ["occurred_on", "fund_id", "campaign_id", *sorted(keys), *FIGURES]
    if rollup is None:
        return Source([], [_live(filters, names, world, *_since(sums.BEGINNING, filters), *near(filters))])
    past = filters.as_of < mark - LOOKED_BACK
    timed, fine = by in ("day", "week", "month"), by in ("day", "week")
    parts = list(_of_range(filters.first, filters.last, fine, not past and not timed))
    if filters.as_of >= mark:
        rest = [_live(filters, names, world, *_since(mark, filters))]
    elif not past:
        rest = list(_taken_away(filters, rollup, names, world, mark))
    else:
        day = sums.day_of(filters.as_of)
        parts = [each for part in parts for each in _recorded_by(part, day)]
        rest = [_live(filters, names, world, *_since(sums.start_of(day), filters))]
    compact = len(parts) == 1 and parts[0].is_one_period()
    return Source([_stored(filters, rollup, part, names, world) for part in parts], rest, compact)


def _taken_away(
    filters: Filters, rollup: str, names: list[str], world: World, mark: datetime
) -> Iterator[sa.Select[Any]]:
    """What the sums hold and was recorded after the report's moment, with the opposite sign."""
    following = sums.day_of(filters.as_of) + _A_DAY
    end = min(mark, sums.start_of(following))
    after = (JournalEntry.recorded_at > filters.as_of, JournalEntry.recorded_at < end)
    yield _opposite(_live(filters, names, world, *after))
    if end < mark:
        yield _opposite(_stored(filters, rollup, _Part(DAY, filters.first, filters.last, following), names, world))


def _opposite(query: sa.Select[Any]) -> sa.Select[Any]:
    found = query.subquery().c
    return sa.select(*((-each).label(name) if name in FIGURES else each for name, each in found.items()))


def _stored(filters: Filters, rollup: str, part: _Part, names: list[str], world: World) -> sa.Select[Any]:
    columns = ReportSum.__table__.c
    query = sa.select(*(columns[name] for name in names))
    query = query.where(columns.rollup == rollup, columns.grain == part.grain)
    if part.first is not None:
        query = query.where(columns.occurred_on >= part.first)
    if part.last is not None:
        query = query.where(columns.occurred_on <= part.last)
    query = query.where(*_recorded_within(part, columns))
    if part.grain == EVER:
        query = query.where(*_at_hand(columns, world))
    if part.grain == DAY and part.recorded_from is not None:
        query = query.where(columns.occurred_on.in_(_days_touched(part)))
    return query.where(*conditions(filters, columns, world))


def _at_hand(columns: Any, world: World) -> Iterator[sa.ColumnElement[bool]]:
    """All that stands before a link in the order of the table, named: a few links are found there, not looked for."""
    yield columns.occurred_on == sums.EVER
    yield columns.recorded_on == sums.EVER
    campaigns = (sums.NO_GIFT, *world.campaigns)
    if len(world.funds) * len(campaigns) <= NAMED:
        yield columns.fund_id.in_(world.funds)
        yield columns.campaign_id.in_(campaigns)


def _recorded_within(part: _Part, columns: Any) -> Iterator[sa.ColumnElement[bool]]:
    if part.recorded_from is not None:
        yield columns.recorded_on >= part.recorded_from
    if part.recorded_before is not None:
        yield columns.recorded_on < part.recorded_before


def _days_touched(part: _Part) -> sa.Select[Any]:
    """Days that anything recorded within the part belongs to, from the smallest rollup: the large ones are kept in the
    order of these days, and would be read as a whole without them."""
    small = sa.orm.aliased(ReportSum.__table__)
    query = sa.select(small.c.occurred_on).where(small.c.rollup == "all", small.c.grain == DAY)
    return query.where(*_recorded_within(part, small.c)).distinct()


def _since(moment: datetime, filters: Filters) -> tuple[sa.ColumnElement[bool], ...]:
    """Entries that were recorded from then up to the report's moment."""
    return JournalEntry.recorded_at >= moment, JournalEntry.recorded_at <= filters.as_of


def _live(filters: Filters, names: list[str], world: World, *entries: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Rows of these entries, straight from postings."""
    found = facts(*entries).subquery()
    columns = found.c
    query = sa.select(*(columns[name] for name in names))
    return query.where(*conditions(filters, columns, world), *days(filters, columns.occurred_on))


def days(filters: Filters, day: Any) -> list[sa.ColumnElement[bool]]:
    """What the filters say of a row's report day."""
    found = [] if filters.first is None else [day >= filters.first]
    return found if filters.last is None else [*found, day <= filters.last]


def near(filters: Filters) -> list[sa.ColumnElement[bool]]:
    """Bounds that hold in every zone, for the index: what is left is decided by the report day."""
    begin, end = filters.moments("UTC")
    found = []
    if begin is not None:
        found.append(JournalEntry.occurred_at >= begin - _A_DAY)
    if end is not None:
        found.append(JournalEntry.occurred_at < end + _A_DAY)
    return found
