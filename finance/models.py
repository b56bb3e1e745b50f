"""Tables of what providers report of their side of the money."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class SettlementLine(Base):
    """A line of a provider's own account, as it gave it. `posted_at` is null while its payment is unknown to us."""

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
    payment_ref: Mapped[str | None] = mapped_column(sa.String(255))
    refund_ref: Mapped[str | None] = mapped_column(sa.String(255))
    dispute_ref: Mapped[str | None] = mapped_column(sa.String(255))
    payout_ref: Mapped[str | None] = mapped_column(sa.String(255), index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    posted_at: Mapped[datetime | None]


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
