"""The rules of membership: who works here, as what, and who no longer does. Each act is in the audit log.

All functions belong into a unit of work. `actor` and `address` say who does it and from where.
"""

import secrets
import unicodedata
import uuid
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from flask_security.utils import hash_password
from sqlalchemy.exc import IntegrityError

from core.db import db
from core.i18n import DEFAULT_LOCALE, LOCALES
from core.texts import one_line
from staff import audit, errors, letters, tokens
from staff.models import ROLES, AuditEntry, MemberRole, Passkey, RecoveryCode, StaffMember
from staff.obvious import is_obvious
from staff.signin import PASSWORD_LENGTH


def new_password() -> str:
    """One that nobody has thought of: 95 random bits."""
    return secrets.token_urlsafe(12)


def create_member(
    email: str, name: str, roles: Collection[str], password: str, *, actor: str, address: str, now: datetime
) -> StaffMember:
    """A member who can sign in at once.

    Raises `EmailInvalid`, `EmailTaken`, `RoleUnknown`, `PasswordTooShort`, `PasswordObvious`.
    """
    email = normal_email(email)
    check_roles(roles)
    if find_member(email) is not None:
        raise errors.EmailTaken(field="email")
    member = StaffMember(
        email=email,
        name=normal_name(name, email),
        password=chosen(password, email),
        fs_uniquifier=uuid.uuid4().hex,
        created_at=now,
        roles=[MemberRole(name=role) for role in sorted(set(roles))],
    )
    db.session.add(member)
    flush_unique()
    after = {"name": member.name, "roles": sorted(member.role_names())}
    audit.record(actor, "staff.created", f"staff:{email}", after=after, now=now, address=address)
    return member


def edit_member(
    email: str,
    *,
    name: str,
    roles: Collection[str],
    locale: str | None = None,
    actor: str,
    address: str,
    now: datetime,
) -> StaffMember:
    """A new name, other roles (which end all tokens), the language of letters (unchanged when None).

    Raises `NoSuchMember`, `NameMissing`, `RoleUnknown`, `LastAdmin`.
    """
    member = require_member(email)
    if not one_line(name):
        raise errors.NameMissing(field="name")
    check_roles(roles)
    if "admin" not in roles:
        _keep_an_admin(member)
    tokens.hold(member)
    before = _described(member)
    member.name = normal_name(name, member.email)
    member.locale = known_locale(locale) if locale else member.locale
    assign_roles(member, roles)
    db.session.flush()
    after = _described(member)
    if before != after:
        audit.record(
            actor, "staff.edited", f"staff:{member.email}", before=before, after=after, now=now, address=address
        )
    if before["roles"] != after["roles"]:
        tokens.revoke_all_of(member, actor=actor, address=address, now=now)
    return member


def set_active(email: str, active: bool, *, actor: str, address: str, now: datetime) -> StaffMember:
    """Disable or enable; disabling ends all sessions and tokens. Raises `NoSuchMember`, `NotJoined`, `LastAdmin`."""
    member = require_member(email)
    if member.invited:
        raise errors.NotJoined(field="email")
    if not active:
        _keep_an_admin(member)
    before, member.active = member.active, active
    if not active:
        end_sessions(member)
        tokens.revoke_all_of(member, actor=actor, address=address, now=now)
        letters.close_links(member.id, "reset", "email", now=now)
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
    """A new password given by another; all sessions end.

    Raises `NoSuchMember`, `NotJoined`, `PasswordTooShort`, `PasswordObvious`.
    """
    member = require_member(email)
    if member.invited:
        raise errors.NotJoined(field="email")
    set_password(member, password, now)
    audit.record(actor, "staff.password_reset", f"staff:{member.email}", now=now, address=address)
    return member


def reset_second_factor(email: str, *, actor: str, address: str, now: datetime) -> StaffMember:
    """Take all second factors away from who lost them; sessions and tokens end, the member is told by e-mail.

    Raises `NoSuchMember`, `NoSecondFactor`.
    """
    member = require_member(email)
    if not member.has_second_factor:
        raise errors.NoSecondFactor(field="email")
    before = {"app": member.totp_secret is not None, "passkeys": [passkey.name for passkey in member.passkeys]}
    member.totp_secret = member.totp_since = member.totp_counter = None
    db.session.execute(sa.delete(Passkey).where(Passkey.member_id == member.id))
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.member_id == member.id))
    db.session.expire(member, ["passkeys"])
    end_sessions(member)
    letters.notify("factors_reset", member, now)
    audit.record(actor, "staff.second_factor_reset", f"staff:{member.email}", before=before, now=now, address=address)
    tokens.revoke_all_of(member, actor=actor, address=address, now=now)
    return member


