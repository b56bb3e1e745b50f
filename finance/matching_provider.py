"""What we know against what the provider says: each fact has one line of its account, with equal amounts.

Whether each has its entry is asked in `finance.matching_facts`.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from core.db import db
from core.money import EXPONENTS, Money
from donations.models import Dispute, DisputeMovement, Payment, Refund
from finance.findings import Finding
from finance.models import PayoutRecord, SettlementLine
from finance.services import PAYOUT_ENDED, PAYOUT_KINDS
from payments.base import SettlementKind

PATIENCE = timedelta(days=3)  # until a line of the provider is missed
REQUEST_PATIENCE = timedelta(days=1)  # until a refund that we want is missed at the provider


def provider_findings(now: datetime) -> Iterator[Finding]:
    """All that does not agree between what we know and the provider's lines."""
    yield from _refunds(now)
    yield from _missing_lines(now)
    yield from _doubled_lines()
    yield from _wrong_lines()
    yield from _payouts()


def _refunds(now: datetime) -> Iterator[Finding]:
    """Every refund that we have given is known at the provider."""
    line = _line_of(Refund.provider, SettlementKind.REFUND, SettlementLine.refund_ref == Refund.refund_ref)
    told = sa.and_(Refund.state.in_(("pending", "succeeded")), Refund.created_at < now - PATIENCE, ~line)
    asked = sa.and_(Refund.state == "requested", Refund.created_at < now - REQUEST_PATIENCE)
    missing = sa.select(Refund).where(sa.or_(told, asked)).order_by(Refund.id)
    for refund in db.session.scalars(missing):
        amount, donation_id = refund.amount, refund.payment.donation_id
        yield Finding("refund_not_at_provider", "refund", refund.public_id, amount, donation_id)


def _line_of(provider: Any, kind: SettlementKind, names: Any) -> Any:
    """Whether there is a line of that kind that names it."""
    return sa.exists().where(SettlementLine.provider == provider, SettlementLine.kind == kind.value, names)


def _missing_lines(now: datetime) -> Iterator[Finding]:
    """Payments and movements of disputes that the provider's account has no line of, days later."""
    late = now - PATIENCE
    charge = _line_of(Payment.provider, SettlementKind.CHARGE, SettlementLine.payment_ref == Payment.payment_ref)
    payments = sa.select(Payment).where(Payment.state == "succeeded", Payment.succeeded_at < late, ~charge)
    for payment in db.session.scalars(payments.order_by(Payment.id)):
        yield Finding("missing_settlement", "payment", payment.public_id, payment.amount, payment.donation_id)
    line = sa.exists().where(
        SettlementLine.provider == DisputeMovement.provider, SettlementLine.ref == DisputeMovement.settlement_ref
    )
    movements = (
        sa.select(DisputeMovement.settlement_ref, Dispute)
        .join(Dispute, Dispute.id == DisputeMovement.dispute_id)
        .where(DisputeMovement.occurred_at < late, ~line)
    )
    for ref, dispute in db.session.execute(movements):
        amount = Money(dispute.amount_minor, dispute.currency)
        yield Finding("missing_settlement", "dispute", ref, amount, dispute.payment.donation_id)


def _doubled_lines() -> Iterator[Finding]:
    """Two lines of the provider that say the same of one thing."""
    for kind, column in (
        (SettlementKind.CHARGE, SettlementLine.payment_ref),
        (SettlementKind.REFUND, SettlementLine.refund_ref),
        (SettlementKind.REFUND_FAILURE, SettlementLine.refund_ref),
    ):
        query = (
            sa.select(SettlementLine.provider, column.label("names"))
            .where(SettlementLine.kind == kind.value, column.is_not(None))
            .group_by(SettlementLine.provider, column)
            .having(sa.func.count() > 1)
        )
        for provider, names in db.session.execute(query).all():
            same = sa.and_(SettlementLine.provider == provider, SettlementLine.kind == kind.value, column == names)
            newest = sa.select(SettlementLine).where(same).order_by(SettlementLine.id.desc()).limit(1)
            row = db.session.scalars(newest).one()
            yield Finding("doubled_row", "settlement", row.ref, Money(row.net_minor, row.currency), None)


