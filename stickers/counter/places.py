"""At which office a clerk stands: chosen once, remembered by the browser of that till."""

from flask import Response, request

from core.db import db
from offices import belonging
from offices.errors import NotYourOffice, UnknownOffice
from offices.models import Office
from staff.access import Actor

COOKIE = "counter_office"
COOKIE_SECONDS = 365 * 24 * 3600
OFFICES_SHOWN = 500


def choices(actor: Actor) -> list[Office]:
    """The offices in use that the member may work for, by code."""
    query = db.select(Office).where(belonging.within_reach(actor), Office.active).order_by(Office.code)
    return list(db.session.scalars(query.limit(OFFICES_SHOWN)))


def has_choice(actor: Actor) -> bool:
    return belonging.works_for_all(actor) or len(belonging.own_offices(actor, limit=2)) > 1


def office_here(actor: Actor, *, closed: bool = False) -> Office | None:
    """The remembered one, or the only one; None when it must be chosen. With `closed` it may be one that was closed."""
    if remembered := _remembered(actor, closed=closed):
        return remembered
    own = belonging.own_offices(actor, limit=2)
    if closed and not own:
        own = belonging.own_closed_offices(actor, limit=2)
    return own[0] if len(own) == 1 else None


def _remembered(actor: Actor, *, closed: bool) -> Office | None:
    try:
        office = belonging.office_for(actor, request.cookies.get(COOKIE, ""))
    except (UnknownOffice, NotYourOffice):
        return None
    return office if office.active or closed else None


def remember(response: Response, office: Office) -> Response:
    response.set_cookie(
        COOKIE, office.code, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=request.is_secure
    )
    return response
