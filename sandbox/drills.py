"""Drills: everything that can happen to a payment, at the push of a button.

Every public method of `Drills` that is listed in `NAMES` is at once a method for tests (`server.drills.…`), a
command (`python -m sandbox drill …`) and an address (`POST /_sandbox/drills/…`): its signature says which
arguments there are, its docstring what it does.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from sandbox import balance, checkout, disputes, hosted, payouts, refunds
from sandbox.account import Account
from sandbox.delivery import Dispatcher
from sandbox.errors import ApiError, invalid, refused
from sandbox.faults import Fault, Faults
from sandbox.store import Json
from sandbox.webhook_drills import WebhookDrills


class Drills(WebhookDrills):
    """Ids name things; a payment goes by the id of its session, intent or charge, or by `last`."""

    def __init__(self, account: Account, faults: Faults, dispatcher: Dispatcher) -> None:
        super().__init__(account, dispatcher)
        self._faults = faults

    # Payments

    def pay(self, sessions: Sequence[str] = (), outcome: str = "pay", count: int = 0) -> Json:
        """Do what donors do, without a browser: pay, decline or delay the named sessions.

        Without names: the `count` oldest open sessions, or all open ones. Those not open are left alone.
        """
        if outcome not in ("pay", "decline", "delay"):
            raise invalid(f"no such outcome: {outcome}; one of pay, decline, delay", "outcome")
        named = [self.session_of(name) for name in sessions]
        chosen = named or self._open_sessions(count or -1)
        done, skipped = [], []
        for session_id in chosen:
            try:
                hosted.perform(self._account, session_id, outcome)
            except ApiError:  # no longer open
                skipped.append(session_id)
            else:
                done.append(session_id)
        return {"outcome": outcome, "done": done, "skipped": skipped}

    def _open_sessions(self, limit: int) -> list[str]:
        rows = self._account.store.rows(
            "SELECT id FROM objects WHERE kind = 'checkout.session'"
            " AND json_extract(body, '$.status') = 'open' ORDER BY seq LIMIT ?",
            (limit,),
        )
        return [row["id"] for row in rows]

    def finish_delayed(self, payment: str = "last", outcome: str = "success") -> Json:
        """A delayed payment arrives (success) or does not (failure)."""
        if outcome not in ("success", "failure"):
            raise invalid(f"no such outcome: {outcome}; one of success, failure", "outcome")
        return checkout.finish_delayed(self._account, self.session_of(payment), outcome == "success")

    def expire(self, payment: str = "last") -> Json:
        """Expire an open session before its time."""
        return checkout.expire(self._account, self.session_of(payment))

    def settle(self, payment: str = "") -> Json:
        """Let the balance transaction of a payment appear now; of all payments when none is named."""
        if payment:
            charges = [self._charge_of(payment)]
        else:
            unsettled = "json_extract(body, '$.balance_transaction') IS NULL"
            charges = [charge["id"] for charge in self._account.store.find("charge", unsettled)]
        settled = [balance.settle_charge(self._account, charge_id) for charge_id in charges]
        return {"transactions": [txn["id"] for txn in settled if txn]}

    def _charge_of(self, payment: str) -> str:
        session = self._account.store.get(self.session_of(payment)) or {}
        intent = self._account.store.get(session["payment_intent"] or "") or {}
        if not intent.get("latest_charge"):
            raise refused(f"{payment} has no charge.")
        return str(intent["latest_charge"])

    # Refunds

    def refund(self, payment: str = "last", amount: int = 0, status: str = "succeeded", reason: str = "") -> Json:
        """Refund a payment from the dashboard: `amount` in minor units, 0 for all that is left.

        Status: succeeded, pending or requires_action.
        """
        if status not in ("succeeded", "pending", "requires_action"):
            raise invalid(f"no such status: {status}", "status")
        params: Json = {"charge": self._charge_of(payment)}
        params.update({"amount": amount} if amount else {}, **({"reason": reason} if reason else {}))
        return refunds.create(self._account, params, status)

    def finish_refund(self, refund: str) -> Json:
        """A pending refund reaches the donor."""
        return refunds.succeed(self._account, refund)

    def fail_refund(self, refund: str, reason: str = "expired_or_canceled_card") -> Json:
        """A refund, pending or succeeded long ago, comes back: the money returns to the balance."""
        return refunds.fail(self._account, refund, reason)

    def cancel_refund(self, refund: str) -> Json:
        """A refund that waits for the donor (requires_action) is called off."""
        return refunds.cancel(self._account, refund)

    # Disputes

    def dispute(
        self,
        payment: str = "last",
        amount: int = 0,
        reason: str = "fraudulent",
        inquiry: bool = False,
        withdraw: bool = True,
    ) -> Json:
        """The bank disputes a payment and takes the funds; with `inquiry` it only asks (warning)."""
        charge = self._charge_of(payment)
        return disputes.open_dispute(self._account, charge, amount or None, reason, inquiry, withdraw)

    def withdraw_funds(self, dispute: str) -> Json:
        """Take the funds of a dispute that was opened without."""
        return disputes.withdraw_funds(self._account, dispute)

    def review_dispute(self, dispute: str) -> Json:
        """Evidence was sent: under review."""
        return disputes.review(self._account, dispute)

    def win_dispute(self, dispute: str) -> Json:
        """Won: funds and fee come back."""
        return disputes.win(self._account, dispute)

    def lose_dispute(self, dispute: str) -> Json:
        """Lost: the funds stay with the donor."""
        return disputes.lose(self._account, dispute)

    def close_inquiry(self, dispute: str) -> Json:
        """The bank's question is answered; no money moved."""
        return disputes.close_inquiry(self._account, dispute)

    def escalate_inquiry(self, dispute: str) -> Json:
        """The inquiry becomes a dispute; the funds are withdrawn."""
        return disputes.escalate_inquiry(self._account, dispute)

    # Payouts

    def payout(self, outcome: str = "paid", available_only: bool = False) -> Json:
        """Pay out the balance, pending transactions included unless `available_only`; paid or failed."""
        if outcome not in ("paid", "failed"):
            raise invalid(f"no such outcome: {outcome}; one of paid, failed", "outcome")
        return payouts.create(self._account, available_only, outcome)

    def fail_payout(self, payout: str, code: str = "account_closed") -> Json:
        """The bank returns a payout, even one that was paid."""
        return payouts.fail(self._account, payout, code)

    # The world around

    def fault(
        self,
        kind: str,
        times: int = 0,
        seconds: float = 0.0,
        path: str = "",
        method: str = "",
        sticky: bool = False,
    ) -> Json:
        """Trouble for the API's next `times` requests (0: until cleared): slow, error, rate_limit, garbage,
        close or lost; `path` is a prefix such as /v1/refunds.
        """
        try:
            self._faults.add(Fault(kind, times or None, seconds, path, method, sticky))
        except ValueError as error:
            raise invalid(str(error), "kind") from error
        return {"faults": self._faults.listed()}

    def clear_faults(self) -> Json:
        """No more trouble."""
        self._faults.clear()
        return {"faults": []}

    def set_rate(self, currency: str, rate: float) -> Json:
        """Convert this currency at another rate from now on."""
        if rate <= 0:
            raise invalid("the rate must be above zero", "rate")
        self._account.set_rate(currency.lower(), rate)
        return {"rates": self._account.rates}

    def advance_clock(self, seconds: float) -> Json:
        """Let the server's clock jump ahead."""
        self._account.clock.advance(seconds)
        return {"now": self._account.clock.timestamp(), "clock_offset": self._account.clock.offset}


