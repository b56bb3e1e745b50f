"""What is done in the background: asking about open payments, asking the provider for refunds."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, rows_changed, unit_of_work
from core.jobs import every, job
from donations import queries
from donations.models import Payment, Refund
from donations.services import CHECKOUT_RESUMABLE, ask_provider, give_up_unopened
from donations.state import REFUND_ACTIVE, apply_refund_fact, lock_payment, refund_requested
from ledger.services import open_exception
from payments.base import PaymentProvider, ProviderDown, ProviderRefused, RefundFact
from payments.registry import get_provider

log = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(hours=6)
REFUND_LEASE = timedelta(minutes=2)


def pause_after(asks: int) -> timedelta:
    """How long to wait before asking again: 1 min, 2 min, 4 min … 6 h."""
    return min(timedelta(minutes=2 ** min(asks, 12)), LONGEST_PAUSE)


def _claim_payment(payment_id: int, now: datetime) -> Payment | None:
    with unit_of_work() as session:
        payment = session.get_one(Payment, payment_id)
        claimed = session.execute(
            sa.update(Payment)
            .where(Payment.id == payment_id, Payment.next_ask_at <= now)
            .values(next_ask_at=now + pause_after(payment.asks), asks=Payment.asks + 1)
        )
        return payment if rows_changed(claimed) == 1 else None


@every(seconds=10)
def sweep_open_payments() -> None:
    follow_up_open_payments(utcnow())


def follow_up_open_payments(now: datetime) -> None:
    """Find every payment that ended at the provider without our hearing of it."""
    due = queries.open_payments(now)
    db.session.rollback()
    for payment_id in due:
        if payment := _claim_payment(payment_id, now):
            _follow_up(payment, now)


def _follow_up(payment: Payment, now: datetime) -> None:
    if payment.checkout_ref is None:
        if now >= payment.created_at + CHECKOUT_RESUMABLE:
            give_up_unopened(payment.id, now)
        return
    try:
        ask_provider(payment.id, now)
    except ProviderDown:
        log.warning("payment %s: the provider does not answer; asked again later", payment.public_id)
    except ProviderRefused as refusal:
        log.warning("payment %s: the provider refuses to tell (%s)", payment.public_id, refusal.reason)


@job
def submit_refund(refund_id: int) -> None:
    request_refund(refund_id, utcnow())


def request_refund(refund_id: int, now: datetime) -> None:
    """Ask the provider for a refund of ours if it is due; safe to repeat, since its key is made from our row."""
    with unit_of_work() as session:
        claimed = session.execute(
            sa.update(Refund)
            .where(Refund.id == refund_id, Refund.next_try_at <= now)
            .values(next_try_at=now + REFUND_LEASE, tries=Refund.tries + 1)
        )
        if rows_changed(claimed) != 1:
            return
        refund = session.get_one(Refund, refund_id)
        payment = refund.payment
    provider = get_provider(refund.provider)
    try:
        fact = provider.create_refund(
            our_ref=refund.public_id,
            payment_ref=str(payment.payment_ref),
            amount=refund.amount,
            reason=refund.reason,
        )
    except ProviderDown:
        log.warning("refund %s: the provider does not answer; tried again later", refund.public_id)
        _try_again(refund_id, now + pause_after(refund.tries))
        return
    except ProviderRefused as refusal:
        _refused(refund_id, refusal.reason, _refunds_made(provider, str(payment.payment_ref)), now)
        return
    with unit_of_work():
        apply_refund_fact(provider.name, fact, now)


def _try_again(refund_id: int, when: datetime) -> None:
    with unit_of_work() as session:
        unheard = sa.and_(Refund.id == refund_id, Refund.state == "requested")
        session.execute(sa.update(Refund).where(unheard).values(next_try_at=when))


def _refunds_made(provider: PaymentProvider, payment_ref: str) -> Sequence[RefundFact]:
    """What was refunded of the payment without us: it may be why the provider refuses."""
    try:
        return provider.list_refunds(payment_ref)
    except (ProviderDown, ProviderRefused):
        return ()


def _refused(refund_id: int, reason: str, made: Sequence[RefundFact], now: datetime) -> None:
    """The provider will not do it. If all is given back already there is nothing to do, else finance decides."""
    with unit_of_work() as session:
        refund = session.get_one(Refund, refund_id)
        payment = lock_payment(refund.payment)
        for fact in made:
            apply_refund_fact(refund.provider, fact, now)
        given_back = sum(each.amount_minor for each in payment.refunds if each.state in REFUND_ACTIVE)
        left = payment.amount_minor - given_back
        ended = "canceled" if left <= 0 else "failed"
        closed = session.execute(
            sa.update(Refund)
            .where(Refund.id == refund_id, Refund.state == "requested")
            .values(state=ended, failure_code=reason[:80], ended_at=now, next_try_at=None)
        )
        if rows_changed(closed) != 1 or ended == "canceled":
            return
        open_exception(
            "refund_refused",
            "refund",
            refund.public_id,
            now=now,
            amount=refund.amount,
            donation_id=refund.payment.donation_id,
            details={"reason": reason[:80]},
            since=refund.created_at,
        )


@every(seconds=10)
def sweep_requested_refunds() -> None:
    request_due_refunds(utcnow())


def request_due_refunds(now: datetime) -> None:
    due = queries.requested_refunds(now)
    db.session.rollback()
    for refund_id in due:
        request_refund(refund_id, now)


def _enqueue_refund(_sender: object, *, refund_id: int) -> None:
    submit_refund.enqueue(refund_id)


refund_requested.connect(_enqueue_refund)
