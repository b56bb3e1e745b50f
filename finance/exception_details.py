"""What an exception is about and what is known of it, in words: kinds of things, figures with their currency, and the
provider's own references, to look them up there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import format_date, format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.db import db
from core.i18n import format_money
from core.money import EXPONENTS, Money
from donations.models import Dispute, DisputeMovement, Payment, Refund
from finance.models import SettlementLine
from finance.names import PAYMENT_STATE_NAMES, entry_name
from ledger.models import JournalEntry, LedgerException

CHECK_NAMES = {
    "entries_balanced": _l("Every entry sums to zero"),
    "totals_equal_postings": _l("Kept sums equal the postings"),
    "paid_donations_are_booked": _l("Every paid donation is booked"),
    "facts_have_entries": _l("Payments, refunds and lines are booked once, with their amounts"),
    "spending_within_available": _l("No payment to a programme above what was available"),
    "codes_match_payments": _l("Codes for stickers match payments"),
    "settlements_explained": _l("No line of the provider waits or stands unexplained for long"),
    "closed_months_unchanged": _l("Closed months are as they were signed"),
    "audit_chain_whole": _l("The audit log was not edited"),
}
THING_NAMES = {
    "payment": _l("Payment"),
    "refund": _l("Refund"),
    "dispute": _l("Dispute"),
    "settlement": _l("Line of the provider"),
    "line": _l("Line of the provider"),
    "entry": _l("Entry"),
    "payout": _l("Payout"),
    "account": _l("Account"),
    "bank_line": _l("Bank line"),
    "disbursement": _l("Payment to a programme"),
    "sponsor": _l("Payment of the sponsor"),
    "summary": _l("Kept sum"),
    "check": _l("Check"),
    "event": _l("Event"),
}
MONEY_NAMES = {
    "booked": _l("Booked"),
    "expected": _l("It should be"),
    "settled": _l("Settled by the provider"),
    "amount": _l("Amount, as the provider says"),
    "fee": _l("Fee, as the provider says"),
    "net": _l("Net, as the provider says"),
    "provider": _l("The provider says"),
    "books": _l("Our books say"),
    "its line": _l("Its own line says"),
    "its lines": _l("Its lines come to"),
}
DAY_NAMES = {"day": _l("Day"), "statements": _l("Statements are here up to")}
COUNT_NAMES = {"count": _l("How many")}
TEXT_NAMES = {
    "examples": _l("For example"),
    "says": _l("The bank writes"),
    "document": _l("Document"),
    "entry": _l("Entry"),
    "reason": _l("The provider's reason"),
    "type": _l("Kind of the event"),
    "error": _l("Error"),
    "state": _l("State at the provider"),
}
WHY_UNREAD = {
    "provider_unavailable": _l("it does not answer"),
    "provider_refused": _l("it refuses us; the key may have expired"),
    "its balance does not stand still": _l("its balance does not stand still"),
}
SAID = frozenset({"currency"})  # said with each amount
_REFERENCE = re.compile(r"\b[a-z]{2,5}_\w+\b", re.ASCII)  # ch_…, pi_…, txn_…


@dataclass(frozen=True)
class Detail:
    """A label and what it says; `code` is written as it is, to be copied."""

    label: Any
    text: str
    code: bool = False


def check_name(name: str) -> Any:
    return CHECK_NAMES.get(name, name)


def why_unread(code: str) -> Any:
    return WHY_UNREAD.get(code, code)


def about(row: LedgerException) -> Detail:
    """What it is about."""
    if row.source_type == "check":
        return Detail(THING_NAMES["check"], str(check_name(row.source_id)))
    return Detail(THING_NAMES.get(row.source_type, row.source_type), row.source_id, code=True)


def details(row: LedgerException) -> list[Detail]:
    """All that is kept of it; what has no words yet stands under its own name."""
    currency = row.details.get("currency") or row.currency
    return [_detail(name, value, currency) for name, value in row.details.items() if name not in SAID]


def _detail(name: str, value: Any, currency: str | None) -> Detail:
    if name in MONEY_NAMES and type(value) is int and currency is not None and currency in EXPONENTS:
        return Detail(MONEY_NAMES[name], format_money(Money(value, currency)))
    if name in DAY_NAMES:
        return Detail(DAY_NAMES[name], _day(value))
    if name in COUNT_NAMES and type(value) is int:
        return Detail(COUNT_NAMES[name], format_decimal(value))
    label = TEXT_NAMES.get(name) or MONEY_NAMES.get(name) or COUNT_NAMES.get(name) or name
    if name == "state" and value in PAYMENT_STATE_NAMES:
        return Detail(label, str(PAYMENT_STATE_NAMES[value]))
    if name == "entry":
        return Detail(label, _entry_said(str(value)))
    return Detail(label, _text(value), code=name in ("reason", "type", "error"))


def _day(value: Any) -> str:
    if value is None:
        return str(_("none yet"))
    try:
        return str(format_date(date.fromisoformat(value), format="long"))
    except (TypeError, ValueError):
        return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(_text(each) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_text(each)}" for name, each in value.items())
    return "–" if value is None else str(value)


def _entry_said(text: str) -> str:
    """`settlement txn_1 charge`: the kind of the entry in words, and the reference."""
    parts = text.split(" ")
    return f"{entry_name(parts[2])}: {parts[1]}" if len(parts) == 3 else text


def references(row: LedgerException) -> list[Detail]:
    """What it is called at the provider, to look it up there; each once."""
    found = dict.fromkeys(each for each in _references(row) if each[1] and each[1] != row.source_id)
    return [Detail(label, str(text), code=True) for label, text in found]


def _references(row: LedgerException) -> Iterator[tuple[Any, str | None]]:
    kind, ref = row.source_type, row.source_id
    if kind == "entry":
        kind, ref = _behind_entry(ref)
        yield THING_NAMES.get(kind, kind), ref if _REFERENCE.fullmatch(ref) else None
    match kind:
        case "settlement" | "line":
            for line in db.session.scalars(sa.select(SettlementLine).where(SettlementLine.ref == ref)):
                yield from _of_line(line)
        case "payment":
            found = db.session.scalar(sa.select(Payment).where(Payment.public_id == ref))
            yield from _of_payment(found)
        case "refund":
            own = sa.or_(Refund.public_id == ref, Refund.refund_ref == ref)
            refund = db.session.scalar(sa.select(Refund).where(own))
            if refund is not None:
                yield _l("Refund at the provider"), refund.refund_ref
                yield from _of_payment(refund.payment)
        case "dispute":
            moved = sa.select(DisputeMovement.dispute_id).where(DisputeMovement.settlement_ref == ref)
            own = sa.or_(Dispute.dispute_ref == ref, Dispute.id.in_(moved))
            dispute = db.session.scalar(sa.select(Dispute).where(own))
            if dispute is not None:
                yield _l("Dispute at the provider"), dispute.dispute_ref
                yield from _of_payment(dispute.payment)
        case "payout":
            yield _l("Payout at the provider"), ref.partition(":")[2]


def _behind_entry(number: str) -> tuple[str, str]:
    try:
        entry = db.session.get(JournalEntry, UUID(number))
    except ValueError:
        entry = None
    return (entry.source_type, entry.source_id) if entry else ("", "")


def _of_payment(payment: Payment | None) -> Iterator[tuple[Any, str | None]]:
    if payment is not None:
        yield _l("Payment at the provider"), payment.payment_ref
        yield _l("Payment page at the provider"), payment.checkout_ref


def _of_line(line: SettlementLine) -> Iterator[tuple[Any, str | None]]:
    yield _l("Line of the provider"), line.ref
    yield _l("Payment at the provider"), line.payment_ref
    yield _l("Refund at the provider"), line.refund_ref
    yield _l("Dispute at the provider"), line.dispute_ref
    yield _l("Payout at the provider"), line.payout_ref
