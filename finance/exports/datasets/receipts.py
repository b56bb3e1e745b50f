"""The register of receipts: every number of the range, also the void ones."""

from dataclasses import replace

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from donations.models import Campaign, Donation, Donor, Receipt
from finance.exports.columns import Column, Query
from finance.exports.datasets.base import Dataset
from finance.exports.datasets.conditions import money_of_gifts, of_gifts, shown_receipt, with_places, within
from finance.exports.datasets.donations import PERSONAL
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


def query(filters: Filters, names: bool) -> Query:
    """Numbers issued in the range, in their order. A number is void while all its money is given back."""
    # Days are those of the receipt here, not those of the gift.
    money = money_of_gifts(replace(filters, first=None, last=None), kinds=("gift", "refund", "receivable"))
    number = sa.cast(Receipt.year, sa.BigInteger) * 1_000_000_000 + Receipt.number
    rows = with_places(
        sa.select(
            number.label("key"),
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
    by_then = Receipt.issued_at <= filters.as_of
    return rows.where(by_then, *within(Receipt.issued_at, filters), *of_gifts(filters)).order_by(sa.literal_column("1"))


DATASET = Dataset("receipts", _l("Register of receipts"), COLUMNS, query, personal=PERSONAL)
