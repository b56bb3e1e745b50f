"""What finance and administrators are told by e-mail of runs: each thing once when it begins, and when it is over."""

from datetime import datetime

import sqlalchemy as sa

from core import outbox
from core.db import db, insert_if_absent
from finance.run_models import FinanceRun, RunAlert
from staff.models import MemberRole, StaffMember

CHECK_FAILED, UNREAD, LATE, OVER = "check_failed", "unread", "late", "over"
# Templates of the outbox by what they are about.
LETTERS = {CHECK_FAILED: "check_failed", UNREAD: "run_unread", LATE: "run_late", OVER: "run_over"}
TOLD = ("finance", "admin")


def tell(run_id: int, about: str, names: list[str], now: datetime) -> None:
    """Write to each of them once about this of this run. Inside a unit of work."""
    members = sa.select(StaffMember.id).where(StaffMember.active, StaffMember.roles.any(MemberRole.name.in_(TOLD)))
    for member_id in list(db.session.scalars(members.order_by(StaffMember.id))):
        key = {"run_id": run_id, "member_id": member_id, "about": about}
        if insert_if_absent(RunAlert, **key, names=names):
            alert_id = db.session.scalars(sa.select(RunAlert.id).filter_by(**key)).one()
            outbox.put(LETTERS[about], alert_id, now)


def said_last(kind: str) -> str | None:
    """What was last told of runs of this kind beside failing checks: `UNREAD`, `LATE` or `OVER`."""
    query = (
        sa.select(RunAlert.about)
        .join(FinanceRun, FinanceRun.id == RunAlert.run_id)
        .where(FinanceRun.kind == kind, RunAlert.about != CHECK_FAILED)
        .order_by(RunAlert.id.desc())
        .limit(1)
    )
    return db.session.scalar(query)


def tell_how_it_stands(run_id: int, kind: str, fault: str | None, now: datetime) -> None:
    """A fault (`UNREAD`, `LATE`) that begins, or that what was told of is over. Inside a unit of work."""
    said = said_last(kind)
    if fault is not None and said != fault:
        tell(run_id, fault, [], now)
    elif fault is None and said in (UNREAD, LATE):
        tell(run_id, OVER, [], now)
