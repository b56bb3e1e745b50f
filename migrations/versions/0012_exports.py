"""exports"""

import sqlalchemy as sa
from alembic import op


revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("settlement_lines", sa.Column("recorded_at", UTC))
    op.add_column("settlement_lines", sa.Column("payout_recorded_at", UTC))
    op.create_table(
        "payout_states",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("payout_id", BIG_KEY, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("arrives_at", UTC, nullable=False),
        sa.Column("recorded_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_payout_states_payout_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_states")),
        sa.UniqueConstraint("payout_id", "state", "arrives_at", name=op.f("uq_payout_states_payout_id_state_arrives_at")),
    )
    op.execute(
        "INSERT INTO payout_states (payout_id, state, arrives_at, recorded_at)"
        " SELECT id, state, arrives_at, created_at FROM payouts"
    )
    op.create_table(
        "export_schedules",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("public_id", sa.String(36), nullable=False),
        sa.Column("rhythm", sa.String(10), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("member_id", BIG_KEY, nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("made_until", UTC, nullable=False),
        sa.Column("ended_at", UTC),
        sa.CheckConstraint("rhythm IN ('daily', 'weekly', 'monthly')", name=op.f("ck_export_schedules_rhythm")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_export_schedules_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_schedules")),
        sa.UniqueConstraint("public_id", name=op.f("uq_export_schedules_public_id")),
    )
    op.create_index("ix_export_schedules_member_id", "export_schedules", ["member_id"])
    op.create_table(
        "exports",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("public_id", sa.String(36), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("member_id", BIG_KEY, nullable=False),
        sa.Column("schedule_id", BIG_KEY),
        sa.Column("period", sa.String(10)),
        sa.Column("by_mail", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.String(200)),
        sa.Column("manifest", sa.JSON()),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("finished_at", UTC),
        sa.Column("expires_at", UTC),
        sa.Column("lease_until", UTC),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')", name=op.f("ck_exports_state")
        ),
        sa.CheckConstraint("0 <= done AND done <= total", name=op.f("ck_exports_progress")),
        sa.CheckConstraint(
            "state <> 'done' OR (manifest IS NOT NULL AND expires_at IS NOT NULL)", name=op.f("ck_exports_manifest")
        ),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_exports_member_id")),
        sa.ForeignKeyConstraint(["schedule_id"], ["export_schedules.id"], name=op.f("fk_exports_schedule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
        sa.UniqueConstraint("public_id", name=op.f("uq_exports_public_id")),
        sa.UniqueConstraint("schedule_id", "period", name=op.f("uq_exports_schedule_id_period")),
    )
    op.create_index("ix_exports_member_id", "exports", ["member_id"])
    op.create_index("ix_exports_lease_until", "exports", ["lease_until"])


def downgrade() -> None:
    op.drop_table("exports")
    op.drop_table("export_schedules")
    op.drop_table("payout_states")
    op.drop_column("settlement_lines", "payout_recorded_at")
    op.drop_column("settlement_lines", "recorded_at")
