"""Settlement lines (the provider's own account, as it gave it) and payouts, as we knew them at the moment asked for."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import aliased

from core.db import db
from donations.models import Campaign, Donation, Payment
from finance.exports.columns import Column, Query
from finance.exports.datasets.base import Dataset
from finance.exports.datasets.conditions import (
    DAYS_OF_BOOKS,
    Days,
    asks_for_gifts,
    books_zone,
    of_gifts,
    with_places,
)
from finance.exports.words import PAYOUT_STATES
from finance.facts import zones_of
from finance.filters import NOBODY, Filters
from finance.models import KEPT, NAMED, VOID, PayoutRecord, PayoutState, SettlementChange, SettlementLine
from payments.base import SettlementKind

KINDS = {
    "charge": _l("Payment"),
    "refund": _l("Refund"),
    "refund_failure": _l("Failed refund"),
    "dispute": _l("Dispute"),
    "dispute_reversal": _l("Dispute won"),
    "payout": _l("Payout"),
    "payout_failure": _l("Failed payout"),
    "fee": _l("Fee"),
    "other": _l("Other"),
    VOID: _l("Not the provider's"),
}
LINES = (
    Column("line", "code", _l("Line")),
    Column("provider", "code", _l("Provider")),
    Column("kind", "code", _l("Kind"), words=KINDS),
    Column("created_at", "moment", _l("Created")),
    Column("available_at", "moment", _l("Available")),
    Column("currency", "code", _l("Currency")),
    Column("amount", "money", _l("Amount"), "currency"),
    Column("fee", "money", _l("Fee"), "currency"),
    Column("net", "money", _l("Net"), "currency"),
    Column("exchange_rate", "rate", _l("Rate")),
    Column("donation", "code", _l("Donation")),
    Column("payment", "text", _l("Provider's payment")),
    Column("refund", "text", _l("Provider's refund")),
    Column("dispute", "text", _l("Provider's dispute")),
    Column("payout", "text", _l("Payout")),
    Column("posted_at", "moment", _l("Posted")),
)
PAYOUTS = (
    Column("payout", "code", _l("Payout")),
    Column("provider", "code", _l("Provider")),
    Column("created_at", "moment", _l("Created")),
    Column("arrives_at", "day", _l("At the bank")),
    Column("state", "code", _l("State"), words=PAYOUT_STATES),
    Column("currency", "code", _l("Currency")),
    Column("amount", "money", _l("Amount"), "currency"),
    Column("lines", "whole", _l("Lines"), counted="currency"),
    Column("lines_net", "money", _l("Net of its lines"), "currency"),
)
OF_PROVIDER = frozenset({"provider", "currency"})

# What was there before moments of recording were kept counts from when it was posted or made.
_known_at = sa.func.coalesce(SettlementLine.recorded_at, SettlementLine.posted_at, SettlementLine.created_at)
_payout_known_at = sa.func.coalesce(SettlementLine.payout_recorded_at, _known_at)


def _if_by_then(moment: Any, value: Any, filters: Filters) -> sa.ColumnElement[Any]:
    return sa.case((moment <= filters.as_of, value))


def _as_then(filters: Filters) -> tuple[dict[str, Any], Any]:
    """What a correction may change of a line, as it was at the moment asked for, and what to select it from."""
    columns = {name: getattr(SettlementLine, name) for name in (*KEPT, *NAMED)}
    later = sa.select(SettlementChange.id).where(SettlementChange.changed_at > filters.as_of)
    if db.session.scalar(later.limit(1)) is None:  # seldom is one corrected, and reading is quicker without
        return columns, SettlementLine.__table__
    other = aliased(SettlementChange)
    first = (
        sa.select(sa.func.min(other.id))
        .where(other.line_id == SettlementLine.id, other.changed_at > filters.as_of)
        .correlate(SettlementLine)
    )
    changed = SettlementChange.id.is_not(None)
    said = {name: sa.case((changed, getattr(SettlementChange, name)), else_=column) for name, column in columns.items()}
    return said, sa.outerjoin(SettlementLine, SettlementChange, SettlementChange.id == first.scalar_subquery())


def settlements(filters: Filters, names: bool) -> Query:
    line, lines = _as_then(filters)
    of_payment = sa.and_(Payment.provider == SettlementLine.provider, Payment.payment_ref == line["payment_ref"])
    # A payment may be older than what we learned of its reference: the line names its gift once it was posted.
    gift = sa.and_(Donation.id == Payment.donation_id, SettlementLine.posted_at <= filters.as_of)
    query = sa.select(
        SettlementLine.id.label("key"),
        SettlementLine.ref,
        SettlementLine.provider,
        line["kind"],
        SettlementLine.created_at,
        SettlementLine.available_at,
        line["currency"],
        line["amount_minor"],
        line["fee_minor"],
        line["net_minor"],
        line["exchange_rate"],
        Donation.public_id,
        line["payment_ref"],
        line["refund_ref"],
        line["dispute_ref"],
        _if_by_then(_payout_known_at, line["payout_ref"], filters),
        _if_by_then(SettlementLine.posted_at, SettlementLine.posted_at, filters),
    )
    zone = sa.select(Campaign.zone).where(Campaign.id == Donation.campaign_id).correlate(Donation).scalar_subquery()
    query = (
        query.select_from(lines)
        .outerjoin(Payment, of_payment)
        .outerjoin(Donation, gift)
        .where(_known_at <= filters.as_of, *Days(zones_of(filters), zone).within(SettlementLine.created_at, filters))
    )
    if filters.provider:
        query = query.where(SettlementLine.provider == filters.provider)
    if filters.currency:
        query = query.where(line["currency"] == filters.currency)
    if asks_for_gifts(filters) or filters.campaign or filters.fund:
        gifts = with_places(sa.select(Donation.id)).where(*of_gifts(replace(filters, currency=None)))
        of_none = Donation.id.is_(None) if NOBODY in filters.values.values() else sa.false()
        query = query.where(sa.or_(Donation.id.in_(gifts), of_none))
    return query.order_by(SettlementLine.id)


def payouts(filters: Filters, names: bool) -> Query:
    newest = (
        sa.select(PayoutState.payout_id, sa.func.max(PayoutState.id).label("id"))
        .where(PayoutState.recorded_at <= filters.as_of)
        .group_by(PayoutState.payout_id)
        .subquery()
    )
    line, lines = _as_then(filters)
    mine = sa.and_(
        SettlementLine.provider == PayoutRecord.provider,
        line["payout_ref"] == PayoutRecord.ref,
        line["kind"].not_in((SettlementKind.PAYOUT.value, SettlementKind.PAYOUT_FAILURE.value)),
        _payout_known_at <= filters.as_of,
    )
    total = sa.cast(sa.func.sum(line["net_minor"]), sa.BigInteger)
    count, net = (
        sa.select(what).select_from(lines).where(mine).correlate(PayoutRecord).scalar_subquery()
        for what in (sa.func.count(SettlementLine.id), total)
    )
    query = (
        sa.select(
            PayoutRecord.id.label("key"),
            PayoutRecord.ref,
            PayoutRecord.provider,
            PayoutRecord.created_at,
            PayoutState.arrives_at,
            PayoutState.state,
            PayoutRecord.currency,
            PayoutRecord.amount_minor,
            count,
            net,
        )
        .join(newest, newest.c.payout_id == PayoutRecord.id)
        .join(PayoutState, PayoutState.id == newest.c.id)
        .where(*DAYS_OF_BOOKS.within(PayoutRecord.created_at, filters))
    )
    if filters.provider:
        query = query.where(PayoutRecord.provider == filters.provider)
    if filters.currency:
        query = query.where(PayoutRecord.currency == filters.currency)
    return query.order_by(PayoutRecord.id)


SETTLEMENTS = Dataset("settlements", _l("Settlements"), LINES, settlements)
PAYOUT_LIST = Dataset("payouts", _l("Payouts"), PAYOUTS, payouts, zones=books_zone, filters=OF_PROVIDER)
