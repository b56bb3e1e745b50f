"""Donations against their payments: what they are said to have given, and how they stand."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from core.db import db, unit_of_work
from core.money import Money
from donations.models import RECEIVED, Dispute, Donation, Payment, Refund
from donations.state import derive_status, lock_donation, settle
from finance.exceptions import register_retry
from finance.findings import Finding
from finance.standing import MOST, Books, objects
from ledger.services import close_exception

KIND = "wrong_state"


def gift_findings(_books: Books) -> Iterator[Finding]:
    yield from _other_amounts()
    yield from _other_states()


def _other_amounts() -> Iterator[Finding]:
    """A payment that came is of what its donation is of."""
    differs = sa.or_(Payment.amount_minor != Donation.amount_minor, Payment.currency != Donation.currency)
    query = (
        sa.select(Donation.public_id, Donation.id, Donation.amount_minor, Payment.amount_minor, Donation.currency)
        .join(Payment, Payment.donation_id == Donation.id)
        .where(Payment.state == "succeeded", differs)
        .order_by(Donation.id)
        .limit(MOST)
    )
    for number, donation_id, said, paid, currency in db.session.execute(query):
        details = {"donation": said, "paid": paid}
        yield Finding("wrong_amount", "donation", number, Money(said - paid, currency), donation_id, details)


def _other_states() -> Iterator[Finding]:
    """How a donation stands is what its payments, refunds and disputes add up to."""
    for donation in objects(_doubtful(), Donation):
        expected = derive_status(donation)
        if donation.status != expected:
            details = {"is": donation.status, "should_be": expected}
            yield Finding(KIND, "donation", donation.public_id, donation.amount, donation.id, details)


def _doubtful() -> sa.Select[Any]:
    """Donations whose state has to be derived: all but the plain ones, with one payment that came and nothing else."""
    mine = sa.and_(Payment.donation_id == Donation.id, Payment.state == "succeeded")
    came = sa.exists().where(mine)
    refunded = sa.exists().where(mine, Refund.payment_id == Payment.id)
    disputed = sa.exists().where(mine, Dispute.payment_id == Payment.id)
    received = Donation.status.in_(RECEIVED)
    whole = selectinload(Donation.payments)
    query = sa.select(Donation).where(
        sa.or_(sa.and_(~came, received), sa.and_(came, sa.or_(Donation.status != "paid", refunded, disputed)))
    )
    return query.options(whole.selectinload(Payment.refunds), whole.selectinload(Payment.disputes))


def _derive_again(number: str, now: datetime) -> bool:
    """Make a donation say what its payments say. Commits."""
    with unit_of_work() as session:
        donation_id = session.scalar(sa.select(Donation.id).where(Donation.public_id == number))
        if donation_id is None:
            return False
        settle(lock_donation(donation_id), now)
        close_exception(KIND, "donation", number, now=now)
    return True


register_retry(KIND, _derive_again)
