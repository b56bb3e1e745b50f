"""Invitations: an administrator names address and roles, the invited person chooses name and password.

The member's row is there from the start, so that offices can be assigned at once; nobody can sign in with it before
the link of the letter was used. All functions belong into a unit of work.
"""

import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.db import db
from core.texts import one_line
from staff import audit, errors, letters, services
from staff.models import StaffLetter, StaffMember


@dataclass(frozen=True)
class Invitation:
    """An invited member who has not come yet; `expires_at` is None when no link is good any more."""

    member: StaffMember
    sent_at: datetime | None
    expires_at: datetime | None


def invite_member(
    email: str,
    name: str,
    roles: Collection[str],
    *,
    locale: str = "ru",
    actor: str,
    address: str,
    now: datetime,
) -> StaffMember:
    """Make the member, not yet able to sign in, and send a letter with a link that is good once, for seven days.

    Who was invited before and has not come is invited again with these values. `name` may be empty: the invited
    person writes it. Raises `EmailInvalid`, `EmailTaken` (somebody who works here already), `RoleUnknown`.
    """
    email = services.normal_email(email)
    services.check_roles(roles)
    member = services.find_member(email)
    if member is not None and not member.invited:
        raise errors.EmailTaken(field="email")
    if member is None:
        member = _new_member(email, now)
    member.name = services.normal_name(name, email)
    member.locale = services.known_locale(locale)
    services.assign_roles(member, roles)
    services.flush_unique()
    letters.issue("invitation", member, now, by=_named(actor))
    after = {"name": member.name, "roles": sorted(member.role_names())}
    audit.record(actor, "staff.invited", f"staff:{email}", after=after, now=now, address=address)
    return member


def _named(actor: str) -> str:
    """Who invites, as the letter says it; empty for the command line."""
    member = services.find_member(actor)
    return f"{member.name} ({member.email})" if member else ""


def _new_member(email: str, now: datetime) -> StaffMember:
    member = StaffMember(
        email=email,
        name="",
        password=services.hashed(secrets.token_urlsafe(32)),
        fs_uniquifier=uuid.uuid4().hex,
        created_at=now,
        active=False,
        invited=True,
    )
    db.session.add(member)
    return member


def resend_invitation(email: str, *, actor: str, address: str, now: datetime) -> StaffMember:
    """A new link; the old one is good no longer. Raises `NoSuchMember`, `AlreadyJoined`."""
    member = _invited(email)
    letters.issue("invitation", member, now, by=_named(actor))
    audit.record(actor, "staff.invited_again", f"staff:{member.email}", now=now, address=address)
    return member


def withdraw_invitation(email: str, *, actor: str, address: str, now: datetime) -> StaffMember:
    """No link is good any more; inviting again is possible. Raises `NoSuchMember`, `AlreadyJoined`."""
    member = _invited(email)
    letters.close_links(member.id, "invitation", now=now)
    audit.record(actor, "staff.invitation_withdrawn", f"staff:{member.email}", now=now, address=address)
    return member


def invited_by(token: str, now: datetime) -> StaffMember:
    """Whose invitation this is. Raises `LinkDead`."""
    member = letters.open_link("invitation", token, now).member
    if member is None or not member.invited:
        raise errors.LinkDead
    return member


def accept_invitation(token: str, name: str, password: str, *, address: str, now: datetime) -> StaffMember:
    """The invited person becomes a member. Raises as `services.chosen`, and `LinkDead`, `NameMissing`."""
    if not one_line(name):
        raise errors.NameMissing(field="name")
    member, _values = letters.use_link("invitation", token, now)
    if not member.invited:
        raise errors.LinkDead
    member.name = services.normal_name(name, member.email)
    member.password = services.chosen(password, member.email)
    member.fs_uniquifier = uuid.uuid4().hex
    member.invited, member.active = False, True
    after = {"name": member.name, "roles": sorted(member.role_names())}
    audit.record(member.email, "staff.joined", f"staff:{member.email}", after=after, now=now, address=address)
    return member


def open_invitations(now: datetime) -> list[Invitation]:
    """Everybody who was invited and has not come, with the link that is still good if there is one."""
    members = db.session.scalars(sa.select(StaffMember).where(StaffMember.invited).order_by(StaffMember.email))
    good = sa.select(StaffLetter).where(
        StaffLetter.kind == "invitation", StaffLetter.closed_at.is_(None), StaffLetter.expires_at > now
    )
    links = {letter.member_id: letter for letter in db.session.scalars(good)}
    return [
        Invitation(
            member,
            links[member.id].created_at if member.id in links else None,
            links[member.id].expires_at if member.id in links else None,
        )
        for member in members
    ]


def _invited(email: str) -> StaffMember:
    member = services.require_member(email)
    if not member.invited:
        raise errors.AlreadyJoined(field="email")
    return member
