"""Tables of what happens at counters besides handing over."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.ids import new_public_id
from offices.models import Office
from staff.models import StaffMember
from stickers.models import RedemptionCode

ALERT_KINDS = ("two_offices", "many_unknown")


class CodeTry(Base):
    """That a code was shown at an office which could have handed its pack over; the first time only."""

    __tablename__ = "code_tries"

    code_id: Mapped[int] = mapped_column(sa.ForeignKey("redemption_codes.id"), primary_key=True, autoincrement=False)
    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"), primary_key=True, autoincrement=False)
    tried_at: Mapped[datetime]


class CounterAlert(Base):
    """One code was shown in two offices, or many codes that nobody knows were tried at one till.

    `key` makes it one alert, however often the same thing is noticed. `member` is who was at the till then.
    """

    __tablename__ = "counter_alerts"
    __table_args__ = (
        sa.CheckConstraint(f"kind IN {ALERT_KINDS}", name="kind"),
        sa.CheckConstraint("(kind = 'two_offices') = (code_id IS NOT NULL)", name="code"),
        sa.CheckConstraint("(kind = 'two_offices') = (first_office_id IS NOT NULL)", name="first_office"),
        sa.CheckConstraint("(seen_at IS NULL) = (seen_by IS NULL)", name="seen"),
        sa.Index(
            "ix_counter_alerts_unseen",
            "raised_at",
            sqlite_where=sa.text("seen_at IS NULL"),
            postgresql_where=sa.text("seen_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    kind: Mapped[str] = mapped_column(sa.String(20))
    key: Mapped[str] = mapped_column(sa.String(120), unique=True)
    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"))
    first_office_id: Mapped[int | None] = mapped_column(sa.ForeignKey("offices.id"))
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))
    code_id: Mapped[int | None] = mapped_column(sa.ForeignKey("redemption_codes.id"))
    raised_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    seen_by: Mapped[str | None] = mapped_column(sa.String(254))

    office: Mapped[Office] = relationship(foreign_keys=office_id, lazy="joined")
    first_office: Mapped[Office | None] = relationship(foreign_keys=first_office_id, lazy="joined")
    member: Mapped[StaffMember] = relationship(lazy="joined")
    code: Mapped[RedemptionCode | None] = relationship(lazy="joined")


class CounterLetter(Base):
    """One e-mail about one alert to one member of staff; the outbox names this row."""

    __tablename__ = "counter_letters"
    __table_args__ = (sa.UniqueConstraint("alert_id", "member_id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    alert_id: Mapped[int] = mapped_column(sa.ForeignKey("counter_alerts.id"))
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))

    alert: Mapped[CounterAlert] = relationship(lazy="joined")
    member: Mapped[StaffMember] = relationship(lazy="joined")
