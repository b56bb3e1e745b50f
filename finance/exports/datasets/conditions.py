"""Filters as conditions of queries, and pieces that several datasets share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from core.db import db
from donations.models import Campaign, Donation
from finance.exports.columns import Query
from finance.facts import day_in, report_day, zones_of, zones_of_gifts
from finance.filters import CHANNELS, DEFAULT_ZONE, DIRECT, ELSEWHERE, NOBODY, Filters
from finance.reading import days
from ledger.models import Account, Fund, JournalEntry, Posting
from offices.models import Office, Placement

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Days:
    """The report days of rows: `zone` tells in the query which of `zones` a row has, null for that of the books.

    Where there is one zone alone, moments are compared with its midnights, and no row is asked for its own.
    """

    zones: tuple[str, ...]
    zone: Any = None

    def of(self, moment: Any) -> sa.ColumnElement[Any]:
        return day_in(moment, self.zones[0]) if len(self.zones) == 1 else report_day(moment, self.zone)

    def near(self, moment: Any, filters: Filters) -> list[Condition]:
        """Bounds that hold in each of the zones, for indexes."""
        starts, ends = zip(*(filters.moments(zone) for zone in self.zones), strict=True)
        found = [moment >= min(starts)] if filters.first else []
        return [*found, moment < max(ends)] if filters.last else found

    def within(self, moment: Any, filters: Filters) -> list[Condition]:
        """Whether the day is in the range, both ends included."""
        bounds = self.near(moment, filters)
        return bounds if len(self.zones) == 1 else [*bounds, *days(filters, report_day(moment, self.zone))]


_gift, _its_campaign = aliased(Donation), aliased(Campaign)


def _zone_of_entry() -> sa.ScalarSelect[str]:
    zone = sa.select(_its_campaign.zone).join(_gift, _gift.campaign_id == _its_campaign.id)
    return zone.where(_gift.id == JournalEntry.donation_id).correlate(JournalEntry).scalar_subquery()


def books_zone(filters: Filters) -> tuple[str, ...]:
    return (DEFAULT_ZONE,)


def days_of_entries(filters: Filters) -> Days:
    return Days(zones_of(filters), _zone_of_entry())


def days_of_gifts(filters: Filters, zone: Any = Campaign.zone) -> Days:
    """Where the query has the gift's campaign (`with_places`), unless `zone` tells it."""
    return Days(zones_of_gifts(filters), zone)


DAYS_OF_BOOKS = Days((DEFAULT_ZONE,))


def with_places(query: Query) -> Query:
    """Join a query of donations to their campaigns, funds and the links that led to them."""
    return (
        query.join(Campaign, Campaign.id == Donation.campaign_id)
        .join(Fund, Fund.id == Campaign.fund_id)
        .outerjoin(Placement, Placement.code == Donation.placement)
        .outerjoin(Office, Office.id == Placement.office_id)
    )


def of_gifts(filters: Filters) -> list[Condition]:
    """Which donations are meant, in a query made by `with_places`. Provider and days are not among them."""
    found: list[Condition] = []
    if filters.campaign:
        found.append(Campaign.slug == filters.campaign)
    if filters.fund:
        found.append(Fund.code == filters.fund)
    if filters.currency:
        found.append(Fund.currency == filters.currency)
    if filters.language:
        found.append(Donation.locale == filters.language)
    if filters.channel:
        found.append(_channel(filters.channel))
    for name, column in (("office", Office.code), ("region", Office.region)):
        if value := getattr(filters, name):
            found.append(_place(value, column))
    for name, column in (("medium", Placement.medium), ("placement", Placement.code)):
        if value := getattr(filters, name):
            found.append(_link(value, column))
    return found


def _channel(channel: str) -> Condition:
    if channel == NOBODY:
        return sa.false()
    if CHANNELS[channel] == (DIRECT,):
        return Placement.id.is_(None)
    return Placement.medium.in_(CHANNELS[channel])


def _place(value: str, column: Any) -> Condition:
    if value == ELSEWHERE:
        return sa.and_(Placement.id.is_not(None), Placement.office_id.is_(None))
    return _link(value, column)


def _link(value: str, column: Any) -> Condition:
    if value == NOBODY:  # what belongs to no gift at all
        return sa.false()
    return Placement.id.is_(None) if value == DIRECT else column == value


def asks_for_gifts(filters: Filters) -> bool:
    """Whether only what belongs to certain gifts is meant."""
    return bool(set(filters.values) - {"provider", "currency"})


def provider_of(account_id: Any) -> sa.ColumnElement[Any]:
    """The provider that a posting to this account is about; null when it is no receivable."""
    query = sa.select(Account.id, Account.code).where(Account.kind == "receivable").order_by(Account.id)
    providers = {row.id: row.code.split(":")[1] for row in db.session.execute(query)}
    return sa.case(providers, value=account_id) if providers else sa.cast(sa.null(), sa.String)


