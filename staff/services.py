"""The rules of membership: who works here, as what, and who no longer does. Each act is in the audit log."""

import secrets
import unicodedata
import uuid
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from flask_security.utils import hash_password

from core.db import db
from staff import audit, errors
from staff.models import ROLES, MemberRole, StaffMember
from staff.signin import PASSWORD_LENGTH


def new_password() -> str:
    """One that nobody has thought of: 95 random bits."""
    return secrets.token_urlsafe(12)


def create_member(
    email: str, name: str, roles: Collection[str], password: str, *, actor: str, address: str, now: datetime
) -> StaffMember:
    """Raises `EmailInvalid`, `EmailTaken`, `RoleUnknown`, `PasswordTooShort`."""
    email = _normal(email)
    if not roles or set(roles) - set(ROLES):
        raise errors.RoleUnknown(field="role")
    if find_member(email) is not None:
        raise errors.EmailTaken(field="email")
    member = StaffMember(
        email=email,
        name=name.strip()[:120] or email.partition("@")[0],
        password=_hashed(password),
        fs_uniquifier=uuid.uuid4().hex,
        created_at=now,
        roles=[MemberRole(name=role) for role in sorted(set(roles))],
    )
    db.session.add(member)
    db.session.flush()
    after = {"name": member.name, "roles": sorted(member.role_names())}
    audit.record(actor, "staff.created", f"staff:{email}", after=after, now=now, address=address)
    return member


def set_active(email: str, active: bool, *, actor: str, address: str, now: datetime) -> StaffMember:
    """Disable or enable; disabling ends all sessions at once. Raises `NoSuchMember`."""
    member = require_member(email)
    before, member.active = member.active, active
    if not active:
        member.fs_uniquifier = uuid.uuid4().hex
    action = "staff.enabled" if active else "staff.disabled"
    audit.record(
        actor,
        action,
        f"staff:{member.email}",
        before={"active": before},
        after={"active": active},
        now=now,
        address=address,
    )
    return member


def reset_password(email: str, password: str, *, actor: str, address: str, now: datetime) -> StaffMember:
    """A new password; all sessions end. Raises `NoSuchMember`, `PasswordTooShort`."""
    member = require_member(email)
    member.password = _hashed(password)
    member.fs_uniquifier = uuid.uuid4().hex
    audit.record(actor, "staff.password_reset", f"staff:{member.email}", now=now, address=address)
    return member


def find_member(email: str) -> StaffMember | None:
    return db.session.scalar(sa.select(StaffMember).where(StaffMember.email == email.strip().lower()))


def require_member(email: str) -> StaffMember:
    member = find_member(email)
    if member is None:
        raise errors.NoSuchMember(field="email")
    return member


def _normal(email: str) -> str:
    try:
        checked = validate_email(email.strip().lower(), check_deliverability=False)
    except EmailNotValidError:
        raise errors.EmailInvalid(field="email") from None
    return checked.normalized.lower()


def _hashed(password: str) -> str:
    if not PASSWORD_LENGTH <= len(password) <= 128:
        raise errors.PasswordTooShort(field="password", length=PASSWORD_LENGTH)
    # Signing in normalises what is typed: й comes from keyboards as one character or as two.
    return str(hash_password(unicodedata.normalize("NFKD", password)))
