"""The account's balance: transactions in the settlement currency, and when they become available.

Stripe charges its fee on the payment, does not return it on a refund, and takes a flat fee for a dispute.
https://docs.stripe.com/reports/balance-transaction-types
"""

from decimal import Decimal

from sandbox import balance_shapes
from sandbox.account import Account
from sandbox.money import converted, rounded
from sandbox.store import Json


def settled(account: Account, amount: int, currency: str) -> tuple[int, float | None]:
    """`amount` in the settlement currency at today's rate, and that rate (None: no conversion)."""
    target = account.settings.settlement_currency
    if currency == target:
        return amount, None
    rate = account.rates[currency]
    return converted(amount, currency, target, rate), rate


def book(
    account: Account,
    *,
    kind: str,
    category: str,
    source: str,
    amount: int,
    rate: float | None = None,
    fee: int = 0,
    fee_description: str = "Stripe processing fees",
    description: str | None = None,
    available_at_once: bool = False,
) -> Json:
    """Store a balance transaction and return it; amounts in the settlement currency, signed."""
    now = account.clock.timestamp()
    wait = 0 if available_at_once else int(account.settings.availability_days * 86400)
    txn = balance_shapes.balance_transaction(
        now,
        now + wait,
        amount=amount,
        fee=fee,
        fee_description=fee_description,
        currency=account.settings.settlement_currency,
        rate=rate,
        kind=kind,
        category=category,
        source=source,
        description=description,
        prefix="txn_3" if kind in ("charge", "payment", "refund", "refund_failure") else "txn_1",
    )
    account.store.insert(txn)
    return txn


def shown(account: Account, txn: Json) -> Json:
    """The transaction with its status by the clock: pending until `available_on`."""
    available = txn["available_on"] <= account.clock.timestamp()
    return {**txn, "status": "available" if available else "pending"}


def settle_charge(account: Account, charge_id: str) -> Json | None:
    """Give a paid charge its balance transaction and say so with `charge.updated`; None if it needs none.

    Stripe does this a moment after the charge, so that `charge.succeeded` carries none (asynchronous capture):
    https://docs.stripe.com/payments/payment-intents/asynchronous-capture
    """
    charge = account.store.get(charge_id, "charge")
    if charge is None or charge["status"] != "succeeded" or charge["balance_transaction"]:
        return None
    settings = account.settings
    amount, rate = settled(account, charge["amount"], charge["currency"])
    with account.store.write():
        txn = book(
            account,
            kind="charge" if _is_card(charge) else "payment",
            category="charge",
            source=charge_id,
            amount=amount,
            rate=rate,
            fee=rounded(Decimal(amount) * Decimal(settings.fee_percent) / 100) + settings.fee_fixed,
            description=charge["description"],
        )
        charge["balance_transaction"] = txn["id"]
        account.store.save(charge)
        account.emit("charge.updated", charge, {"balance_transaction": None})
    return txn


def book_refund(account: Account, refund: Json, failed: bool = False) -> Json:
    """The money of a refund leaves the balance, or comes back when the refund has failed."""
    charge = account.store.get(refund["charge"], "charge") or {}
    card = _is_card(charge)
    if failed:
        original = account.store.get(refund["balance_transaction"], "balance_transaction") or {}
        kind = "refund_failure" if card else "payment_failure_refund"
        amount, rate, category = -original["amount"], original["exchange_rate"], "refund_failure"
    else:
        kind = "refund" if card else "payment_refund"
        amount, rate = settled(account, refund["amount"], refund["currency"])
        amount, category = -amount, "refund"
    return book(
        account,
        kind=kind,
        category=category,
        source=refund["id"],
        amount=amount,
        rate=rate,
        description=f"REFUND FOR {'FAILED ' if failed else ''}CHARGE ({charge.get('description') or ''})",
    )


def book_dispute(account: Account, dispute: Json, reversal_of: Json | None = None) -> Json:
    """Amount and fee of a dispute are withdrawn, or exactly what was withdrawn is given back."""
    if reversal_of is None:
        amount, rate = settled(account, dispute["amount"], dispute["currency"])
        amount, fee, category = -amount, account.settings.dispute_fee, "dispute"
    else:
        amount, rate, fee = -reversal_of["amount"], reversal_of["exchange_rate"], -reversal_of["fee"]
        category = "dispute_reversal"
    return book(
        account,
        kind="adjustment",
        category=category,
        source=dispute["id"],
        amount=amount,
        rate=rate,
        fee=fee,
        fee_description="Dispute fee",
        description=f"Chargeback {'withdrawal' if reversal_of is None else 'reversal'} for {dispute['charge']}",
    )


def totals(account: Account) -> Json:
    """The Balance object: net sums, what is available and what is not yet."""
    now = account.clock.timestamp()
    sums = {
        row["ready"]: row["net"]
        for row in account.store.rows(
            "SELECT json_extract(body, '$.available_on') <= ? AS ready, sum(json_extract(body, '$.net')) AS net"
            " FROM objects WHERE kind = 'balance_transaction' GROUP BY ready",
            (now,),
        )
    }
    currency = account.settings.settlement_currency
    return {
        "object": "balance",
        "available": [_line(sums.get(1, 0), currency)],
        "livemode": False,
        "pending": [_line(sums.get(0, 0), currency)],
        "refund_and_dispute_prefunding": {
            "available": [{"amount": 0, "currency": currency}],
            "pending": [{"amount": 0, "currency": currency}],
        },
    }


def _line(amount: int, currency: str) -> Json:
    return {"amount": amount, "currency": currency, "source_types": {"card": amount}}


def _is_card(charge: Json) -> bool:
    return bool(charge["payment_method_details"]["type"] == "card")
