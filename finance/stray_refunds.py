"""Giving back payments that are no gifts of ours: ordered by a person, above a limit approved by another one.

A row is what is ordered; a worker asks the provider for it with a key made from the row, again after every kill.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from core.clock import utcnow
from core.db import after_commit, db, rows_changed, unit_of_work
from core.ids import new_public_id
from core.jobs import every, job
from donations.state import PaymentUnknown, apply_refund_fact
from finance import errors
from finance.exceptions import stray_of
from finance.run_models import StrayRefund
from ledger.models import LedgerException
from payments.base import ProviderDown, ProviderRefused
from payments.registry import get_provider
from staff import audit
from staff.access import Actor

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
LONGEST_PAUSE = timedelta(hours=6)


def order(exception: LedgerException, reason: str, actor: Actor, *, alone_up_to: int, now: datetime) -> StrayRefund:
    """Give all of it back: at once up to `alone_up_to` minor units, else when somebody else approves.

    Raises `Resolved` when nothing stands in suspense or it is ordered already.
    """
    stray = stray_of(exception)
    if stray is None or exception.resolved_at is not None or of_exception(exception) is not None:
        raise errors.Resolved
    refund = StrayRefund(
        public_id=new_public_id(),
        provider=stray.provider,
        payment_ref=stray.payment_ref,
        amount_minor=stray.amount.minor,
        currency=stray.amount.currency,
        reason=reason,
        state="proposed",
        proposed_by=actor.email,
        proposed_at=now,
        needs_second=stray.amount.minor > alone_up_to,
    )
    db.session.add(refund)
    db.session.flush()
    _record("stray_refund.proposed", refund, actor, now)
    if not refund.needs_second:
        _ask_for(refund, actor, now)
    return refund


def approve(refund: StrayRefund, actor: Actor, now: datetime) -> None:
    """Raises `SamePerson`, `Decided`."""
    if refund.proposed_by == actor.email:
        raise errors.SamePerson
    _ask_for(refund, actor, now)


def of_exception(exception: LedgerException) -> StrayRefund | None:
    """The order that stands for the payment it is about."""
    return _order_of(exception, StrayRefund.state != "refused")


def refused_of(exception: LedgerException) -> StrayRefund | None:
    """The last order that the provider refused, while no other one stands: it can be ordered again."""
    if of_exception(exception) is not None:
        return None
    return _order_of(exception, StrayRefund.state == "refused")


def _order_of(exception: LedgerException, state: sa.ColumnElement[bool]) -> StrayRefund | None:
    stray = stray_of(exception)
    if stray is None:
        return None
    query = sa.select(StrayRefund).where(
        StrayRefund.provider == stray.provider, StrayRefund.payment_ref == stray.payment_ref, state
    )
    return db.session.scalar(query.order_by(StrayRefund.id.desc()).limit(1))


def _ask_for(refund: StrayRefund, actor: Actor, now: datetime) -> None:
    asked = db.session.execute(
        sa.update(StrayRefund)
        .where(StrayRefund.id == refund.id, StrayRefund.state == "proposed")
        .values(state="requested", approved_by=actor.email, next_try_at=now)
    )
    if rows_changed(asked) != 1:
        raise errors.Decided
    _record("stray_refund.approved", refund, actor, now)
    after_commit(partial(send.enqueue, refund.id))


@job
def send(refund_id: int) -> None:
    ask_provider(refund_id, utcnow())


@every(seconds=30)
def sweep_stray_refunds() -> None:
    ask_for_due(utcnow())


def ask_for_due(now: datetime) -> None:
    due = list(db.session.scalars(sa.select(StrayRefund.id).where(StrayRefund.next_try_at <= now)))
    db.session.rollback()
    for refund_id in due:
        ask_provider(refund_id, now)


def ask_provider(refund_id: int, now: datetime) -> None:
    """Ask the provider for it if it is due; safe to repeat, since its key is made from our row. Commits."""
    with unit_of_work() as session:
        claimed = session.execute(
            sa.update(StrayRefund)
            .where(StrayRefund.id == refund_id, StrayRefund.next_try_at <= now, StrayRefund.state == "requested")
            .values(next_try_at=now + LEASE, tries=StrayRefund.tries + 1)
        )
        if rows_changed(claimed) != 1:
            return
        refund = session.get_one(StrayRefund, refund_id)
    provider = get_provider(refund.provider)
    try:
        fact = provider.create_refund(
            our_ref=refund.public_id, payment_ref=refund.payment_ref, amount=refund.amount, reason=refund.reason
        )
    except ProviderDown:
        pause = min(timedelta(minutes=2 ** min(refund.tries, 12)), LONGEST_PAUSE)
        _keep(refund_id, next_try_at=now + pause)
        return
    except ProviderRefused as refusal:
        log.warning("stray refund %s is refused: %s", refund.public_id, refusal.reason)
        _keep(refund_id, state="refused", next_try_at=None, failure_code=refusal.reason[:80], refused_at=now)
        return
    try:
        with unit_of_work():
            apply_refund_fact(provider.name, fact, now)
    except PaymentUnknown:
        log.warning("stray refund %s: its payment left suspense meanwhile", refund.public_id)
    _done(refund, now)


def _keep(refund_id: int, **values: object) -> None:
    asked = sa.and_(StrayRefund.id == refund_id, StrayRefund.state == "requested")
    with unit_of_work() as session:
        session.execute(sa.update(StrayRefund).where(asked).values(**values))


def _done(refund: StrayRefund, now: datetime) -> None:
    """Given back: what stood in the queue for this payment is resolved, by whom it was ordered."""
    with unit_of_work() as session:
        session.execute(
            sa.update(StrayRefund).where(StrayRefund.id == refund.id).values(state="done", next_try_at=None)
        )
        kinds = ("unknown_payment", "amount_mismatch", "charged_twice")
        standing = sa.select(LedgerException).where(
            LedgerException.kind.in_(kinds), LedgerException.resolved_at.is_(None)
        )
        for exception in session.scalars(standing):
            stray = stray_of(exception)
            if stray and (stray.provider, stray.payment_ref) == (refund.provider, refund.payment_ref):
                exception.resolved_at, exception.resolved_by = now, refund.proposed_by
                exception.resolution = f"given back: {refund.reason}"[:200]


def _record(action: str, refund: StrayRefund, actor: Actor, now: datetime) -> None:
    after = {"amount_minor": refund.amount_minor, "currency": refund.currency, "reason": refund.reason}
    subject = f"stray_refund:{refund.public_id}"
    audit.record(actor.email, action, subject, after=after, now=now, address=actor.address)
