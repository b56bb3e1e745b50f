"""Which offices a member of staff may work for: office staff for theirs, the campaign team for all."""

from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from core.db import db, insert_if_absent, rows_changed
from offices.errors import NotYourOffice
from offices.models import Office, OfficeStaff, PrintBatch, PrintBatchOffice
from offices.queries import office_by_code
from staff import audit
from staff.access import Actor
from staff.models import StaffMember
from staff.services import require_member

OF_ALL = ("campaign", "admin")


class Change(Protocol):
    """`assign` or `release`."""

    def __call__(self, office: Office, email: str, *, actor: str, address: str, now: datetime) -> bool: ...


def works_for_all(actor: Actor) -> bool:
    return actor.has(*OF_ALL)


def _own(actor: Actor) -> sa.Select[int]:
    return sa.select(OfficeStaff.office_id).where(OfficeStaff.member_id == actor.id)


def within_reach(actor: Actor) -> sa.ColumnElement[bool]:
    """A condition on `Office`."""
    return sa.true() if works_for_all(actor) else Office.id.in_(_own(actor))


def runs_within_reach(actor: Actor) -> sa.ColumnElement[bool]:
    """A condition on `PrintBatch`: runs for own offices and no other ones, or all for those who work for all."""
    if works_for_all(actor):
        return sa.true()
    of = PrintBatchOffice.batch_id == PrintBatch.id
    own = sa.exists().where(of, PrintBatchOffice.office_id.in_(_own(actor)))
    others = sa.exists().where(of, PrintBatchOffice.office_id.not_in(_own(actor)))
    return sa.and_(own, ~others)


def require_run(actor: Actor, batch: PrintBatch) -> None:
    """Raises `NotYourOffice`."""
    if not db.session.scalar(sa.select(sa.exists().where(PrintBatch.id == batch.id, runs_within_reach(actor)))):
        raise NotYourOffice


def own_offices(actor: Actor, limit: int = 5) -> list[Office]:
    """The offices in use that a member belongs to, whatever else they may see."""
    return _own_that_are(Office.active.is_(True), actor, limit)


def own_closed_offices(actor: Actor, limit: int = 5) -> list[Office]:
    """Those that were closed: what is left there is still their clerks' to send away."""
    return _own_that_are(Office.active.is_(False), actor, limit)


def _own_that_are(state: sa.ColumnElement[bool], actor: Actor, limit: int) -> list[Office]:
    query = sa.select(Office).where(Office.id.in_(_own(actor)), state).order_by(Office.code)
    return list(db.session.scalars(query.limit(limit)))


def office_for(actor: Actor, code: str) -> Office:
    """Raises `UnknownOffice`, `NotYourOffice`."""
    office = office_by_code(code)
    require_office(actor, office.id)
    return office


def require_office(actor: Actor, office_id: int | None) -> None:
    """Raises `NotYourOffice` for places of other offices and of none, unless the member works for all."""
    if works_for_all(actor):
        return
    if office_id is None or office_id not in set(db.session.scalars(_own(actor))):
        raise NotYourOffice


def staff_of(office: Office) -> list[StaffMember]:
    query = sa.select(StaffMember).join(OfficeStaff, OfficeStaff.member_id == StaffMember.id)
    return list(db.session.scalars(query.where(OfficeStaff.office_id == office.id).order_by(StaffMember.email)))


def offices_of(member: StaffMember) -> list[Office]:
    """Closed ones, too: whoever takes them away must see them."""
    query = sa.select(Office).join(OfficeStaff, OfficeStaff.office_id == Office.id)
    return list(db.session.scalars(query.where(OfficeStaff.member_id == member.id).order_by(Office.code)))


def open_offices(limit: int = 300) -> list[tuple[str, str]]:
    """(code, name) of those in use, to choose from."""
    query = sa.select(Office.code, Office.name).where(Office.active).order_by(Office.code).limit(limit)
    return [(code, str(name)) for code, name in db.session.execute(query)]


def assign(office: Office, email: str, *, actor: str, address: str, now: datetime) -> bool:
    """Let a member work for the office; whether they did not before. Raises `NoSuchMember`."""
    member = require_member(email)
    new = insert_if_absent(OfficeStaff, office_id=office.id, member_id=member.id)
    if new:
        _record("office_staff.added", member, {"after": {"office": office.code}}, actor, address, now)
    return new


def release(office: Office, email: str, *, actor: str, address: str, now: datetime) -> bool:
    """Let a member work for the office no longer; whether they did. Raises `NoSuchMember`."""
    member = require_member(email)
    mine = sa.and_(OfficeStaff.office_id == office.id, OfficeStaff.member_id == member.id)
    gone = rows_changed(db.session.execute(sa.delete(OfficeStaff).where(mine))) == 1
    if gone:
        _record("office_staff.removed", member, {"before": {"office": office.code}}, actor, address, now)
    return gone


def _record(
    action: str,
    member: StaffMember,
    change: dict[str, dict[str, str]],
    actor: str,
    address: str,
    now: datetime,
) -> None:
    audit.record(actor, action, f"staff:{member.email}", now=now, address=address, **change)
