"""What gifts, refunds and disputes look like in the ledger (the table "The books" in docs/finance.md)."""

from datetime import datetime

from core.money import Money
from donations.models import Dispute, Donation, Payment, Refund
from ledger import accounts
from ledger.accounts import AccountRef
from ledger.corrections import rebook
from ledger.models import Fund
from ledger.services import (
    Source,
    close_exception,
    find_entry,
    open_exception,
    post_entry,
    reverse_entry,
    transfer,
)
from payments.base import DisputeFact, PaymentFact, RefundFact, RefundState

ACTIVE_REFUNDS = ("pending", "requires_action", "succeeded")
ENDED_REFUNDS = ("failed", "canceled")


def post_payment(donation: Donation, payment: Payment, now: datetime) -> None:
    """Book a succeeded payment with its refunds and dispute movements; what is booked already stays as it is."""
    fund = donation.campaign.fund
    _post(
        Source("payment", payment.public_id, "gift"),
        accounts.receivable(payment.provider, fund),
        accounts.of_fund(fund, "gift"),
        payment.amount,
        occurred_at=payment.succeeded_at or now,
        now=now,
        donation_id=donation.id,
    )
    for refund in payment.refunds:
        _post_refund(refund, fund, donation.id, now)
    for dispute in payment.disputes:
        _post_movements(dispute, fund, donation.id, now)


def _post(
    source: Source,
    debit: AccountRef,
    credit: AccountRef,
    amount: Money,
    *,
    occurred_at: datetime,
    now: datetime,
    donation_id: int | None,
) -> None:
    post_entry(
        source, transfer(debit, credit, amount), occurred_at=occurred_at, recorded_at=now, donation_id=donation_id
    )


def _post_refund(refund: Refund, fund: Fund, donation_id: int, now: datetime) -> None:
    source = Source("refund", refund.public_id, "refund")
    if refund.state in ACTIVE_REFUNDS:
        _post(
            source,
            accounts.of_fund(fund, "refund"),
            accounts.receivable(refund.provider, fund),
            refund.amount,
            occurred_at=refund.created_at,
            now=now,
            donation_id=donation_id,
        )
    elif refund.state in ENDED_REFUNDS:
        reverse_entry(source, "refund_failed", occurred_at=refund.ended_at or now, recorded_at=now)


def _post_movements(dispute: Dispute, fund: Fund, donation_id: int, now: datetime) -> None:
    """Each withdrawal is booked; each reinstatement reverses the withdrawal it belongs to, first to first."""
    withdrawn = [movement for movement in dispute.movements if movement.withdrawn]
    reinstated = [movement for movement in dispute.movements if not movement.withdrawn]
    for movement in withdrawn:
        _post(
            Source("dispute", movement.settlement_ref, "withdrawn"),
            accounts.of_fund(fund, "dispute"),
            accounts.receivable(dispute.provider, fund),
            Money(dispute.amount_minor, dispute.currency),
            occurred_at=movement.occurred_at,
            now=now,
            donation_id=donation_id,
        )
    for taken, given_back in zip(withdrawn, reinstated, strict=False):
        reverse_entry(
            Source("dispute", taken.settlement_ref, "withdrawn"),
            "reinstated",
            occurred_at=given_back.occurred_at,
            recorded_at=now,
        )


def rebook_fact(fact: Payment | Refund, now: datetime) -> bool:
    """Make the entries of a payment that came, or of a refund, what the row says; False when they are so already.

    The caller holds its donation. Raises `UnbalancedEntry` when somebody has changed an entry in the database.
    """
    payment = fact if isinstance(fact, Payment) else fact.payment
    fund, amount = payment.donation.campaign.fund, fact.amount
    receivable = accounts.receivable(fact.provider, fund)
    if isinstance(fact, Payment):
        source, occurred_at = Source("payment", fact.public_id, "gift"), fact.succeeded_at or now
        lines = transfer(receivable, accounts.of_fund(fund, "gift"), amount)
    else:
        source, occurred_at = Source("refund", fact.public_id, "refund"), fact.created_at
        moves = fact.state in ACTIVE_REFUNDS
        lines = transfer(accounts.of_fund(fund, "refund"), receivable, amount) if moves else []
    return rebook(source, lines, occurred_at=occurred_at, recorded_at=now, donation_id=payment.donation_id)


# Suspense: money that the provider moved and that belongs to no fund we know.


def post_stray_payment(provider: str, fact: PaymentFact, now: datetime, *, donation_id: int | None = None) -> None:
    """Money that the provider took and we cannot place: into suspense, once for each of its payments, and shown."""
    reference = fact.payment_ref or fact.checkout_ref
    if fact.amount is None or reference is None:
        return
    currency = fact.amount.currency
    _post(
        stray_source("payment", provider, reference),
        accounts.stray_receivable(provider, currency),
        accounts.suspense(currency),
        fact.amount,
        occurred_at=fact.occurred_at,
        now=now,
        donation_id=donation_id,
    )
    if donation_id is None:
        open_exception("unknown_payment", "payment", reference, now=now, amount=fact.amount, since=fact.occurred_at)


def place_stray_payment(provider: str, fact: PaymentFact, now: datetime) -> None:
    """Its payment is known by now: what stood in suspense until then is taken out of it."""
    for reference in filter(None, (fact.payment_ref, fact.checkout_ref)):
        source = stray_source("payment", provider, reference)
        if reverse_entry(source, "placed", occurred_at=fact.occurred_at, recorded_at=now):
            close_exception("unknown_payment", "payment", reference, now=now)


def post_stray_refund(provider: str, fact: RefundFact, now: datetime) -> bool:
    """A refund of money that stands in suspense; False when there is no such money."""
    if not _stands_in_suspense(provider, fact.payment_ref):
        return False
    source, currency = stray_source("refund", provider, fact.refund_ref), fact.amount.currency
    # Posted even when it has failed: a word of its success that comes after that must find the entry there.
    _post(
        source,
        accounts.suspense(currency),
        accounts.stray_receivable(provider, currency),
        fact.amount,
        occurred_at=fact.occurred_at,
        now=now,
        donation_id=None,
    )
    if fact.state in (RefundState.FAILED, RefundState.CANCELED):
        reverse_entry(source, "refund_failed", occurred_at=fact.occurred_at, recorded_at=now)
    return True


def post_stray_dispute(provider: str, fact: DisputeFact, now: datetime) -> bool:
    """A dispute about money that stands in suspense, shown to finance; False when there is no such money."""
    if not _stands_in_suspense(provider, fact.payment_ref):
        return False
    open_exception("unknown_dispute", "dispute", fact.dispute_ref, now=now, amount=fact.amount, since=fact.occurred_at)
    currency = fact.amount.currency
    taken, given = accounts.suspense(currency), accounts.stray_receivable(provider, currency)
    for movement in fact.movements:
        debit, credit = (taken, given) if movement.withdrawn else (given, taken)
        _post(
            stray_source("dispute", provider, movement.settlement_ref),
            debit,
            credit,
            fact.amount,
            occurred_at=movement.occurred_at,
            now=now,
            donation_id=None,
        )
    return True


def stray_source(what: str, provider: str, reference: str) -> Source:
    """Of the entry that holds a stray payment, refund or dispute movement (`what`) of the provider."""
    kinds = {"payment": "gift", "refund": "refund", "dispute": "moved"}
    return Source(f"stray_{what}", f"{provider}:{reference}"[-80:], kinds[what])


def _stands_in_suspense(provider: str, payment_ref: str) -> bool:
    return find_entry(stray_source("payment", provider, payment_ref)) is not None
