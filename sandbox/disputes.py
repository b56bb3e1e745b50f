"""Disputes: https://docs.stripe.com/disputes/how-disputes-work.

A dispute withdraws its amount and a fee at once; winning gives both back. An inquiry (`warning_…`) moves no
money unless the bank escalates it to a dispute.
"""

from sandbox import balance, balance_shapes
from sandbox.account import Account
from sandbox.errors import invalid, no_such, refused
from sandbox.store import Json

_OPEN = ("needs_response", "under_review")
_WARNING = ("warning_needs_response", "warning_under_review")


def open_dispute(
    account: Account,
    charge_id: str,
    amount: int | None = None,
    reason: str = "fraudulent",
    inquiry: bool = False,
    withdraw: bool = True,
) -> Json:
    """The donor's bank disputes a charge; `withdraw=False` leaves the funds for `withdraw_funds`."""
    with account.store.write():
        charge = account.store.get(charge_id, "charge")
        if charge is None:
            raise no_such("charge", charge_id, "charge")
        earlier = account.store.find("dispute", "json_extract(body, '$.charge') = ?", (charge_id,))
        if charge["status"] != "succeeded" or any(known["status"] != "warning_closed" for known in earlier):
            raise refused(f"Charge {charge_id} cannot be disputed now.")
        now = account.clock.timestamp()
        dispute = balance_shapes.dispute(now, charge, amount or charge["amount"], reason, inquiry)
        account.store.insert(dispute)
        charge["disputed"] = True
        account.store.save(charge)
        account.emit("charge.dispute.created", dispute)
        if withdraw and not inquiry:
            withdraw_funds(account, dispute["id"])
    return account.store.get(dispute["id"]) or dispute


def withdraw_funds(account: Account, dispute_id: str) -> Json:
    with account.store.write():
        dispute = _dispute(account, dispute_id, _OPEN)
        if dispute["balance_transactions"]:
            raise refused(f"The funds of {dispute_id} are withdrawn already.")
        dispute["balance_transactions"].append(balance.book_dispute(account, dispute))
        account.store.save(dispute)
        account.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def review(account: Account, dispute_id: str) -> Json:
    """Evidence has been sent; the bank looks at it."""
    with account.store.write():
        dispute = _dispute(account, dispute_id, ("needs_response", "warning_needs_response"))
        before = {"status": dispute["status"]}
        dispute["status"] = dispute["status"].replace("needs_response", "under_review")
        dispute["evidence_details"].update(has_evidence=True, submission_count=1)
        account.store.save(dispute)
        account.emit("charge.dispute.updated", dispute, before)
    return dispute


def win(account: Account, dispute_id: str) -> Json:
    """The bank decides for us: what was withdrawn, fee included, comes back."""
    with account.store.write():
        dispute = _dispute(account, dispute_id, _OPEN)
        if dispute["balance_transactions"]:
            withdrawn = dispute["balance_transactions"][0]
            dispute["balance_transactions"].append(balance.book_dispute(account, dispute, withdrawn))
        _close(account, dispute, "won")
        if dispute["balance_transactions"]:
            account.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def lose(account: Account, dispute_id: str) -> Json:
    with account.store.write():
        dispute = _dispute(account, dispute_id, _OPEN)
        _close(account, dispute, "lost")
    return dispute


def close_inquiry(account: Account, dispute_id: str) -> Json:
    """The bank asked and was satisfied; no money has moved. A real dispute may still come."""
    with account.store.write():
        dispute = _dispute(account, dispute_id, _WARNING)
        _close(account, dispute, "warning_closed")
    return dispute


def escalate_inquiry(account: Account, dispute_id: str) -> Json:
    """The inquiry becomes a dispute under the same id, and the funds are withdrawn."""
    with account.store.write():
        dispute = _dispute(account, dispute_id, _WARNING)
        before = {"is_charge_refundable": True, "status": dispute["status"]}
        dispute.update(status="needs_response", is_charge_refundable=False)
        dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
        account.store.save(dispute)
        account.emit("charge.dispute.updated", dispute, before)
        return withdraw_funds(account, dispute_id)


def _close(account: Account, dispute: Json, status: str) -> None:
    before = {"status": dispute["status"]}
    dispute["status"] = status
    account.store.save(dispute)
    account.emit("charge.dispute.closed", dispute, before)


def _dispute(account: Account, dispute_id: str, statuses: tuple[str, ...]) -> Json:
    dispute = account.store.get(dispute_id, "dispute")
    if dispute is None:
        raise no_such("dispute", dispute_id, "dispute")
    if dispute["status"] not in statuses:
        raise invalid(f"Dispute {dispute_id} is {dispute['status']}.", "dispute")
    return dispute
