"""The register of receipts: every number of the range, also the void ones."""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.db import db
from donations.models import Campaign, Donation, Donor, Receipt
from finance.exports.columns import Column, Query
from finance.exports.datasets.base import Dataset
from finance.exports.datasets.conditions import days_of_gifts, money_of_gifts, of_gifts, shown_receipt, with_places
from finance.exports.datasets.donations import PERSONAL
from finance.facts import zones_of_gifts
from finance.filters import Filters

COLUMNS = (
    Column("receipt", "code", _l("Receipt")),
    Column("issued_at", "moment", _l("Issued")),
    Column("status", "code", _l("Status"), words={"valid": _l("Valid"), "void": _l("Void")}),
    Column("donation", "code", _l("Donation")),
    Column("campaign", "code", _l("Campaign")),
    Column("currency", "code", _l("Currency")),
    Column("gross", "money", _l("Received"), "currency"),
    Column("refunded", "money", _l("Refunded"), "currency"),
)


KINDS = ("gift", "refund", "receivable")
NUMBER = sa.cast(Receipt.year, sa.BigInteger) * 1_000_000_000 + Receipt.number


def query(filters: Filters, names: bool, only: Sequence[int] | None = None) -> Query:
    """Numbers issued in the range, in their order. A number is void while all its money is given back."""
    # Days are those of the receipt here, not those of the gift.
    money = money_of_gifts(replace(filters, first=None, last=None), kinds=KINDS, only=only)
    rows = with_places(
        sa.select(
            NUMBER.label("key"),
            shown_receipt(Receipt.year, Receipt.number),
            Receipt.issued_at,
            sa.case((money.c.refunded >= money.c.gross, "void"), else_="valid"),
            Donation.public_id,
            Campaign.slug,
            Donation.currency,
            money.c.gross,
            money.c.refunded,
        )
        .select_from(Receipt)
        .join(Donation, Donation.id == Receipt.donation_id)
        .join(money, money.c.donation_id == Donation.id)
    )
    if names:
        rows = rows.add_columns(Donor.name, Donor.email).outerjoin(Donor, Donor.id == Donation.donor_id)
    return rows.where(*_issued(filters), *of_gifts(filters)).order_by(NUMBER)


def _issued(filters: Filters) -> list[sa.ColumnElement[bool]]:
    return [Receipt.issued_at <= filters.as_of, *days_of_gifts(filters).within(Receipt.issued_at, filters)]


def page(filters: Filters, after: int, limit: int) -> tuple[Query, int | None]:
    chosen = (
        with_places(sa.select(NUMBER, Donation.id).join(Donation, Donation.id == Receipt.donation_id))
        .where(after < NUMBER, *_issued(filters), *of_gifts(filters))
        .order_by(NUMBER)
        .limit(limit)
    )
    found = db.session.execute(chosen).all()
    return query(filters, False, [row[1] for row in found]), found[-1][0] if len(found) == limit else None


DATASET = Dataset("receipts", _l("Register of receipts"), COLUMNS, query, page, zones=zones_of_gifts, personal=PERSONAL)