# fmt: off
NAMES = [
    "pay", "finish_delayed", "expire", "settle", "refund", "finish_refund", "fail_refund", "cancel_refund",
    "dispute", "withdraw_funds", "review_dispute", "win_dispute", "lose_dispute", "close_inquiry",
    "escalate_inquiry", "payout", "fail_payout", "resend", "deliver_twice", "out_of_order", "hold", "release",
    "drop", "stop_dropping", "bad_signature", "forge", "fault", "clear_faults", "set_rate", "advance_clock",
]
# fmt: on


def parameters(name: str) -> list[inspect.Parameter]:
    """The arguments of a drill, as its signature has them."""
    signature = inspect.signature(getattr(Drills, name))
    return [parameter for parameter in signature.parameters.values() if parameter.name != "self"]


def run(drills: Drills, name: str, arguments: Json) -> Json:
    """Call a drill by name; raises ApiError for a name, argument or type it does not have."""
    if name not in NAMES:
        raise ApiError(f"No such drill: {name}; one of {', '.join(NAMES)}", status=404)
    known = {parameter.name: parameter for parameter in parameters(name)}
    for argument in arguments:
        if argument not in known:
            raise invalid(f"{name} takes no {argument}", argument, "parameter_unknown")
    for argument, parameter in known.items():
        if parameter.default is parameter.empty and argument not in arguments:
            raise invalid(f"{name} needs {argument}", argument, "parameter_missing")
    typed = {argument: _typed(value, known[argument]) for argument, value in arguments.items()}
    method: Callable[..., Json] = getattr(drills, name)
    return method(**typed)


def _typed(value: Any, parameter: inspect.Parameter) -> Any:
    """Accept JSON's own types, and the strings of a form or a command line."""
    kind = parameter.annotation
    try:
        if kind is bool:
            return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
        if kind in (int, float):
            return kind(value)
        if kind == Sequence[str]:
            return [value] if isinstance(value, str) else [str(item) for item in value]
        return value if kind is not str else str(value)
    except (KeyError, TypeError, ValueError) as error:
        raise invalid(f"{parameter.name} cannot be {value!r}", parameter.name) from error
