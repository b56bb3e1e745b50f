"""The statement of a month: what each fund and each place where its money lies had, got, gave away and has.

Movements have the sign with which they change the balance, and each stands in one column, by what its entry is of:
opening + all movements = closing in every row. Each row says whether the month is over and closed.

Months are those of the books' zone, whatever zones campaigns have: that is what is closed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import aliased

from core.db import db
from donations.models import Campaign, Donation
from finance.exports.columns import Column, Query, Row
from finance.exports.datasets.base import TABLES, Dataset
from finance.exports.datasets.conditions import books_zone
from finance.exports.errors import MonthNeeded
from finance.filters import DEFAULT_ZONE, Filters
from ledger.corrections import plain_kind
from ledger.models import Account, AccountingPeriod, Fund, JournalEntry, Posting

MOVEMENTS: Mapping[str, Any] = {
    "received": _l("Received"),
    "settled": _l("Settled"),
    "refunded": _l("Refunds"),
    "disputed": _l("Disputes"),
    "fees": _l("Fees"),
    "exchange": _l("Differences of exchange"),
    "payouts": _l("Payouts"),
    "payouts_failed": _l("Payouts that failed"),
    "arrived": _l("Arrived at the bank"),
    "spent": _l("Spent"),
    "sponsored": _l("Paid by the sponsor"),
    "other": _l("Other"),
}
STATES = {"not_over": _l("the month is not over"), "open": _l("not closed yet"), "closed": _l("closed")}


@dataclass(frozen=True)
class Part:
    """`names` are what its movements are called where the column's title does not say it; `sign` of a debit; `last`
    are movements that are shown after those which they are about."""

    title: Any = field(hash=False)
    sign: int
    names: Mapping[str, Any] = field(default_factory=dict, hash=False)
    last: tuple[str, ...] = ()

    @property
    def lines(self) -> dict[str, Any]:
        """Each figure of it and what it is called, in the order in which they are shown."""
        return {
            "opening": _l("Opening balance"),
            **{name: self.names.get(name, MOVEMENTS[name]) for name in sorted(MOVEMENTS, key=self.last.__contains__)},
            "change": _l("Change of the month"),
            "closing": _l("Closing balance"),
        }


PARTS: Mapping[str, Part] = {
    "fund": Part(_l("Fund"), -1, {"received": _l("Gifts received")}),
    "sponsor": Part(_l("Fees owed by the sponsor"), 1, {"fees": _l("Fees charged")}),
    "receivable": Part(
        _l("Charged and not yet settled"),
        1,
        {
            "received": _l("Charged"),
            "refunded": _l("Refunds to be settled"),
            "disputed": _l("Disputes to be settled"),
            "settled": _l("Settled: gifts taken off, refunds and disputes added back"),
        },
        last=("settled",),
    ),
    "provider": Part(
        _l("Held by the provider"),
        1,
        {
            "settled": _l("Gifts settled, less their fees"),
            "disputed": _l("Disputes, with their fees"),
            "fees": _l("Fees on lines of their own"),
        },
    ),
    "transit": Part(_l("On the way to the bank"), 1),
    "bank": Part(_l("At the bank"), 1),
    "suspense": Part(
        _l("Not attributed"),
        -1,
        {
            "received": _l("Payments without a donation, less those placed since"),
            "arrived": _l("Differences of payouts that arrived"),
            "other": _l("Lines of the bank and of the provider that nothing is known of"),
        },
    ),
}
OF_FUND = {
    "gift": "received",
    "refund": "refunded",
    "dispute": "disputed",
    "fee": "fees",
    "fx": "exchange",
    "spent": "spent",
}
OF_SOURCE = {
    "payment": "received",
    "stray_payment": "received",
    "refund": "refunded",
    "stray_refund": "refunded",
    "dispute": "disputed",
    "stray_dispute": "disputed",
    "settlement_fee": "fees",
    "bank_match": "arrived",
    "disbursement": "spent",
    "sponsor": "sponsored",
}
OF_SETTLEMENT = {
    "charge": "settled",
    "refund": "refunded",
    "refund_failure": "refunded",
    "dispute": "disputed",
    "dispute_reversal": "disputed",
    "fee": "fees",
    "payout": "payouts",
    "payout_failure": "payouts_failed",
}

COLUMNS = (
    Column("part", "code", _l("Part"), words={name: part.title for name, part in PARTS.items()}),
    Column("name", "code", _l("Name")),
    Column("title", "text", _l("What it is called")),
    Column("currency", "code", _l("Currency")),
    Column("opening", "money", _l("Opening balance"), "currency"),
    *(Column(name, "money", title, "currency") for name, title in MOVEMENTS.items()),
    Column("change", "money", _l("Change of the month"), "currency"),
    Column("closing", "money", _l("Closing balance"), "currency"),
    Column("state", "code", _l("The month"), words=STATES),
    Column("sheet_hash", "code", _l("SHA-256 of the closing's sheet")),
    Column("audit_number", "whole", _l("Audit log at the closing: entry")),
    Column("audit_hash", "code", _l("Audit log at the closing: hash")),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the month stood at the statement's moment; the hashes are those of its closing, if it was closed then."""

    state: str
    closed_at: datetime | None = None
    sheet_hash: str | None = None
    audit_number: int | None = None
    audit_hash: str | None = None


