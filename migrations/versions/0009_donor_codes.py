"""codes given to friends, codes sent again by e-mail"""

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "passed_on_codes",
        sa.Column("id", key, nullable=False),
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("old_code_id", key, nullable=False),
        sa.Column("code_id", key, nullable=False),
        sa.Column("passed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["old_code_id"], ["redemption_codes.id"], name=op.f("fk_passed_on_codes_old_code_id")
        ),
        sa.ForeignKeyConstraint(["code_id"], ["redemption_codes.id"], name=op.f("fk_passed_on_codes_code_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passed_on_codes")),
        sa.UniqueConstraint("token", name=op.f("uq_passed_on_codes_token")),
        sa.UniqueConstraint("old_code_id", name=op.f("uq_passed_on_codes_old_code_id")),
        sa.UniqueConstraint("code_id", name=op.f("uq_passed_on_codes_code_id")),
    )
    op.create_table(
        "lost_codes_requests",
        sa.Column("id", key, nullable=False),
        sa.Column("donor_id", key, nullable=True),
        sa.Column("locale", sa.String(length=2), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["donor_id"], ["donors.id"], name=op.f("fk_lost_codes_requests_donor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lost_codes_requests")),
    )
    op.create_index(op.f("ix_lost_codes_requests_created_at"), "lost_codes_requests", ["created_at"])
    op.create_index("ix_donors_email", "donors", [sa.text("lower(email)")])


def downgrade() -> None:
    op.drop_index("ix_donors_email", table_name="donors")
    op.drop_table("lost_codes_requests")
    op.drop_table("passed_on_codes")
