"""Tables of reconciliation: how far was fetched, what was run and found, refunds of payments that are not ours."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.ids import new_public_id
from core.money import Money
from staff.models import StaffMember


class SettlementMark(Base):
    """Up to when a provider's own account has been read completely.

    `read_at` is when all of it was last read without a fault: lines, payouts and balance.
    """

    __tablename__ = "settlement_marks"

    provider: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    through: Mapped[datetime]
    read_at: Mapped[datetime | None]


class FinanceRun(Base):
    """One reconciliation or self-check: asked for by a person, or (`day`) by the calendar, once a day.

    `results` are its parts by name, each with `failures`, examples and for a reconciliation what was done; `failures`
    counts parts that found something. Until it is finished a worker may take it at `next_try_at`. Who does it holds it
    by a lease (`lease_until`, null while nobody does) and renews that as long as the process lives. With `read_from`
    the provider is read again from that moment on.
    """

    __tablename__ = "finance_runs"
    __table_args__ = (
        sa.UniqueConstraint("kind", "day"),
        sa.CheckConstraint("kind IN ('reconcile', 'check')", name="kind"),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (failures IS NULL) AND (finished_at IS NULL OR next_try_at IS NULL)",
            name="finished",
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    day: Mapped[date | None]
    asked_by: Mapped[str] = mapped_column(sa.String(254))
    asked_at: Mapped[datetime]
    next_try_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    read_from: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    finished_at: Mapped[datetime | None]
    failures: Mapped[int | None]
    results: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON, default=list)


class RunAlert(Base):
    """That a member is told by e-mail of checks (`names`) that began to fail, of a provider that cannot be read
    (`unread`), of runs that are not done (`late`), and that the last two are over."""

    __tablename__ = "run_alerts"
    __table_args__ = (
        sa.UniqueConstraint("run_id", "member_id", "about"),
        sa.CheckConstraint("about IN ('check_failed', 'unread', 'late', 'over')", name="about"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    run_id: Mapped[int] = mapped_column(sa.ForeignKey("finance_runs.id"))
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))
    about: Mapped[str] = mapped_column(sa.String(20), default="check_failed")
    names: Mapped[list[str]] = mapped_column(sa.JSON)

    run: Mapped[FinanceRun] = relationship()
    member: Mapped[StaffMember] = relationship()


class StrayRefund(Base):
    """A refund of a payment that is no gift of ours: asked of the provider by a worker, with a key made of this row."""

    __tablename__ = "stray_refunds"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("state IN ('proposed', 'requested', 'done', 'refused')", name="state"),
        sa.CheckConstraint(
            "state = 'proposed' OR NOT needs_second OR (approved_by IS NOT NULL AND approved_by <> proposed_by)",
            name="two_people",
        ),
        sa.Index(
            "uq_stray_refunds_payment",
            "provider",
            "payment_ref",
            unique=True,
            sqlite_where=sa.text("state <> 'refused'"),
            postgresql_where=sa.text("state <> 'refused'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    provider: Mapped[str] = mapped_column(sa.String(20))
    payment_ref: Mapped[str] = mapped_column(sa.String(255))
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    reason: Mapped[str] = mapped_column(sa.String(200))
    state: Mapped[str] = mapped_column(sa.String(10))
    proposed_by: Mapped[str] = mapped_column(sa.String(254))
    proposed_at: Mapped[datetime]
    approved_by: Mapped[str | None] = mapped_column(sa.String(254))
    needs_second: Mapped[bool]
    next_try_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    failure_code: Mapped[str | None] = mapped_column(sa.String(80))
    refused_at: Mapped[datetime | None]  # null for what was refused before that was kept

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)
