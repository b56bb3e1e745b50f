"""Payouts of the provider as it last told of them, and the lines they consist of."""

from datetime import datetime

import sqlalchemy as sa

from core.db import db, insert_if_absent
from finance.models import PayoutRecord, PayoutState, SettlementLine
from finance.services import PAYOUT_ENDED
from payments.base import Payout, Settlement

PAGE = 500


def record_payout(provider: str, payout: Payout, lines: list[Settlement], now: datetime) -> None:
    """Keep a payout's present state, and which of the lines recorded before it consists of."""
    values = {
        "currency": payout.amount.currency,
        "amount_minor": payout.amount.minor,
        "state": payout.state,
        "arrives_at": payout.arrives_at,
    }
    if not insert_if_absent(PayoutRecord, provider=provider, ref=payout.ref, created_at=payout.created_at, **values):
        db.session.execute(
            sa.update(PayoutRecord)
            .where(
                PayoutRecord.provider == provider,
                PayoutRecord.ref == payout.ref,
                PayoutRecord.state.not_in(PAYOUT_ENDED),  # a slower worker may have read it before it ended
            )
            .values(**values)
        )
    _keep_state(provider, payout, now)
    # In one order for all workers: two that record the same lines must wait for each other, not block each other.
    refs = sorted(line.ref for line in lines)
    for start in range(0, len(refs), PAGE):
        db.session.execute(
            sa.update(SettlementLine)
            .where(
                SettlementLine.provider == provider,
                SettlementLine.ref.in_(refs[start : start + PAGE]),
                SettlementLine.payout_ref.is_distinct_from(payout.ref),
            )
            .values(payout_ref=payout.ref, payout_recorded_at=now)
        )


def _keep_state(provider: str, payout: Payout, now: datetime) -> None:
    """That its row says so since now: reports of a past moment must tell what was known then."""
    said = sa.select(PayoutRecord.id).where(
        PayoutRecord.provider == provider,
        PayoutRecord.ref == payout.ref,
        PayoutRecord.state == payout.state,
        PayoutRecord.arrives_at == payout.arrives_at,
    )
    if (payout_id := db.session.scalar(said)) is not None:
        insert_if_absent(
            PayoutState, payout_id=payout_id, state=payout.state, arrives_at=payout.arrives_at, recorded_at=now
        )
