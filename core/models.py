"""Tables every room may use: the outbox of e-mails."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey


class OutboxMessage(Base):
    """One e-mail that must be sent: which template about which row, never the text or the address.

    It is rendered when it is sent, so personal data stands in the donor's row alone and the text tells
    the truth of that moment. At least once: `message_id` is the same for every try.
    """

    __tablename__ = "outbox_messages"
    __table_args__ = (
        sa.UniqueConstraint("template", "subject_id"),
        sa.CheckConstraint("attempts >= 0", name="attempts"),
        sa.Index(
            "ix_outbox_messages_due",
            "next_attempt_at",
            sqlite_where=sa.text("done_at IS NULL"),
            postgresql_where=sa.text("done_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    template: Mapped[str] = mapped_column(sa.String(60))
    subject_id: Mapped[int] = mapped_column(sa.BigInteger)
    message_id: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(sa.String(20))  # sent, dropped (nobody to write to), dead
    last_error: Mapped[str | None] = mapped_column(sa.String(200))


class ThrottleCounter(Base):
    """How often something happened in one window of time; the key is a hash, never an address."""

    __tablename__ = "throttle_counters"

    scope: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    key_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    hits: Mapped[int]
