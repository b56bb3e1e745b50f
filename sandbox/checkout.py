"""Checkout Sessions: what may be asked for, and what becomes of them when a donor acts.

https://docs.stripe.com/api/checkout/sessions/create, https://docs.stripe.com/payments/checkout/how-checkout-works
"""

from sandbox import balance, shapes
from sandbox.account import Account
from sandbox.checks import MAX_AMOUNT
from sandbox.errors import ApiError, invalid, refused
from sandbox.money import MINIMUM_SETTLED, shown
from sandbox.store import Json

SHORTEST, LONGEST = 30 * 60, 24 * 3600
DELAYED_METHOD = "sepa_debit"
DESCRIPTOR_LENGTH = 22


def create(account: Account, params: Json) -> Json:
    """An open session; raises ApiError as Stripe refuses what the shape of parameters alone cannot tell."""
    now = account.clock.timestamp()
    lines, currency = _line_items(account, params)
    amount = sum(line["amount_total"] for line in lines)
    _check_total(account, amount, currency)
    _check_expiry(params, now)
    _check_descriptor(account, params.get("payment_intent_data", {}))
    session = shapes.session(now, params, amount, currency, account.base_url)
    with account.store.write():
        intent_data = params.get("payment_intent_data", {})
        account.store.insert(session, {"lines": lines, "payment_intent_data": intent_data})
        account.schedule("expire_session", session["id"], session["expires_at"] - account.clock.now())
    return session


def _line_items(account: Account, params: Json) -> tuple[list[Json], str]:
    currency: str | None = params.get("currency")
    lines = []
    for index, item in enumerate(params["line_items"]):
        price = item["price_data"]
        name = f"line_items[{index}][price_data][currency]"
        if price["currency"] not in account.rates:
            supported = ", ".join(sorted(account.rates))
            message = f"Invalid currency: {price['currency']}. Stripe currently supports these currencies: "
            raise invalid(message + supported, name)
        if currency not in (None, price["currency"]):
            raise invalid("All prices on a Checkout Session must use the same currency.", name)
        currency = price["currency"]
        wanted = {
            "unit_amount": price["unit_amount"],
            "quantity": item["quantity"],
            "name": price["product_data"]["name"],
        }
        lines.append(shapes.line_item(wanted, price["currency"]))
    if currency is None:
        raise invalid("You must provide at least one line item.", "line_items")
    return lines, currency


def _check_total(account: Account, amount: int, currency: str) -> None:
    """At most 99,999,999; at least about half a unit of the settlement currency, which Stripe converts to."""
    if amount > MAX_AMOUNT:
        most = shown(MAX_AMOUNT, currency)
        message = f"The Checkout Session's total amount due must be no more than {most}."
        raise invalid(message, "line_items", "amount_too_large")
    value, _ = balance.settled(account, amount, currency)
    if value < MINIMUM_SETTLED:
        least = shown(MINIMUM_SETTLED, account.settings.settlement_currency)
        message = f"The Checkout Session's total amount due must convert to at least {least}."
        raise invalid(message, "line_items", "amount_too_small")


def _check_expiry(params: Json, now: int) -> None:
    expires_at = params.get("expires_at")
    if expires_at is None:
        return
    if expires_at - now > LONGEST:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, "expires_at")
    if expires_at - now < SHORTEST:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, "expires_at")


def _check_descriptor(account: Account, intent_data: Json) -> None:
    """https://docs.stripe.com/get-started/account/statement-descriptors"""
    suffix = intent_data.get("statement_descriptor_suffix")
    if suffix is None:
        return
    name = "payment_intent_data[statement_descriptor_suffix]"
    if any(mark in suffix for mark in "<>\\'\"*"):
        raise invalid("The statement descriptor suffix cannot contain any of < > \\ ' \" *.", name)
    if not suffix.isascii() or not any(letter.isalpha() for letter in suffix):
        raise invalid("The statement descriptor suffix must be in Latin characters, with a letter.", name)
    if len(_descriptor(account, suffix)) > DESCRIPTOR_LENGTH:
        message = f"The statement descriptor, prefix included, must be at most {DESCRIPTOR_LENGTH} characters."
        raise invalid(message, name)


def _descriptor(account: Account, suffix: str | None) -> str:
    prefix = account.settings.statement_prefix
    return f"{prefix}* {suffix.upper()}" if suffix else prefix


# What a donor does


def pay(account: Account, session_id: str, email: str | None = None) -> Json:
    """The card is charged: the session is complete and paid. Raises ApiError when it is no longer open."""
    with account.store.write():
        session, intent = _begin(account, session_id, "card", email)
        charge = _attempt(account, session, intent, "card")
        _succeed(account, intent, charge)
        _complete(account, session, intent, email, "paid")
        account.emit("checkout.session.completed", session)
        _settle_later(account, charge)
    return session


def decline(account: Account, session_id: str, decline_code: str = "generic_decline") -> Json:
    """The card is refused: `payment_intent.payment_failed`, and the session stays open for another try."""
    with account.store.write():
        session, intent = _begin(account, session_id, "card", None)
        charge = _attempt(account, session, intent, "card")
        _fail(account, intent, charge, "card_declined", "Your card was declined.", decline_code)
        session["payment_intent"] = intent["id"]
        account.store.save(session)
    return session


