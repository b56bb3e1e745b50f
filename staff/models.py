"""Tables of staff: members, their roles, second factors and letters, the audit log."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_security import RoleMixin, UserMixin
from flask_security.utils import verify_password
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey

ROLES = ("office", "finance", "campaign", "admin")


class MemberRole(Base, RoleMixin):
    """That a member has a role. The set of roles is fixed here, so there is no table of them."""

    __tablename__ = "staff_member_roles"
    __table_args__ = (sa.CheckConstraint(f"name IN {ROLES}", name="name"),)

    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


class StaffMember(Base, UserMixin):
    """`email` is lower case. `fs_uniquifier` stands in the member's sessions: a new one ends them all.

    Who was invited and has not come yet is not active and has a password that nobody knows.
    `totp_secret` is encrypted; `totp_counter` is the time step of the last code that was taken, so that none is twice.
    """

    __tablename__ = "staff_members"
    __table_args__ = (
        sa.CheckConstraint("email = lower(email)", name="email"),
        sa.CheckConstraint("locale IN ('ru', 'be', 'en')", name="locale"),
        sa.CheckConstraint("NOT (invited AND active)", name="invited"),
        sa.CheckConstraint("(totp_secret IS NULL) = (totp_since IS NULL)", name="totp"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    password: Mapped[str] = mapped_column(sa.String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]
    invited: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    locale: Mapped[str] = mapped_column(sa.String(2), default="ru", server_default="ru")
    totp_secret: Mapped[str | None] = mapped_column(sa.String(500))
    totp_since: Mapped[datetime | None]
    totp_counter: Mapped[int | None] = mapped_column(sa.BigInteger)

    roles: Mapped[list[MemberRole]] = relationship(  # type: ignore[assignment]  # of the library's own RoleMixin
        cascade="all, delete-orphan", order_by=MemberRole.name
    )

    passkeys: Mapped[list["Passkey"]] = relationship(cascade="all, delete-orphan", order_by="Passkey.id")

    @property
    def state(self) -> str:
        """invited, active or disabled."""
        if self.invited:
            return "invited"
        return "active" if self.active else "disabled"

    @property
    def has_second_factor(self) -> bool:
        return self.totp_secret is not None or bool(self.passkeys)

    def role_names(self) -> frozenset[str]:
        return frozenset(role.name for role in self.roles)

    def verify_and_update_password(self, password: str) -> bool:
        """Only verifies. The library would also store a newer hash here, in the middle of a read."""
        return bool(verify_password(password, self.password))


class Passkey(Base):
    """A WebAuthn credential. `sign_count` stays 0 for those that are kept in step over several devices."""

    __tablename__ = "staff_passkeys"
    __table_args__ = (sa.UniqueConstraint("member_id", "name"), sa.CheckConstraint("sign_count >= 0", name="count"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))
    name: Mapped[str] = mapped_column(sa.String(64))
    credential_id: Mapped[bytes] = mapped_column(sa.LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    transports: Mapped[list[str]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """A way in for who lost the second factor, good once. Of the code only its hash is kept."""

    __tablename__ = "staff_recovery_codes"
    __table_args__ = (sa.UniqueConstraint("member_id", "code_hash"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))
    code_hash: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class StaffLetter(Base):
    """A letter to a member. Those that hold a link have `expires_at`; the link is good once, until `closed_at`.

    The link's token is made of `id`, `nonce` and the installation's secret when the letter is sent: neither the
    database nor the secret alone makes one. `member_id` is empty for a letter that nobody gets (see `staff.letters`).
    """

    __tablename__ = "staff_letters"
    __table_args__ = (sa.Index("ix_staff_letters_member", "member_id", "kind"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(30))
    member_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff_members.id"))
    nonce: Mapped[str] = mapped_column(sa.String(40))
    values: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(index=True)
    expires_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]  # used, withdrawn or replaced by a newer one
    outcome: Mapped[str | None] = mapped_column(sa.String(20))  # used, withdrawn

    member: Mapped[StaffMember | None] = relationship()


class ApiToken(Base):
    """What a machine shows in place of a member. The secret itself is kept nowhere: `secret_hash` is its SHA-256,
    `hint` its first characters, for people to tell tokens apart. `scopes` are parted by spaces."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        sa.CheckConstraint("label <> ''", name="label"),
        sa.CheckConstraint("scopes <> ''", name="scopes"),
        sa.CheckConstraint("expires_at > created_at", name="expires_at"),
        sa.Index(
            "uq_api_tokens_member_id_label",
            "member_id",
            "label",
            unique=True,
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"), index=True)
    label: Mapped[str] = mapped_column(sa.String(80))
    hint: Mapped[str] = mapped_column(sa.String(12))
    secret_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    scopes: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    member: Mapped[StaffMember] = relationship()

    def scope_names(self) -> frozenset[str]:
        return frozenset(self.scopes.split())

    def is_in_force(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AuditEntry(Base):
    """One act. `hash` covers `previous_hash` and every other column; numbers have no gaps.

    `via` names the token that acted for the member, if one did.
    """

    __tablename__ = "audit_log"
    # Lists are read by time, the newest first, whatever they are narrowed to.
    __table_args__ = (
        sa.Index(None, "at", "number"),
        sa.Index(None, "actor", "at", "number"),
        sa.Index(None, "action", "at", "number"),
        sa.Index(None, "subject", "at", "number"),
    )

    number: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(sa.String(254))
    via: Mapped[str | None] = mapped_column(sa.String(120))
    address: Mapped[str] = mapped_column(sa.String(64))
    action: Mapped[str] = mapped_column(sa.String(60))
    subject: Mapped[str] = mapped_column(sa.String(120))
    before: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    previous_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class AuditCheck(Base):
    """One reading of the whole chain: asked for by somebody or due, done by a worker. `faults` are the first few."""

    __tablename__ = "audit_checks"
    __table_args__ = (
        sa.CheckConstraint("(finished_at IS NULL) = (head_hash IS NULL)", name="finished"),
        sa.Index(None, "finished_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(sa.String(254))
    leased_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    entries: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    head_hash: Mapped[str | None] = mapped_column(sa.String(64))
    fault_count: Mapped[int] = mapped_column(default=0)
    faults: Mapped[list[Any] | None] = mapped_column(sa.JSON(none_as_null=True))


class AuditHead(Base):
    """The last number and hash of the audit log. One row: who updates it is next, all others wait."""

    __tablename__ = "audit_head"
    __table_args__ = (sa.CheckConstraint("id = 1", name="only_one"), sa.CheckConstraint("number >= 0", name="number"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[str] = mapped_column(sa.String(64))
