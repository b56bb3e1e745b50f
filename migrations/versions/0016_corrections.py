"""what lines of the provider said before they were corrected, payouts that the bank sent back, when a refund was refused"""

import sqlalchemy as sa
from alembic import op


revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KINDS = "kind IN ('payout', 'payout_back', 'disbursement', 'sponsor', 'suspense')"
KINDS_BEFORE = "kind IN ('payout', 'disbursement', 'sponsor', 'suspense')"


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "settlement_changes",
        sa.Column("id", key, nullable=False),
        sa.Column("line_id", key, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("exchange_rate", sa.String(length=40), nullable=True),
        sa.Column("payment_ref", sa.String(length=255), nullable=True),
        sa.Column("refund_ref", sa.String(length=255), nullable=True),
        sa.Column("dispute_ref", sa.String(length=255), nullable=True),
        sa.Column("payout_ref", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(["line_id"], ["settlement_lines.id"], name=op.f("fk_settlement_changes_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_changes")),
    )
    op.create_index(op.f("ix_settlement_changes_line_id"), "settlement_changes", ["line_id"])
    op.add_column("stray_refunds", sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True))
    _allow(KINDS)


def downgrade() -> None:
    _allow(KINDS_BEFORE)
    op.drop_column("stray_refunds", "refused_at")
    op.drop_table("settlement_changes")


def _allow(kinds: str) -> None:
    with op.batch_alter_table("bank_matches") as table:
        table.drop_constraint(op.f("ck_bank_matches_kind"), type_="check")
        table.create_check_constraint(op.f("ck_bank_matches_kind"), kinds)
