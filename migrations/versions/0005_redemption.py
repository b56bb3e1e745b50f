"""redemption"""

import sqlalchemy as sa
from alembic import op


revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("collect_until", sa.DateTime(timezone=True), nullable=True))
    _add_standing()
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "redemptions",
        sa.Column("id", key, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("code_id", key, nullable=False),
        sa.Column("office_id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.Column("nonce", sa.String(length=255), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by_id", key, nullable=True),
        sa.Column("undo_reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by_id IS NULL)", name=op.f("ck_redemptions_undone_by")),
        sa.CheckConstraint("(undone_at IS NULL) = (undo_reason = '')", name=op.f("ck_redemptions_undo_reason")),
        sa.ForeignKeyConstraint(["code_id"], ["redemption_codes.id"], name=op.f("fk_redemptions_code_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_redemptions_office_id")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_redemptions_member_id")),
        sa.ForeignKeyConstraint(["undone_by_id"], ["staff_members.id"], name=op.f("fk_redemptions_undone_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redemptions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_redemptions_public_id")),
        sa.UniqueConstraint("member_id", "nonce", name=op.f("uq_redemptions_member_id_nonce")),
    )
    standing = sa.text("undone_at IS NULL")
    op.create_index(
        "uq_redemptions_standing",
        "redemptions",
        ["code_id"],
        unique=True,
        sqlite_where=standing,
        postgresql_where=standing,
    )
    op.create_index(op.f("ix_redemptions_code_id"), "redemptions", ["code_id"])
    op.create_index(op.f("ix_redemptions_redeemed_at"), "redemptions", ["redeemed_at"])
    op.create_index("ix_redemptions_office_id_redeemed_at", "redemptions", ["office_id", "redeemed_at"])
    op.create_table(
        "code_tries",
        sa.Column("code_id", key, autoincrement=False, nullable=False),
        sa.Column("office_id", key, autoincrement=False, nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["code_id"], ["redemption_codes.id"], name=op.f("fk_code_tries_code_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_code_tries_office_id")),
        sa.PrimaryKeyConstraint("code_id", "office_id", name=op.f("pk_code_tries")),
    )
    _make_alerts(key)


def _add_standing() -> None:
    op.add_column("redemption_codes", sa.Column("standing", sa.String(length=10), nullable=True))
    op.execute(
        "UPDATE redemption_codes SET standing ="
        " CASE WHEN status IN ('issued', 'held', 'voided') THEN status ELSE 'issued' END"
    )
    with op.batch_alter_table("redemption_codes") as table:
        table.alter_column("standing", existing_type=sa.String(length=10), nullable=False)
        table.create_check_constraint(op.f("ck_redemption_codes_standing"), "standing IN ('issued', 'held', 'voided')")
        table.create_check_constraint(
            op.f("ck_redemption_codes_status_standing"), "status IN ('redeemed', 'replaced') OR status = standing"
        )


def _make_alerts(key: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "counter_alerts",
        sa.Column("id", key, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("office_id", key, nullable=False),
        sa.Column("first_office_id", key, nullable=True),
        sa.Column("member_id", key, nullable=False),
        sa.Column("code_id", key, nullable=True),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_by", sa.String(length=254), nullable=True),
        sa.CheckConstraint("kind IN ('two_offices', 'many_unknown')", name=op.f("ck_counter_alerts_kind")),
        sa.CheckConstraint("(kind = 'two_offices') = (code_id IS NOT NULL)", name=op.f("ck_counter_alerts_code")),
        sa.CheckConstraint(
            "(kind = 'two_offices') = (first_office_id IS NOT NULL)", name=op.f("ck_counter_alerts_first_office")
        ),
        sa.CheckConstraint("(seen_at IS NULL) = (seen_by IS NULL)", name=op.f("ck_counter_alerts_seen")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_counter_alerts_office_id")),
        sa.ForeignKeyConstraint(["first_office_id"], ["offices.id"], name=op.f("fk_counter_alerts_first_office_id")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_counter_alerts_member_id")),
        sa.ForeignKeyConstraint(["code_id"], ["redemption_codes.id"], name=op.f("fk_counter_alerts_code_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counter_alerts")),
        sa.UniqueConstraint("public_id", name=op.f("uq_counter_alerts_public_id")),
        sa.UniqueConstraint("key", name=op.f("uq_counter_alerts_key")),
    )
    unseen = sa.text("seen_at IS NULL")
    op.create_index(
        "ix_counter_alerts_unseen", "counter_alerts", ["raised_at"], sqlite_where=unseen, postgresql_where=unseen
    )
    op.create_table(
        "counter_letters",
        sa.Column("id", key, nullable=False),
        sa.Column("alert_id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["counter_alerts.id"], name=op.f("fk_counter_letters_alert_id")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_counter_letters_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counter_letters")),
        sa.UniqueConstraint("alert_id", "member_id", name=op.f("uq_counter_letters_alert_id_member_id")),
    )


def downgrade() -> None:
    for table in ("counter_letters", "counter_alerts", "code_tries", "redemptions"):
        op.drop_table(table)
    with op.batch_alter_table("redemption_codes") as table:
        table.drop_constraint(op.f("ck_redemption_codes_status_standing"), type_="check")
        table.drop_constraint(op.f("ck_redemption_codes_standing"), type_="check")
        table.drop_column("standing")
    op.drop_column("campaigns", "collect_until")
