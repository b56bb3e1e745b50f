"""since when an exception's money moved; leases of runs, what they read again, what was told of them"""

import sqlalchemy as sa
from alembic import op


revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ALONE = {"resolve_fks": False}
ABOUT = "about IN ('check_failed', 'unread', 'late', 'over')"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("ledger_exceptions", sa.Column("since", moment, nullable=True))
    op.execute("UPDATE ledger_exceptions SET since = opened_at")
    # The tables that it refers to have indexes that cannot be read back, and need not be.
    with op.batch_alter_table("ledger_exceptions", reflect_kwargs=ALONE) as table:
        table.alter_column("since", existing_type=moment, nullable=False)
    op.add_column("settlement_marks", sa.Column("read_at", moment, nullable=True))
    op.add_column("finance_runs", sa.Column("lease_until", moment, nullable=True))
    op.add_column("finance_runs", sa.Column("read_from", moment, nullable=True))
    with op.batch_alter_table("run_alerts", reflect_kwargs=ALONE) as table:
        table.add_column(sa.Column("about", sa.String(length=20), nullable=False, server_default="check_failed"))
        table.drop_constraint(op.f("uq_run_alerts_run_id_member_id"), type_="unique")
        table.create_unique_constraint(op.f("uq_run_alerts_run_id_member_id_about"), ["run_id", "member_id", "about"])
        table.create_check_constraint(op.f("ck_run_alerts_about"), ABOUT)
    with op.batch_alter_table("run_alerts", reflect_kwargs=ALONE) as table:
        table.alter_column("about", existing_type=sa.String(length=20), server_default=None)


def downgrade() -> None:
    op.execute("DELETE FROM run_alerts WHERE about <> 'check_failed'")
    with op.batch_alter_table("run_alerts", reflect_kwargs=ALONE) as table:
        table.drop_constraint(op.f("ck_run_alerts_about"), type_="check")
        table.drop_constraint(op.f("uq_run_alerts_run_id_member_id_about"), type_="unique")
        table.create_unique_constraint(op.f("uq_run_alerts_run_id_member_id"), ["run_id", "member_id"])
        table.drop_column("about")
    op.drop_column("finance_runs", "read_from")
    op.drop_column("finance_runs", "lease_until")
    op.drop_column("settlement_marks", "read_at")
    op.drop_column("ledger_exceptions", "since")
