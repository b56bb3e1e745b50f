"""summaries"""

import sqlalchemy as sa
from alembic import op


revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = {"rollup": 10, "grain": 5, "placement": 20, "office": 20, "medium": 20, "language": 10, "provider": 20}
FIGURES = ("gifts", "gross", "refunds", "disputes", "fees", "sponsored", "fx", "spent", "unsettled")
KEYS = ("rollup", "grain", "occurred_on", "recorded_on", "fund_id", "campaign_id")
KEYS = (*KEYS, "placement", "office", "medium", "language", "provider")


def upgrade() -> None:
    op.create_table(
        "sums_marks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_sums_marks_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sums_marks")),
    )
    op.create_table(
        "account_sums",
        sa.Column("account_id", KEY, autoincrement=False, nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("gifts", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_sums_account_id")),
        sa.PrimaryKeyConstraint("account_id", "recorded_on", "campaign_id", name=op.f("pk_account_sums")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "report_sums",
        *(sa.Column(name, sa.String(length=WORDS[name]), nullable=False) for name in ("rollup", "grain")),
        *(sa.Column(name, sa.Date(), nullable=False) for name in ("occurred_on", "recorded_on")),
        *(sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False) for name in ("fund_id", "campaign_id")),
        *(sa.Column(name, sa.String(length=WORDS[name]), nullable=False) for name in KEYS[6:]),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in FIGURES),
        sa.PrimaryKeyConstraint(*KEYS, name=op.f("pk_report_sums")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("report_sums")
    op.drop_table("account_sums")
    op.drop_table("sums_marks")