def _wrong_lines() -> Iterator[Finding]:
    """Lines whose own figures do not add up, or that are not what their gift, refund or dispute is at their rate."""
    adds_up = SettlementLine.net_minor == SettlementLine.amount_minor - SettlementLine.fee_minor
    for row in db.session.scalars(sa.select(SettlementLine).where(~adds_up)):
        off = Money(row.net_minor - row.amount_minor + row.fee_minor, row.currency)
        yield Finding("wrong_amount", "line", row.ref, off)
    ours: tuple[tuple[Any, Any, tuple[str, ...]], ...] = (
        (Payment, SettlementLine.payment_ref == Payment.payment_ref, ("charge",)),
        (Refund, SettlementLine.refund_ref == Refund.refund_ref, ("refund", "refund_failure")),
        (Dispute, SettlementLine.dispute_ref == Dispute.dispute_ref, ("dispute", "dispute_reversal")),
    )
    for model, names, kinds in ours:
        mine = sa.and_(SettlementLine.provider == model.provider, names, SettlementLine.kind.in_(kinds))
        joined = sa.select(SettlementLine, model.amount_minor, model.currency).join(model, mine)
        joined = joined.where(SettlementLine.amount_minor != 0)
        if model is Payment:
            joined = joined.where(Payment.state == "succeeded")
        pairs = sa.select(model.currency, SettlementLine.currency).join(model, mine).distinct()
        for here, there in db.session.execute(pairs).all():
            of_pair = joined.where(model.currency == here, SettlementLine.currency == there)
            for row, minor, currency in db.session.execute(of_pair.where(_is_off(model, here, there))):
                expected = at_rate(minor, currency, row)
                details = {"expected": expected, "settled": abs(row.amount_minor)}
                off = Money(abs(row.amount_minor) - (expected or 0), row.currency)
                yield Finding("wrong_amount", "line", row.ref, off, None, details)


def _is_off(model: Any, here: str, there: str) -> Any:
    """Whether a line is more than a unit away from the amount at its own rate; for money of these two currencies."""
    settled, given = sa.func.abs(SettlementLine.amount_minor), model.amount_minor
    if here == there:
        return settled != given
    scale = 10.0 ** (EXPONENTS[there] - EXPONENTS[here])
    rate = sa.cast(SettlementLine.exchange_rate, sa.Float)
    return sa.or_(SettlementLine.exchange_rate.is_(None), sa.func.abs(settled - given * rate * scale) > 1.0)


def at_rate(minor: int, currency: str, row: SettlementLine) -> int | None:
    """An amount at a line's own rate, in minor units of the line's currency; None when the line tells no rate."""
    if row.exchange_rate is None:
        return minor if currency == row.currency else None
    return round(Decimal(minor) * Decimal(row.exchange_rate).scaleb(EXPONENTS[row.currency] - EXPONENTS[currency]))


def _payouts() -> Iterator[Finding]:
    """A payout is what its own line says, and the sum of the lines it consists of."""
    own, part = aliased(SettlementLine), aliased(SettlementLine)
    mine = sa.and_(own.provider == PayoutRecord.provider, own.payout_ref == PayoutRecord.ref)
    own_net = sa.select(sa.func.sum(own.net_minor)).where(mine, own.kind == PAYOUT_KINDS[0].value)
    parts = sa.select(sa.func.sum(part.net_minor)).where(
        part.provider == PayoutRecord.provider,
        part.payout_ref == PayoutRecord.ref,
        part.kind != PAYOUT_KINDS[0].value,
    )
    query = sa.select(PayoutRecord, own_net.scalar_subquery(), parts.scalar_subquery())
    for payout, line, lines in db.session.execute(query.where(PayoutRecord.state.not_in(PAYOUT_ENDED))):
        for what, said in (("its line", None if line is None else -int(line)), ("its lines", lines)):
            if said is not None and int(said) != payout.amount_minor:
                off = Money(payout.amount_minor - int(said), payout.currency)
                details = {what: int(said), "amount": payout.amount_minor}
                yield Finding("payout_short", "payout", f"{payout.provider}:{payout.ref}", off, None, details)
                break