def standing_of(filters: Filters) -> Standing:
    _start, end = filters.moments(DEFAULT_ZONE)
    assert end is not None
    assert filters.first is not None
    if filters.as_of < end:
        return Standing("not_over")
    closing = db.session.scalar(
        sa.select(AccountingPeriod)
        .where(
            AccountingPeriod.month == f"{filters.first:%Y-%m}",
            AccountingPeriod.closed_at <= filters.as_of,
            sa.or_(AccountingPeriod.reopened_at.is_(None), AccountingPeriod.reopened_at > filters.as_of),
        )
        .order_by(AccountingPeriod.id.desc())
    )
    if closing is None:
        return Standing("open")
    return Standing("closed", closing.closed_at, closing.sheet_hash, closing.audit_number, closing.audit_hash)


def about(filters: Filters) -> dict[str, Any]:
    """What stands in each row of the month as a whole: a month in which nothing was posted has no row to say it."""
    standing = standing_of(filters)
    closed_at = standing.closed_at and standing.closed_at.isoformat()
    return {"month": {**asdict(standing), "closed_at": closed_at}}


def other_zones(filters: Filters) -> tuple[str, ...]:
    """Zones, not the books', of campaigns whose gifts are in the statement: reports cut their days otherwise."""
    start, end = filters.moments(DEFAULT_ZONE)
    assert start is not None
    assert end is not None
    a_day = timedelta(days=1)  # on both sides: what stands here in another month than there is meant, too
    of_month = (
        sa.select(JournalEntry.id)
        .join(Donation, Donation.id == JournalEntry.donation_id)
        .where(
            Donation.campaign_id == Campaign.id,
            JournalEntry.recorded_at <= filters.as_of,
            JournalEntry.occurred_at >= start - a_day,
            JournalEntry.occurred_at < end + a_day,
        )
    )
    query = sa.select(Campaign.zone).distinct().join(Fund, Fund.id == Campaign.fund_id)
    query = query.where(Campaign.zone != DEFAULT_ZONE, of_month.exists())
    if filters.campaign:
        query = query.where(Campaign.fund_id.in_(_funds_of(filters.campaign)))
    if filters.fund:
        query = query.where(Fund.code == filters.fund)
    if filters.currency:
        query = query.where(Fund.currency == filters.currency)
    return tuple(sorted(db.session.scalars(query)))


def note_on_days(filters: Filters) -> str:
    """Why figures may differ from those of the totals page; empty where they cannot."""
    if not (zones := other_zones(filters)):
        return ""
    text: str = _(
        "Months of the books are those of the zone %(zone)s. The page of totals cuts the days of each campaign in the "
        "campaign's own zone, here also %(others)s: what came near midnight can stand in the month before or after "
        "there, so its figures can differ from these.",
        zone=DEFAULT_ZONE,
        others=", ".join(zones),
    )
    return text


def _funds_of(campaign: str) -> sa.Select[int]:
    own = aliased(Campaign)
    return sa.select(own.fund_id).where(own.slug == campaign)


