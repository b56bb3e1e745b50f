"""Letters to members: links that are good once, and notices of what was changed about their account.

`issue` and `notify` belong into the unit of work of what they tell. A link's token is made when the letter is written
out, just before it is sent: no token ever stands in a table, a queue or a log.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask import current_app, render_template
from flask_babel import force_locale

from core import outbox
from core.clock import utcnow
from core.db import db, rows_changed, unit_of_work
from core.http import public_url
from core.jobs import every
from core.mail import Mail
from staff import errors
from staff.labels import ZONE
from staff.models import StaffLetter, StaffMember

# What holds a link: how long it is good, and the page it leads to.
LINKS: dict[str, tuple[timedelta, str]] = {
    "reset": (timedelta(minutes=30), "staff.reset_password"),
    "invitation": (timedelta(days=7), "staff.join"),
    "email": (timedelta(hours=2), "staff.confirm_email"),
}
NOTICES = ("password_changed", "email_changed", "factor_added", "factor_removed", "factors_reset")
KEEP = timedelta(days=90)


def issue(kind: str, member: StaffMember | None, now: datetime, **values: Any) -> StaffLetter:
    """Have a letter with a link sent; earlier links of this kind to this member are good no longer.

    Without a member nobody gets it: the same rows are written for an address that nobody has, so that the time an
    answer takes does not tell which are known. `to` among the values is an address other than the member's own.
    """
    if member is not None:
        close_links(member.id, kind, now=now)
    return _put(kind, member, values, now, expires_at=now + LINKS[kind][0])


def notify(kind: str, member: StaffMember, now: datetime, **values: Any) -> None:
    _put(kind, member, values, now, expires_at=None)


def _put(
    kind: str, member: StaffMember | None, values: dict[str, Any], now: datetime, expires_at: datetime | None
) -> StaffLetter:
    letter = StaffLetter(
        kind=kind,
        member_id=member.id if member else None,
        nonce=secrets.token_urlsafe(16),
        values=values,
        created_at=now,
        expires_at=expires_at,
    )
    db.session.add(letter)
    db.session.flush()
    outbox.put(f"staff.{kind}", letter.id, now)
    return letter


def close_links(member_id: int, *kinds: str, now: datetime) -> int:
    """Make open links of these kinds good no longer; how many there were."""
    mine = sa.and_(
        StaffLetter.member_id == member_id,
        StaffLetter.kind.in_(kinds),
        StaffLetter.expires_at.is_not(None),
        StaffLetter.closed_at.is_(None),
    )
    closed = db.session.execute(sa.update(StaffLetter).where(mine).values(closed_at=now, outcome="withdrawn"))
    return rows_changed(closed)


def token_of(letter: StaffLetter) -> str:
    text = f"{letter.kind}|{letter.id}|{letter.nonce}".encode()
    digest = hmac.new(str(current_app.config["SECRET_KEY"]).encode(), text, hashlib.sha256).digest()
    return f"{letter.id}-{urlsafe_b64encode(digest[:24]).decode()}"


def open_link(kind: str, token: str, now: datetime) -> StaffLetter:
    """The letter whose link this is. Raises `LinkDead` for one that is forged, used, withdrawn or too old."""
    number, _, _rest = token.partition("-")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise errors.LinkDead
    letter = db.session.get(StaffLetter, int(number))
    if letter is None or letter.kind != kind or not hmac.compare_digest(token_of(letter).encode(), token.encode()):
        raise errors.LinkDead
    if letter.member is None or letter.closed_at or letter.expires_at is None or letter.expires_at <= now:
        raise errors.LinkDead
    return letter


def use_link(kind: str, token: str, now: datetime) -> tuple[StaffMember, dict[str, Any]]:
    """Take the link: whose it is and what it holds. Raises `LinkDead`, also when somebody else was faster."""
    letter = open_link(kind, token, now)
    still_good = sa.and_(StaffLetter.id == letter.id, StaffLetter.closed_at.is_(None), StaffLetter.expires_at > now)
    taken = db.session.execute(sa.update(StaffLetter).where(still_good).values(closed_at=now, outcome="used"))
    if rows_changed(taken) != 1 or letter.member is None:
        raise errors.LinkDead
    return letter.member, dict(letter.values)


def _write(kind: str, letter_id: int) -> Mail | None:
    """The letter in the member's language; None when its link is good no longer, or nobody is to get it."""
    letter = db.session.get_one(StaffLetter, letter_id)
    member = letter.member
    if member is None or letter.closed_at or (letter.expires_at and letter.expires_at <= utcnow()):
        return None
    with force_locale(member.locale):
        context = {
            "member": member,
            "locale": member.locale,
            "values": letter.values,
            "kind": kind,
            "when": letter.created_at,
            "expires_at": letter.expires_at,
            "link": public_url(LINKS[kind][1], token=token_of(letter), lang=member.locale) if kind in LINKS else None,
            "console": public_url("staff.front", lang=member.locale),
            "zone": ZONE,
        }
        return Mail(
            to=str(letter.values.get("to") or member.email),
            subject=render_template("staff/mail/letter.subject.txt", **context).strip(),
            text=render_template("staff/mail/letter.txt", **context),
            html=render_template("staff/mail/letter.html", **context),
            language=member.locale,
        )


for _kind in (*LINKS, *NOTICES):
    outbox.renderer(f"staff.{_kind}")(partial(_write, _kind))


@every(seconds=24 * 3600)
def forget_old_letters() -> None:
    """Letters hold addresses: what is over is not kept."""
    with unit_of_work() as session:
        session.execute(sa.delete(StaffLetter).where(StaffLetter.created_at < utcnow() - KEEP))