def delay(account: Account, session_id: str, email: str | None = None) -> Json:
    """A method that takes days: the session is complete but unpaid until `finish_delayed`."""
    with account.store.write():
        session, intent = _begin(account, session_id, DELAYED_METHOD, email)
        charge = _attempt(account, session, intent, DELAYED_METHOD)
        intent.update(status="processing", payment_method=charge["payment_method"])
        account.store.save(intent)
        account.emit("payment_intent.processing", intent)
        account.emit("charge.pending", charge)
        session["payment_method_types"] = ["card", DELAYED_METHOD]
        _complete(account, session, intent, email, "unpaid")
        account.emit("checkout.session.completed", session)
        if account.settings.delayed_after is not None:
            account.schedule("finish_delayed", session_id, account.settings.delayed_after)
    return session


def finish_delayed(account: Account, session_id: str, succeeded: bool = True) -> Json:
    """The bank has answered. Raises ApiError unless the session's payment is processing."""
    with account.store.write():
        session = _session(account, session_id)
        intent = account.store.get(session["payment_intent"] or "", "payment_intent")
        if intent is None or intent["status"] != "processing":
            raise refused(f"{session_id} has no payment in progress.", "payment_intent_unexpected_state")
        charge = account.store.get(intent["latest_charge"], "charge") or {}
        if succeeded:
            _succeed(account, intent, charge)
            session["payment_status"] = "paid"
            account.store.save(session)
            account.emit("checkout.session.async_payment_succeeded", session)
            _settle_later(account, charge)
        else:
            message = "The customer's bank account could not be debited."
            _fail(account, intent, charge, "payment_method_provider_decline", message, "insufficient_funds")
            account.emit("checkout.session.async_payment_failed", session)
    return session


def expire(account: Account, session_id: str) -> Json:
    """Close an open session; raises ApiError when it is complete or expired already."""
    with account.store.write():
        session = _session(account, session_id)
        if session["status"] != "open":
            message = f"Only Checkout Sessions with a status in [open] can be expired. This one is {session['status']}."
            raise refused(message)
        session.update(status="expired", url=None)
        account.store.save(session)
        intent = account.store.get(session["payment_intent"] or "", "payment_intent")
        if intent is not None:
            now = account.clock.timestamp()
            intent.update(status="canceled", canceled_at=now, cancellation_reason="automatic")
            account.store.save(intent)
            account.emit("payment_intent.canceled", intent)
        account.emit("checkout.session.expired", session)
    return session


def _session(account: Account, session_id: str) -> Json:
    session = account.store.get(session_id, "checkout.session")
    if session is None:
        raise ApiError(f"No such checkout.session: '{session_id}'", status=404, code="resource_missing")
    return session


def _begin(account: Account, session_id: str, method: str, email: str | None) -> tuple[Json, Json]:
    """The open session and its intent, which comes into being with the first try to pay."""
    session = _session(account, session_id)
    if session["status"] != "open":
        raise refused(f"The Checkout Session is {session['status']}.", "payment_intent_unexpected_state")
    known = account.store.get(session["payment_intent"] or "", "payment_intent")
    if known is not None:
        known["payment_method_types"] = [method]
        return session, known
    data = {**account.store.hidden(session_id)["payment_intent_data"]}
    data.setdefault("receipt_email", email or session["customer_email"])
    now = account.clock.timestamp()
    intent = shapes.payment_intent(now, session["amount_total"], session["currency"], data, method)
    account.store.insert(intent, {"session": session_id})
    account.emit("payment_intent.created", intent)
    return session, intent


def _attempt(account: Account, session: Json, intent: Json, method: str) -> Json:
    descriptor = _descriptor(account, intent["statement_descriptor_suffix"])
    email = session["customer_email"] or intent["receipt_email"]
    charge = shapes.charge(account.clock.timestamp(), intent, email, descriptor, method)
    account.store.insert(charge)
    intent["latest_charge"] = charge["id"]
    return charge


def _succeed(account: Account, intent: Json, charge: Json) -> None:
    charge.update(status="succeeded", paid=True, captured=True, amount_captured=charge["amount"])
    charge["receipt_url"] = f"{account.base_url}/receipts/{charge['id']}"
    intent.update(
        status="succeeded",
        amount_received=intent["amount"],
        last_payment_error=None,
        payment_method=charge["payment_method"],
    )
    account.store.save(charge)
    account.store.save(intent)
    account.emit("charge.succeeded", charge)
    account.emit("payment_intent.succeeded", intent)


def _fail(account: Account, intent: Json, charge: Json, code: str, message: str, decline_code: str) -> None:
    charge.update(status="failed", failure_code=code, failure_message=message)
    charge["outcome"].update(
        network_status="declined_by_network",
        reason=decline_code,
        seller_message="The bank did not return any further details with this decline.",
        type="issuer_declined",
    )
    error = {"charge": charge["id"], "code": code, "decline_code": decline_code, "message": message}
    intent.update(status="requires_payment_method", last_payment_error={**error, "type": "card_error"})
    account.store.save(charge)
    account.store.save(intent)
    account.emit("charge.failed", charge)
    account.emit("payment_intent.payment_failed", intent)


def _complete(account: Account, session: Json, intent: Json, email: str | None, payment_status: str) -> None:
    session.update(status="complete", payment_status=payment_status, url=None, payment_intent=intent["id"])
    session["customer_details"] = shapes.customer_details(email or session["customer_email"])
    account.store.save(session)


def _settle_later(account: Account, charge: Json) -> None:
    delay_seconds = account.settings.txn_delay
    if delay_seconds == 0:
        balance.settle_charge(account, charge["id"])
    elif delay_seconds is not None:
        account.schedule("settle_charge", charge["id"], delay_seconds)
