"""Second factors: an authenticator app (TOTP, RFC 6238), passkeys, and recovery codes for who lost both.

A code of the app is taken once: the step of time it stands for is raised by a guarded update. So are recovery codes.
All functions that write belong into a unit of work.
"""

import base64
import hashlib
import secrets
import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import current_app
from passlib.totp import TOTP, AppWallet, TokenError  # type: ignore[import-untyped]

from core.db import db, rows_changed
from staff import audit, errors, letters
from staff.models import Passkey, RecoveryCode, StaffMember

ISSUER = "BullyingFreeInternet"
REQUIRED_FOR = frozenset({"finance", "admin"})
RECOVERY_CODES = 10
SKEW_SECONDS = 30  # of the telephone's clock, each way


def is_required_of(member: StaffMember) -> bool:
    return bool(current_app.config["STAFF_SECOND_FACTOR"]) and not REQUIRED_FOR.isdisjoint(member.role_names())


def is_missing(member: StaffMember) -> bool:
    """Who must have one and has none sets it up before anything else; until then no token of theirs opens anything."""
    return is_required_of(member) and not member.has_second_factor


# The authenticator app


def _factory() -> type[TOTP]:
    named = {hashlib.sha256(key.encode()).hexdigest()[:8]: key for key in current_app.config["STAFF_TOTP_KEYS"]}
    made: type[TOTP] = TOTP.using(issuer=ISSUER, wallet=AppWallet(named, default_tag=next(iter(named))))
    return made


def new_app_secret() -> str:
    """A secret for an app, encrypted."""
    return str(_factory().new().to_json(encrypt=True))


def shown_secret(secret: str, email: str) -> tuple[str, str]:
    """What the QR symbol holds, and the same to be typed."""
    opened = _factory().from_source(secret)
    return opened.to_uri(email), opened.pretty_key(sep=" ")


def _step_of(secret: str, code: str, now: datetime, last: int | None) -> int:
    """The step of time that `code` stands for. Raises `WrongCode`."""
    digits = "".join(code.split())
    try:
        opened = _factory().from_source(secret)
        found = opened.match(digits, time=int(now.timestamp()), window=SKEW_SECONDS, last_counter=last)
    except (TokenError, ValueError, TypeError, KeyError):
        raise errors.WrongCode(field="code") from None
    return int(found.counter)


def enable_app(member: StaffMember, secret: str, code: str, *, address: str, now: datetime) -> list[str]:
    """Have codes of this app asked for from now on; other sessions end.

    Answers new recovery codes when this is the first second factor. Raises `WrongCode`.
    """
    step = _step_of(secret, code, now, None)
    first = not member.has_second_factor
    member.totp_secret, member.totp_since, member.totp_counter = secret, now, step
    return _added(member, {"app": True}, first, address, now)


def take_app_code(member: StaffMember, code: str, now: datetime) -> None:
    """Raises `WrongCode`, also for a code that was taken before."""
    if member.totp_secret is None:
        raise errors.WrongCode(field="code")
    step = _step_of(member.totp_secret, code, now, member.totp_counter)
    fresh = sa.or_(StaffMember.totp_counter.is_(None), StaffMember.totp_counter < step)
    mine = sa.and_(StaffMember.id == member.id, StaffMember.totp_secret == member.totp_secret, fresh)
    if rows_changed(db.session.execute(sa.update(StaffMember).where(mine).values(totp_counter=step))) != 1:
        raise errors.WrongCode(field="code")


def remove_app(member: StaffMember, *, address: str, now: datetime) -> None:
    """Raises `NoSecondFactor`, and `SecondFactorNeeded` when it is the last one of somebody who must have one."""
    if member.totp_secret is None:
        raise errors.NoSecondFactor
    _keep_one(member, left=len(member.passkeys))
    member.totp_secret = member.totp_since = member.totp_counter = None
    _removed(member, {"app": True}, address, now)


# Passkeys; `staff.passkeys` speaks with the browser


def add_passkey(
    member: StaffMember, name: str, credential: dict[str, Any], *, address: str, now: datetime
) -> list[str]:
    """As `enable_app`. Raises `PasskeyNameTaken`, `PasskeyKnown`."""
    name = " ".join(name.split())[:64] or "Passkey"
    if any(passkey.name == name for passkey in member.passkeys):
        raise errors.PasskeyNameTaken(field="name")
    known = sa.select(Passkey.id).where(Passkey.credential_id == credential["credential_id"])
    if db.session.scalar(known) is not None:
        raise errors.PasskeyKnown(field="name")
    first = not member.has_second_factor
    member.passkeys.append(Passkey(name=name, created_at=now, **credential))
    return _added(member, {"passkey": name}, first, address, now)


