"""stock of sticker packs: levels, movements, transfers, sheets, alerts"""

import sqlalchemy as sa
from alembic import op

from stickers.stock import triggers


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "stock_forms",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stock_forms")),
    )
    op.create_index(op.f("ix_stock_forms_taken_at"), "stock_forms", ["taken_at"])
    op.create_table(
        "stock_levels",
        sa.Column("office_id", key, autoincrement=False, nullable=False),
        sa.Column("pack_id", key, autoincrement=False, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("low_mark", sa.Integer(), nullable=False),
        sa.CheckConstraint("low_mark >= 0", name=op.f("ck_stock_levels_low_mark")),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_stock_levels_quantity")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_stock_levels_office_id")),
        sa.ForeignKeyConstraint(["pack_id"], ["sticker_packs.id"], name=op.f("fk_stock_levels_pack_id")),
        sa.PrimaryKeyConstraint("office_id", "pack_id", name=op.f("pk_stock_levels")),
    )
    op.create_index(op.f("ix_stock_levels_pack_id"), "stock_levels", ["pack_id"])
    op.create_table(
        "stock_sheets",
        sa.Column("id", key, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("office_id", key, nullable=False),
        sa.Column("closed_by", sa.String(length=254), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_stock_sheets_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_sheets")),
        sa.UniqueConstraint("public_id", name=op.f("uq_stock_sheets_public_id")),
    )
    op.create_index(op.f("ix_stock_sheets_office_id"), "stock_sheets", ["office_id"])
    op.create_table(
        "stock_transfers",
        sa.Column("id", key, nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("from_office_id", key, nullable=False),
        sa.Column("to_office_id", key, nullable=False),
        sa.Column("pack_id", key, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("sent_by", sa.String(length=254), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_by", sa.String(length=254), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "(state = 'arrived') = (arrived IS NOT NULL)", name=op.f("ck_stock_transfers_arrived_state")
        ),
        sa.CheckConstraint("(state = 'on_the_way') = (ended_at IS NULL)", name=op.f("ck_stock_transfers_ended_at")),
        sa.CheckConstraint(
            "state IN ('on_the_way', 'arrived', 'cancelled', 'declined')", name=op.f("ck_stock_transfers_state")
        ),
        sa.CheckConstraint("arrived >= 0", name=op.f("ck_stock_transfers_arrived")),
        sa.CheckConstraint("from_office_id <> to_office_id", name=op.f("ck_stock_transfers_two_offices")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_stock_transfers_quantity")),
        sa.ForeignKeyConstraint(["from_office_id"], ["offices.id"], name=op.f("fk_stock_transfers_from_office_id")),
        sa.ForeignKeyConstraint(["pack_id"], ["sticker_packs.id"], name=op.f("fk_stock_transfers_pack_id")),
        sa.ForeignKeyConstraint(["to_office_id"], ["offices.id"], name=op.f("fk_stock_transfers_to_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_transfers")),
        sa.UniqueConstraint("public_id", name=op.f("uq_stock_transfers_public_id")),
    )
    op.create_index(op.f("ix_stock_transfers_from_office_id"), "stock_transfers", ["from_office_id"])
    op.create_index(
        "ix_stock_transfers_on_the_way",
        "stock_transfers",
        ["to_office_id"],
        sqlite_where=sa.text("state = 'on_the_way'"),
        postgresql_where=sa.text("state = 'on_the_way'"),
    )
    op.create_index(op.f("ix_stock_transfers_to_office_id"), "stock_transfers", ["to_office_id"])
    op.create_table(
        "stock_alerts",
        sa.Column("id", key, nullable=False),
        sa.Column("office_id", key, nullable=False),
        sa.Column("pack_id", key, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["office_id", "pack_id"],
            ["stock_levels.office_id", "stock_levels.pack_id"],
            name=op.f("fk_stock_alerts_office_id_pack_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_alerts")),
    )
    op.create_index(
        "ix_stock_alerts_untold",
        "stock_alerts",
        ["raised_at"],
        sqlite_where=sa.text("told_at IS NULL"),
        postgresql_where=sa.text("told_at IS NULL"),
    )
    op.create_index(
        "uq_stock_alerts_open",
        "stock_alerts",
        ["office_id", "pack_id"],
        unique=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "stock_movements",
        sa.Column("id", key, nullable=False),
        sa.Column("office_id", key, nullable=False),
        sa.Column("pack_id", key, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("delta", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redemption_id", sa.BigInteger(), nullable=True),
        sa.Column("transfer_id", key, nullable=True),
        sa.Column("sheet_id", key, nullable=True),
        sa.CheckConstraint(
            "(kind IN ('handed_over', 'taken_back')) = (redemption_id IS NOT NULL)",
            name=op.f("ck_stock_movements_redemption"),
        ),
        sa.CheckConstraint(
            "(kind IN ('sent', 'arrived', 'returned', 'variance')) = (transfer_id IS NOT NULL)",
            name=op.f("ck_stock_movements_transfer"),
        ),
        sa.CheckConstraint(
            "delta < 0 OR kind NOT IN ('sent', 'handed_over', 'damaged')", name=op.f("ck_stock_movements_goes")
        ),
        sa.CheckConstraint("delta <> 0 OR kind = 'counted'", name=op.f("ck_stock_movements_delta")),
        sa.CheckConstraint(
            "delta > 0 OR kind NOT IN ('received', 'arrived', 'returned', 'taken_back')",
            name=op.f("ck_stock_movements_comes"),
        ),
        sa.CheckConstraint(
            "kind IN ('received', 'sent', 'arrived', 'returned', 'variance', 'handed_over', 'taken_back', 'damaged', 'counted')",
            name=op.f("ck_stock_movements_kind"),
        ),
        sa.CheckConstraint("sheet_id IS NULL OR kind = 'counted'", name=op.f("ck_stock_movements_sheet")),
        sa.CheckConstraint("level >= 0 AND level - delta >= 0", name=op.f("ck_stock_movements_level")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_stock_movements_office_id")),
        sa.ForeignKeyConstraint(["pack_id"], ["sticker_packs.id"], name=op.f("fk_stock_movements_pack_id")),
        sa.ForeignKeyConstraint(["sheet_id"], ["stock_sheets.id"], name=op.f("fk_stock_movements_sheet_id")),
        sa.ForeignKeyConstraint(["transfer_id"], ["stock_transfers.id"], name=op.f("fk_stock_movements_transfer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movements")),
        sa.UniqueConstraint("redemption_id", "kind", name=op.f("uq_stock_movements_redemption_id_kind")),
        sa.UniqueConstraint("sheet_id", "pack_id", name=op.f("uq_stock_movements_sheet_id_pack_id")),
        sa.UniqueConstraint("transfer_id", "kind", name=op.f("uq_stock_movements_transfer_id_kind")),
    )
    op.create_index(
        "ix_stock_movements_differences",
        "stock_movements",
        ["id"],
        sqlite_where=sa.text("kind IN ('variance', 'damaged', 'counted') AND delta <> 0"),
        postgresql_where=sa.text("kind IN ('variance', 'damaged', 'counted') AND delta <> 0"),
    )
    op.create_index("ix_stock_movements_office_id_pack_id", "stock_movements", ["office_id", "pack_id", "id"])
    op.create_table(
        "stock_sheet_lines",
        sa.Column("sheet_id", key, autoincrement=False, nullable=False),
        sa.Column("pack_id", key, autoincrement=False, nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint("counted >= 0", name=op.f("ck_stock_sheet_lines_counted")),
        sa.CheckConstraint("expected >= 0", name=op.f("ck_stock_sheet_lines_expected")),
        sa.ForeignKeyConstraint(["pack_id"], ["sticker_packs.id"], name=op.f("fk_stock_sheet_lines_pack_id")),
        sa.ForeignKeyConstraint(["sheet_id"], ["stock_sheets.id"], name=op.f("fk_stock_sheet_lines_sheet_id")),
        sa.PrimaryKeyConstraint("sheet_id", "pack_id", name=op.f("pk_stock_sheet_lines")),
    )
    op.create_table(
        "stock_letters",
        sa.Column("id", key, nullable=False),
        sa.Column("alert_id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["stock_alerts.id"], name=op.f("fk_stock_letters_alert_id")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_stock_letters_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_letters")),
        sa.UniqueConstraint("alert_id", "member_id", name=op.f("uq_stock_letters_alert_id_member_id")),
    )
    triggers.install(op.get_bind())


def downgrade() -> None:
    triggers.remove(op.get_bind())
    for table in (
        "stock_letters",
        "stock_sheet_lines",
        "stock_movements",
        "stock_alerts",
        "stock_transfers",
        "stock_sheets",
        "stock_levels",
        "stock_forms",
    ):
        op.drop_table(table)
