"""Payouts: the available balance goes to the bank. https://docs.stripe.com/payouts

Each balance transaction belongs to at most one payout; the list of a payout's transactions includes the
payout's own, negative one. A payout that fails later gives its sum back as `payout_failure`, which the next
payout takes along.
"""

from sandbox import balance, balance_shapes
from sandbox.account import Account
from sandbox.errors import invalid, no_such, refused
from sandbox.store import Json

FAILURES = {
    "account_closed": "The bank account has been closed.",
    "could_not_process": "The bank could not process this payout.",
    "invalid_account_number": "The account number is not valid.",
    "no_account": "The bank account could not be found.",
}
_FREE = "json_extract(hidden, '$.payout') IS NULL AND json_extract(body, '$.type') != 'payout'"
_READY = "json_extract(body, '$.available_on') <= ?"


def create(account: Account, available_only: bool = False, outcome: str = "paid") -> Json:
    """Pay out what is not paid out yet, and let it arrive or fail.

    Unless `available_only`, pending transactions are brought forward first, so that nobody must wait a week.
    Raises ApiError when there is nothing to pay out.
    """
    with account.store.write():
        now = account.clock.timestamp()
        txns = account.store.find("balance_transaction", _FREE)
        if available_only:
            txns = account.store.find("balance_transaction", f"{_FREE} AND {_READY}", (now,))
        amount = sum(txn["net"] for txn in txns)
        if amount <= 0:
            raise refused(f"There is nothing to pay out: the balance is {amount}.", "balance_insufficient")
        payout = _send(account, txns, amount, now)
        if outcome == "failed":
            return fail(account, payout["id"])
        return _arrive(account, payout)


def _send(account: Account, txns: list[Json], amount: int, now: int) -> Json:
    payout = balance_shapes.payout(now, amount, account.settings.settlement_currency)
    own = balance.book(
        account,
        kind="payout",
        category="payout",
        source=payout["id"],
        amount=-amount,
        description=payout["description"],
        available_at_once=True,
    )
    payout["balance_transaction"] = own["id"]
    account.store.insert(payout)
    for txn in txns:
        txn.update(available_on=min(txn["available_on"], now), status="available")
        account.store.save(txn)
        account.store.hide(txn["id"], payout=payout["id"])
    account.store.hide(own["id"], payout=payout["id"])
    account.emit("payout.created", payout)
    return payout


def _arrive(account: Account, payout: Json) -> Json:
    payout.update(status="paid", trace_id={"status": "supported", "value": f"SANDBOX{payout['id'][-10:]}"})
    account.store.save(payout)
    account.emit("payout.paid", payout)
    payout["reconciliation_status"] = "completed"
    account.store.save(payout)
    account.emit("payout.reconciliation_completed", payout)
    return payout


def fail(account: Account, payout_id: str, code: str = "account_closed") -> Json:
    """The bank returns the payout, before or after it showed as paid."""
    with account.store.write():
        payout = account.store.get(payout_id, "payout")
        if payout is None:
            raise no_such("payout", payout_id, "payout")
        if payout["status"] == "failed":
            raise invalid(f"Payout {payout_id} has failed already.", "payout")
        if code not in FAILURES:
            raise invalid(f"Invalid failure code: {code}; one of {', '.join(FAILURES)}", "code")
        returned = balance.book(
            account,
            kind="payout_failure",
            category="payout_reversal",
            source=payout_id,
            amount=payout["amount"],
            description="PAYOUT FAILURE",
            available_at_once=True,
        )
        payout.update(status="failed", failure_code=code, failure_message=FAILURES[code])
        payout["failure_balance_transaction"] = returned["id"]
        account.store.save(payout)
        account.emit("payout.failed", payout)
    return payout
