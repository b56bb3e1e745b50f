"""Background work on settlements, and on the sums that reports read."""

import logging
import time
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from core.jobs import every, job
from core.money import Money
from donations.state import payment_identified
from finance import summaries
from finance.models import SettlementLine
from finance.services import misplaced_lines, post_waiting_line, replace_line, waiting_kind, waiting_lines
from ledger.services import open_exception

log = logging.getLogger(__name__)

PATIENCE = timedelta(hours=1)


@job
def post_lines_of(payment_ref: str) -> None:
    post_lines(utcnow(), payment_ref)


def post_lines(now: datetime, payment_ref: str | None = None) -> None:
    """Post waiting lines, each on its own: one that cannot be posted must not keep the others from it."""
    waiting, begun = waiting_lines(payment_ref), time.monotonic()
    db.session.rollback()
    for line_id in waiting:
        # Recorded when it is done: a report as of a minute ago must never gain what a long run posts only now.
        moment = now + timedelta(seconds=time.monotonic() - begun)
        try:
            with unit_of_work():
                post_waiting_line(line_id, moment)
        except Exception:
            log.exception("settlement line %s cannot be posted", line_id)
    if payment_ref is not None:
        replace_lines(now, payment_ref)


def replace_lines(now: datetime, payment_ref: str | None = None) -> None:
    """Post anew what stood outside every fund until its payment turned out to be ours."""
    misplaced = misplaced_lines(payment_ref)
    db.session.rollback()
    for line_id in misplaced:
        try:
            with unit_of_work():
                replace_line(line_id, now)
        except Exception:
            log.exception("settlement line %s cannot be posted anew", line_id)


@every(seconds=60)
def sweep_unposted_lines() -> None:
    look_at_unposted_lines(utcnow())


def look_at_unposted_lines(now: datetime) -> None:
    """Post what can be posted by now, and show what has waited for too long."""
    post_lines(now)
    query = sa.select(SettlementLine).where(
        SettlementLine.posted_at.is_(None), SettlementLine.created_at <= now - PATIENCE
    )
    for line in list(db.session.scalars(query)):
        with unit_of_work():
            amount = Money(line.net_minor, line.currency)
            open_exception(waiting_kind(line), "settlement", line.ref, now=now, amount=amount, since=line.created_at)


@every(seconds=30)
def keep_sums() -> None:
    summaries.catch_up(utcnow())


@every(seconds=1800)
def compare_sums() -> None:
    """Once a night; what differs is in the queue of finance."""
    if summaries.claim_check(utcnow()) and (found := summaries.check(utcnow())):
        text = "; ".join(str(each) for each in found)
        log.error("sums differ from the postings (%s): flask finance rebuild-summaries makes them anew", text)


def _enqueue(_sender: object, *, provider: str, payment_ref: str) -> None:
    post_lines_of.enqueue(payment_ref)


payment_identified.connect(_enqueue)
