"""Refunds: https://docs.stripe.com/api/refunds and https://docs.stripe.com/refunds#failed-refunds.

A refund counts towards the charge's `amount_refunded` unless it failed or was canceled; its money leaves the
balance when it is made and comes back as a `refund_failure` transaction when it fails later.
"""

from sandbox import balance, balance_shapes
from sandbox.account import Account
from sandbox.errors import ApiError, invalid, no_such, refused
from sandbox.money import shown
from sandbox.store import Json


def create(account: Account, params: Json, status: str | None = None) -> Json:
    """Refund a charge, whole or in part (`amount` in minor units; without it, all that is left)."""
    with account.store.write():
        charge = _refundable_charge(account, params)
        amount = params.get("amount", charge["amount"] - charge["amount_refunded"])
        _check(account, charge, amount)
        now = account.clock.timestamp()
        chosen = status or account.settings.refund_status
        refund = balance_shapes.refund(now, charge, amount, chosen, params.get("reason"), params.get("metadata", {}))
        refund["balance_transaction"] = balance.book_refund(account, refund)["id"]
        account.store.insert(refund)
        account.emit("refund.created", refund)
        _count(account, charge, amount)
    return refund


def _refundable_charge(account: Account, params: Json) -> Json:
    if "charge" not in params and "payment_intent" not in params:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise ApiError(message, code="parameter_missing")
    if "payment_intent" in params:
        intent = account.store.get(params["payment_intent"], "payment_intent")
        if intent is None:
            raise no_such("payment_intent", params["payment_intent"], "payment_intent")
        if intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise refused(message)
        charge_id = intent["latest_charge"]
        if params.get("charge", charge_id) != charge_id:
            raise refused("The charge does not belong to the given PaymentIntent.", param="charge")
    else:
        charge_id = params["charge"]
    charge = account.store.get(charge_id, "charge")
    if charge is None:
        raise no_such("charge", charge_id, "charge")
    return charge


def _check(account: Account, charge: Json, amount: int) -> None:
    left = charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded":
        raise refused(f"Charge {charge['id']} has not succeeded; it cannot be refunded.", "charge_not_refundable")
    disputes = account.store.find("dispute", "json_extract(body, '$.charge') = ?", (charge["id"],))
    if not all(dispute["is_charge_refundable"] or dispute["status"] == "won" for dispute in disputes):
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", "charge_disputed")
    if left == 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", "charge_already_refunded")
    if amount > left:
        currency = charge["currency"]
        asked, most = shown(amount, currency), shown(left, currency)
        message = f"Refund amount ({asked}) is greater than unrefunded amount on charge ({most})"
        raise refused(message, param="amount")


def _count(account: Account, charge: Json, amount: int) -> None:
    """`charge.refunded` carries the running total, with what it was before."""
    before: Json = {"amount_refunded": charge["amount_refunded"]}
    charge["amount_refunded"] += amount
    if charge["amount_refunded"] == charge["amount"]:
        charge["refunded"] = True
        before["refunded"] = False
    account.store.save(charge)
    account.emit("charge.refunded", charge, before)


def succeed(account: Account, refund_id: str) -> Json:
    """A pending refund has reached the donor."""
    with account.store.write():
        refund = _open_refund(account, refund_id, ("pending", "requires_action"))
        _move(account, refund, "succeeded")
    return refund


def fail(account: Account, refund_id: str, reason: str = "expired_or_canceled_card") -> Json:
    """The bank sends the refund back, even weeks after it had succeeded: the money returns to the balance."""
    with account.store.write():
        refund = _open_refund(account, refund_id, ("pending", "requires_action", "succeeded"))
        refund["failure_reason"] = reason
        refund["failure_balance_transaction"] = balance.book_refund(account, refund, failed=True)["id"]
        _uncount(account, refund)
        _move(account, refund, "failed")
        account.emit("refund.failed", refund)
    return refund


def cancel(account: Account, refund_id: str) -> Json:
    """Only a refund that waits for the donor (`requires_action`) can be canceled."""
    with account.store.write():
        refund = account.store.get(refund_id, "refund")
        if refund is None:
            raise no_such("refund", refund_id, "refund")
        if refund["status"] != "requires_action":
            raise refused(f"Refund {refund_id} cannot be canceled: its status is {refund['status']}.")
        refund["failure_reason"] = "merchant_request"
        refund["failure_balance_transaction"] = balance.book_refund(account, refund, failed=True)["id"]
        _uncount(account, refund)
        _move(account, refund, "canceled")
    return refund


def _open_refund(account: Account, refund_id: str, statuses: tuple[str, ...]) -> Json:
    refund = account.store.get(refund_id, "refund")
    if refund is None:
        raise no_such("refund", refund_id, "refund")
    if refund["status"] not in statuses:
        raise invalid(f"Refund {refund_id} is {refund['status']} already.", "refund")
    return refund


def _uncount(account: Account, refund: Json) -> None:
    charge = account.store.get(refund["charge"], "charge") or {}
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    account.store.save(charge)


def _move(account: Account, refund: Json, status: str) -> None:
    """One fact, two events: `charge.refund.updated` is the older twin that Stripe still sends."""
    before = {"status": refund["status"]}
    refund["status"] = status
    account.store.save(refund)
    account.emit("refund.updated", refund, before)
    account.emit("charge.refund.updated", refund, before)
