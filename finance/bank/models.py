"""Tables of bank statements. Lines are what the bank wrote and never change; what they are taken for is a match."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.ids import new_public_id
from core.money import Money

MATCH_KINDS = ("payout", "payout_back", "disbursement", "sponsor", "suspense")


class BankAccount(Base):
    """An account of ours at a bank, and how its statements are written (`finance.bank.mapping`)."""

    __tablename__ = "bank_accounts"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(20), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    currency: Mapped[str] = mapped_column(sa.String(3))
    mapping: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime]


class BankStatement(Base):
    """A file that was imported. Balances are null when the bank does not write them."""

    __tablename__ = "bank_statements"
    __table_args__ = (sa.UniqueConstraint("account_id", "sha256"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("bank_accounts.id"))
    name: Mapped[str] = mapped_column(sa.String(120))
    sha256: Mapped[str] = mapped_column(sa.String(64))
    first_day: Mapped[date]
    last_day: Mapped[date]
    lines: Mapped[int]
    new_lines: Mapped[int]
    opening_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    closing_minor: Mapped[int | None] = mapped_column(sa.BigInteger)
    imported_by: Mapped[str] = mapped_column(sa.String(254))
    imported_at: Mapped[datetime]

    account: Mapped[BankAccount] = relationship(lazy="joined")


class BankLine(Base):
    """One movement. `amount_minor` is above zero for what came in.

    `fingerprint` is what the line says, `ordinal` counts lines that say the same on one day: statements that overlap
    bring no line twice.
    """

    __tablename__ = "bank_lines"
    __table_args__ = (
        sa.UniqueConstraint("account_id", "fingerprint", "ordinal"),
        sa.CheckConstraint("amount_minor <> 0", name="amount"),
        sa.Index("ix_bank_lines_account_id_day", "account_id", "day"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("bank_accounts.id"))
    statement_id: Mapped[int] = mapped_column(sa.ForeignKey("bank_statements.id"), index=True)
    day: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    reference: Mapped[str] = mapped_column(sa.String(500))
    counterparty: Mapped[str] = mapped_column(sa.String(200))
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    ordinal: Mapped[int]

    account: Mapped[BankAccount] = relationship(lazy="joined")
    match: Mapped["BankMatch | None"] = relationship(
        primaryjoin="and_(BankLine.id == BankMatch.line_id, BankMatch.undone_at.is_(None))", viewonly=True
    )

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class BankMatch(Base):
    """What a line is taken for. `ref` is the public id (of a payout: its reference) of that, empty for suspense."""

    __tablename__ = "bank_matches"
    __table_args__ = (
        sa.CheckConstraint(f"kind IN {MATCH_KINDS}", name="kind"),
        sa.CheckConstraint("(kind = 'suspense') = (ref = '')", name="ref"),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name="undone"),
        sa.Index(
            "uq_bank_matches_line",
            "line_id",
            unique=True,
            sqlite_where=sa.text("undone_at IS NULL"),
            postgresql_where=sa.text("undone_at IS NULL"),
        ),
        sa.Index(
            "uq_bank_matches_ref",
            "kind",
            "ref",
            unique=True,
            sqlite_where=sa.text("undone_at IS NULL AND kind <> 'suspense'"),
            postgresql_where=sa.text("undone_at IS NULL AND kind <> 'suspense'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    line_id: Mapped[int] = mapped_column(sa.ForeignKey("bank_lines.id"))
    kind: Mapped[str] = mapped_column(sa.String(12))
    ref: Mapped[str] = mapped_column(sa.String(255), default="")
    reason: Mapped[str] = mapped_column(sa.String(200), default="")
    matched_by: Mapped[str] = mapped_column(sa.String(254))
    matched_at: Mapped[datetime]
    undone_by: Mapped[str | None] = mapped_column(sa.String(254))
    undone_at: Mapped[datetime | None]
    undo_reason: Mapped[str] = mapped_column(sa.String(200), default="")

    line: Mapped[BankLine] = relationship(lazy="joined")
