"""The inbox."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class InboxEvent(Base):
    """One notification of a provider, as stored before it was answered.

    `processed_at` is null until it is applied. `waiting_for` names the provider's payment an event is about when we
    do not know that payment yet: the event is applied as soon as we do. `dead_at` marks one that was given up.
    """

    __tablename__ = "inbox_events"
    __table_args__ = (
        sa.UniqueConstraint("provider", "event_id"),
        sa.Index(
            "ix_inbox_events_due",
            "next_attempt_at",
            sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
            postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_inbox_events_waiting",
            "provider",
            "waiting_for",
            sqlite_where=sa.text("waiting_for IS NOT NULL"),
            postgresql_where=sa.text("waiting_for IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(20))
    event_id: Mapped[str] = mapped_column(sa.String(255))
    type: Mapped[str] = mapped_column(sa.String(80))
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    processed_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]  # null once applied or dead
    attempts: Mapped[int] = mapped_column(default=0)
    waiting_for: Mapped[str | None] = mapped_column(sa.String(255))
    last_error: Mapped[str | None] = mapped_column(sa.String(300))
    dead_at: Mapped[datetime | None]


class CatchUp(Base):
    """Up to when a provider's own list of events has been read completely."""

    __tablename__ = "catch_ups"

    provider: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    through: Mapped[datetime]
