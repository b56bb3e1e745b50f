"""second factors, letters to members, invitations"""

import sqlalchemy as sa
from alembic import op


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# In this order up, the other way down: a check may name columns that are there already.
MEMBER_COLUMNS = (
    sa.Column("invited", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("locale", sa.String(length=2), nullable=False, server_default="ru"),
    sa.Column("totp_secret", sa.String(length=500), nullable=True),
    sa.Column("totp_since", sa.DateTime(timezone=True), nullable=True),
    sa.Column("totp_counter", sa.BigInteger(), nullable=True),
)
MEMBER_CHECKS = {
    "invited": ("ck_staff_members_invited", "NOT (invited AND active)"),
    "locale": ("ck_staff_members_locale", "locale IN ('ru', 'be', 'en')"),
    "totp_since": ("ck_staff_members_totp", "(totp_secret IS NULL) = (totp_since IS NULL)"),
}


def add_to_members(column: sa.Column) -> None:
    """With its check in one statement: SQLite takes no others, and a rebuilt table would lose who refers to it."""
    dialect = op.get_bind().dialect
    written = str(sa.schema.CreateColumn(column).compile(dialect=dialect))
    if column.name in MEMBER_CHECKS:
        name, condition = MEMBER_CHECKS[column.name]
        written += f" CONSTRAINT {name} CHECK ({condition})"
    op.execute(f"ALTER TABLE staff_members ADD COLUMN {written}")


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    for column in MEMBER_COLUMNS:
        add_to_members(column)
    op.create_table(
        "staff_passkeys",
        sa.Column("id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("sign_count >= 0", name=op.f("ck_staff_passkeys_count")),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_staff_passkeys_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_staff_passkeys_credential_id")),
        sa.UniqueConstraint("member_id", "name", name=op.f("uq_staff_passkeys_member_id_name")),
    )
    op.create_table(
        "staff_recovery_codes",
        sa.Column("id", key, nullable=False),
        sa.Column("member_id", key, nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_staff_recovery_codes_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_recovery_codes")),
        sa.UniqueConstraint("member_id", "code_hash", name=op.f("uq_staff_recovery_codes_member_id_code_hash")),
    )
    op.create_table(
        "staff_letters",
        sa.Column("id", key, nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("member_id", key, nullable=True),
        sa.Column("nonce", sa.String(length=40), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["staff_members.id"], name=op.f("fk_staff_letters_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_letters")),
    )
    op.create_index("ix_staff_letters_member", "staff_letters", ["member_id", "kind"])
    op.create_index(op.f("ix_staff_letters_created_at"), "staff_letters", ["created_at"])


def downgrade() -> None:
    for table in ("staff_letters", "staff_recovery_codes", "staff_passkeys"):
        op.drop_table(table)
    for column in reversed(MEMBER_COLUMNS):
        op.execute(f"ALTER TABLE staff_members DROP COLUMN {column.name}")
