"""Who is told that a pack runs low: once for each fall of a level to its mark.

The alert is a row written with the movement. Its e-mails are put into the outbox soon afterwards, by whoever claims
it; it ends when the level is above the mark again, and only then the next fall is told.
"""

from datetime import datetime

import sqlalchemy as sa

from core import outbox
from core.clock import utcnow
from core.db import after_commit, db, insert_if_absent, rows_changed, unit_of_work
from core.jobs import every, job
from offices.models import OfficeStaff
from staff.models import MemberRole, StaffMember
from stickers.stock.models import StockAlert, StockLetter

TEMPLATE = "stock_low"


def watch(office_id: int, pack_id: int, *, delta: int, quantity: int, low_mark: int, now: datetime) -> None:
    """Open or end the alert of a level that has just become `quantity`."""
    if quantity > low_mark and delta >= 0:
        end(office_id, pack_id, now)
    elif quantity <= low_mark and delta < 0:
        fallen = {"office_id": office_id, "pack_id": pack_id, "quantity": quantity, "raised_at": now}
        if insert_if_absent(StockAlert, **fallen):
            after_commit(lambda: tell_soon.enqueue())


def end(office_id: int, pack_id: int, now: datetime) -> None:
    mine = sa.and_(StockAlert.office_id == office_id, StockAlert.pack_id == pack_id, StockAlert.cleared_at.is_(None))
    step = sa.update(StockAlert).where(mine).values(cleared_at=now)
    db.session.execute(step.execution_options(synchronize_session=False))


def _readers(office_id: int) -> sa.Select[int]:
    """Ids of the members who are told: those of the office, and the campaign team."""
    of_office = sa.select(OfficeStaff.member_id).where(OfficeStaff.office_id == office_id)
    of_team = sa.select(MemberRole.member_id).where(MemberRole.name == "campaign")
    chosen = sa.or_(StaffMember.id.in_(of_office), StaffMember.id.in_(of_team))
    return sa.select(StaffMember.id).where(StaffMember.active, chosen).order_by(StaffMember.id)


def tell(alert_id: int, now: datetime) -> bool:
    """Put the e-mails of an alert into the outbox, once; whether it was done now. Belongs into a unit of work."""
    claim = sa.update(StockAlert).where(StockAlert.id == alert_id, StockAlert.told_at.is_(None)).values(told_at=now)
    if rows_changed(db.session.execute(claim.execution_options(synchronize_session=False))) == 0:
        return False
    alert = db.session.get_one(StockAlert, alert_id)
    for member_id in db.session.scalars(_readers(alert.office_id)).all():
        letter = StockLetter(alert_id=alert_id, member_id=member_id)
        db.session.add(letter)
        db.session.flush()
        outbox.put(TEMPLATE, letter.id, now)
    return True


def tell_all() -> None:
    untold = sa.select(StockAlert.id).where(StockAlert.told_at.is_(None)).order_by(StockAlert.raised_at).limit(100)
    ids = list(db.session.scalars(untold))
    db.session.rollback()
    for alert_id in ids:
        with unit_of_work():
            tell(alert_id, utcnow())


@job
def tell_soon() -> None:
    tell_all()


@every(seconds=60)
def sweep() -> None:
    tell_all()
