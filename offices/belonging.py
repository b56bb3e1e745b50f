"""Which offices a member of staff may work for: office staff for theirs, the campaign team for all."""

import sqlalchemy as sa

from core.db import db
from offices.errors import NotYourOffice
from offices.models import Office, OfficeStaff
from offices.queries import office_by_code
from staff.access import Actor

OF_ALL = ("campaign", "admin")


def works_for_all(actor: Actor) -> bool:
    return actor.has(*OF_ALL)


def _own(actor: Actor) -> sa.Select[int]:
    return sa.select(OfficeStaff.office_id).where(OfficeStaff.member_id == actor.id)


def within_reach(actor: Actor) -> sa.ColumnElement[bool]:
    """A condition on `Office`."""
    return sa.true() if works_for_all(actor) else Office.id.in_(_own(actor))


def own_offices(actor: Actor, limit: int = 5) -> list[Office]:
    """The offices a member belongs to, whatever else they may see."""
    query = sa.select(Office).where(Office.id.in_(_own(actor)), Office.active).order_by(Office.code)
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


def assign(office: Office, member_id: int) -> None:
    db.session.merge(OfficeStaff(office_id=office.id, member_id=member_id))
