"""Donations that were paid, a row each, with everything that happened to them since."""

from collections.abc import Sequence

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.db import db
from donations.models import Campaign, Donation, Donor, Receipt
from finance.exports.columns import Column, Query
from finance.exports.datasets.base import Dataset
from finance.exports.datasets.conditions import (
    days_of_gifts,
    money_of_gifts,
    next_gifts,
    of_gifts,
    shown_receipt,
    status_of,
    with_places,
)
from finance.exports.words import GIFT_CHANNELS, LANGUAGES
from finance.facts import zones_of_gifts
from finance.filters import Filters
from ledger.models import Fund
from offices.labels import MEDIA_NAMES
from offices.models import Office, Placement
from stickers.models import RedemptionCode

STATUSES = {
    "paid": _l("Paid"),
    "partially_refunded": _l("Refunded in part"),
    "refunded": _l("Refunded"),
    "disputed": _l("Disputed"),
}

COLUMNS = (
    Column("donation", "code", _l("Donation")),
    Column("report_day", "day", _l("Report day")),
    Column("paid_at", "moment", _l("Paid")),
    Column("started_at", "moment", _l("Started")),
    Column("campaign", "code", _l("Campaign")),
    Column("fund", "code", _l("Fund")),
    Column("channel", "code", _l("Came by"), words=GIFT_CHANNELS),
    Column("placement", "code", _l("Link")),
    Column("medium", "code", _l("Medium"), words=MEDIA_NAMES),
    Column("office", "code", _l("Office")),
    Column("provider", "code", _l("Provider")),
    Column("language", "code", _l("Language"), words=LANGUAGES),
    Column("status", "code", _l("Status"), words=STATUSES),
    Column("currency", "code", _l("Currency")),
    Column("amount", "money", _l("Amount asked for"), "currency"),
    Column("gross", "money", _l("Received"), "currency"),
    Column("refunded", "money", _l("Refunded"), "currency"),
    Column("disputed", "money", _l("Disputed"), "currency"),
    Column("fee", "money", _l("Fee of the fund"), "currency"),
    Column("sponsor_fee", "money", _l("Fee of the sponsor"), "currency"),
    Column("net", "money", _l("Net"), "currency"),
    Column("settled", "money", _l("Settled by the provider"), "settled_currency"),
    Column("settled_currency", "code", _l("Settlement currency")),
    Column("receipt", "code", _l("Receipt")),
    Column("sticker_codes", "whole", _l("Sticker codes"), counted="currency"),
)
PERSONAL = (
    Column("donor_name", "text", _l("Donor's name")),
    Column("donor_email", "text", _l("Donor's e-mail")),
)


def query(filters: Filters, names: bool, only: Sequence[int] | None = None) -> Query:
    money = money_of_gifts(filters, only=only)
    codes = sa.select(sa.func.count(RedemptionCode.id)).where(
        RedemptionCode.donation_id == Donation.id, RedemptionCode.issued_at <= filters.as_of
    )
    rows = with_places(
        sa.select(
            Donation.id.label("key"),
            Donation.public_id,
            days_of_gifts(filters).of(money.c.day_at),
            money.c.paid_at,
            Donation.created_at,
            Campaign.slug,
            Fund.code,
            Donation.channel,
            Donation.placement,
            Placement.medium,
            Office.code,
            money.c.provider,
            Donation.locale,
            status_of(money),
            Donation.currency,
            Donation.amount_minor,
            money.c.gross,
            money.c.refunded,
            money.c.disputed,
            money.c.fee,
            money.c.sponsor_fee,
            money.c.gross - money.c.refunded - money.c.disputed - money.c.fee,
            money.c.settled,
            money.c.settled_currency,
            shown_receipt(Receipt.year, Receipt.number),
            codes.scalar_subquery(),
        )
        .select_from(money)
        .join(Donation, Donation.id == money.c.donation_id)
    ).outerjoin(Receipt, sa.and_(Receipt.donation_id == Donation.id, Receipt.issued_at <= filters.as_of))
    if names:
        rows = rows.add_columns(Donor.name, Donor.email).outerjoin(Donor, Donor.id == Donation.donor_id)
    return rows.where(*of_gifts(filters)).order_by(Donation.id)


def page(filters: Filters, after: int, limit: int) -> tuple[Query, int | None]:
    ids = next_gifts(filters, after, limit)
    return query(filters, False, ids), ids[-1] if len(ids) == limit else None


def control(filters: Filters) -> tuple[int, dict[str, dict[str, int]]]:
    """Donations and what was received, from postings to the funds' accounts of gifts."""
    money = money_of_gifts(filters, kinds=("gift", "receivable") if filters.provider else ("gift",))
    query = with_places(
        sa.select(Donation.currency, sa.func.count(), sa.func.sum(money.c.gross))
        .select_from(money)
        .join(Donation, Donation.id == money.c.donation_id)
    ).where(*of_gifts(filters))
    found = db.session.execute(query.group_by(Donation.currency)).all()
    return sum(row[1] for row in found), {row[0]: {"gross": int(row[2])} for row in found}


DATASET = Dataset(
    "donations", _l("Donations"), COLUMNS, query, page, control=control, zones=zones_of_gifts, personal=PERSONAL
)
