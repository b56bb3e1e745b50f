"""Settlement: what the provider kept and what it owes us, posted to the ledger once for each of its lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from core.db import db, insert_if_absent
from core.money import Money
from donations.models import Dispute, Payment, Refund
from finance.findings import Finding, open_finding
from finance.models import SettlementLine
from finance.strays import ASIDE as ASIDE_KIND
from finance.strays import PREFIX as STRAY_KIND
from finance.strays import aside_lines, stray_behind, stray_lines
from ledger import accounts
from ledger.corrections import book_again, moved_by, rebook, standing_entries
from ledger.models import Fund, JournalEntry
from ledger.services import (
    Line,
    Source,
    close_exception,
    find_standing,
    open_exception,
    post_entry,
    reverse_entry,
    transfer,
)
from payments.base import Settlement, SettlementKind

PAYOUT_KINDS = (SettlementKind.PAYOUT, SettlementKind.PAYOUT_FAILURE)
PAYOUT_ENDED = ("failed", "canceled")
WAITING_KINDS = ("unmatched_settlement", "missing_event")


@dataclass(frozen=True, slots=True)
class _Origin:
    """The payment that a line is about, and the gross amount of the line in the fund's currency, with its sign."""

    payment: Payment
    gross: Money


@dataclass(frozen=True, slots=True)
class _Booking:
    """How a line is booked: the kind of its entry, its postings, the gift it belongs to."""

    kind: str
    lines: list[Line]
    donation_id: int | None = None
    unexplained: bool = False  # a person decides what it was for


def record_settlement(provider: str, line: Settlement, now: datetime) -> None:
    """Keep a provider's line as it gave it and post it; a line known already is posted only if it was not yet."""
    new = insert_if_absent(
        SettlementLine,
        provider=provider,
        ref=line.ref,
        kind=line.kind.value,
        currency=line.amount.currency,
        amount_minor=line.amount.minor,
        fee_minor=line.fee.minor,
        net_minor=line.net.minor,
        exchange_rate=None if line.exchange_rate is None else str(line.exchange_rate),
        created_at=line.created_at,
        available_at=line.available_at,
        payment_ref=line.payment_ref,
        refund_ref=line.refund_ref,
        dispute_ref=line.dispute_ref,
        payout_ref=line.payout_ref,
        payload=dict(line.payload),
        recorded_at=now,
        payout_recorded_at=now if line.payout_ref else None,
    )
    row = db.session.scalars(
        sa.select(SettlementLine).where(SettlementLine.provider == provider, SettlementLine.ref == line.ref)
    ).one()
    if not new:
        _compare(row, line, now)
    if row.posted_at is None and post_line(row, now) and not new:
        _matched(row, now)


def _compare(row: SettlementLine, line: Settlement, now: datetime) -> None:
    """A line never changes at the provider: where ours says something else, one of the two is wrong, and shown.

    The details are what the provider says at this reading.
    """
    told: dict[str, Any] = {"amount": line.amount.minor, "fee": line.fee.minor, "net": line.net.minor}
    told |= {"currency": line.amount.currency, "rate": None if line.exchange_rate is None else str(line.exchange_rate)}
    if row.kind != line.kind:
        names = {"payment": line.payment_ref, "refund": line.refund_ref, "dispute": line.dispute_ref}
        told |= {"kind": line.kind.value, **names, "payout": line.payout_ref}
    rate = None if row.exchange_rate is None else Decimal(row.exchange_rate)
    here = (row.kind, row.amount_minor, row.currency, rate)
    same = here == (line.kind, line.amount.minor, line.amount.currency, line.exchange_rate)
    fee = row.fee_minor == line.fee.minor and row.net_minor == line.net.minor
    for kind, differs in (("line_differs", not same), ("fee_changed", same and not fee)):
        if differs:
            amount = Money(line.net.minor - row.net_minor, row.currency)
            open_finding(Finding(kind, "settlement", row.ref, amount, None, told), now)
        else:
            close_exception(kind, "settlement", row.ref, now=now)


