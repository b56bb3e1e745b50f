"""What Stripe's objects and events say, in our words.

When did a payment succeed? Stripe dates it differently in each object, so one rule serves notifications and reads:
the moment is the charge's `created` where a charge is at hand (`charge.succeeded`, a checkout read back), the event's
own `created` where none is (`checkout.session.*`, `payment_intent.succeeded`). For a card the charge comes first and
those events follow within seconds, so the *earliest* moment of all succeeded facts is the charge's, in whatever order
they came. A bank debit is charged days before it succeeds: there the event's `created` counts, and for a read the
moment its balance transaction was made.

Refunds leave the balance when they are made, whoever tells of them later; failures return it when the failure
happens. Facts that move no money carry the event's `created`, or for a read the nearest moment Stripe recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from payments.base import (
    DisputeFact,
    DisputeMovement,
    DisputeState,
    Fact,
    PaymentFact,
    PaymentState,
    ProviderRead,
    RefundFact,
    RefundState,
)
from payments.stripe_read import Json, Malformed, inner, moment, money, needed_text, objects, ref, text, whole

FAILED_INTENTS = frozenset({"requires_payment_method", "canceled"})

REFUND_STATES = {state.value: state for state in RefundState}

DISPUTE_STATES = {
    "warning_needs_response": DisputeState.INQUIRY,
    "warning_under_review": DisputeState.INQUIRY,
    "warning_closed": DisputeState.INQUIRY,
    "prevented": DisputeState.INQUIRY,  # settled by a refund before it became a dispute: no money moves by it
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def facts_of(event: Json) -> Sequence[Fact]:
    """What one (scrubbed) event says; nothing for kinds we have no use for. Raises `Malformed`."""
    reader = READERS.get(needed_text(event, "type"))
    if reader is None:
        return ()
    return reader(inner(inner(event, "data"), "object"), moment(event, "created"))


def session_fact(session: Json, told_at: datetime | None = None) -> PaymentFact:
    """What a Checkout Session says of its payment: told by an event at `told_at`, or read just now."""
    state = _session_state(session)
    intent = inner(session, "payment_intent")
    return PaymentFact(
        state=state,
        amount=money(session, "amount_total"),
        occurred_at=told_at or _session_moment(session, state),
        our_ref=text(inner(session, "metadata"), "payment_id"),
        checkout_ref=needed_text(session, "id"),
        payment_ref=ref(session, "payment_intent"),
        charge_ref=ref(intent, "latest_charge"),
        failure_code=_intent_failure(intent) if state is PaymentState.FAILED else None,
    )


def refund_fact(refund: Json, told_at: datetime | None = None) -> RefundFact:
    """What a refund object says. A refund of a payment made without an intent (not ours) names its charge instead."""
    state = _refund_state(refund)
    payment_ref = ref(refund, "payment_intent") or ref(refund, "charge")
    if payment_ref is None:
        raise Malformed("payment_intent")
    return RefundFact(
        refund_ref=needed_text(refund, "id"),
        payment_ref=payment_ref,
        state=state,
        amount=money(refund, "amount"),
        occurred_at=_refund_moment(refund, state, told_at),
        our_ref=text(inner(refund, "metadata"), "refund_id"),
        failure_code=text(refund, "failure_reason"),
    )


def _session_state(session: Json) -> PaymentState:
    """Paid is paid, whatever else the session says; a word we do not know claims nothing."""
    if needed_text(session, "payment_status") == "paid":
        return PaymentState.SUCCEEDED
    match needed_text(session, "status"):
        case "complete":
            intent_status = text(inner(session, "payment_intent"), "status")
            return PaymentState.FAILED if intent_status in FAILED_INTENTS else PaymentState.PROCESSING
        case "expired":
            return PaymentState.EXPIRED
    return PaymentState.CREATED


def _session_moment(session: Json, state: PaymentState) -> datetime:
    intent = inner(session, "payment_intent")
    charge = inner(intent, "latest_charge")
    if state is PaymentState.EXPIRED and session.get("expires_at") is not None:
        return moment(session, "expires_at")
    if charge:
        settled = inner(charge, "balance_transaction")
        return moment(charge if _immediate(charge) or not settled else settled, "created")
    return moment(intent or session, "created")


def _immediate(charge: Json) -> bool:
    """Whether the charge succeeded when it was made, as cards do. Unknown counts as yes: then all moments agree."""
    return text(inner(charge, "payment_method_details"), "type") in {"card", None}


def _intent_failure(intent: Json) -> str | None:
    error = inner(intent, "last_payment_error")
    return text(error, "decline_code") or text(error, "code") or text(intent, "cancellation_reason")


def _refund_state(refund: Json) -> RefundState:
    # Some kinds of payment have no status on their refunds and an unknown word is not yet an end: both are under way.
    return REFUND_STATES.get(text(refund, "status") or "", RefundState.PENDING)


def _refund_moment(refund: Json, state: RefundState, told_at: datetime | None) -> datetime:
    if state not in {RefundState.FAILED, RefundState.CANCELED}:
        return moment(refund, "created")
    if told_at is not None:
        return told_at
    returned = inner(refund, "failure_balance_transaction")
    return moment(returned or refund, "created")


def _session_event(session: Json, told_at: datetime) -> Sequence[Fact]:
    if text(session, "mode") not in {"payment", None}:
        return ()  # a subscription or a stored card of another integration on the same account: never a donation
    return (session_fact(session, told_at),)


def _async_failed(session: Json, told_at: datetime) -> Sequence[Fact]:
    # The session itself looks just as it did while the payment was under way: only the kind of the event tells.
    fact = PaymentFact(
        state=PaymentState.FAILED,
        amount=money(session, "amount_total"),
        occurred_at=told_at,
        our_ref=text(inner(session, "metadata"), "payment_id"),
        checkout_ref=needed_text(session, "id"),
        payment_ref=ref(session, "payment_intent"),
    )
    return (fact,)


def _intent_succeeded(intent: Json, told_at: datetime) -> Sequence[Fact]:
    amount = "amount_received" if intent.get("amount_received") else "amount"
    return (_intent_fact(intent, PaymentState.SUCCEEDED, amount, told_at),)


def _intent_declined(intent: Json, told_at: datetime) -> Sequence[Fact]:
    return (_intent_fact(intent, PaymentState.FAILED, "amount", told_at),)


def _intent_fact(intent: Json, state: PaymentState, amount: str, told_at: datetime) -> PaymentFact:
    failed = state is PaymentState.FAILED
    return PaymentFact(
        state=state,
        amount=money(intent, amount),
        occurred_at=told_at,
        our_ref=text(inner(intent, "metadata"), "payment_id"),
        payment_ref=needed_text(intent, "id"),
        charge_ref=ref(intent, "latest_charge"),
        failure_code=_intent_failure(intent) if failed else None,
        final=not failed,
    )


def _charge_succeeded(charge: Json, told_at: datetime) -> Sequence[Fact]:
    made_at = moment(charge, "created")
    authorised_only = charge.get("captured") is False  # nobody has the money yet; never so for our own checkouts
    fact = PaymentFact(
        state=PaymentState.PROCESSING if authorised_only else PaymentState.SUCCEEDED,
        amount=money(charge, "amount_captured" if charge.get("amount_captured") else "amount"),
        occurred_at=made_at if _immediate(charge) else told_at,
        our_ref=text(inner(charge, "metadata"), "payment_id"),
        payment_ref=ref(charge, "payment_intent") or needed_text(charge, "id"),
        charge_ref=needed_text(charge, "id"),
    )
    return (fact, *_charge_updated(charge, told_at))


def _charge_updated(charge: Json, told_at: datetime) -> Sequence[Fact]:
    return _settlements(ref(charge, "payment_intent"), ref(charge, "balance_transaction"))


def _charge_refunded(charge: Json, told_at: datetime) -> Sequence[Fact]:
    """`amount_refunded` is a running total: it only says that the refunds are worth reading."""
    payment_ref = ref(charge, "payment_intent")
    return () if payment_ref is None else (ProviderRead("refunds", payment_ref, payment_ref),)


def _refund_event(refund: Json, told_at: datetime) -> Sequence[Fact]:
    fact = refund_fact(refund, told_at)
    lines = ref(refund, "balance_transaction"), ref(refund, "failure_balance_transaction")
    return (fact, *_settlements(fact.payment_ref, *lines))


def _dispute_event(dispute: Json, told_at: datetime) -> Sequence[Fact]:
    payment_ref = ref(dispute, "payment_intent") or needed_text(dispute, "charge")
    lines = objects(dispute, "balance_transactions")
    fact = DisputeFact(
        dispute_ref=needed_text(dispute, "id"),
        payment_ref=payment_ref,
        state=DISPUTE_STATES.get(needed_text(dispute, "status"), DisputeState.OPEN),
        amount=money(dispute, "amount"),
        occurred_at=moment(dispute, "created"),
        reason=text(dispute, "reason") or "",
        movements=tuple(_movement(line) for line in lines if whole(line, "amount") != 0),
    )
    return (fact, *_settlements(payment_ref, *(needed_text(line, "id") for line in lines)))


def _movement(line: Json) -> DisputeMovement:
    return DisputeMovement(
        settlement_ref=needed_text(line, "id"),
        withdrawn=whole(line, "amount") < 0,
        occurred_at=moment(line, "created"),
    )


def _payout_event(payout: Json, told_at: datetime) -> Sequence[Fact]:
    # The line of a returned payout belongs to no payout's list yet.
    return (
        ProviderRead("payout", needed_text(payout, "id")),
        *_settlements(None, ref(payout, "failure_balance_transaction")),
    )


def _settlements(payment_ref: str | None, *lines: str | None) -> Sequence[Fact]:
    return tuple(ProviderRead("settlement", line, payment_ref) for line in lines if line is not None)


READERS: Mapping[str, Callable[[Json, datetime], Sequence[Fact]]] = {
    "checkout.session.completed": _session_event,
    "checkout.session.async_payment_succeeded": _session_event,
    "checkout.session.async_payment_failed": _async_failed,
    "checkout.session.expired": _session_event,
    "payment_intent.succeeded": _intent_succeeded,
    "payment_intent.payment_failed": _intent_declined,
    "charge.succeeded": _charge_succeeded,
    "charge.updated": _charge_updated,
    "charge.refunded": _charge_refunded,
    "refund.created": _refund_event,
    "refund.updated": _refund_event,
    "refund.failed": _refund_event,
    "charge.dispute.created": _dispute_event,
    "charge.dispute.updated": _dispute_event,
    "charge.dispute.closed": _dispute_event,
    "charge.dispute.funds_withdrawn": _dispute_event,
    "charge.dispute.funds_reinstated": _dispute_event,
    "payout.paid": _payout_event,
    "payout.failed": _payout_event,
    "payout.reconciliation_completed": _payout_event,
}
