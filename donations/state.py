"""How facts of a provider become the state of a donation. Order and repetition do not matter.

Each `apply_…` merges one fact into its row by precedence, then `settle` derives everything that follows from the rows:
ledger entries, codes, receipt, e-mail, status. Nothing is derived from the order of arrival.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from blinker import Signal

from core.db import after_commit, db, rows_changed
from core.ids import new_public_id
from core.money import Money
from donations import books, receipts
from donations.models import Dispute, DisputeMovement, Donation, Payment, Refund
from ledger.services import close_exception, open_exception
from payments.base import DisputeFact, PaymentFact, PaymentState, RefundFact
from stickers.services import issue_codes, set_codes

PAYMENT_RANK = {"created": 0, "processing": 1, "expired": 2, "failed": 3, "succeeded": 4}
REFUND_RANK = {"requested": 0, "pending": 1, "requires_action": 2, "succeeded": 3, "canceled": 4, "failed": 5}
DISPUTE_RANK = {"inquiry": 0, "open": 1, "won": 2, "lost": 3}

ENDED = ("succeeded", "failed", "expired")
REFUND_ACTIVE = ("pending", "requires_action", "succeeded")
REFUND_ENDED = ("failed", "canceled")

# Sent after the commit with `provider` and `payment_ref` once we know more of that payment: what waited can go on.
payment_identified = Signal()
# Sent after the commit with `refund_id` of a refund that the provider is to be asked for.
refund_requested = Signal()


class PaymentUnknown(LookupError):
    """A fact about a payment that we do not know, or do not know yet by this reference."""

    def __init__(self, payment_ref: str) -> None:
        super().__init__(payment_ref)
        self.payment_ref = payment_ref


def lock_donation(donation_id: int) -> Donation:
    """Stand in line for this donation: whoever bumps its version first goes first, then rows are read anew."""
    bumped = db.session.execute(
        sa.update(Donation).where(Donation.id == donation_id).values(version=Donation.version + 1)
    )
    if rows_changed(bumped) != 1:
        raise LookupError(donation_id)
    query = sa.select(Donation).where(Donation.id == donation_id).execution_options(populate_existing=True)
    return db.session.scalars(query).one()


def _find_payment(
    provider: str, *, our_ref: str | None, checkout_ref: str | None, payment_ref: str | None
) -> Payment | None:
    for column, value in (
        (Payment.public_id, our_ref),
        (Payment.checkout_ref, checkout_ref),
        (Payment.payment_ref, payment_ref),
    ):
        if value is not None:
            query = sa.select(Payment).where(column == value, Payment.provider == provider)
            if found := db.session.scalar(query):
                return found
    return None


def lock_payment(payment: Payment) -> Payment:
    """Stand in line for its donation; the payment as it is by then."""
    lock_donation(payment.donation_id)
    query = sa.select(Payment).where(Payment.id == payment.id).execution_options(populate_existing=True)
    return db.session.scalars(query).one()


def apply_payment_fact(provider: str, fact: PaymentFact, now: datetime) -> None:
    """Merge what is known of a payment. Money for no payment of ours goes to suspense and to the exceptions."""
    found = _find_payment(provider, our_ref=fact.our_ref, checkout_ref=fact.checkout_ref, payment_ref=fact.payment_ref)
    if found is None:
        if fact.state == PaymentState.SUCCEEDED:
            books.post_stray_payment(provider, fact, now)
            _announce(provider, fact.payment_ref)
        return
    payment = lock_payment(found)
    if contradiction := _contradiction(payment, fact):
        _set_aside(payment, fact, contradiction, now)
    else:
        known = payment.payment_ref, payment.succeeded_at is None
        _bind_references(payment, fact)
        if fact.final:
            _advance(payment, fact, now)
        elif payment.state == "created":
            payment.failure_code = fact.failure_code
        if known != (payment.payment_ref, payment.succeeded_at is None):
            _announce(provider, payment.payment_ref)
    settle(payment.donation, now)


def _announce(provider: str, payment_ref: str | None) -> None:
    if payment_ref:
        after_commit(partial(payment_identified.send, provider=provider, payment_ref=payment_ref))


def _bind_references(payment: Payment, fact: PaymentFact) -> None:
    """The references of the money that came are the ones that refunds and disputes will name."""
    came = fact.state == PaymentState.SUCCEEDED
    if fact.payment_ref and (payment.payment_ref is None or (came and payment.state != "succeeded")):
        payment.payment_ref = fact.payment_ref
    payment.checkout_ref = payment.checkout_ref or fact.checkout_ref
    if came:  # a declined card had a charge of its own
        payment.charge_ref = payment.charge_ref or fact.charge_ref


def _contradiction(payment: Payment, fact: PaymentFact) -> str | None:
    """Why a fact that names our payment cannot be about the money that we asked for."""
    if fact.amount is not None and fact.amount != payment.amount:
        return "amount_mismatch"
    again = fact.state == PaymentState.SUCCEEDED and payment.state == "succeeded"
    return "charged_twice" if again and fact.payment_ref and fact.payment_ref != payment.payment_ref else None


def _set_aside(payment: Payment, fact: PaymentFact, kind: str, now: datetime) -> None:
    """The provider speaks of another amount, currency or charge than ours: kept and shown, never counted.

    None of its references become ours: what is refunded of that money leaves suspense again, not the fund.
    """
    open_exception(
        kind,
        "payment",
        payment.public_id,
        now=now,
        amount=fact.amount,
        donation_id=payment.donation_id,
        details={"expected": payment.amount_minor, "currency": payment.currency, "state": fact.state},
        since=fact.occurred_at,
    )
    counted = payment.state == "succeeded"
    if not counted and fact.state in (PaymentState.PROCESSING, PaymentState.SUCCEEDED):
        payment.review, payment.next_ask_at = kind, None
    if fact.state == PaymentState.SUCCEEDED and not (counted and fact.payment_ref == payment.payment_ref):
        books.post_stray_payment(payment.provider, fact, now, donation_id=payment.donation_id)
        _announce(payment.provider, fact.payment_ref)


def _advance(payment: Payment, fact: PaymentFact, now: datetime) -> None:
    if fact.state == PaymentState.SUCCEEDED:
        # A charge, its payment and its checkout tell of one success at moments seconds apart: the first one counts.
        payment.succeeded_at = min(payment.succeeded_at or fact.occurred_at, fact.occurred_at)
    if PAYMENT_RANK[fact.state] <= PAYMENT_RANK[payment.state]:
        return
    payment.state = fact.state.value
    payment.failure_code = fact.failure_code
    if fact.state == PaymentState.SUCCEEDED:
        payment.review = None
        books.place_stray_payment(payment.provider, fact, now)
    if fact.state in ENDED:
        payment.next_ask_at = None


def apply_refund_fact(provider: str, fact: RefundFact, now: datetime) -> None:
    """Merge what is known of a refund. Raises `PaymentUnknown` when it is about no payment that we know (yet)."""
    refund = _find_refund(provider, fact)
    payment = refund.payment if refund else _payment_of(provider, fact.payment_ref)
    if (payment is None or payment.review) and books.post_stray_refund(provider, fact, now):
        return
    if payment is None:
        raise PaymentUnknown(fact.payment_ref)
    payment = lock_payment(payment)
    refund = _find_refund(provider, fact)
    if fact.amount.currency != payment.currency or (refund and fact.amount.minor != refund.amount_minor):
        _flag_refund(payment, fact, now)
        return
    _merge_refund(refund or _new_refund(payment, fact), fact)
    _watch_refunded(payment, now)
    settle(payment.donation, now)


def _merge_refund(refund: Refund, fact: RefundFact) -> None:
    # Until the provider speaks of it, the state is only what we made of its answers.
    unheard = refund.refund_ref is None
    refund.refund_ref, refund.next_try_at = fact.refund_ref, None
    if unheard or REFUND_RANK[fact.state] > REFUND_RANK[refund.state]:
        refund.state = fact.state.value
        refund.failure_code = fact.failure_code
        refund.ended_at = fact.occurred_at if fact.state in REFUND_ENDED else None
    if refund.origin == "provider" and fact.state not in REFUND_ENDED:
        refund.created_at = min(refund.created_at, fact.occurred_at)


def _watch_refunded(payment: Payment, now: datetime) -> None:
    """More given back than came: shown as long as it is so. One event told late can make it look so for a while."""
    total = sum(each.amount_minor for each in payment.refunds if each.state in REFUND_ACTIVE)
    if total > payment.amount_minor:
        amount = Money(total, payment.currency)
        open_exception(
            "over_refunded",
            "payment",
            payment.public_id,
            now=now,
            amount=amount,
            donation_id=payment.donation_id,
            since=max(each.created_at for each in payment.refunds if each.state in REFUND_ACTIVE),
        )
    else:
        close_exception("over_refunded", "payment", payment.public_id, now=now)


def _find_refund(provider: str, fact: RefundFact) -> Refund | None:
    matches = [sa.and_(Refund.provider == provider, Refund.refund_ref == fact.refund_ref)]
    if fact.our_ref:
        matches.append(Refund.public_id == fact.our_ref)
    query = sa.select(Refund).where(sa.or_(*matches)).execution_options(populate_existing=True)
    return db.session.scalar(query)


def _payment_of(provider: str, payment_ref: str) -> Payment | None:
    return _find_payment(provider, our_ref=None, checkout_ref=None, payment_ref=payment_ref)


def _surplus_id(payment: Payment) -> str:
    """Made from the payment's: even a database brought back from a backup asks for the same refund, and knows it."""
    return str(uuid.uuid5(uuid.UUID(payment.public_id), "surplus"))


