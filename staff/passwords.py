"""What members do about their password and address by themselves, with links by e-mail. Inside a unit of work."""

import unicodedata
from datetime import datetime

from staff import audit, errors, letters, services
from staff.models import StaffMember


def ask_reset(email: str, *, address: str, now: datetime) -> None:
    """Send a link to a member who may sign in. For everybody else the same rows are written, and no letter goes out.

    What was typed stands in no log: people type passwords into the wrong field.
    """
    member = services.find_member(email) if email.isprintable() else None
    if member is not None and not member.active:
        member = None
    letters.issue("reset", member, now)
    subject = f"staff:{member.email}" if member else "staff:unknown"
    audit.record("nobody", "staff.reset_asked", subject, now=now, address=address)


def reset_by_link(token: str, password: str, *, address: str, now: datetime) -> StaffMember:
    """A new password; all sessions end. Raises `LinkDead`, `PasswordTooShort`, `PasswordObvious`."""
    member, _values = letters.use_link("reset", token, now)
    if not member.active:
        raise errors.LinkDead
    services.set_password(member, password, now)
    audit.record(member.email, "staff.password_reset", f"staff:{member.email}", now=now, address=address)
    return member


def typed_twice(password: str, again: str) -> str:
    """Raises `PasswordsDiffer`. й comes from keyboards as one character or as two: that is no difference."""
    if unicodedata.normalize("NFKD", password) != unicodedata.normalize("NFKD", again):
        raise errors.PasswordsDiffer(field="again")
    return password


def ask_email_change(member: StaffMember, new_email: str, *, address: str, now: datetime) -> None:
    """Send a link to the new address; nothing changes before it is used. Raises `EmailInvalid`.

    An address that somebody else here has is not told apart: its owner gets no letter, and the link would not work.
    """
    new_email = services.normal_email(new_email)
    if new_email == member.email:
        raise errors.EmailIsTheSame(field="email")
    taken = services.find_member(new_email) is not None
    letters.close_links(member.id, "email", now=now)
    if not taken:
        letters.issue("email", member, now, to=new_email)
    subject, after = f"staff:{member.email}", {"email": new_email}
    audit.record(member.email, "staff.email_change_asked", subject, after=after, now=now, address=address)


def change_email_by_link(token: str, *, address: str, now: datetime) -> StaffMember:
    """The new address; all sessions end, the old address is told. Raises `LinkDead`, `EmailTaken`."""
    member, values = letters.use_link("email", token, now)
    if not member.active:
        raise errors.LinkDead
    services.change_email(member.email, values["to"], actor=member.email, address=address, now=now)
    services.end_sessions(member)
    return member
