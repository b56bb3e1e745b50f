"""What the campaign team is told of: one code shown in two offices, many unknown codes at one till.

An alert is a row, written once however often the same thing is noticed, in the audit log and in the mail. All of it
belongs into a unit of work.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core import outbox
from core.db import db, insert_if_absent, rows_changed
from core.ids import new_public_id
from offices.models import Office
from staff import audit
from staff.access import Actor
from staff.models import MemberRole, StaffMember
from stickers.counter.errors import UnknownAlert
from stickers.counter.models import CodeTry, CounterAlert, CounterLetter
from stickers.models import RedemptionCode

TEMPLATE = "counter_alert"
READERS = ("campaign", "admin")


def note_try(code: RedemptionCode, office: Office, actor: Actor, now: datetime) -> None:
    """The code was shown at this office; at another one before, too: an alert."""
    insert_if_absent(CodeTry, code_id=code.id, office_id=office.id, tried_at=now)
    elsewhere = sa.select(CodeTry.office_id).where(CodeTry.code_id == code.id, CodeTry.office_id != office.id)
    first = db.session.scalar(elsewhere.order_by(CodeTry.tried_at, CodeTry.office_id).limit(1))
    if first is not None:
        pair = "-".join(str(each) for each in sorted((first, office.id)))
        about = {"code_id": code.id, "first_office_id": first}
        _raise("two_offices", f"code:{code.id}:{pair}", office, actor, now, **about)


def many_unknown(office: Office, actor: Actor, until: datetime, now: datetime) -> None:
    """More codes that nobody was given than people mistype; one alert for each window of counting, `until` its end."""
    _raise("many_unknown", f"office:{office.id}:{until.isoformat()}", office, actor, now)


def _raise(kind: str, key: str, office: Office, actor: Actor, now: datetime, **about: Any) -> None:
    columns = {"kind": kind, "key": key, "office_id": office.id, "member_id": actor.id, "raised_at": now, **about}
    if not insert_if_absent(CounterAlert, public_id=new_public_id(), **columns):
        return
    alert = db.session.scalars(sa.select(CounterAlert).filter_by(key=key)).one()
    after = {"kind": kind, "office": office.code}
    audit.record(
        actor.email, "counter.alert_raised", f"alert:{alert.public_id}", after=after, now=now, address=actor.address
    )
    for member_id in db.session.scalars(_readers()).all():
        letter = CounterLetter(alert_id=alert.id, member_id=member_id)
        db.session.add(letter)
        db.session.flush()
        outbox.put(TEMPLATE, letter.id, now)


def _readers() -> sa.Select[int]:
    of_team = sa.select(MemberRole.member_id).where(MemberRole.name.in_(READERS))
    return sa.select(StaffMember.id).where(StaffMember.active, StaffMember.id.in_(of_team)).order_by(StaffMember.id)


def mark_seen(public_id: str, *, actor: Actor, now: datetime) -> None:
    """Somebody looked into it. Raises `UnknownAlert`; seen already: nothing happens."""
    mine = sa.update(CounterAlert).where(CounterAlert.public_id == public_id, CounterAlert.seen_at.is_(None))
    if rows_changed(db.session.execute(mine.values(seen_at=now, seen_by=actor.email))) == 1:
        audit.record(actor.email, "counter.alert_seen", f"alert:{public_id}", now=now, address=actor.address)
    elif db.session.scalar(sa.select(CounterAlert.id).filter_by(public_id=public_id)) is None:
        raise UnknownAlert


def unseen() -> int:
    query = sa.select(sa.func.count()).select_from(CounterAlert).where(CounterAlert.seen_at.is_(None))
    return int(db.session.scalar(query) or 0)


def newest(limit: int) -> list[CounterAlert]:
    """What nobody looked into first, newest first."""
    query = sa.select(CounterAlert).order_by(CounterAlert.seen_at.is_not(None), CounterAlert.id.desc())
    return list(db.session.scalars(query.limit(limit)))
