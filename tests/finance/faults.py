"""Faults, each planted into a month that agrees, behind the service's back."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from donations.models import Payment, Refund
from donations.state import apply_refund_fact
from finance.models import PayoutRecord, SettlementLine
from ledger import accounts
from ledger.models import Fund
from ledger.services import Source, post_entry, transfer
from payments.base import RefundFact, RefundState
from tests.finance.month import March


def missing_event(march: March) -> None:
    march.on(30, month=3)
    march.give("never told", 4000)
    march.on(8, month=4)


def doubled_line(march: March) -> None:
    line = line_of("charge")
    values = {column.name: getattr(line, column.name) for column in SettlementLine.__table__.columns}
    with unit_of_work() as session:
        session.execute(sa.insert(SettlementLine), [{**values, "id": 100_000, "ref": "txn_again"}])


def doubled_entry(march: March) -> None:
    with unit_of_work() as session:
        fund = session.scalars(sa.select(Fund)).one()
        gift = transfer(accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift"), Money(700, "BYN"))
        source = Source("payment", "00000000-0000-4000-8000-000000000000", "gift")
        post_entry(source, gift, occurred_at=march.now, recorded_at=march.now)


def wrong_amount_of_a_gift(march: March) -> None:
    edit(Payment, Payment.state == "succeeded", amount_minor=Payment.amount_minor + 100)


def wrong_net_of_a_line(march: March) -> None:
    edit(SettlementLine, SettlementLine.kind == "charge", net_minor=SettlementLine.net_minor + 5)


def edited_rate(march: March) -> None:
    edit(SettlementLine, SettlementLine.kind == "charge", exchange_rate="0.5")


def fee_changed(march: March) -> None:
    """Of a gift that is in no payout yet."""
    one_more_gift(march, "fee changed")
    line = line_of("charge", newest=True)
    march.edit(line.ref, fee=line.fee_minor + 7, net=line.net_minor - 7)


def one_more_gift(march: March, name: str) -> None:
    march.on(30, month=3)
    march.give(name, 4000)
    march.tell()
    march.on(8, month=4)


def unbooked_gift(march: March) -> None:
    with patch("donations.books.post_entry", return_value=False):
        one_more_gift(march, "unbooked")


def unbooked_line(march: March) -> None:
    with patch("finance.services.book_again", return_value=False):
        one_more_gift(march, "unbooked line")


def gift_booked_wrong(march: March) -> None:
    """An entry of another amount was there first."""
    march.on(30, month=3)
    march.give("booked wrong", 4000)
    payment = db.session.scalars(sa.select(Payment).order_by(Payment.id.desc())).first()
    assert payment is not None
    _book("payment", payment.public_id, "gift", 3900, payment.donation_id)
    march.tell()
    march.on(8, month=4)


def refund_booked_twice(march: March) -> None:
    refund = db.session.scalars(sa.select(Refund).where(Refund.state == "succeeded").order_by(Refund.id)).first()
    assert refund is not None
    _book("refund", refund.public_id, "refund_again", -refund.amount_minor, refund.payment.donation_id)


def line_booked_twice(march: March) -> None:
    line = line_of("charge")
    with unit_of_work():
        net = Money(line.net_minor, "EUR")
        lines = transfer(accounts.provider_balance("stripe", "EUR"), accounts.conversion("EUR"), net)
        source = Source("settlement", line.ref, "charge_again")
        post_entry(source, lines, occurred_at=line.created_at, recorded_at=march.now)


def _book(source_type: str, number: str, kind: str, amount: int, donation_id: int) -> None:
    """Charged to the receivable, for the fund's gifts or (below zero) its refunds."""
    with unit_of_work() as session:
        fund = session.scalars(sa.select(Fund)).one()
        other = accounts.of_fund(fund, "gift" if amount > 0 else "refund")
        lines = transfer(accounts.receivable("stripe", fund), other, Money(amount, "BYN"))
        when = datetime(2026, 3, 30, 9, tzinfo=UTC)
        source = Source(source_type, number, kind)
        post_entry(source, lines, occurred_at=when, recorded_at=when, donation_id=donation_id)


def payout_short(march: March) -> None:
    payout = db.session.scalars(sa.select(PayoutRecord).where(PayoutRecord.state == "paid")).first()
    db.session.rollback()
    assert payout is not None
    march.edit(payout.ref, amount=payout.amount_minor - 50)


def refund_not_at_provider(march: March) -> None:
    payment = db.session.scalars(sa.select(Payment).where(Payment.state == "succeeded").order_by(Payment.id)).first()
    assert payment is not None
    early = march.now - timedelta(days=6)
    amount = Money(100, "BYN")
    fact = RefundFact("re_nobody", str(payment.payment_ref), RefundState.SUCCEEDED, amount, early)
    with unit_of_work():
        apply_refund_fact("stripe", fact, march.now)


def unknown_charge(march: March) -> None:
    march.money_that_belongs_to_nobody()
    march.on(8, month=4)


def edited_balance(march: March) -> None:
    """A line of long ago that nobody has told us, at the provider."""
    line = line_of("charge")
    store = march.sandbox.account.store
    found = store.get(line.ref)
    assert found is not None
    early = int(datetime(2025, 12, 1, tzinfo=UTC).timestamp())
    with store.write():
        store.insert({**found, "id": "txn_of_long_ago", "created": early, "available_on": early})


def line_of(kind: str, *, newest: bool = False) -> SettlementLine:
    order = SettlementLine.created_at.desc() if newest else SettlementLine.id.asc()
    line = db.session.scalars(sa.select(SettlementLine).where(SettlementLine.kind == kind).order_by(order)).first()
    db.session.rollback()
    assert line is not None
    return line


def edit(model: Any, where: Any, **values: Any) -> None:
    """Edit the first such row behind the service's back."""
    with unit_of_work() as session:
        first = session.scalar(sa.select(sa.func.min(model.id)).where(where))
        session.execute(sa.update(model).where(model.id == first).values(**values))