def use_passkey(passkey: Passkey, sign_count: int, now: datetime) -> None:
    """Raises `PasskeyRefused` when its counter did not go on: then there is a copy of it."""
    goes_on = sa.or_(Passkey.sign_count < sign_count, sa.and_(Passkey.sign_count == 0, sa.literal(sign_count) == 0))
    mine = sa.and_(Passkey.id == passkey.id, goes_on)
    used = db.session.execute(sa.update(Passkey).where(mine).values(sign_count=sign_count, used_at=now))
    if rows_changed(used) != 1:
        raise errors.PasskeyRefused


def rename_passkey(member: StaffMember, passkey_id: int, name: str, *, address: str, now: datetime) -> None:
    """Raises `NoSecondFactor`, `PasskeyNameTaken`, `NameMissing`."""
    passkey = own_passkey(member, passkey_id)
    name = " ".join(name.split())[:64]
    if not name:
        raise errors.NameMissing(field="name")
    if any(each.name == name and each is not passkey for each in member.passkeys):
        raise errors.PasskeyNameTaken(field="name")
    before, passkey.name = passkey.name, name
    db.session.flush()
    audit.record(
        member.email,
        "staff.passkey_renamed",
        f"staff:{member.email}",
        before={"passkey": before},
        after={"passkey": name},
        now=now,
        address=address,
    )


def remove_passkey(member: StaffMember, passkey_id: int, *, address: str, now: datetime) -> None:
    """Raises `NoSecondFactor`, and `SecondFactorNeeded` as `remove_app`."""
    passkey = own_passkey(member, passkey_id)
    _keep_one(member, left=len(member.passkeys) - 1 + (member.totp_secret is not None))
    member.passkeys.remove(passkey)
    _removed(member, {"passkey": passkey.name}, address, now)


def own_passkey(member: StaffMember, passkey_id: int) -> Passkey:
    found = next((passkey for passkey in member.passkeys if passkey.id == passkey_id), None)
    if found is None:
        raise errors.NoSecondFactor
    return found


# Recovery codes


def renew_recovery_codes(member: StaffMember, *, address: str, now: datetime) -> list[str]:
    """New ones in place of all old ones, to be shown this once. Raises `NoSecondFactor`."""
    if not member.has_second_factor:
        raise errors.NoSecondFactor
    codes = _make_recovery_codes(member, now)
    audit.record(member.email, "staff.recovery_codes_made", f"staff:{member.email}", now=now, address=address)
    return codes


def take_recovery_code(member: StaffMember, code: str, now: datetime) -> None:
    """Raises `WrongRecoveryCode`, also for one that was used."""
    mine = sa.and_(
        RecoveryCode.member_id == member.id,
        RecoveryCode.code_hash == _hash(member, code),
        RecoveryCode.used_at.is_(None),
    )
    if rows_changed(db.session.execute(sa.update(RecoveryCode).where(mine).values(used_at=now))) != 1:
        raise errors.WrongRecoveryCode(field="recovery")


def recovery_codes_left(member: StaffMember) -> int:
    unused = sa.and_(RecoveryCode.member_id == member.id, RecoveryCode.used_at.is_(None))
    return db.session.scalar(sa.select(sa.func.count()).where(unused)) or 0


def _make_recovery_codes(member: StaffMember, now: datetime) -> list[str]:
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.member_id == member.id))
    codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
    db.session.add_all(
        RecoveryCode(member_id=member.id, code_hash=_hash(member, code), created_at=now) for code in codes
    )
    db.session.flush()
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def _hash(member: StaffMember, code: str) -> str:
    """80 random bits need no slow hash. What is alike on paper is alike here: base32 has no 0, 1 and 8."""
    plain = "".join(each for each in code.upper()[:64] if each.isalnum()).translate(str.maketrans("018", "OIB"))
    return hashlib.sha256(f"{member.id}:{plain}".encode()).hexdigest()


# What changes have in common


def _added(member: StaffMember, what: dict[str, Any], first: bool, address: str, now: datetime) -> list[str]:
    member.fs_uniquifier = uuid.uuid4().hex
    db.session.flush()
    codes = _make_recovery_codes(member, now) if first else []
    letters.notify("factor_added", member, now, **what)
    subject = f"staff:{member.email}"
    audit.record(member.email, "staff.second_factor_added", subject, after=what, now=now, address=address)
    return codes


def _removed(member: StaffMember, what: dict[str, Any], address: str, now: datetime) -> None:
    member.fs_uniquifier = uuid.uuid4().hex
    db.session.flush()
    if not member.has_second_factor:
        db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.member_id == member.id))
    letters.notify("factor_removed", member, now, **what)
    subject = f"staff:{member.email}"
    audit.record(member.email, "staff.second_factor_removed", subject, before=what, now=now, address=address)


def _keep_one(member: StaffMember, left: int) -> None:
    if left < 1 and is_required_of(member):
        raise errors.SecondFactorNeeded