def _matched(row: SettlementLine, now: datetime) -> None:
    for kind in WAITING_KINDS:
        close_exception(kind, "settlement", row.ref, now=now)


def waiting_kind(row: SettlementLine) -> str:
    """What it is called when a line has waited for too long: a charge means that a gift was never told to us."""
    return "missing_event" if row.kind == SettlementKind.CHARGE else "unmatched_settlement"


def post_line(row: SettlementLine, now: datetime) -> bool:
    """Post a line if everything it is about is known; whether it was posted."""
    booking = _booking(row)
    if booking is None:
        return False
    if booking.unexplained:
        amount = Money(row.net_minor, row.currency)
        open_exception("unexplained_settlement", "settlement", row.ref, now=now, amount=amount)
    if booking.lines:
        source, donation_id = Source("settlement", row.ref, booking.kind), booking.donation_id
        book_again(source, booking.lines, occurred_at=row.created_at, recorded_at=now, donation_id=donation_id)
    row.posted_at = now
    db.session.flush()
    return True


def _booking(row: SettlementLine, payer: str | None = None) -> _Booking | None:
    """How a line has to be booked; None while what it is about is not known. `payer`, if given, bears its fee."""
    net = Money(row.net_minor, row.currency)
    provider_account = accounts.provider_balance(row.provider, row.currency)
    origin = _origin_of(row)
    donation_id = origin.payment.donation_id if origin else None
    if row.kind in PAYOUT_KINDS:
        return _Booking(row.kind, transfer(accounts.transit(row.provider, row.currency), provider_account, -net))
    if is_only_fee(row) and (origin or _names_something(row)):
        if origin is None or (ratio := _ratio_of(origin.payment)) is None:
            return None
        return _Booking(row.kind, _fee_lines(row, origin.payment, ratio, payer), donation_id)
    if row.kind in (SettlementKind.OTHER, SettlementKind.FEE) or not row.amount_minor:
        # Nothing has a ratio that would bring it to a fund's currency: a person decides.
        return _Booking(row.kind, transfer(provider_account, accounts.suspense(row.currency), net), unexplained=True)
    if origin:
        return _Booking(row.kind, _conversion_lines(row, origin, payer), donation_id)
    if stray := stray_behind(row):
        return _Booking(STRAY_KIND + row.kind, stray_lines(row, stray))
    return None


def rebook_line(row: SettlementLine, now: datetime) -> None:
    """Make what is booked of a line what it should be by what is known now: entries only, none where all is right.

    Whoever bore its fee bears it still. A line that nothing is known of waits again, or stands in suspense if a person
    had put it there.
    """
    standing = standing_entries("settlement", row.ref)
    aside = any(entry.kind.startswith(ASIDE_KIND) for entry in standing)
    booking = _booking(row, _payer_of(moved_by(standing)))
    if booking is None and aside:
        booking = _Booking(ASIDE_KIND + row.kind, aside_lines(row))
    changed = rebook(
        Source("settlement", row.ref, booking.kind if booking else row.kind),
        booking.lines if booking else [],
        occurred_at=row.created_at,
        recorded_at=now,
        donation_id=booking.donation_id if booking else None,
    )
    row.posted_at = (row.posted_at or now) if booking else None
    if changed and standing:
        take_fee_back(row, now)
    if booking and booking.unexplained:
        amount = Money(row.net_minor, row.currency)
        open_finding(Finding("unexplained_settlement", "settlement", row.ref, amount), now)
    db.session.flush()


def take_fee_back(row: SettlementLine, now: datetime) -> None:
    """What a person has charged to a fund of a line that named nothing goes back to suspense."""
    rebook(Source("settlement_fee", row.ref, "fee"), [], occurred_at=row.created_at, recorded_at=now)


def _payer_of(moved: dict[str, int]) -> str | None:
    """Who bears the fee by these movements of accounts; None when there is none."""
    if any(code.startswith("sponsor:") for code in moved):
        return "sponsor"
    return "fund" if any(code.startswith("fund:") for code in moved) else None