def change_email(email: str, new_email: str, *, actor: str, address: str, now: datetime) -> StaffMember:
    """Another address to sign in with, at once; the old one is told. Members do it with a confirmation themselves.

    Raises `NoSuchMember`, `EmailInvalid`, `EmailTaken`.
    """
    member = require_member(email)
    new_email, old = normal_email(new_email), member.email
    if find_member(new_email) is not None:
        raise errors.EmailTaken(field="email")
    member.email = new_email
    flush_unique()
    letters.close_links(member.id, "reset", "email", "invitation", now=now)
    if member.invited:
        letters.issue("invitation", member, now)
    else:
        letters.notify("email_changed", member, now, to=old, new=new_email)
    audit.record(
        actor,
        "staff.email_changed",
        f"staff:{new_email}",
        before={"email": old},
        after={"email": new_email},
        now=now,
        address=address,
    )
    return member


# What the functions above, invitations and the account page share. None of these writes to the audit log.


def set_password(member: StaffMember, password: str, now: datetime) -> None:
    """All sessions end, no link of an earlier letter changes it again, the member is told. Raises as `chosen`."""
    member.password = chosen(password, member.email)
    end_sessions(member)
    letters.close_links(member.id, "reset", "email", now=now)
    letters.notify("password_changed", member, now)


def end_sessions(member: StaffMember) -> None:
    """A new identifier: every cookie that names the old one is dead, copies too."""
    member.fs_uniquifier = uuid.uuid4().hex


def find_member(email: str) -> StaffMember | None:
    return db.session.scalar(sa.select(StaffMember).where(StaffMember.email == email.strip().lower()))


def last_sign_ins(email: str, count: int) -> list[AuditEntry]:
    """The newest first: for the member to see whether one was not theirs."""
    mine = sa.and_(AuditEntry.subject == f"staff:{email}", AuditEntry.action == "staff.signed_in")
    query = sa.select(AuditEntry).where(mine).order_by(AuditEntry.number.desc()).limit(count)
    return list(db.session.scalars(query))


def require_member(email: str) -> StaffMember:
    member = find_member(email)
    if member is None:
        raise errors.NoSuchMember(field="email")
    return member


def flush_unique() -> None:
    """Raises `EmailTaken` when somebody else was given the address in this moment."""
    try:
        db.session.flush()
    except IntegrityError:
        raise errors.EmailTaken(field="email") from None


def assign_roles(member: StaffMember, roles: Collection[str]) -> None:
    kept = [role for role in member.roles if role.name in roles]
    new = sorted(set(roles) - {role.name for role in kept})
    member.roles = kept + [MemberRole(name=role) for role in new]


def check_roles(roles: Collection[str]) -> None:
    if not roles or set(roles) - set(ROLES):
        raise errors.RoleUnknown(field="role")


def known_locale(locale: str) -> str:
    return locale if locale in LOCALES else DEFAULT_LOCALE


def normal_name(name: str, email: str) -> str:
    """Without what cannot be printed; the part before the @ for who wrote nothing."""
    return one_line(name)[:120] or email.partition("@")[0][:120]


def normal_email(email: str) -> str:
    """Raises `EmailInvalid`."""
    try:
        checked = validate_email(email.strip().lower(), check_deliverability=False)
    except EmailNotValidError:
        raise errors.EmailInvalid(field="email") from None
    if len(checked.normalized) > 254:
        raise errors.EmailInvalid(field="email")
    return checked.normalized.lower()


def chosen(password: str, email: str) -> str:
    """The hash of a password that somebody chose. Raises `PasswordTooShort` (too long, too) and `PasswordObvious`."""
    if not PASSWORD_LENGTH <= len(password) <= 128:
        raise errors.PasswordTooShort(field="password", length=PASSWORD_LENGTH)
    if is_obvious(password, email):
        raise errors.PasswordObvious(field="password")
    return hashed(password)


def hashed(password: str) -> str:
    # Signing in normalises what is typed: й comes from keyboards as one character or as two.
    return str(hash_password(unicodedata.normalize("NFKD", password)))


def _described(member: StaffMember) -> dict[str, object]:
    return {"name": member.name, "roles": sorted(member.role_names()), "locale": member.locale}


def _keep_an_admin(member: StaffMember) -> None:
    """Raises `LastAdmin` when nobody could administer any more. Locks them all, so that two do not leave at once."""
    if not member.active or "admin" not in member.role_names():
        return
    admins = (
        sa.select(StaffMember.id)
        .join(MemberRole, MemberRole.member_id == StaffMember.id)
        .where(MemberRole.name == "admin", StaffMember.active)
        .order_by(StaffMember.id)
    )
    db.session.execute(admins.with_for_update(of=StaffMember)).all()
    # Read anew: who waited for the lock was answered with roles as they were before.
    if set(db.session.scalars(admins)) <= {member.id}:
        raise errors.LastAdmin
