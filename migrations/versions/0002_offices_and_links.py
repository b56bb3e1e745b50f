"""offices, placements and print runs"""

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "offices",
        sa.Column("id", key, nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("name", sa.JSON(), nullable=False),
        sa.Column("address", sa.JSON(), nullable=False),
        sa.Column("region", sa.String(length=60), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offices")),
        sa.UniqueConstraint("code", name=op.f("uq_offices_code")),
    )
    op.create_index(op.f("ix_offices_region"), "offices", ["region"])
    op.create_table(
        "print_batches",
        sa.Column("id", key, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("campaign_id", key, nullable=False),
        sa.Column("format", sa.String(length=10), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("packaging", sa.String(length=10), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_print_batches_state")
        ),
        sa.CheckConstraint("copies > 0", name=op.f("ck_print_batches_copies")),
        sa.CheckConstraint("0 <= done AND done <= total", name=op.f("ck_print_batches_progress")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_print_batches_campaign_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_print_batches")),
        sa.UniqueConstraint("public_id", name=op.f("uq_print_batches_public_id")),
    )
    op.create_index(op.f("ix_print_batches_lease_until"), "print_batches", ["lease_until"])
    op.create_table(
        "placements",
        sa.Column("id", key, nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("campaign_id", key, nullable=False),
        sa.Column("medium", sa.String(length=20), nullable=False),
        sa.Column("office_id", key, nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("batch_id", key, nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("replaced_by_id", key, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scans", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "medium IN ('office_poster', 'counter_card', 'window', 'billboard', 'metro', 'lift', 'taxi', 'sms', "
            "'blogger', 'article', 'other')",
            name=op.f("ck_placements_medium"),
        ),
        sa.CheckConstraint("state IN ('active', 'retired', 'replaced')", name=op.f("ck_placements_state")),
        sa.CheckConstraint(
            "(state = 'replaced') = (replaced_by_id IS NOT NULL)", name=op.f("ck_placements_replaced_by")
        ),
        sa.CheckConstraint("scans >= 0", name=op.f("ck_placements_scans")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_placements_campaign_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_placements_office_id")),
        sa.ForeignKeyConstraint(["batch_id"], ["print_batches.id"], name=op.f("fk_placements_batch_id")),
        sa.ForeignKeyConstraint(["replaced_by_id"], ["placements.id"], name=op.f("fk_placements_replaced_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placements")),
        sa.UniqueConstraint("code", name=op.f("uq_placements_code")),
        sa.UniqueConstraint("batch_id", "number", name=op.f("uq_placements_batch_id_number")),
    )
    op.create_index(op.f("ix_placements_campaign_id"), "placements", ["campaign_id"])
    op.create_index(op.f("ix_placements_office_id"), "placements", ["office_id"])


def downgrade() -> None:
    op.drop_table("placements")
    op.drop_table("print_batches")
    op.drop_table("offices")
