"""Reads of members and their tokens for the console."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import joinedload, selectinload

from core.db import db
from core.paging import Page, page_of
from staff.errors import NoSuchMember
from staff.models import ApiToken, MemberRole, StaffMember

# Offices are a room above this one: here only which of them a member belongs to.
office_staff = sa.table("office_staff", sa.column("office_id"), sa.column("member_id"))
offices = sa.table("offices", sa.column("id"), sa.column("code"))

STATES: Mapping[str, sa.ColumnElement[bool]] = {
    "active": StaffMember.active.is_(True),
    "invited": StaffMember.invited.is_(True),
    "disabled": sa.and_(StaffMember.active.is_(False), StaffMember.invited.is_(False)),
}


def members_page(wanted: Mapping[str, str], number: int) -> Page[StaffMember]:
    """By e-mail address; `wanted` may name a part of address or name, a role, a state and the code of an office."""
    query = sa.select(StaffMember).options(selectinload(StaffMember.roles), selectinload(StaffMember.passkeys))
    query = query.order_by(StaffMember.email)
    if part := wanted.get("q", "").strip()[:120]:
        query = query.where(named(part))
    if role := wanted.get("role"):
        query = query.where(sa.exists().where(MemberRole.member_id == StaffMember.id, MemberRole.name == role))
    if (state := wanted.get("state", "")) in STATES:
        query = query.where(STATES[state])
    if code := wanted.get("office", "").strip().upper()[:40]:
        query = query.where(StaffMember.id.in_(_of_office(code)))
    return page_of(query, number)


def named(part: str) -> sa.ColumnElement[bool]:
    """Whose address or name has this in it. SQLite knows capitals of Latin letters only: names are tried both ways."""
    if not part.isprintable():
        return sa.false()
    spellings = {part, part.lower(), part.capitalize(), part.title()}
    names = [StaffMember.name.contains(spelling, autoescape=True) for spelling in spellings]
    return sa.or_(StaffMember.email.contains(part.lower(), autoescape=True), *names)


def _of_office(code: str) -> sa.Select[int]:
    query = sa.select(office_staff.c.member_id).join(offices, offices.c.id == office_staff.c.office_id)
    return query.where(offices.c.code == code)


def offices_of(members: Iterable[int]) -> dict[int, list[str]]:
    """Codes of the offices they belong to, by member."""
    query = sa.select(office_staff.c.member_id, offices.c.code).join(offices, offices.c.id == office_staff.c.office_id)
    found: dict[int, list[str]] = {}
    for member, code in db.session.execute(query.where(office_staff.c.member_id.in_(list(members))).order_by("code")):
        found.setdefault(member, []).append(code)
    return found


def member_by_id(member_id: int) -> StaffMember:
    """Raises `NoSuchMember`."""
    member = db.session.get(StaffMember, member_id) if member_id < 2**63 else None
    if member is None:
        raise NoSuchMember
    return member


def tokens_of(member_id: int) -> list[ApiToken]:
    """Those in force and ended ones, the newest first."""
    query = sa.select(ApiToken).where(ApiToken.member_id == member_id)
    return list(db.session.scalars(query.order_by(ApiToken.revoked_at.is_not(None), ApiToken.id.desc()).limit(100)))


def tokens_page(wanted: Mapping[str, str], number: int) -> Page[ApiToken]:
    """Those of everybody, the newest first; `wanted` may name a part of the member, a scope, and `ended` to see all."""
    query = sa.select(ApiToken).join(ApiToken.member).options(joinedload(ApiToken.member))
    if part := wanted.get("q", "").strip()[:120]:
        query = query.where(named(part))
    if scope := wanted.get("scope"):
        query = query.where((" " + ApiToken.scopes + " ").contains(f" {scope} ", autoescape=True))
    if wanted.get("ended") != "1":
        query = query.where(ApiToken.revoked_at.is_(None))
    return page_of(query.order_by(ApiToken.id.desc()), number)


def waiting_members() -> tuple[int, int]:
    """(invited and not yet here, active administrators and finance people without a second factor)"""
    invited = sa.select(sa.func.count()).select_from(StaffMember).where(StaffMember.invited)
    strong = sa.exists().where(MemberRole.member_id == StaffMember.id, MemberRole.name.in_(("admin", "finance")))
    bare = (
        sa.select(sa.func.count())
        .select_from(StaffMember)
        .where(StaffMember.active, strong, StaffMember.totp_secret.is_(None), ~StaffMember.passkeys.any())
    )
    return db.session.scalar(invited) or 0, db.session.scalar(bare) or 0
