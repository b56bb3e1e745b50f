"""Which place raised what: from scans of a link to packs that were collected.

Every figure comes from what its own room keeps: scans from placements, gifts from donations, money from sums of
postings, packs from redemptions that stand. What no link led to stands in a row of its own, so that the rows of a
campaign add up to its totals.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.cells import write_table
from core.db import db
from core.money import Money
from donations.models import RECEIVED, Campaign, Donation
from ledger.models import Account, JournalEntry, Posting
from offices.models import Office, Placement
from stickers.models import Redemption, RedemptionCode

DIMENSIONS = ("placement", "office", "region", "medium")
DAYS = date(1900, 1, 1), date(2999, 12, 31)  # none before and after can be asked for: the calendar ends somewhere
UNATTRIBUTED = None  # key of the row of gifts that no link led to
NO_OFFICE = ""  # key of the row of links that hang in no office


@dataclass(slots=True)
class FunnelRow:
    """One place. Money in minor units of the campaign's currency; `raised` less what went back is `kept`.

    `scans` are totals of the link since it was made: a scan keeps no time. All else is of the range asked for.
    """

    key: str | None
    label: str = ""
    scans: int = 0
    started: int = 0
    paid: int = 0
    raised: int = 0
    refunded: int = 0
    disputed: int = 0
    collected: int = 0
    # of placements only: what tells one from another
    medium: str = ""
    office: str = ""
    state: str = ""
    poster: int | None = None  # its number in the office

    @property
    def kept(self) -> int:
        return self.raised - self.refunded - self.disputed

    @property
    def attributed(self) -> bool:
        return self.key is not UNATTRIBUTED


@dataclass(frozen=True, slots=True)
class _Range:
    """From the first moment of a day to before the first of another one; open where None."""

    start: datetime | None
    end: datetime | None

    def of(self, column: Any) -> list[sa.ColumnElement[bool]]:
        bounds = []
        if self.start is not None:
            bounds.append(column >= self.start)
        if self.end is not None:
            bounds.append(column < self.end)
        return bounds


def _range(campaign: Campaign, first: date | None, last: date | None) -> _Range:
    """Days of the campaign's zone, both included."""
    zone = ZoneInfo(campaign.zone)
    return _Range(
        datetime.combine(first, time.min, zone) if first else None,
        datetime.combine(last + timedelta(days=1), time.min, zone) if last else None,
    )


# By position: PostgreSQL takes equal expressions with parameters for different ones.
_KEY_COLUMN: sa.ColumnElement[Any] = sa.literal_column("1")
_KEYS: dict[str, Any] = {
    "placement": Placement.code,
    "office": sa.func.coalesce(Office.code, NO_OFFICE),
    "region": sa.func.coalesce(Office.region, NO_OFFICE),
    "medium": Placement.medium,
}


def _key(by: str) -> sa.ColumnElement[Any]:
    """The row a gift belongs to: null for one that no link led to."""
    return sa.case((Placement.id.is_(None), sa.null()), else_=_KEYS[by])


def _by_link(query: sa.Select[Any]) -> sa.Select[Any]:
    """Join a query of donations to the links that led to them."""
    return query.outerjoin(Placement, Placement.code == Donation.placement).outerjoin(
        Office, Office.id == Placement.office_id
    )


def _scans(campaign: Campaign, by: str) -> sa.Select[Any]:
    return (
        sa.select(_KEYS[by], sa.func.sum(Placement.scans))
        .select_from(Placement)
        .outerjoin(Office, Office.id == Placement.office_id)
        .where(Placement.campaign_id == campaign.id)
        .group_by(_KEY_COLUMN)
    )


def _gifts(campaign: Campaign, by: str, moment: Any, within: _Range, *more: sa.ColumnElement[bool]) -> sa.Select[Any]:
    query = sa.select(_key(by), sa.func.count(Donation.id)).select_from(Donation)
    return _by_link(query).where(Donation.campaign_id == campaign.id, *more, *within.of(moment)).group_by(_KEY_COLUMN)


def _money(campaign: Campaign, by: str, kind: str, within: _Range) -> sa.Select[Any]:
    """What the fund's accounts of this kind were credited by gifts of the campaign, by report day."""
    query = (
        sa.select(_key(by), sa.func.sum(Posting.credit_minor - Posting.debit_minor))
        .select_from(Posting)
        .join(Account, Account.id == Posting.account_id)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .outerjoin(Donation, Donation.id == JournalEntry.donation_id)
    )
    # An entry that names no donation is the fund's all the same, and nobody's placement raised it.
    ours = sa.or_(Donation.campaign_id == campaign.id, JournalEntry.donation_id.is_(None))
    query = query.where(Account.fund_id == campaign.fund_id, Account.kind == kind, ours)
    return _by_link(query).where(*within.of(JournalEntry.occurred_at)).group_by(_KEY_COLUMN)


