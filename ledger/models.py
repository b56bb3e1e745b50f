"""Tables of the ledger. What must never happen is refused by constraints here and triggers in `ledger.triggers`."""

import uuid
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.i18n import Localized, LocalizedText
from core.ids import new_entry_id, new_public_id
from core.money import Money

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

    `occurred_at` decides the report day, `recorded_at` what a report "as of" a moment contains. What comes when its
    month is closed stands on the first moment of the open one; `happened_at` and `late_for` (such as 2026-02) keep its
    true moment and the closed month it belongs to, and are null for all others.
    """

    __tablename__ = "journal_entries"
    __table_args__ = (
        sa.UniqueConstraint("source_type", "source_id", "kind"),
        sa.CheckConstraint(
            "(late_for IS NULL) = (happened_at IS NULL) AND (happened_at IS NULL OR happened_at < occurred_at)",
            name="late",
        ),
        sa.Index("ix_journal_entries_recorded_at", "recorded_at"),
        sa.Index("ix_journal_entries_occurred_at", "occurred_at"),
        sa.Index(
            "ix_journal_entries_late_for",
            "late_for",
            sqlite_where=sa.text("late_for IS NOT NULL"),
            postgresql_where=sa.text("late_for IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(sa.Uuid, primary_key=True, default=new_entry_id)
    source_type: Mapped[str] = mapped_column(sa.String(40))
    source_id: Mapped[str] = mapped_column(sa.String(80))
    kind: Mapped[str] = mapped_column(sa.String(40))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    reverses_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("journal_entries.id"), unique=True)
    donation_id: Mapped[int | None] = mapped_column(sa.ForeignKey("donations.id"), index=True)
    happened_at: Mapped[datetime | None]
    late_for: Mapped[str | None] = mapped_column(sa.String(7))


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


class SumsMark(Base):
    """One row: postings recorded before `until` are in the sums (of accounts here, of reports in `finance`), later
    ones are not. `checked_at` is when the sums were last compared with the postings."""

    __tablename__ = "sums_marks"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    until: Mapped[datetime]
    checked_at: Mapped[datetime | None]


class AccountSum(Base):
    """What was posted to an account of a fund by gifts of one campaign (0: by no gift) on one day, and ever.

    `recorded_on` is the day in UTC, or `ledger.sums.EVER`. `gifts` counts donations by their first gift's entry. Only
    made from postings, by the worker; never changed for one gift.
    """

    __tablename__ = "account_sums"
    __table_args__ = ({"sqlite_with_rowid": False},)

    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), primary_key=True, autoincrement=False)
    recorded_on: Mapped[date] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    debit_minor: Mapped[int] = mapped_column(sa.BigInteger)
    credit_minor: Mapped[int] = mapped_column(sa.BigInteger)
    gifts: Mapped[int] = mapped_column(sa.BigInteger)


class LedgerException(Base):
    """Something that a person of finance must look at: money we cannot place, facts that contradict our record.

    `since` is when the money moved (where that is known), `opened_at` when we found that something is wrong with it.
    """

    __tablename__ = "ledger_exceptions"
    __table_args__ = (
        sa.UniqueConstraint("kind", "source_type", "source_id"),
        sa.Index("ix_ledger_exceptions_resolved_at", "resolved_at", "opened_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(40))
    source_type: Mapped[str] = mapped_column(sa.String(40))
    source_id: Mapped[str] = mapped_column(sa.String(255))
    amount_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    donation_id: Mapped[int | None] = mapped_column(sa.ForeignKey("donations.id"))
    since: Mapped[datetime]
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(sa.String(200))
    resolved_by: Mapped[str | None] = mapped_column(sa.String(254))  # null when it went away by itself


class AccountingPeriod(Base):
    """One closing of a month: while it is not reopened, nothing is posted before `ends_at`.

    `sheet` is what the month came to when it was closed, `sheet_hash` the SHA-256 of its JSON text, `audit_number` and
    `audit_hash` the head of the audit log at that moment. A month that is closed again gets a row of its own.
    """

    __tablename__ = "accounting_periods"
    __table_args__ = (
        sa.CheckConstraint("starts_at < ends_at AND ends_at <= closed_at", name="dates"),
        sa.CheckConstraint(
            "(reopened_at IS NULL) = (reopened_by IS NULL) AND (reopened_at IS NULL) = (reopen_reason IS NULL)",
            name="reopened",
        ),
        sa.Index(
            "uq_accounting_periods_closed",
            "month",
            unique=True,
            sqlite_where=sa.text("reopened_at IS NULL"),
            postgresql_where=sa.text("reopened_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    month: Mapped[str] = mapped_column(sa.String(7))  # such as 2026-02
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]  # the first moment of the next month
    closed_at: Mapped[datetime]
    closed_by: Mapped[str] = mapped_column(sa.String(254))
    sheet: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    sheet_hash: Mapped[str] = mapped_column(sa.String(64))
    audit_number: Mapped[int] = mapped_column(sa.BigInteger)
    audit_hash: Mapped[str] = mapped_column(sa.String(64))
    reopened_at: Mapped[datetime | None]
    reopened_by: Mapped[str | None] = mapped_column(sa.String(254))
    reopen_reason: Mapped[str | None] = mapped_column(sa.String(500))


DISBURSEMENT_STATES = ("proposed", "approved", "rejected", "withdrawn")


class Disbursement(Base):
    """Money of a fund spent on its purpose, or (`reverses_id`) such money that came back.

    `amount_minor` is what the fund spends, in its currency; `bank_minor` what left the bank, in the bank account's.
    One member proposes, another one decides; `available_minor` is what the fund had when it was approved.
    """

    __tablename__ = "disbursements"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0 AND bank_minor > 0", name="amounts"),
        sa.CheckConstraint("currency <> bank_currency OR amount_minor = bank_minor", name="rate"),
        sa.CheckConstraint("specialists >= 0", name="specialists"),
        sa.CheckConstraint(f"state IN {DISBURSEMENT_STATES}", name="state"),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)",
            name="decided",
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR decided_by_id <> proposed_by_id", name="two_people"
        ),
        sa.CheckConstraint("state <> 'withdrawn' OR decided_by_id = proposed_by_id", name="withdrawn_by"),
        sa.CheckConstraint(
            "state <> 'approved' OR reverses_id IS NOT NULL"
            " OR (available_minor IS NOT NULL AND amount_minor <= available_minor)",
            name="available",
        ),
        sa.CheckConstraint("(attachment IS NULL) = (attachment_name IS NULL)", name="attachment"),
        # Of one disbursement at most one reversal is under way or done.
        sa.Index(
            "uq_disbursements_reverses",
            "reverses_id",
            unique=True,
            sqlite_where=sa.text("state IN ('proposed', 'approved')"),
            postgresql_where=sa.text("state IN ('proposed', 'approved')"),
        ),
        sa.Index("ix_disbursements_fund_id", "fund_id", "spent_on"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    fund_id: Mapped[int] = mapped_column(sa.ForeignKey("funds.id"))
    spent_on: Mapped[date]  # day in the ledger's zone
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    bank_minor: Mapped[int] = mapped_column(sa.BigInteger)
    bank_currency: Mapped[str] = mapped_column(sa.String(3))
    beneficiary: Mapped[str] = mapped_column(sa.String(200))
    document: Mapped[str] = mapped_column(sa.String(120))
    specialists: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(sa.String(1000), default="")
    attachment: Mapped[str | None] = mapped_column(sa.String(80))  # file below INSTANCE_DIR/attachments
    attachment_name: Mapped[str | None] = mapped_column(sa.String(120))  # what it was called where it came from
    state: Mapped[str] = mapped_column(sa.String(10), default="proposed")
    proposed_by_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))
    proposed_at: Mapped[datetime]
    decided_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff_members.id"))
    decided_at: Mapped[datetime | None]
    decision_note: Mapped[str] = mapped_column(sa.String(500), default="")
    available_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    reverses_id: Mapped[int | None] = mapped_column(sa.ForeignKey("disbursements.id"))

    fund: Mapped[Fund] = relationship(lazy="joined")
    reverses: Mapped["Disbursement | None"] = relationship(remote_side=[id])

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def bank_amount(self) -> Money:
        return Money(self.bank_minor, self.bank_currency)
