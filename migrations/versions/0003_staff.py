"""staff, their roles and offices, the audit log"""

import sqlalchemy as sa
from alembic import op

from staff import triggers


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "staff_members",
        sa.Column("id", key, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_staff_members_email")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_members")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_members_email")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_staff_members_fs_uniquifier")),
    )
    op.create_table(
        "staff_member_roles",
        sa.Column("member_id", key, nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.CheckConstraint(
            "name IN ('office', 'finance', 'campaign', 'admin')", name=op.f("ck_staff_member_roles_name")
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["staff_members.id"], name=op.f("fk_staff_member_roles_member_id")
        ),
        sa.PrimaryKeyConstraint("member_id", "name", name=op.f("pk_staff_member_roles")),
    )
    op.create_table(
        "office_staff",
        sa.Column("office_id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_office_staff_office_id")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_office_staff_member_id")),
        sa.PrimaryKeyConstraint("office_id", "member_id", name=op.f("pk_office_staff")),
    )
    op.create_index(op.f("ix_office_staff_member_id"), "office_staff", ["member_id"])
    op.create_table(
        "audit_log",
        sa.Column("number", key, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_log")),
    )
    for column in ("action", "actor", "subject"):
        op.create_index(op.f(f"ix_audit_log_{column}"), "audit_log", [column])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_only_one")),
        sa.CheckConstraint("number >= 0", name=op.f("ck_audit_head_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    triggers.install(op.get_bind())


def downgrade() -> None:
    triggers.remove(op.get_bind())
    for table in ("audit_head", "audit_log", "office_staff", "staff_member_roles", "staff_members"):
        op.drop_table(table)
