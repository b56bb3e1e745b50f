"""Background work on settlements."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from core.jobs import every, job
from core.money import Money
from donations.state import payment_identified
from finance.models import SettlementLine
from finance.services import post_waiting_lines
from ledger.services import open_exception

PATIENCE = timedelta(hours=1)


@job
def post_lines_of(payment_ref: str) -> None:
    with unit_of_work():
        post_waiting_lines(utcnow(), payment_ref=payment_ref)


@every(seconds=60)
def sweep_unposted_lines() -> None:
    look_at_unposted_lines(utcnow())


def look_at_unposted_lines(now: datetime) -> None:
    """Post what can be posted by now, and show what has waited for too long."""
    unposted = sa.select(SettlementLine.id).where(SettlementLine.posted_at.is_(None)).limit(1)
    waiting = db.session.scalar(unposted)
    db.session.rollback()
    if waiting is None:
        return
    with unit_of_work():
        post_waiting_lines(now)
        query = sa.select(SettlementLine).where(
            SettlementLine.posted_at.is_(None), SettlementLine.created_at <= now - PATIENCE
        )
        for line in db.session.scalars(query):
            amount = Money(line.net_minor, line.currency)
            open_exception("unmatched_settlement", "settlement", line.ref, now=now, amount=amount)


def _enqueue(_sender: object, *, provider: str, payment_ref: str) -> None:
    post_lines_of.enqueue(payment_ref)


payment_identified.connect(_enqueue)
