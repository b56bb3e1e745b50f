"""Tables of the ledger. What must never happen is refused by constraints here and triggers in `ledger.triggers`."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigKey
from core.i18n import Localized, LocalizedText
from core.ids import new_entry_id

ACCOUNT_KINDS = (
    "receivable",  # charged by a provider for a fund, not yet settled
    "provider",  # settled: what the provider holds for us, in its settlement currency
    "conversion",  # the bridge between two currencies
    "transit",  # paid out by the provider, not yet seen at the bank
    "bank",
    "suspense",  # money that belongs to no fund we know
    "sponsor",  # fees that a sponsor owes the campaign
    "gift",
    "refund",
    "dispute",
    "fee",
    "fx",
    "spent",
)


class Fund(Base):
    """Money for one designation, in the currency of its campaign."""

    __tablename__ = "funds"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(60), unique=True)
    name: Mapped[Localized] = mapped_column(LocalizedText)
    currency: Mapped[str] = mapped_column(sa.String(3))


class Account(Base):
    """Named by its code: `fund:<fund>:gift`, `receivable:<provider>:<fund>`, `provider:<provider>:<currency>` …"""

    __tablename__ = "accounts"
    __table_args__ = (
        sa.UniqueConstraint("id", "currency"),
        sa.CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in ACCOUNT_KINDS)})", name="kind"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(120), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    currency: Mapped[str] = mapped_column(sa.String(3))
    fund_id: Mapped[int | None] = mapped_column(sa.ForeignKey("funds.id"), index=True)


class JournalEntry(Base):
    """One fact, posted once: (source_type, source_id, kind) is unique, so a replay is harmless.

    `occurred_at` decides the report day, `recorded_at` what a report "as of" a moment contains.
    """

    __tablename__ = "journal_entries"
    __table_args__ = (
        sa.UniqueConstraint("source_type", "source_id", "kind"),
        sa.Index("ix_journal_entries_recorded_at", "recorded_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(sa.Uuid, primary_key=True, default=new_entry_id)
    source_type: Mapped[str] = mapped_column(sa.String(40))
    source_id: Mapped[str] = mapped_column(sa.String(80))
    kind: Mapped[str] = mapped_column(sa.String(40))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    reverses_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("journal_entries.id"), unique=True)
    donation_id: Mapped[int | None] = mapped_column(sa.ForeignKey("donations.id"), index=True)


class Posting(Base):
    """Exactly one of debit and credit is positive. The currency is the account's own."""

    __tablename__ = "postings"
    __table_args__ = (
        sa.ForeignKeyConstraint(["account_id", "currency"], ["accounts.id", "accounts.currency"]),
        sa.CheckConstraint(
            "(debit_minor > 0 AND credit_minor = 0) OR (debit_minor = 0 AND credit_minor > 0)", name="one_side"
        ),
        sa.Index("ix_postings_account_id", "account_id", "entry_id"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    # Postings are written before their entry: its insert is what checks and seals them.
    entry_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("journal_entries.id", deferrable=True, initially="DEFERRED"), index=True
    )
    account_id: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    debit_minor: Mapped[int] = mapped_column(sa.BigInteger)
    credit_minor: Mapped[int] = mapped_column(sa.BigInteger)


class LedgerException(Base):
    """Something that a person of finance must look at: money we cannot place, facts that contradict our record."""

    __tablename__ = "ledger_exceptions"
    __table_args__ = (sa.UniqueConstraint("kind", "source_type", "source_id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(40))
    source_type: Mapped[str] = mapped_column(sa.String(40))
    source_id: Mapped[str] = mapped_column(sa.String(255))
    amount_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    donation_id: Mapped[int | None] = mapped_column(sa.ForeignKey("donations.id"))
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(sa.String(200))
