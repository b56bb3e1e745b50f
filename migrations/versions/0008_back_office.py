"""back office: which campaign stands at the front, packs that are given out no longer"""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("front_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sticker_packs", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("sticker_packs", "retired_at")
    op.drop_column("campaigns", "front_since")
