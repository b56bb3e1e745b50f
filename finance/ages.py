"""Since when something does not agree: when the money that it is about moved, not when we found it."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core.db import db
from donations.models import Dispute, DisputeMovement, Payment, Refund
from finance.bank.models import BankLine
from finance.forms import start_of
from finance.models import PayoutRecord, SettlementLine, SponsorPayment
from ledger.models import Disbursement, JournalEntry


def moved_at(source_type: str, source_id: str) -> datetime | None:
    """None for what has no day of its own, such as a balance, and for what we have no row of (any more)."""
    ask = _ASKED.get(source_type)
    found = None if ask is None else db.session.scalar(ask(source_id))
    # A datetime is a date, too.
    return start_of(found) if isinstance(found, date) and not isinstance(found, datetime) else found


def _entry(number: str) -> sa.Select[Any]:
    moment = sa.func.coalesce(JournalEntry.happened_at, JournalEntry.occurred_at, type_=JournalEntry.occurred_at.type)
    return sa.select(moment).where(JournalEntry.id == UUID(number))


def _payout(ref: str) -> sa.Select[Any]:
    provider, _colon, number = ref.partition(":")
    return sa.select(PayoutRecord.created_at).where(PayoutRecord.provider == provider, PayoutRecord.ref == number)


def _payment(number: str) -> sa.Select[Any]:
    moment = sa.func.coalesce(Payment.succeeded_at, Payment.created_at, type_=Payment.created_at.type)
    return sa.select(moment).where(Payment.public_id == number)


def _line(ref: str) -> sa.Select[Any]:
    return sa.select(SettlementLine.created_at).where(SettlementLine.ref == ref).limit(1)


def _dispute(ref: str) -> sa.CompoundSelect[Any]:
    """A movement by the line it moved with, or a dispute by its own name."""
    moved = sa.select(DisputeMovement.occurred_at).where(DisputeMovement.settlement_ref == ref)
    opened = sa.select(Dispute.opened_at).where(Dispute.dispute_ref == ref)
    return sa.union_all(moved, opened).limit(1)


_ASKED: dict[str, Callable[[str], Any]] = {
    "payment": _payment,
    "refund": lambda number: sa.select(Refund.created_at).where(Refund.public_id == number),
    "dispute": _dispute,
    "settlement": _line,
    "line": _line,
    "entry": _entry,
    "payout": _payout,
    "bank_line": lambda number: sa.select(BankLine.day).where(BankLine.public_id == number),
    "disbursement": lambda number: sa.select(Disbursement.spent_on).where(Disbursement.public_id == number),
    "sponsor": lambda number: sa.select(SponsorPayment.paid_on).where(SponsorPayment.public_id == number),
}