def set_aside(row: SettlementLine, now: datetime) -> bool:
    """Book a waiting line to suspense, so that our books equal the provider's; False when it does not wait any more.

    When what it is about becomes known after all, that is taken back and the line is posted as it should be.
    """
    if row.posted_at is not None:
        return False
    if lines := aside_lines(row):
        source = Source("settlement", row.ref, ASIDE_KIND + row.kind)
        post_entry(source, lines, occurred_at=row.created_at, recorded_at=now)
    row.posted_at = now
    db.session.flush()
    return True


def misplaced_lines(payment_ref: str | None = None) -> list[int]:
    """Ids of lines that stand outside every fund though what they are about is known better by now."""
    query = sa.select(SettlementLine).where(SettlementLine.posted_at.is_not(None))
    if payment_ref is not None:
        query = query.where(SettlementLine.payment_ref == payment_ref)
    else:
        outside = sa.or_(JournalEntry.kind.startswith(STRAY_KIND), JournalEntry.kind.startswith(ASIDE_KIND))
        entries = sa.select(JournalEntry.source_id).where(JournalEntry.source_type == "settlement", outside)
        query = query.where(SettlementLine.ref.in_(entries))
    return [row.id for row in db.session.scalars(query.order_by(SettlementLine.ref)) if _is_misplaced(row)]


def _is_misplaced(row: SettlementLine) -> bool:
    kind = next((prefix for prefix in (STRAY_KIND, ASIDE_KIND) if _stands(row, prefix + row.kind)), None)
    return kind is not None and bool(_origin_of(row) or (kind == ASIDE_KIND and stray_behind(row)))


def _stands(row: SettlementLine, kind: str) -> bool:
    """Whether there is such an entry of the line, and it was not taken back."""
    return find_standing(Source("settlement", row.ref, kind)) is not None


def replace_line(line_id: int, now: datetime) -> None:
    """Take back what was booked outside of every fund, and post the line as what it is known to be now."""
    row = db.session.get_one(SettlementLine, line_id)
    for prefix in (STRAY_KIND, ASIDE_KIND):
        source = Source("settlement", row.ref, prefix + row.kind)
        reverse_entry(source, f"{source.kind}_placed", occurred_at=row.created_at, recorded_at=now)
    row.posted_at = None
    post_line(row, now)


def _origin_of(row: SettlementLine) -> _Origin | None:
    match row.kind:
        case SettlementKind.CHARGE:
            payment = _payment(row)
            return _Origin(payment, payment.amount) if payment else None
        case SettlementKind.REFUND | SettlementKind.REFUND_FAILURE:
            refund = db.session.scalar(
                sa.select(Refund).where(Refund.provider == row.provider, Refund.refund_ref == row.refund_ref)
            )
            sign = -1 if row.kind == SettlementKind.REFUND else 1
            return _Origin(refund.payment, Money(sign * refund.amount_minor, refund.currency)) if refund else None
        case SettlementKind.FEE | SettlementKind.DISPUTE | SettlementKind.DISPUTE_REVERSAL if row.dispute_ref:
            dispute = db.session.scalar(
                sa.select(Dispute).where(Dispute.provider == row.provider, Dispute.dispute_ref == row.dispute_ref)
            )
            sign = -1 if row.kind == SettlementKind.DISPUTE else 1
            return _Origin(dispute.payment, Money(sign * dispute.amount_minor, dispute.currency)) if dispute else None
        case SettlementKind.FEE:
            payment = _payment(row)
            return _Origin(payment, payment.amount) if payment else None
    return None


def is_only_fee(row: SettlementLine) -> bool:
    """Whether a line takes a fee and moves nothing else."""
    return row.kind == SettlementKind.FEE or (row.kind != SettlementKind.OTHER and not row.amount_minor)


def _names_something(row: SettlementLine) -> bool:
    return bool(row.payment_ref or row.refund_ref or row.dispute_ref)


