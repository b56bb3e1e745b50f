"""Receipts: a number for each donation, gapless within a year of the campaign's zone, and the e-mail with it."""

from datetime import datetime

import sqlalchemy as sa

from core import outbox
from core.clock import local_day
from core.db import at_end, db, insert_if_absent
from donations.models import Donation, Receipt, ReceiptCounter

TEMPLATE = "receipt"


def keep_receipt(donation: Donation, *, void: bool, now: datetime) -> None:
    """Give a paid donation its number and its e-mail, once; the number is void while all money is refunded."""
    if donation.receipt is None:
        if donation.donor_id is not None:
            outbox.put(TEMPLATE, donation.id, now)
        at_end(lambda: _give_number(donation, void, now))
    else:
        _mark(donation.receipt, void, now)


def _mark(receipt: Receipt, void: bool, now: datetime) -> None:
    if void != (receipt.voided_at is not None):
        receipt.voided_at = now if void else None


def _give_number(donation: Donation, void: bool, now: datetime) -> None:
    """The last statements of the unit of work: everybody who is paid at this moment waits for the counter's row."""
    if given := db.session.scalar(sa.select(Receipt).where(Receipt.donation_id == donation.id)):
        _mark(given, void, now)  # several facts in one unit of work: the last one knows
        return
    year = local_day(donation.paid_at or now, donation.campaign.zone).year
    receipt = Receipt(donation_id=donation.id, year=year, number=_next_number(year), issued_at=now)
    _mark(receipt, void, now)
    db.session.add(receipt)
    db.session.flush()
    db.session.expire(donation, ["receipt"])


def _next_number(year: int) -> int:
    count = (
        sa.update(ReceiptCounter)
        .where(ReceiptCounter.year == year)
        .values(last=ReceiptCounter.last + 1)
        .returning(ReceiptCounter.last)
        .execution_options(synchronize_session=False)
    )
    number = db.session.scalar(count)
    if number is None:
        insert_if_absent(ReceiptCounter, year=year, last=0)
        number = db.session.scalar(count)
    return int(number or 0)
