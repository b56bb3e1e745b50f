"""api tokens, and the audit log by time"""

import sqlalchemy as sa
from alembic import op


revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

AUDIT_COLUMNS = ("actor", "action", "subject")


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "api_tokens",
        sa.Column("id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("hint", sa.String(length=12), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("label <> ''", name=op.f("ck_api_tokens_label")),
        sa.CheckConstraint("scopes <> ''", name=op.f("ck_api_tokens_scopes")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_api_tokens_expires_at")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_api_tokens_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_tokens_secret_hash")),
    )
    op.create_index(op.f("ix_api_tokens_member_id"), "api_tokens", ["member_id"])
    op.create_index(
        "uq_api_tokens_member_id_label",
        "api_tokens",
        ["member_id", "label"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "audit_checks",
        sa.Column("id", key, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(length=254), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("head_hash", sa.String(length=64), nullable=True),
        sa.Column("fault_count", sa.Integer(), nullable=False),
        sa.Column("faults", sa.JSON(), nullable=True),
        sa.CheckConstraint("(finished_at IS NULL) = (head_hash IS NULL)", name=op.f("ck_audit_checks_finished")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_checks")),
    )
    op.create_index(op.f("ix_audit_checks_finished_at"), "audit_checks", ["finished_at"])
    op.add_column("audit_log", sa.Column("via", sa.String(length=120), nullable=True))
    op.create_index(op.f("ix_audit_log_at_number"), "audit_log", ["at", "number"])
    for column in AUDIT_COLUMNS:
        op.create_index(op.f(f"ix_audit_log_{column}_at_number"), "audit_log", [column, "at", "number"])
        op.drop_index(op.f(f"ix_audit_log_{column}"), "audit_log")


def downgrade() -> None:
    for column in AUDIT_COLUMNS:
        op.create_index(op.f(f"ix_audit_log_{column}"), "audit_log", [column])
        op.drop_index(op.f(f"ix_audit_log_{column}_at_number"), "audit_log")
    op.drop_index(op.f("ix_audit_log_at_number"), "audit_log")
    op.drop_column("audit_log", "via")
    op.drop_table("audit_checks")
    op.drop_table("api_tokens")
