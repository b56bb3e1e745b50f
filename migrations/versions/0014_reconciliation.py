"""how far settlements were fetched, runs of reconciliation and self-check, refunds of payments that are not ours"""

import sqlalchemy as sa
from alembic import op


revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.add_column("ledger_exceptions", sa.Column("resolved_by", sa.String(length=254), nullable=True))
    op.create_index("ix_ledger_exceptions_resolved_at", "ledger_exceptions", ["resolved_at", "opened_at"])
    op.create_table(
        "settlement_marks",
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("through", moment, nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_settlement_marks")),
    )
    op.create_table(
        "finance_runs",
        sa.Column("id", key, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("asked_by", sa.String(length=254), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("next_try_at", moment, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=True),
        sa.Column("results", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('reconcile', 'check')", name=op.f("ck_finance_runs_kind")),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (failures IS NULL) AND (finished_at IS NULL OR next_try_at IS NULL)",
            name=op.f("ck_finance_runs_finished"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finance_runs")),
        sa.UniqueConstraint("kind", "day", name=op.f("uq_finance_runs_kind_day")),
    )
    op.create_table(
        "run_alerts",
        sa.Column("id", key, nullable=False),
        sa.Column("run_id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["finance_runs.id"], name=op.f("fk_run_alerts_run_id")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_run_alerts_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_alerts")),
        sa.UniqueConstraint("run_id", "member_id", name=op.f("uq_run_alerts_run_id_member_id")),
    )
    op.create_table(
        "stray_refunds",
        sa.Column("id", key, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("payment_ref", sa.String(length=255), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_by", sa.String(length=254), nullable=False),
        sa.Column("proposed_at", moment, nullable=False),
        sa.Column("approved_by", sa.String(length=254), nullable=True),
        sa.Column("needs_second", sa.Boolean(), nullable=False),
        sa.Column("next_try_at", moment, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("failure_code", sa.String(length=80), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_stray_refunds_amount")),
        sa.CheckConstraint(
            "state IN ('proposed', 'requested', 'done', 'refused')", name=op.f("ck_stray_refunds_state")
        ),
        sa.CheckConstraint(
            "state = 'proposed' OR NOT needs_second OR (approved_by IS NOT NULL AND approved_by <> proposed_by)",
            name=op.f("ck_stray_refunds_two_people"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stray_refunds")),
        sa.UniqueConstraint("public_id", name=op.f("uq_stray_refunds_public_id")),
    )
    standing = sa.text("state <> 'refused'")
    op.create_index(
        "uq_stray_refunds_payment",
        "stray_refunds",
        ["provider", "payment_ref"],
        unique=True,
        sqlite_where=standing,
        postgresql_where=standing,
    )


def downgrade() -> None:
    op.drop_table("stray_refunds")
    op.drop_table("run_alerts")
    op.drop_table("finance_runs")
    op.drop_table("settlement_marks")
    op.drop_index("ix_ledger_exceptions_resolved_at", "ledger_exceptions")
    op.drop_column("ledger_exceptions", "resolved_by")