def _collected(campaign: Campaign, by: str, within: _Range) -> sa.Select[Any]:
    """Packs handed over and not given back, under the place whose link led to their gift, wherever they were handed."""
    query = sa.select(_key(by), sa.func.count(Redemption.id)).select_from(Redemption)
    query = query.join(RedemptionCode, RedemptionCode.id == Redemption.code_id)
    query = query.join(Donation, Donation.id == RedemptionCode.donation_id)
    mine = sa.and_(Donation.campaign_id == campaign.id, Redemption.undone_at.is_(None))
    return _by_link(query).where(mine, *within.of(Redemption.redeemed_at)).group_by(_KEY_COLUMN)


def funnel(
    campaign: Campaign, by: str = "placement", *, first: date | None = None, last: date | None = None
) -> list[FunnelRow]:
    """A row for each place of the campaign and one for gifts that no link led to, most money first, that one last.

    `by` is one of `DIMENSIONS`; `first` and `last` are days in the campaign's zone, both included. They bound gifts
    by when they were started and paid, money by its report day, packs by when they were handed over; scans are totals.
    """
    within = _range(campaign, first, last)
    rows: dict[str | None, FunnelRow] = {UNATTRIBUTED: FunnelRow(UNATTRIBUTED)}
    for figure, sign, query in _figures(campaign, by, within):
        for key, value in db.session.execute(query):
            row = rows.setdefault(key, FunnelRow(key))
            setattr(row, figure, sign * int(value))
    _describe(rows, by)
    return sorted(rows.values(), key=lambda row: (not row.attributed, -row.raised, -row.scans, row.key or ""))


def _figures(campaign: Campaign, by: str, within: _Range) -> Iterator[tuple[str, int, sa.Select[Any]]]:
    """(field of a row, sign, query that answers keys with values)"""
    yield "scans", 1, _scans(campaign, by)
    yield "started", 1, _gifts(campaign, by, Donation.created_at, within)
    yield "paid", 1, _gifts(campaign, by, Donation.paid_at, within, Donation.status.in_(RECEIVED))
    yield "raised", 1, _money(campaign, by, "gift", within)
    yield "refunded", -1, _money(campaign, by, "refund", within)
    yield "disputed", -1, _money(campaign, by, "dispute", within)
    yield "collected", 1, _collected(campaign, by, within)


def _describe(rows: dict[str | None, FunnelRow], by: str) -> None:
    """Give rows the names that people know their places by."""
    describe: dict[str, Callable[[dict[str | None, FunnelRow]], None]] = {
        "placement": _describe_placements,
        "office": _describe_offices,
    }
    for row in rows.values():
        row.label = row.key or ""
    if by in describe:
        describe[by](rows)


def _describe_placements(rows: dict[str | None, FunnelRow]) -> None:
    columns = (Placement.code, Placement.label, Placement.medium, Placement.state, Placement.poster_number)
    query = sa.select(*columns, Office.code.label("office"))
    query = query.outerjoin(Office, Office.id == Placement.office_id)
    for placement in db.session.execute(query.execution_options(yield_per=1000)):
        if row := rows.get(placement.code):
            row.label, row.medium, row.state = placement.label, placement.medium, placement.state
            row.office, row.poster = placement.office or "", placement.poster_number


def _describe_offices(rows: dict[str | None, FunnelRow]) -> None:
    for code, name in db.session.execute(sa.select(Office.code, Office.name)):
        if row := rows.get(code):
            row.label = str(name)


def total(rows: list[FunnelRow]) -> FunnelRow:
    """The sum of all rows: the campaign's own figures."""
    figures = [each.name for each in fields(FunnelRow) if each.type == "int" or each.type is int]
    return FunnelRow("total", **{name: sum(getattr(row, name) for row in rows) for name in figures})


CSV_COLUMNS = (
    "key label medium office poster state scans started paid raised refunded disputed kept currency collected".split()  # noqa: SIM905 - words
)


def write_csv(file: TextIO, rows: list[FunnelRow], currency: str) -> int:
    """Write the rows, money as decimal amounts; how many. Gifts that no link led to have the key `unattributed`."""
    return write_table(file, CSV_COLUMNS, (_cells(row, currency) for row in rows))


def _cells(row: FunnelRow, currency: str) -> list[Any]:
    counts = [row.scans, row.started, row.paid]
    amounts = [Money(minor, currency).major for minor in (row.raised, row.refunded, row.disputed, row.kept)]
    place = [row.key if row.attributed else "unattributed", row.label, row.medium, row.office, row.poster, row.state]
    return [*place, *counts, *amounts, currency, row.collected]