def _ratio_of(payment: Payment) -> tuple[Money, Money] | None:
    """(What was given, what it was settled as) of a payment; None while its own line is not here."""
    charge = db.session.scalar(
        sa.select(SettlementLine).where(
            SettlementLine.provider == payment.provider,
            SettlementLine.payment_ref == payment.payment_ref,
            SettlementLine.kind == SettlementKind.CHARGE.value,
            SettlementLine.amount_minor != 0,
        )
    )
    return (payment.amount, Money(charge.amount_minor, charge.currency)) if charge else None


def _fee_lines(
    row: SettlementLine, payment: Payment, ratio: tuple[Money, Money], payer: str | None = None
) -> list[Line]:
    """A fee on a line of its own, such as that of a dispute, at the ratio at which the payment was settled."""
    fund, net = payment.donation.campaign.fund, Money(row.net_minor, row.currency)
    cost = (-net).at_ratio(*ratio)
    return [
        *transfer(accounts.provider_balance(row.provider, row.currency), accounts.conversion(row.currency), net),
        *transfer(_fee_account(payment, fund, payer), accounts.conversion(fund.currency), cost),
    ]


def _payment(row: SettlementLine) -> Payment | None:
    query = sa.select(Payment).where(Payment.provider == row.provider, Payment.payment_ref == row.payment_ref)
    payment = db.session.scalar(query)
    return payment if payment and payment.state == "succeeded" else None


def _conversion_lines(row: SettlementLine, origin: _Origin, payer: str | None = None) -> list[Line]:
    """The settled net on the provider's side; what it settles, and the fee at the line's own ratio, on the fund's."""
    fund = origin.payment.donation.campaign.fund
    net = Money(row.net_minor, row.currency)
    fee = Money(row.fee_minor, row.currency).at_ratio(origin.gross, Money(row.amount_minor, row.currency))
    receivable = accounts.receivable(row.provider, fund)
    return [
        *transfer(accounts.provider_balance(row.provider, row.currency), accounts.conversion(row.currency), net),
        *transfer(accounts.conversion(fund.currency), receivable, origin.gross - fee),
        *transfer(_fee_account(origin.payment, fund, payer), receivable, fee),
    ]


def _fee_account(payment: Payment, fund: Fund, payer: str | None = None) -> accounts.AccountRef:
    if (payer or payment.donation.campaign.fees_borne_by) == "sponsor":
        return accounts.sponsor(fund)
    return accounts.of_fund(fund, "fee")


def waiting_lines(payment_ref: str | None = None) -> list[int]:
    """Ids of lines that came before what they are about was known, of one payment or all."""
    query = sa.select(SettlementLine.id).where(SettlementLine.posted_at.is_(None)).order_by(SettlementLine.ref)
    if payment_ref is not None:
        query = query.where(SettlementLine.payment_ref == payment_ref)
    return list(db.session.scalars(query))


def post_named_lines(provider: str, refs: Sequence[str], now: datetime) -> None:
    """Post those of these lines that wait, as far as what they are about is known by now."""
    query = sa.select(SettlementLine).where(
        SettlementLine.provider == provider, SettlementLine.ref.in_(refs), SettlementLine.posted_at.is_(None)
    )
    for row in db.session.scalars(query.order_by(SettlementLine.ref)):
        if post_line(row, now):
            _matched(row, now)


def post_waiting_line(line_id: int, now: datetime) -> None:
    """Post a line if what it is about is known by now, and take it off the list of what finance must look at."""
    row = db.session.get_one(SettlementLine, line_id)
    if row.posted_at is None and post_line(row, now):
        _matched(row, now)


def settled_lines(
    row: SettlementLine, payment: Payment, gross: Money, ratio: tuple[Money, Money] | None
) -> list[Line] | None:
    """What a line of this payment posts; None when that needs the ratio of a payment that is not settled yet."""
    if not is_only_fee(row):
        return _conversion_lines(row, _Origin(payment, gross))
    return None if ratio is None else _fee_lines(row, payment, ratio)
