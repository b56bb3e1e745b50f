"""Lines of the Stripe balance and payouts, in our words. All amounts are in the account's own currency."""

from collections.abc import Mapping

from core.money import Money
from payments.base import Payout, Settlement, SettlementKind
from payments.stripe_read import Json, inner, moment, money, needed_text, objects, rate, ref, text
from payments.stripe_scrub import scrub

# By `reporting_category`, which tells disputes and failed refunds from other adjustments where `type` does not.
KINDS: Mapping[str, SettlementKind] = {
    "charge": SettlementKind.CHARGE,
    "refund": SettlementKind.REFUND,
    "refund_failure": SettlementKind.REFUND_FAILURE,
    "dispute": SettlementKind.DISPUTE,
    "dispute_reversal": SettlementKind.DISPUTE_REVERSAL,
    "payout": SettlementKind.PAYOUT,
    "payout_reversal": SettlementKind.PAYOUT_FAILURE,
    "fee": SettlementKind.FEE,
    "network_cost": SettlementKind.FEE,
}

# By `type`, for a line whose category is missing. Everything else is top-ups and adjustments; and
# so is `payment_failure_refund` (category `charge_failure`): a debit that failed after it had succeeded is for a
# person to see.
KINDS_BY_TYPE: Mapping[str, SettlementKind] = {
    "charge": SettlementKind.CHARGE,
    "payment": SettlementKind.CHARGE,
    "refund": SettlementKind.REFUND,
    "payment_refund": SettlementKind.REFUND,
    "refund_failure": SettlementKind.REFUND_FAILURE,
    "payout": SettlementKind.PAYOUT,
    "payout_cancel": SettlementKind.PAYOUT_FAILURE,
    "payout_failure": SettlementKind.PAYOUT_FAILURE,
    "stripe_fee": SettlementKind.FEE,
}

# What the start of an id says about a source that was not expanded.
SOURCE_KINDS: Mapping[str, str] = {
    "ch": "charge",
    "py": "charge",
    "re": "refund",
    "pyr": "refund",
    "du": "dispute",
    "dp": "dispute",
    "po": "payout",
}


def settlement_of(line: Json, payout_ref: str | None = None) -> Settlement:
    """One balance transaction, with its `source` expanded so that it names the payment. Raises `Malformed`.

    `payout_ref` is the payout it was listed under: the line itself does not say.
    """
    source, source_ref = inner(line, "source"), ref(line, "source")
    about = text(source, "object") or SOURCE_KINDS.get((source_ref or "").partition("_")[0])
    return Settlement(
        ref=needed_text(line, "id"),
        kind=_kind(line),
        amount=money(line, "amount"),
        fee=money(line, "fee"),
        net=money(line, "net"),
        exchange_rate=rate(line, "exchange_rate"),
        created_at=moment(line, "created"),
        available_at=moment(line, "available_on"),
        payment_ref=ref(source, "payment_intent"),
        charge_ref=source_ref if about == "charge" else ref(source, "charge"),
        refund_ref=source_ref if about == "refund" else None,
        dispute_ref=source_ref if about == "dispute" else None,
        payout_ref=payout_ref or (source_ref if about == "payout" else None),
        payload=scrub(line),
    )


def payout_of(payout: Json) -> Payout:
    """A transfer from the Stripe balance to the bank account. Raises `Malformed`."""
    return Payout(
        ref=needed_text(payout, "id"),
        amount=money(payout, "amount"),
        state=needed_text(payout, "status"),
        created_at=moment(payout, "created"),
        arrives_at=moment(payout, "arrival_date"),
        payload=scrub(payout),
    )


def balance_of(balance: Json) -> Mapping[str, Money]:
    """Available and pending together, by currency. Raises `Malformed`."""
    found: dict[str, Money] = {}
    for part in ("available", "pending"):
        for line in objects(balance, part):
            amount = money(line, "amount")
            found[amount.currency] = found.get(amount.currency, Money(0, amount.currency)) + amount
    return found


def _kind(line: Json) -> SettlementKind:
    category = text(line, "reporting_category")
    if category is None:
        return KINDS_BY_TYPE.get(text(line, "type") or "", SettlementKind.OTHER)
    return KINDS.get(category, SettlementKind.OTHER)
