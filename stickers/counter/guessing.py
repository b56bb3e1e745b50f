"""Codes are looked up here and nowhere else: guesses are counted before anything is known of the code.

A look-up is counted per clerk, per office and overall; one that finds a code is uncounted. So no more than the limits
allow learn in one window whether a code exists, however many processes answer, and who is beyond them is told the same
for every code. Mistyped codes never come here: the check character tells them.
"""

from datetime import datetime, timedelta

from core import throttle
from core.db import unit_of_work
from offices.models import Office
from staff.access import Actor
from stickers.counter import alerts, errors, queries
from stickers.counter.services import redeem_code, require_clerk
from stickers.models import Redemption

WINDOW = timedelta(minutes=15)
# Unknown codes of one window, and look-ups that are just being answered: a machine may send dozens at once. The check
# character tells a wrong character and two swapped ones, so an honest clerk has hardly any; a guesser would need 10^14
# windows.
PER_CLERK, PER_OFFICE, OVERALL = 60, 180, 1800
ALERT_PER_CLERK, ALERT_PER_OFFICE = 8, 20


def _counters(office: Office, actor: Actor) -> list[tuple[str, str]]:
    return [("code-overall", "all"), ("code-office", str(office.id)), ("code-clerk", str(actor.id))]


def look_up(code: str, *, office: Office, actor: Actor, now: datetime) -> queries.Found:
    """The code in its stored form, looked up for somebody at a till. Commits what it counts and notes.

    Raises `NotYourOffice`, `OfficeClosed`, `MemberDisabled`, `TooManyGuesses`, `UnknownCode`.
    """
    require_clerk(actor, office)
    of_office, of_clerk = _count(office, actor, now)
    with unit_of_work():
        found = queries.find_code(code)
        if found is not None:
            if can_be_served(found, office):
                alerts.note_try(found.code, office, actor, now)
            _uncount(office, actor, now)  # last: all offices wait for one of these rows
        elif of_clerk >= ALERT_PER_CLERK or of_office >= ALERT_PER_OFFICE:
            alerts.many_unknown(office, actor, throttle.window_end(WINDOW, now), now)
    if found is None:
        raise errors.UnknownCode
    return found


def redeem(code: str, *, office: Office, actor: Actor, nonce: str, now: datetime) -> Redemption:
    """Look the code up and hand its pack over, in one unit of work. Raises what either raises."""
    look_up(code, office=office, actor=actor, now=now)
    with unit_of_work():
        return redeem_code(code, office=office, actor=actor, nonce=nonce, now=now)


def codes_on_page(token: str, office: Office, actor: Actor, now: datetime) -> list[str]:
    """The codes on the page of a donation or a friend, for whoever scanned its address. An address is a guess, too.

    Raises what `look_up` raises, and `UnknownPage` when nothing can be collected with it.
    """
    require_clerk(actor, office)
    _count(office, actor, now)
    with unit_of_work():
        found = queries.codes_behind(token)
        if found:
            _uncount(office, actor, now)
    if not found:
        raise errors.UnknownPage(field="code")
    return found


def can_be_served(found: queries.Found, office: Office) -> bool:
    """Whether the visitor could get a pack here: whoever was sent on by an empty shelf does nothing odd elsewhere."""
    return found.code.status != "issued" or bool(queries.stock_of(office.id, found.code.pack_id))


def _count(office: Office, actor: Actor, now: datetime) -> tuple[int, int]:
    """Guesses of this window at the office and by the clerk, with this one. Raises `TooManyGuesses`. Commits."""
    overall, of_office, of_clerk = throttle.count_each(_counters(office, actor), WINDOW, now)
    if overall > OVERALL or of_office > PER_OFFICE or of_clerk > PER_CLERK:
        raise errors.TooManyGuesses(throttle.window_end(WINDOW, now), now)
    return of_office, of_clerk


def _uncount(office: Office, actor: Actor, now: datetime) -> None:
    for scope, key in _counters(office, actor):
        throttle.take_back(scope, key, WINDOW, now)
