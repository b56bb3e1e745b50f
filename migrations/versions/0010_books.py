"""books: closed months, disbursements, refunds ordered by finance, what a sponsor pays"""

import sqlalchemy as sa
from alembic import op

from ledger import triggers


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LATE = "(late_for IS NULL) = (happened_at IS NULL) AND (happened_at IS NULL OR happened_at < occurred_at)"


def upgrade() -> None:
    _add_late_columns()
    op.create_index("ix_journal_entries_occurred_at", "journal_entries", ["occurred_at"])
    op.create_index(
        "ix_journal_entries_late_for",
        "journal_entries",
        ["late_for"],
        sqlite_where=sa.text("late_for IS NOT NULL"),
        postgresql_where=sa.text("late_for IS NOT NULL"),
    )
    op.create_index("ix_settlement_lines_payment_ref", "settlement_lines", ["payment_ref"])
    op.create_index("ix_donations_amount_minor", "donations", ["amount_minor", "id"])
    op.create_index("ix_donations_placement", "donations", ["placement", "id"])
    op.create_index("ix_payments_charge_ref", "payments", ["charge_ref"])
    _create_periods()
    _create_disbursements()
    _create_refund_orders()
    _create_sponsor_payments()
    triggers.install_periods(op.get_bind())


def _add_late_columns() -> None:
    op.add_column("journal_entries", sa.Column("happened_at", sa.DateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        # Ledger tables are never batch-altered (their triggers would go): the check comes with its column.
        name = "ck_journal_entries_late"
        op.execute(f"ALTER TABLE journal_entries ADD COLUMN late_for VARCHAR(7) CONSTRAINT {name} CHECK ({LATE})")
    else:
        op.add_column("journal_entries", sa.Column("late_for", sa.String(length=7), nullable=True))
        op.create_check_constraint(op.f("ck_journal_entries_late"), "journal_entries", LATE)


def _key() -> sa.types.TypeEngine:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_periods() -> None:
    op.create_table(
        "accounting_periods",
        sa.Column("id", _key(), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(length=254), nullable=False),
        sa.Column("sheet", sa.JSON(), nullable=False),
        sa.Column("sheet_hash", sa.String(length=64), nullable=False),
        sa.Column("audit_number", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.String(length=64), nullable=False),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_by", sa.String(length=254), nullable=True),
        sa.Column("reopen_reason", sa.String(length=500), nullable=True),
        sa.CheckConstraint("starts_at < ends_at AND ends_at <= closed_at", name=op.f("ck_accounting_periods_dates")),
        sa.CheckConstraint(
            "(reopened_at IS NULL) = (reopened_by IS NULL) AND (reopened_at IS NULL) = (reopen_reason IS NULL)",
            name=op.f("ck_accounting_periods_reopened"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounting_periods")),
    )
    op.create_index(
        "uq_accounting_periods_closed",
        "accounting_periods",
        ["month"],
        unique=True,
        sqlite_where=sa.text("reopened_at IS NULL"),
        postgresql_where=sa.text("reopened_at IS NULL"),
    )


def _create_disbursements() -> None:
    op.create_table(
        "disbursements",
        sa.Column("id", _key(), nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("fund_id", _key(), nullable=False),
        sa.Column("spent_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("bank_minor", sa.BigInteger(), nullable=False),
        sa.Column("bank_currency", sa.String(length=3), nullable=False),
        sa.Column("beneficiary", sa.String(length=200), nullable=False),
        sa.Column("document", sa.String(length=120), nullable=False),
        sa.Column("specialists", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=1000), nullable=False),
        sa.Column("attachment", sa.String(length=80), nullable=True),
        sa.Column("attachment_name", sa.String(length=120), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_by_id", _key(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_id", _key(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_note", sa.String(length=500), nullable=False),
        sa.Column("available_minor", sa.BigInteger(), nullable=True),
        sa.Column("reverses_id", _key(), nullable=True),
        sa.CheckConstraint("amount_minor > 0 AND bank_minor > 0", name=op.f("ck_disbursements_amounts")),
        sa.CheckConstraint("currency <> bank_currency OR amount_minor = bank_minor", name=op.f("ck_disbursements_rate")),
        sa.CheckConstraint("specialists >= 0", name=op.f("ck_disbursements_specialists")),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'rejected', 'withdrawn')", name=op.f("ck_disbursements_state")
        ),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)",
            name=op.f("ck_disbursements_decided"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR decided_by_id <> proposed_by_id",
            name=op.f("ck_disbursements_two_people"),
        ),
        sa.CheckConstraint(
            "state <> 'withdrawn' OR decided_by_id = proposed_by_id", name=op.f("ck_disbursements_withdrawn_by")
        ),
        sa.CheckConstraint(
            "state <> 'approved' OR reverses_id IS NOT NULL"
            " OR (available_minor IS NOT NULL AND amount_minor <= available_minor)",
            name=op.f("ck_disbursements_available"),
        ),
        sa.CheckConstraint("(attachment IS NULL) = (attachment_name IS NULL)", name=op.f("ck_disbursements_attachment")),
        sa.ForeignKeyConstraint(["fund_id"], ["funds.id"], name=op.f("fk_disbursements_fund_id")),
        sa.ForeignKeyConstraint(
            ["proposed_by_id"], ["staff_members.id"], name=op.f("fk_disbursements_proposed_by_id")
        ),
        sa.ForeignKeyConstraint(["decided_by_id"], ["staff_members.id"], name=op.f("fk_disbursements_decided_by_id")),
        sa.ForeignKeyConstraint(["reverses_id"], ["disbursements.id"], name=op.f("fk_disbursements_reverses_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disbursements")),
        sa.UniqueConstraint("public_id", name=op.f("uq_disbursements_public_id")),
    )
    op.create_index("ix_disbursements_fund_id", "disbursements", ["fund_id", "spent_on"])
    op.create_index(
        "uq_disbursements_reverses",
        "disbursements",
        ["reverses_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('proposed', 'approved')"),
        postgresql_where=sa.text("state IN ('proposed', 'approved')"),
    )


def _create_refund_orders() -> None:
    op.create_table(
        "refund_orders",
        sa.Column("id", _key(), nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("payment_id", _key(), nullable=False),
        sa.Column("refund_id", _key(), nullable=True),
        sa.Column("form_key", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("needs_second", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_by_id", _key(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by_id", _key(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_orders_amount")),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'rejected', 'withdrawn')", name=op.f("ck_refund_orders_state")
        ),
        sa.CheckConstraint("(state = 'approved') = (refund_id IS NOT NULL)", name=op.f("ck_refund_orders_refund")),
        sa.CheckConstraint(
            "(state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)",
            name=op.f("ck_refund_orders_decided"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR NOT needs_second OR decided_by_id <> proposed_by_id",
            name=op.f("ck_refund_orders_two_people"),
        ),
        sa.CheckConstraint(
            "state <> 'withdrawn' OR decided_by_id = proposed_by_id", name=op.f("ck_refund_orders_withdrawn_by")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_refund_orders_payment_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_refund_orders_refund_id")),
        sa.ForeignKeyConstraint(
            ["proposed_by_id"], ["staff_members.id"], name=op.f("fk_refund_orders_proposed_by_id")
        ),
        sa.ForeignKeyConstraint(["decided_by_id"], ["staff_members.id"], name=op.f("fk_refund_orders_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_orders")),
        sa.UniqueConstraint("public_id", name=op.f("uq_refund_orders_public_id")),
        sa.UniqueConstraint("refund_id", name=op.f("uq_refund_orders_refund_id")),
        sa.UniqueConstraint("form_key", name=op.f("uq_refund_orders_form_key")),
    )
    op.create_index(op.f("ix_refund_orders_payment_id"), "refund_orders", ["payment_id"])
    op.create_index(op.f("ix_refund_orders_state"), "refund_orders", ["state"])


def _create_sponsor_payments() -> None:
    op.create_table(
        "sponsor_payments",
        sa.Column("id", _key(), nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("form_key", sa.String(length=64), nullable=False),
        sa.Column("fund_id", _key(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("bank_minor", sa.BigInteger(), nullable=False),
        sa.Column("bank_currency", sa.String(length=3), nullable=False),
        sa.Column("document", sa.String(length=120), nullable=False),
        sa.Column("recorded_by", sa.String(length=254), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_back_by", sa.String(length=254), nullable=True),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0 AND bank_minor > 0", name=op.f("ck_sponsor_payments_amounts")),
        sa.CheckConstraint(
            "currency <> bank_currency OR amount_minor = bank_minor", name=op.f("ck_sponsor_payments_rate")
        ),
        sa.CheckConstraint(
            "(taken_back_at IS NULL) = (taken_back_by IS NULL)", name=op.f("ck_sponsor_payments_taken_back")
        ),
        sa.ForeignKeyConstraint(["fund_id"], ["funds.id"], name=op.f("fk_sponsor_payments_fund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sponsor_payments")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sponsor_payments_public_id")),
        sa.UniqueConstraint("form_key", name=op.f("uq_sponsor_payments_form_key")),
    )
    op.create_index(op.f("ix_sponsor_payments_fund_id"), "sponsor_payments", ["fund_id"])


def downgrade() -> None:
    triggers.remove_periods(op.get_bind())
    for table in ("sponsor_payments", "refund_orders", "disbursements", "accounting_periods"):
        op.drop_table(table)
    op.drop_index("ix_payments_charge_ref", "payments")
    op.drop_index("ix_donations_placement", "donations")
    op.drop_index("ix_donations_amount_minor", "donations")
    op.drop_index("ix_settlement_lines_payment_ref", "settlement_lines")
    op.drop_index("ix_journal_entries_late_for", "journal_entries")
    op.drop_index("ix_journal_entries_occurred_at", "journal_entries")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("ck_journal_entries_late", "journal_entries")
    op.drop_column("journal_entries", "late_for")
    op.drop_column("journal_entries", "happened_at")
