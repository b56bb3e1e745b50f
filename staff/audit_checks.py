"""Reading the whole chain now and then, by a worker: with millions of entries it takes longer than a page may.

A check is a row: asked for by an administrator, or due once a day. Any worker claims it by a lease.
"""

import logging
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, rows_changed, unit_of_work
from core.jobs import every, job
from staff import audit
from staff.audit_queries import open_check
from staff.models import AuditCheck

log = logging.getLogger(__name__)

DUE_EVERY = timedelta(days=1)
LEASE = timedelta(minutes=30)
FAULTS_KEPT = 20
BY_ITSELF = "daily"


def ask(by: str, now: datetime) -> None:
    """Have the chain read; who asks while it is being read waits for that. Belongs into a unit of work."""
    if open_check() is None:
        db.session.add(AuditCheck(asked_at=now, asked_by=by[:254]))


@job
def check_soon() -> None:
    """Work through what is asked for."""
    now = utcnow()
    free = sa.or_(AuditCheck.leased_until.is_(None), AuditCheck.leased_until < now)
    waiting = sa.select(AuditCheck.id).where(AuditCheck.finished_at.is_(None), free).order_by(AuditCheck.id)
    for check_id in list(db.session.scalars(waiting)):
        with unit_of_work() as session:
            claim = sa.update(AuditCheck).where(AuditCheck.id == check_id, AuditCheck.finished_at.is_(None), free)
            claimed = rows_changed(session.execute(claim.values(leased_until=now + LEASE))) == 1
        if claimed:
            _check(check_id)


def _check(check_id: int) -> None:
    end = audit.head()
    entries, faults = audit.verify(end=end)
    result = {
        "finished_at": utcnow(),
        "entries": entries,
        "head_hash": end.hash,
        "fault_count": len(faults),
        "faults": [{"number": fault.number, "what": fault.what} for fault in faults[:FAULTS_KEPT]],
    }
    with unit_of_work() as session:
        mine = sa.update(AuditCheck).where(AuditCheck.id == check_id, AuditCheck.finished_at.is_(None))
        session.execute(mine.values(**result))
    if faults:
        log.error("the audit log is broken in %s places; see the console or `flask audit verify`", len(faults))


@every(seconds=600)
def check_when_due() -> None:
    now = utcnow()
    newest = db.session.scalar(sa.select(sa.func.max(AuditCheck.asked_at)))
    if newest is None or now - newest > DUE_EVERY:
        with unit_of_work():
            ask(BY_ITSELF, now)
    check_soon.function()
