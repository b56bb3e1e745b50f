"""Refunds that finance orders. Up to a limit one person gives back alone; above it another one approves.

An approved order has a refund of the donation: a row that `donations.jobs` asks the provider for, with a key made from
the row, outside of any transaction and again after every kill; what the provider then tells of it, in whatever way,
is merged into the same row. Here is only what may be ordered. Services flush; edges commit.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from core.db import after_commit, db
from core.i18n import format_money
from core.money import Money
from donations.models import Donation, Payment, Refund
from donations.state import REFUND_ACTIVE, lock_donation, refund_requested
from finance import errors
from finance.decisions import decide
from finance.models import RefundOrder
from staff import audit
from staff.access import Actor
from stickers.services import codes_of

TAKEN = ("requested", *REFUND_ACTIVE)  # states of refunds whose money is gone or on its way


@dataclass(frozen=True, slots=True)
class Wish:
    """What finance wants to give back of a payment. `knows`: that a pack of the donation was handed over."""

    payment_id: int
    amount: Money
    reason: str
    knows: bool
    key: str  # of the form


def propose(donation: Donation, wish: Wish, actor: Actor, *, alone_up_to: int, now: datetime) -> RefundOrder:
    """Order a refund: approved at once up to `alone_up_to` minor units of the donation, else put before somebody else.

    The same form sent twice is one order. Raises `NothingToRefund`, `PaymentDisputed`, `AmountTooLarge`, `HandedOver`.
    """
    donation = lock_donation(donation.id)
    if known := db.session.scalar(sa.select(RefundOrder).where(RefundOrder.form_key == wish.key)):
        return known
    payment = next((each for each in donation.payments if each.id == wish.payment_id), None)
    if payment is None:
        raise errors.NothingToRefund
    _require_refundable(payment, wish.amount, left_of(payment))
    if was_handed_over(donation) and not wish.knows:
        raise errors.HandedOver(field="knows")
    order = RefundOrder(
        payment=payment,
        form_key=wish.key,
        amount_minor=wish.amount.minor,
        currency=wish.amount.currency,
        reason=wish.reason,
        needs_second=_given_back_alone(donation) + wish.amount.minor > alone_up_to,
        state="proposed",
        proposed_by_id=actor.id,
        proposed_at=now,
    )
    db.session.add(order)
    db.session.flush()
    after = {"amount_minor": order.amount_minor, "currency": order.currency, "reason": order.reason}
    _record("refund.proposed", order, actor, now, after=after)
    if not order.needs_second:
        _carry_out(order, actor, now)
    return order


def approve(order: RefundOrder, actor: Actor, *, knows: bool, now: datetime) -> RefundOrder:
    """Raises `SamePerson`, `Decided`, `PaymentDisputed`, `AmountTooLarge`, `HandedOver`."""
    if order.needs_second and order.proposed_by_id == actor.id:
        raise errors.SamePerson
    donation = lock_donation(order.payment.donation_id)
    db.session.refresh(order)
    if order.state != "proposed":
        raise errors.Decided
    payment = next(each for each in donation.payments if each.id == order.payment_id)
    _require_refundable(payment, order.amount, left_of(payment, without=order))
    if was_handed_over(donation) and not knows:
        raise errors.HandedOver(field="knows")
    _carry_out(order, actor, now)
    return order


def reject(order: RefundOrder, actor: Actor, now: datetime) -> RefundOrder:
    """Raises `SamePerson`, `Decided`."""
    if order.proposed_by_id == actor.id:
        raise errors.SamePerson
    return _end(order, "rejected", actor, now)


def withdraw(order: RefundOrder, actor: Actor, now: datetime) -> RefundOrder:
    """Raises `NotYours`, `Decided`."""
    if order.proposed_by_id != actor.id:
        raise errors.NotYours
    return _end(order, "withdrawn", actor, now)


def find(public_id: str) -> RefundOrder:
    """Raises `UnknownOrder`."""
    found = db.session.scalar(sa.select(RefundOrder).where(RefundOrder.public_id == public_id))
    if found is None:
        raise errors.UnknownOrder
    return found


def waiting() -> list[RefundOrder]:
    """Orders that somebody has to decide, the oldest first."""
    query = sa.select(RefundOrder).where(RefundOrder.state == "proposed").order_by(RefundOrder.id)
    return list(db.session.scalars(query))


def orders_of(donation: Donation) -> list[RefundOrder]:
    query = sa.select(RefundOrder).join(Payment).where(Payment.donation_id == donation.id).order_by(RefundOrder.id)
    return list(db.session.scalars(query))


def left_of(payment: Payment, *, without: RefundOrder | None = None) -> int:
    """What can still be given back of a payment, in minor units: less refunds made, asked for and proposed."""
    if payment.state != "succeeded":
        return 0
    taken = sum(each.amount_minor for each in payment.refunds if each.state in TAKEN)
    proposed = sa.select(sa.func.coalesce(sa.func.sum(RefundOrder.amount_minor), 0)).where(
        RefundOrder.payment_id == payment.id, RefundOrder.state == "proposed"
    )
    if without is not None:
        proposed = proposed.where(RefundOrder.id != without.id)
    return max(0, payment.amount_minor - taken - int(db.session.scalar(proposed) or 0))


def standing(order: RefundOrder) -> str:
    """proposed, rejected, withdrawn; approved: requested, sent (no answer yet), or what the provider says of it."""
    if order.refund is None:
        return order.state
    return standing_of_refund(order.refund)


def standing_of_refund(refund: Refund) -> str:
    return "sent" if refund.state == "requested" and refund.tries else refund.state


def was_handed_over(donation: Donation) -> bool:
    return any(code.status == "redeemed" for code in codes_of(donation.id))


def is_disputed(payment: Payment) -> bool:
    return any(dispute.state in ("open", "lost") for dispute in payment.disputes)


def _require_refundable(payment: Payment, amount: Money, left: int) -> None:
    if payment.state != "succeeded" or payment.payment_ref is None:
        raise errors.NothingToRefund
    if is_disputed(payment):
        raise errors.PaymentDisputed
    if amount.minor > left:
        raise errors.AmountTooLarge(field="amount", left=format_money(Money(left, payment.currency)))


def _given_back_alone(donation: Donation) -> int:
    """What was ordered of this donation without a second person: many small refunds are one large one."""
    return sum(
        order.amount_minor
        for order in orders_of(donation)
        if order.state == "approved" and not order.needs_second and standing(order) not in ("failed", "canceled")
    )


def _carry_out(order: RefundOrder, actor: Actor, now: datetime) -> None:
    refund = Refund(
        payment=order.payment,
        provider=order.payment.provider,
        origin="finance",
        amount_minor=order.amount_minor,
        currency=order.currency,
        state="requested",
        reason=order.reason,
        created_at=now,
        next_try_at=now,
    )
    db.session.add(refund)
    db.session.flush()
    decide(order, "approved", actor, now, refund_id=refund.id)
    after_commit(partial(refund_requested.send, refund_id=refund.id))
    _record("refund.approved", order, actor, now, after={"refund": refund.public_id})


def _end(order: RefundOrder, state: str, actor: Actor, now: datetime) -> RefundOrder:
    decide(order, state, actor, now)
    _record(f"refund.{state}", order, actor, now)
    return order


def _record(action: str, order: RefundOrder, actor: Actor, now: datetime, **states: Any) -> None:
    subject = f"refund_order:{order.public_id}"
    audit.record(actor.email, action, subject, now=now, address=actor.address, **states)