def _new_refund(payment: Payment, fact: RefundFact) -> Refund:
    is_surplus = fact.our_ref == _surplus_id(payment)
    refund = Refund(
        public_id=fact.our_ref if is_surplus else new_public_id(),
        payment=payment,
        provider=payment.provider,
        origin="surplus" if is_surplus else "provider",
        amount_minor=fact.amount.minor,
        currency=fact.amount.currency,
        state=fact.state.value,
        failure_code=fact.failure_code,
        created_at=fact.occurred_at,
    )
    db.session.add(refund)
    return refund


def _flag_refund(payment: Payment, fact: RefundFact, now: datetime) -> None:
    open_exception(
        "refund_mismatch",
        "refund",
        fact.refund_ref,
        now=now,
        amount=fact.amount,
        donation_id=payment.donation_id,
        since=fact.occurred_at,
    )


def apply_dispute_fact(provider: str, fact: DisputeFact, now: datetime) -> None:
    """Merge what is known of a dispute. Raises `PaymentUnknown` when it is about no payment that we know (yet)."""
    found = _payment_of(provider, fact.payment_ref)
    if (found is None or found.review) and books.post_stray_dispute(provider, fact, now):
        return
    if found is None:
        raise PaymentUnknown(fact.payment_ref)
    payment = lock_payment(found)
    if fact.amount.currency != payment.currency:
        open_exception(
            "dispute_mismatch",
            "dispute",
            fact.dispute_ref,
            now=now,
            amount=fact.amount,
            donation_id=payment.donation_id,
            since=fact.occurred_at,
        )
        return
    dispute = next((each for each in payment.disputes if each.dispute_ref == fact.dispute_ref), None)
    if dispute is None:
        dispute = Dispute(
            payment=payment,
            provider=provider,
            dispute_ref=fact.dispute_ref,
            amount_minor=fact.amount.minor,
            currency=fact.amount.currency,
            state=fact.state.value,
            reason=fact.reason,
            opened_at=fact.occurred_at,
        )
        db.session.add(dispute)
    elif DISPUTE_RANK[fact.state] > DISPUTE_RANK[dispute.state]:
        dispute.state = fact.state.value
    _add_movements(dispute, fact)
    settle(payment.donation, now)


