"""Tables of exports: what was ordered and made, and what is ordered again every day, week or month."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.ids import new_public_id
from staff.models import StaffMember

EXPORT_STATES = ("queued", "running", "done", "failed", "cancelled", "expired")
RHYTHMS = ("daily", "weekly", "monthly")


class ExportSchedule(Base):
    """An export that is made for each day, week or month that has ended, and told to the member by e-mail.

    `options` are those of `finance.exports.orders`, without days and moment. `made_until` is the end of the last
    period that an export was ordered for.
    """

    __tablename__ = "export_schedules"
    __table_args__ = (sa.CheckConstraint(f"rhythm IN {RHYTHMS}", name="rhythm"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    rhythm: Mapped[str] = mapped_column(sa.String(10))
    options: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"), index=True)
    created_at: Mapped[datetime]
    made_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    member: Mapped[StaffMember] = relationship(lazy="joined")


class Export(Base):
    """One file. `options` decide its content to the byte; `total` and `done` count rows; a worker holds it until
    `lease_until`. `manifest` is the one that stands beside the file, kept when the file has expired."""

    __tablename__ = "exports"
    __table_args__ = (
        sa.CheckConstraint(f"state IN {EXPORT_STATES}", name="state"),
        sa.CheckConstraint("0 <= done AND done <= total", name="progress"),
        sa.CheckConstraint("state <> 'done' OR (manifest IS NOT NULL AND expires_at IS NOT NULL)", name="manifest"),
        # A schedule makes one export for each of its periods, however many workers tick.
        sa.UniqueConstraint("schedule_id", "period"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    options: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"), index=True)
    schedule_id: Mapped[int | None] = mapped_column(sa.ForeignKey("export_schedules.id"))
    period: Mapped[str | None] = mapped_column(sa.String(10))  # first day of what a schedule made it for
    by_mail: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(sa.String(10), default="queued")
    total: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    done: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    error: Mapped[str | None] = mapped_column(sa.String(200))
    manifest: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None] = mapped_column(index=True)  # null once it ended

    member: Mapped[StaffMember] = relationship(lazy="joined")
    schedule: Mapped[ExportSchedule | None] = relationship()