def _movements(filters: Filters) -> Query:
    """Per account and kind of entry: debits less credits before the month, and within it."""
    start, end = filters.moments(DEFAULT_ZONE)
    before = JournalEntry.occurred_at < start

    def net(condition: Any) -> sa.ColumnElement[int]:
        amount = Posting.debit_minor - Posting.credit_minor
        return sa.cast(sa.func.sum(sa.case((condition, amount), else_=0)), sa.BigInteger)

    taken_back = aliased(JournalEntry)
    # What takes an entry back stands where the entry does.
    entry_kind = sa.func.coalesce(taken_back.kind, JournalEntry.kind)
    keys = (Account.kind, Account.code, Account.currency, Fund.code, JournalEntry.source_type, entry_kind)
    query = (
        sa.select(*keys, net(before), net(sa.not_(before)))
        .join(Posting, Posting.account_id == Account.id)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .outerjoin(taken_back, taken_back.id == JournalEntry.reverses_id)
        .outerjoin(Fund, Fund.id == Account.fund_id)
        .where(JournalEntry.recorded_at <= filters.as_of, JournalEntry.occurred_at < end)
        .group_by(*keys)
        .order_by(Account.code)
    )
    if filters.campaign:
        query = query.where(Account.fund_id.in_(_funds_of(filters.campaign)))
    if filters.fund:
        query = query.where(Fund.code == filters.fund)
    if filters.currency:
        query = query.where(Account.currency == filters.currency)
    return query


def statement(filters: Filters) -> list[Row]:
    """Raises `MonthNeeded`. Funds are called by their names in the present language."""
    if not filters.months():
        raise MonthNeeded(field="first")
    funds = {fund.code: str(fund.name) for fund in db.session.scalars(sa.select(Fund))}
    titles: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for kind, account, currency, fund, source, entry, before, within in db.session.execute(_movements(filters)):
        part = "fund" if kind in OF_FUND else kind
        if part not in PARTS:
            continue
        name = fund if part == "fund" else _name(account, currency)
        titles[part, name] = ": ".join([*name.split(":")[:-1], funds[fund]]) if fund else name
        figures = found.setdefault((part, name, currency), dict.fromkeys(("opening", *MOVEMENTS), 0))
        figures["opening"] += PARTS[part].sign * before
        figures[_figure(kind, source, entry)] += PARTS[part].sign * within
    standing = standing_of(filters)
    proof = (standing.state, standing.sheet_hash, standing.audit_number, standing.audit_hash)
    order = list(PARTS)
    rows: list[Row] = []
    for (part, name, currency), figures in sorted(found.items(), key=lambda row: (order.index(row[0][0]), *row[0][1:])):
        if any(figures.values()):
            change = sum(figures[movement] for movement in MOVEMENTS)
            rows.append(
                (
                    part,
                    name,
                    titles[part, name],
                    currency,
                    *figures.values(),
                    change,
                    figures["opening"] + change,
                    *proof,
                )
            )
    return rows


def _figure(kind: str, source: str, entry: str) -> str:
    """Which movement a posting to an account of this kind is, by the entry that it belongs to."""
    if kind in OF_FUND:
        return OF_FUND[kind]
    entry = plain_kind(entry)
    if (source, entry) == ("bank_match", "suspense"):
        return "other"
    if source != "settlement":
        return OF_SOURCE.get(source, "other")
    if kind == "receivable":
        return "settled"
    if kind == "sponsor" or (kind == "suspense" and entry.startswith("stray_")):
        return "fees"  # all that a settlement takes there
    return OF_SETTLEMENT.get(entry, "other")


def _name(account: str, currency: str) -> str:
    """provider:stripe:EUR is stripe's: what kind it is and its currency stand beside."""
    return account.partition(":")[2].removesuffix(currency).removesuffix(":") or account


DATASET = Dataset(
    "statement",
    _l("Month statement"),
    COLUMNS,
    table=statement,
    about=about,
    zones=books_zone,
    filters=frozenset({"campaign", "fund", "currency"}),
    formats=("pdf", *TABLES),
    summed=False,
)
