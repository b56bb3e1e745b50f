"""What the service asks of a payment provider, and the words in which providers answer.

An adapter translates both ways: our requests into the provider's, its notifications and objects into the facts below.
Facts are statements about the provider's side that stay true in whatever order and however often they arrive;
the rules that follow from them live in `donations` and `finance`.

Vocabulary
    checkout    the hosted page a donor pays on (`checkout_ref`)
    payment_ref the provider's id of the money movement, known at the latest when it succeeds
    our_ref     our payment's `public_id` (or our refund's), carried in the provider's metadata
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from flask_babel import lazy_gettext as _l

from core.errors import DomainError
from core.money import Money


class PaymentState(StrEnum):
    CREATED = "created"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


class RefundState(StrEnum):
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class DisputeState(StrEnum):
    INQUIRY = "inquiry"  # an early warning: no money moves
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class SettlementKind(StrEnum):
    CHARGE = "charge"
    REFUND = "refund"
    REFUND_FAILURE = "refund_failure"
    DISPUTE = "dispute"
    DISPUTE_REVERSAL = "dispute_reversal"
    PAYOUT = "payout"
    PAYOUT_FAILURE = "payout_failure"
    FEE = "fee"  # a fee on a line of its own
    OTHER = "other"  # adjustments, top-ups, what nobody foresaw


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """What is known of one payment. `amount` is what the donor was charged or would be (presentment currency)."""

    state: PaymentState
    amount: Money | None
    occurred_at: datetime
    our_ref: str | None = None
    checkout_ref: str | None = None
    payment_ref: str | None = None
    charge_ref: str | None = None
    failure_code: str | None = None
    final: bool = True  # False: one declined try on a checkout that stays open


@dataclass(frozen=True, slots=True)
class RefundFact:
    refund_ref: str
    payment_ref: str
    state: RefundState
    amount: Money
    occurred_at: datetime
    our_ref: str | None = None
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class DisputeMovement:
    """Money taken (`withdrawn`) or given back by the provider; `settlement_ref` names its settlement line."""

    settlement_ref: str
    withdrawn: bool
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class DisputeFact:
    dispute_ref: str
    payment_ref: str
    state: DisputeState
    amount: Money
    occurred_at: datetime
    reason: str = ""
    movements: Sequence[DisputeMovement] = ()


@dataclass(frozen=True, slots=True)
class ProviderRead:
    """Not a fact but the advice to read one: `what` is `settlement`, `refunds` or `payout`, `ref` its provider id.

    `payment_ref` tells which payment it is about, where the notification says so.
    """

    what: str
    ref: str
    payment_ref: str | None = None


Fact = PaymentFact | RefundFact | DisputeFact | ProviderRead


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified notification, stripped of what we need not keep of the person; `payload` can be stored as JSON.

    `event_id` identifies it for deduplication. `adapter.facts(payload)` reads it, now or at a later replay.
    """

    provider: str
    event_id: str
    type: str
    occurred_at: datetime
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """All a provider needs for one checkout. The same request with the same `our_ref` is the same checkout.

    `product` is what the donor reads on the provider's page; `locale` is ru, be or en (an adapter falls back);
    `email` prefills the page. `success_url` and `cancel_url` are the status page; `notification_url` is ours.
    """

    our_ref: str
    donation_ref: str
    campaign: str
    amount: Money
    product: str
    description: str
    locale: str
    success_url: str
    cancel_url: str
    notification_url: str
    expires_at: datetime
    email: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Checkout:
    """`url` is None once the donor can no longer pay there."""

    checkout_ref: str
    url: str | None
    fact: PaymentFact


@dataclass(frozen=True, slots=True)
class Settlement:
    """One line of the provider's own account: gross `amount`, `fee` and `net`, all in the settlement currency.

    Signs are the provider's: a refund's amount is negative. `payload` is the line as the provider gave it.
    """

    ref: str
    kind: SettlementKind
    amount: Money
    fee: Money
    net: Money
    exchange_rate: Decimal | None
    created_at: datetime
    available_at: datetime
    payment_ref: str | None = None
    charge_ref: str | None = None
    refund_ref: str | None = None
    dispute_ref: str | None = None
    payout_ref: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Payout:
    ref: str
    amount: Money
    state: str  # the provider's word: pending, in_transit, paid, failed, canceled
    created_at: datetime
    arrives_at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)


class ProviderDown(DomainError):
    """No usable answer: unreachable, too slow, overloaded or garbage. The request may or may not have been carried out.

    Asking again with the same `our_ref` is safe.
    """

    code, status = "provider_unavailable", 502
    text = _l("The payment service does not answer right now. Nothing has been charged. Please try again in a minute.")


class ProviderRefused(DomainError):
    """The provider understood and said no; asking again the same way is useless. `reason` is its code."""

    code, status = "provider_refused", 502
    text = _l("The payment service did not accept this payment. Nothing has been charged.")

    def __init__(self, reason: str, **values: Any) -> None:
        super().__init__(**values)
        self.reason = reason


class BadNotification(DomainError):
    """Not from the provider, too old, from the future, of another mode, or not readable: answered 400, stored nowhere.

    `code` is one of `webhook_signature_invalid`, `webhook_timestamp_invalid`, `webhook_wrong_mode`,
    `webhook_malformed`.
    """

    status = 400

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__()


class PaymentProvider(Protocol):
    """One provider. Every method that speaks to it may raise `ProviderDown` or `ProviderRefused`; none may be called
    inside a unit of work."""

    name: str
    page_origins: Sequence[str]  # where its hosted pages live, for the Content-Security-Policy's form-action

    def create_checkout(self, request: CheckoutRequest) -> Checkout: ...

    def read_checkout(self, checkout_ref: str, *, timeout: float | None = None) -> Checkout:
        """The present state. `timeout` in seconds overrides the adapter's own, for a person who waits."""

    def expire_checkout(self, checkout_ref: str) -> Checkout:
        """Close the page if it is open and the provider can. Answers the state it ends in: complete stays complete."""

    def create_refund(self, *, our_ref: str, payment_ref: str, amount: Money, reason: str) -> RefundFact: ...

    def list_refunds(self, payment_ref: str) -> Sequence[RefundFact]: ...

    def verify(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> ProviderEvent:
        """Authenticate and parse a notification. Raises `BadNotification`, and nothing else, for whatever bytes."""

    def facts(self, payload: Mapping[str, Any]) -> Sequence[Fact]:
        """What a stored payload says, no network. Kinds of event we have no use for say nothing.

        Raises `BadNotification` (`webhook_malformed`) when a kind we need lacks what we need.
        """

    def list_events(self, since: datetime) -> Iterator[ProviderEvent]:
        """Notifications the provider made since then, oldest first; empty for a provider that keeps none."""

    def read_settlement(self, ref: str) -> Settlement: ...

    def list_settlements(
        self, *, since: datetime | None = None, until: datetime | None = None, payout_ref: str | None = None
    ) -> Iterator[Settlement]: ...

    def read_payout(self, payout_ref: str) -> Payout: ...

    def read_balance(self) -> Mapping[str, Money]:
        """What the provider holds for us by currency, whether it can be paid out yet or not."""
