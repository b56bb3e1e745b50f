"""Tokens for machines: made by a member, with fewer rights than the member has, shown once, revoked at any time.

A token is `bfi_` and 256 random bits; scanners of leaked secrets find it by that beginning. Only its SHA-256 is kept,
which is enough for a secret that nobody can guess. Whoever presents one acts as its member with the roles of this
moment: what the member may no longer do, the token may not either. It never grows: other roles end a member's tokens,
as does the loss of the second factor.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from core import throttle
from core.db import db, insert_if_absent, rows_changed, unit_of_work
from core.errors import TooMany
from staff import audit, errors, second_factors
from staff.models import ApiToken, StaffMember

PREFIX = "bfi_"
SHAPE = re.compile(r"bfi_[A-Za-z0-9_-]{43}")
LABEL_LENGTH = 80
HINT_LENGTH = 10

# What a token may be allowed to do, and which roles may allow it.
SCOPES: Mapping[str, frozenset[str]] = {
    "codes:redeem": frozenset({"office", "campaign", "admin"}),
    "stock:read": frozenset({"office", "campaign", "admin"}),
    "stock:write": frozenset({"office", "campaign", "admin"}),
    "finance:read": frozenset({"finance", "admin"}),
}

GUESSES = 30  # unknown tokens of one address in a window; nobody guesses 256 bits, but each guess costs a write
WINDOW = timedelta(minutes=15)
USE_NOTED_EVERY = timedelta(minutes=1)


def scopes_for(roles: Collection[str]) -> list[str]:
    """What tokens of a member with these roles may be allowed."""
    return [scope for scope, permitting in SCOPES.items() if not permitting.isdisjoint(roles)]


def make_token(
    member: StaffMember,
    label: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    *,
    actor: str,
    address: str,
    now: datetime,
) -> tuple[ApiToken, str]:
    """The token and its secret, which is shown this once.

    Raises `LabelNeeded`, `LabelTaken`, `ScopeUnknown`, `ScopeNotYours`, `ExpiryPast`, `SecondFactorNeeded`.
    """
    hold(member)
    if second_factors.is_missing(member):
        raise errors.SecondFactorNeeded
    label = " ".join(label.split())
    if not 0 < len(label) <= LABEL_LENGTH or not label.isprintable():
        raise errors.LabelNeeded(field="label", length=LABEL_LENGTH)
    _require_scopes(member, scopes)
    if expires_at is not None and expires_at <= now:
        raise errors.ExpiryPast(field="expires")
    secret = PREFIX + secrets.token_urlsafe(32)
    token_hash = _hash(secret)
    new = insert_if_absent(
        ApiToken,
        member_id=member.id,
        label=label,
        hint=secret[:HINT_LENGTH],
        secret_hash=token_hash,
        scopes=" ".join(sorted(set(scopes))),
        created_at=now,
        expires_at=expires_at,
    )
    if not new:
        raise errors.LabelTaken(field="label")
    token = db.session.scalars(sa.select(ApiToken).where(ApiToken.secret_hash == token_hash)).one()
    after = {"label": label, "token": token.hint, "scopes": sorted(set(scopes)), "expires_at": expires_at}
    audit.record(actor, "token.made", f"staff:{member.email}", after=after, now=now, address=address)
    return token, secret


def hold(member: StaffMember) -> None:
    """Until the unit of work ends nobody makes a token for the roles of before while they change; roles read anew."""
    db.session.execute(sa.select(StaffMember.id).where(StaffMember.id == member.id).with_for_update())
    db.session.expire(member, ["roles", "passkeys"])


def _require_scopes(member: StaffMember, scopes: Collection[str]) -> None:
    if not scopes or not set(scopes) <= set(SCOPES):
        raise errors.ScopeUnknown(field="scopes")
    if not set(scopes) <= set(scopes_for(member.role_names())):
        raise errors.ScopeNotYours(field="scopes")


def revoke_token(token_id: int, *, owner: int | None, actor: str, address: str, now: datetime) -> ApiToken:
    """Once is enough; the second time changes nothing. `owner` limits it to tokens of one member.

    Raises `NoSuchToken`.
    """
    token = db.session.get(ApiToken, token_id)
    if token is None or owner not in (None, token.member_id):
        raise errors.NoSuchToken
    _revoke(token, actor, address, now)
    return token


def revoke_all_of(member: StaffMember, *, actor: str, address: str, now: datetime) -> None:
    """For who works here no longer, has other roles or lost the second factor."""
    unended = sa.select(ApiToken).where(ApiToken.member_id == member.id, ApiToken.revoked_at.is_(None))
    for token in db.session.scalars(unended.order_by(ApiToken.id)).all():
        _revoke(token, actor, address, now)


def _revoke(token: ApiToken, actor: str, address: str, now: datetime) -> None:
    step = sa.update(ApiToken).where(ApiToken.id == token.id, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
    if rows_changed(db.session.execute(step)) == 1:
        before = {"label": token.label, "token": token.hint, "scopes": token.scopes.split()}
        subject = f"staff:{token.member.email}"
        audit.record(actor, "token.revoked", subject, before=before, now=now, address=address)


def present(secret: str, address: str, now: datetime) -> ApiToken:
    """The token in force with this secret, with its member. Notes its use, at most once a minute.

    Raises `TokenInvalid`; `TooMany` for an address that has tried too many unknown ones. Commits.
    """
    query = sa.select(ApiToken).where(ApiToken.secret_hash == _hash(secret))
    known = db.session.scalar(query.options(joinedload(ApiToken.member))) if SHAPE.fullmatch(secret) else None
    if known is None:
        _count_guess(address, now)
        raise errors.TokenInvalid
    if not known.is_in_force(now) or not known.member.active or second_factors.is_missing(known.member):
        raise errors.TokenInvalid
    _note_use(known.id, known.last_used_at, now)
    return known


def _count_guess(address: str, now: datetime) -> None:
    """Beyond the limit only reads: who guesses on does not keep the database busy."""
    if throttle.so_far("token-guess", address, WINDOW, now) >= GUESSES:
        raise TooMany
    throttle.count("token-guess", address, WINDOW, now)


def _note_use(token_id: int, last: datetime | None, now: datetime) -> None:
    if last is not None and now - last < USE_NOTED_EVERY:
        return
    stale = sa.or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= now - USE_NOTED_EVERY)
    with unit_of_work() as session:
        session.execute(sa.update(ApiToken).where(ApiToken.id == token_id, stale).values(last_used_at=now))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
