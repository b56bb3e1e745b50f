"""One member of staff for each role, for trying the console out. The password is in the README: development only."""

from datetime import datetime

import sqlalchemy as sa
from flask import current_app

from core.db import db, unit_of_work
from offices.belonging import assign
from offices.models import Office
from ops.demo_offices import seed_offices
from staff import audit, services
from staff.models import ROLES

DEMO_PASSWORD = "development-only"  # noqa: S105 - refused outside development
NAMES = {"office": "Ольга", "finance": "Фёдор", "campaign": "Карина", "admin": "Анна"}
OFFICES_OF_ONE = ("MINSK-01", "MINSK-02")


class NotInDevelopment(RuntimeError):
    """Somebody asked for members whose password everybody knows."""


def seed_staff(now: datetime) -> bool:
    """Whether they were made now, with offices if there are none. Raises `NotInDevelopment` anywhere else."""
    if current_app.config["APP_ENV"] != "development":
        raise NotInDevelopment
    if services.find_member("admin@example.org") is not None:
        return False
    seed_offices(now)
    with unit_of_work() as session:
        for role in ROLES:
            _member(role, now)
        for office in session.scalars(sa.select(Office).where(Office.code.in_(OFFICES_OF_ONE))):
            assign(office, "office@example.org", actor=audit.COMMAND_LINE, address="-", now=now)
    db.session.remove()
    return True


def _member(role: str, now: datetime) -> None:
    email, by = f"{role}@example.org", audit.COMMAND_LINE
    services.create_member(email, NAMES[role], [role], DEMO_PASSWORD, actor=by, address="-", now=now)