def _add_movements(dispute: Dispute, fact: DisputeFact) -> None:
    known = {movement.settlement_ref for movement in dispute.movements}
    for movement in fact.movements:
        if movement.settlement_ref not in known:
            dispute.movements.append(
                DisputeMovement(
                    provider=dispute.provider,
                    settlement_ref=movement.settlement_ref,
                    withdrawn=movement.withdrawn,
                    occurred_at=movement.occurred_at,
                )
            )


def settle(donation: Donation, now: datetime) -> None:
    """Make everything that follows from the donation's facts true: books, codes, receipt, e-mail, status.

    Idempotent; the caller holds the donation. Flushes, never commits.
    """
    db.session.flush()
    succeeded = [payment for payment in donation.payments if payment.state == "succeeded"]
    for payment in succeeded:
        books.post_payment(donation, payment, now)
    donation.status = derive_status(donation)
    if succeeded:
        donation.paid_at = min(payment.succeeded_at for payment in succeeded if payment.succeeded_at)
        issue_codes(donation.id, donation.campaign_id, donation.amount_minor, now)
        set_codes(donation.id, _code_status(donation))
        received, refunded, _ = _sums(succeeded)
        receipts.keep_receipt(donation, void=refunded >= received, now=now)
        # By attempt, not by time: two facts told late must never make each payment look like the second one.
        _queue_surplus(succeeded[1:], now)
    db.session.flush()


