"""Tables of what providers report of their side of the money, and of what finance orders."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.ids import new_public_id
from core.money import Money
from donations.models import Payment, Refund
from ledger.models import Fund

# What a correction may change of a line: what it says, and what it names.
KEPT = ("kind", "currency", "amount_minor", "fee_minor", "net_minor", "exchange_rate")
NAMED = ("payment_ref", "refund_ref", "dispute_ref", "payout_ref")
VOID = "void"  # kind of a line that stood here only: its amounts are zero, and it names nothing


class SettlementLine(Base):
    """A line of a provider's own account, as it gave it. `posted_at` is null while its payment is unknown to us.

    It never changes but by a correction (`finance.corrections`), which keeps what it said before (`SettlementChange`).
    """

    __tablename__ = "settlement_lines"
    __table_args__ = (
        sa.UniqueConstraint("provider", "ref"),
        sa.Index(
            "ix_settlement_lines_unposted",
            "created_at",
            sqlite_where=sa.text("posted_at IS NULL"),
            postgresql_where=sa.text("posted_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    ref: Mapped[str] = mapped_column(sa.String(255))
    kind: Mapped[str] = mapped_column(sa.String(20))
    currency: Mapped[str] = mapped_column(sa.String(3))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    fee_minor: Mapped[int] = mapped_column(sa.BigInteger)
    net_minor: Mapped[int] = mapped_column(sa.BigInteger)
    exchange_rate: Mapped[str | None] = mapped_column(sa.String(40))  # exact, as decimal text
    created_at: Mapped[datetime]
    available_at: Mapped[datetime]
    payment_ref: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    refund_ref: Mapped[str | None] = mapped_column(sa.String(255))
    dispute_ref: Mapped[str | None] = mapped_column(sa.String(255))
    payout_ref: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    posted_at: Mapped[datetime | None]
    # When we learned of the line and of its payout; null for what was there before that was kept.
    recorded_at: Mapped[datetime | None]
    payout_recorded_at: Mapped[datetime | None]


class SettlementChange(Base):
    """What a line said until it was corrected: reports of a moment before that say it still. Rows are only added."""

    __tablename__ = "settlement_changes"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    line_id: Mapped[int] = mapped_column(sa.ForeignKey("settlement_lines.id"), index=True)
    changed_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(sa.String(20))
    currency: Mapped[str] = mapped_column(sa.String(3))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    fee_minor: Mapped[int] = mapped_column(sa.BigInteger)
    net_minor: Mapped[int] = mapped_column(sa.BigInteger)
    exchange_rate: Mapped[str | None] = mapped_column(sa.String(40))
    payment_ref: Mapped[str | None] = mapped_column(sa.String(255))
    refund_ref: Mapped[str | None] = mapped_column(sa.String(255))
    dispute_ref: Mapped[str | None] = mapped_column(sa.String(255))
    payout_ref: Mapped[str | None] = mapped_column(sa.String(255))


class PayoutRecord(Base):
    __tablename__ = "payouts"
    __table_args__ = (sa.UniqueConstraint("provider", "ref"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    ref: Mapped[str] = mapped_column(sa.String(255))
    currency: Mapped[str] = mapped_column(sa.String(3))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    state: Mapped[str] = mapped_column(sa.String(20))
    created_at: Mapped[datetime]
    arrives_at: Mapped[datetime]


class PayoutState(Base):
    """What was told of a payout, and when we learned it: rows are only added."""

    __tablename__ = "payout_states"
    __table_args__ = (sa.UniqueConstraint("payout_id", "state", "arrives_at"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    payout_id: Mapped[int] = mapped_column(sa.ForeignKey("payouts.id"))
    state: Mapped[str] = mapped_column(sa.String(20))
    arrives_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


ORDER_STATES = ("proposed", "approved", "rejected", "withdrawn")


class RefundOrder(Base):
    """A refund that finance wants. Approved, it has its `refund`, which the provider is asked for.

    `needs_second`: more than one person may give back alone, so another one must approve it.
    """

    __tablename__ = "refund_orders"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint(f"state IN {ORDER_STATES}", name="state"),
        sa.CheckConstraint("(state = 'approved') = (refund_id IS NOT NULL)", name="refund"),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)",
            name="decided",
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR NOT needs_second OR decided_by_id <> proposed_by_id",
            name="two_people",
        ),
        sa.CheckConstraint("state <> 'withdrawn' OR decided_by_id = proposed_by_id", name="withdrawn_by"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payments.id"), index=True)
    refund_id: Mapped[int | None] = mapped_column(sa.ForeignKey("refunds.id"), unique=True)
    form_key: Mapped[str] = mapped_column(
        sa.String(64), unique=True
    )  # of the form it was sent with: sent twice, it is one
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    reason: Mapped[str] = mapped_column(sa.String(200))
    needs_second: Mapped[bool]
    state: Mapped[str] = mapped_column(sa.String(10), default="proposed", index=True)
    proposed_by_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff_members.id"))
    decided_at: Mapped[datetime | None]

    payment: Mapped[Payment] = relationship()
    refund: Mapped[Refund | None] = relationship()

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class SponsorPayment(Base):
    """What the sponsor who bears a fund's fees has paid: `amount_minor` of the debt, `bank_minor` into the bank."""

    __tablename__ = "sponsor_payments"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0 AND bank_minor > 0", name="amounts"),
        sa.CheckConstraint("currency <> bank_currency OR amount_minor = bank_minor", name="rate"),
        sa.CheckConstraint("(taken_back_at IS NULL) = (taken_back_by IS NULL)", name="taken_back"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    form_key: Mapped[str] = mapped_column(sa.String(64), unique=True)
    fund_id: Mapped[int] = mapped_column(sa.ForeignKey("funds.id"), index=True)
    paid_on: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    bank_minor: Mapped[int] = mapped_column(sa.BigInteger)
    bank_currency: Mapped[str] = mapped_column(sa.String(3))
    document: Mapped[str] = mapped_column(sa.String(120))
    recorded_by: Mapped[str] = mapped_column(sa.String(254))
    recorded_at: Mapped[datetime]
    taken_back_by: Mapped[str | None] = mapped_column(sa.String(254))
    taken_back_at: Mapped[datetime | None]

    fund: Mapped[Fund] = relationship(lazy="joined")

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def bank_amount(self) -> Money:
        return Money(self.bank_minor, self.bank_currency)
