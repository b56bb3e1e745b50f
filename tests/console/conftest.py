"""Members of staff in front of the console, with offices to work for."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from offices import queries, services
from offices.models import Office
from ops.demo_offices import seed_offices
from staff.models import AuditEntry
from tests.staff.console import Browser, make_member

OWN, OTHER = "MINSK-01", "BREST-01"


@pytest.fixture
def offices(app: Flask) -> dict[str, int]:
    """Ids of the demonstration's offices by code."""
    seed_offices(utcnow())
    found = {office.code: office.id for office in db.session.scalars(sa.select(Office))}
    db.session.remove()
    return found


@pytest.fixture
def at_console(app: Flask, offices: dict[str, int]) -> Callable[..., Browser]:
    """A browser in which a new member with this role has signed in; office staff belong to OWN. Pages are English."""

    def sign_in(role: str) -> Browser:
        email = make_member(f"{role}@example.org", role, offices=[offices[OWN]] if role == "office" else [])
        browser = Browser(app)
        browser.get("/staff/login?lang=en")
        assert browser.sign_in(email).status_code == 302
        return browser

    return sign_in


def make_link(office_id: int | None = None, medium: str = "office_poster") -> str:
    """The code of a new link."""
    with unit_of_work():
        place = services.Place(queries.campaign_id(None) or 0, medium, "ru", office_id=office_id)
        code = services.add_placements([place], utcnow())[0].code
    db.session.remove()
    return code


def acts() -> list[tuple[str, str, str]]:
    """(who, what, to what) of the audit log, without signing in and making members."""
    db.session.rollback()
    rows = db.session.execute(
        sa.select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject)
        .where(AuditEntry.action.not_like("staff.%"))
        .order_by(AuditEntry.number)
    )
    return [tuple(row) for row in rows]