def _sums(payments: Iterable[Payment]) -> tuple[int, int, int]:
    """(received, refunded, disputed) in minor units, over succeeded payments."""
    received = refunded = disputed = 0
    for payment in payments:
        received += payment.amount_minor
        refunded += sum(each.amount_minor for each in payment.refunds if each.state in REFUND_ACTIVE)
        disputed += sum(each.amount_minor for each in payment.disputes if each.state in ("open", "lost"))
    return received, refunded, disputed


def derive_status(donation: Donation) -> str:
    """The one status that the donation's rows add up to."""
    succeeded = [payment for payment in donation.payments if payment.state == "succeeded"]
    if not succeeded:
        return _status_of_attempts(donation.payments)
    received, refunded, disputed = _sums(succeeded)
    if disputed and received - refunded - disputed < donation.amount_minor:
        return "disputed"
    left = received - refunded
    if left <= 0:
        return "refunded"
    return "paid" if left >= donation.amount_minor else "partially_refunded"


def _status_of_attempts(payments: list[Payment]) -> str:
    states = ["processing" if payment.review else payment.state for payment in payments]
    if "processing" in states:
        return "processing"
    if "created" in states or not states:
        return "pending"
    return states[-1]


def _code_status(donation: Donation) -> str:
    """Codes follow all of the donation's money: a refund of one of two payments leaves them alone."""
    succeeded = [payment for payment in donation.payments if payment.state == "succeeded"]
    received, refunded, _ = _sums(succeeded)
    disputes = [dispute for payment in succeeded for dispute in payment.disputes]
    lost = sum(dispute.amount_minor for dispute in disputes if dispute.state == "lost")
    if received - refunded - lost <= 0:
        return "voided"
    is_open = any(dispute.state == "open" for dispute in disputes)
    return "held" if is_open and donation.status == "disputed" else "issued"


def _queue_surplus(surplus: list[Payment], now: datetime) -> None:
    """Whoever paid twice gets the later payment back; a worker asks the provider for it."""
    for payment in surplus:
        left = payment.amount_minor - sum(each.amount_minor for each in payment.refunds if each.state in REFUND_ACTIVE)
        if left <= 0 or any(refund.origin == "surplus" for refund in payment.refunds):
            continue
        refund = Refund(
            public_id=_surplus_id(payment),
            payment=payment,
            provider=payment.provider,
            origin="surplus",
            amount_minor=left,
            currency=payment.currency,
            state="requested",
            reason="paid twice",
            created_at=now,
            next_try_at=now,
        )
        db.session.add(refund)
        db.session.flush()
        after_commit(partial(refund_requested.send, refund_id=refund.id))
