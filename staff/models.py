"""Tables of staff: members, their roles, the audit log."""

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
    """`email` is lower case. `fs_uniquifier` stands in the member's sessions: a new one ends them all."""

    __tablename__ = "staff_members"
    __table_args__ = (sa.CheckConstraint("email = lower(email)", name="email"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    password: Mapped[str] = mapped_column(sa.String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]

    roles: Mapped[list[MemberRole]] = relationship(  # type: ignore[assignment]  # of the library's own RoleMixin
        cascade="all, delete-orphan", order_by=MemberRole.name
    )

    def role_names(self) -> frozenset[str]:
        return frozenset(role.name for role in self.roles)

    def verify_and_update_password(self, password: str) -> bool:
        """Only verifies. The library would also store a newer hash here, in the middle of a read."""
        return bool(verify_password(password, self.password))


class AuditEntry(Base):
    """One act. `hash` covers `previous_hash` and every other column; numbers have no gaps."""

    __tablename__ = "audit_log"

    number: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(sa.String(254), index=True)
    address: Mapped[str] = mapped_column(sa.String(64))
    action: Mapped[str] = mapped_column(sa.String(60), index=True)
    subject: Mapped[str] = mapped_column(sa.String(120), index=True)
    before: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    previous_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class AuditHead(Base):
    """The last number and hash of the audit log. One row: who updates it is next, all others wait."""

    __tablename__ = "audit_head"
    __table_args__ = (sa.CheckConstraint("id = 1", name="only_one"), sa.CheckConstraint("number >= 0", name="number"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[str] = mapped_column(sa.String(64))