def _sum(kind: str, sign: int) -> sa.ColumnElement[int]:
    amount = Posting.credit_minor - Posting.debit_minor if sign > 0 else Posting.debit_minor - Posting.credit_minor
    # PostgreSQL's sum of bigint is numeric, which comes back as Decimal.
    return sa.cast(sa.func.sum(sa.case((Account.kind == kind, amount), else_=0)), sa.BigInteger)


def _first(column: Any) -> sa.ColumnElement[Any]:
    return sa.func.min(sa.case((Account.kind == "gift", column)))


def money_of_gifts(filters: Filters, *, kinds: tuple[str, ...] = (), only: Sequence[int] | None = None) -> sa.Subquery:
    """What the postings recorded by then say of each donation that was paid by then, one row each.

    Amounts in minor units: `gross`, `refunded`, `disputed`, `fee`, `sponsor_fee` of the fund's currency; `settled` of
    `settled_currency`, both null when there is none or more than one. `day_at` decides the report day, `paid_at` is
    the true moment. Only donations whose report day is in the range, and of the provider asked for; `only` bounds them
    to these ids.
    """
    provider_currency = sa.case((Account.kind == "provider", Posting.currency))
    currencies = sa.func.min(provider_currency), sa.func.max(provider_currency)
    one_currency = currencies[0] == currencies[1]
    day_at, provider = _first(JournalEntry.occurred_at), sa.func.max(provider_of(Posting.account_id))
    paid_at = _first(sa.func.coalesce(JournalEntry.happened_at, JournalEntry.occurred_at))
    query = (
        sa.select(
            JournalEntry.donation_id,
            sa.type_coerce(day_at, JournalEntry.occurred_at.type).label("day_at"),
            sa.type_coerce(paid_at, JournalEntry.occurred_at.type).label("paid_at"),
            provider.label("provider"),
            _sum("gift", 1).label("gross"),
            _sum("refund", -1).label("refunded"),
            _sum("dispute", -1).label("disputed"),
            _sum("fee", -1).label("fee"),
            _sum("sponsor", -1).label("sponsor_fee"),
            sa.case((one_currency, _sum("provider", -1))).label("settled"),
            sa.case((one_currency, currencies[0])).label("settled_currency"),
        )
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, Account.id == Posting.account_id)
        .where(JournalEntry.donation_id.is_not(None), JournalEntry.recorded_at <= filters.as_of)
        .group_by(JournalEntry.donation_id)
        .having(day_at.is_not(None), *days_of_gifts(filters, _zone_of_entry()).within(day_at, filters))
    )
    if kinds:
        query = query.where(Account.kind.in_(kinds))
    if filters.provider:
        query = query.having(provider == filters.provider)
    if only is not None:
        query = query.where(JournalEntry.donation_id.in_(only))
    elif filters.first or filters.last:  # spares reading all other gifts; `having` decides
        query = query.where(JournalEntry.donation_id.in_(_paid_within(filters)))
    return query.subquery("money")


def _paid_within(filters: Filters) -> Query:
    return sa.select(JournalEntry.donation_id).where(
        JournalEntry.source_type == "payment",
        JournalEntry.kind == "gift",
        *days_of_gifts(filters).near(JournalEntry.occurred_at, filters),
    )


def next_gifts(filters: Filters, after: int, limit: int) -> list[int]:
    """Ids of the next donations that may be meant: all that are, and some that are not."""
    query = with_places(sa.select(Donation.id)).where(Donation.id > after, *of_gifts(filters))
    if filters.first or filters.last:
        query = query.where(Donation.id.in_(_paid_within(filters)))
    return list(db.session.scalars(query.order_by(Donation.id).limit(limit)))


def status_of(money: sa.Subquery) -> sa.ColumnElement[str]:
    """How the donation stood, from postings alone; the rule is that of `donations.state.derive_status`."""
    left = money.c.gross - money.c.refunded
    return sa.case(
        (sa.and_(money.c.disputed > 0, left - money.c.disputed < Donation.amount_minor), "disputed"),
        (left <= 0, "refunded"),
        (left >= Donation.amount_minor, "paid"),
        else_="partially_refunded",
    )


def shown_receipt(year: Any, number: Any) -> sa.ColumnElement[str]:
    """As donors know it: 2026-000123."""
    padded = sa.func.substr(sa.cast(1_000_000 + number, sa.String), 2)
    text = sa.case((number < 1_000_000, padded), else_=sa.cast(number, sa.String))
    return sa.cast(year, sa.String) + "-" + text


def as_text(column: Any) -> sa.ColumnElement[str]:
    """A uuid as its text."""
    return sa.type_coerce(column, sa.Uuid(as_uuid=False))
