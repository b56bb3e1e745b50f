"""Codes are looked up here and nowhere else: guesses are counted before anything is known of the code.

A look-up is counted per clerk, per office and overall; one that finds a code is uncounted. So no more than the limits
allow learn in one window whether a code exists, however many processes answer, and who is beyond them is told the same
for every code. What one limit refuses is counted at that limit alone: a clerk's account that guesses without end stops
itself, never its office, and an office never the others. Mistyped codes never come here: their check character tells.
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


def _limits(office: Office, actor: Actor) -> list[throttle.Limit]:
    return [
        throttle.Limit("code-clerk", str(actor.id), PER_CLERK, WINDOW),
        throttle.Limit("code-office", str(office.id), PER_OFFICE, WINDOW),
        throttle.Limit("code-overall", "all", OVERALL, WINDOW),
    ]


def look_up(code: str, *, office: Office, actor: Actor, now: datetime) -> queries.Found:
    """The code in its stored form, looked up for somebody at a till. Commits what it counts and notes.

    Raises `NotYourOffice`, `OfficeClosed`, `MemberDisabled`, `TooManyGuesses`, `UnknownCode`.
    """
    require_clerk(actor, office)
    of_clerk, of_office = _count(office, actor, now)
    with unit_of_work():
        found = queries.find_code(code)
        if found is not None:
            if can_be_served(found, office):
                alerts.note_try(found.code, office, actor, now)
            throttle.uncount(_limits(office, actor), now)  # last: all offices wait for one of these rows
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
            throttle.uncount(_limits(office, actor), now)
    if not found:
        raise errors.UnknownPage(field="code")
    return found


def can_be_served(found: queries.Found, office: Office) -> bool:
    """Whether the visitor could get a pack here: whoever was sent on by an empty shelf does nothing odd elsewhere."""
    return found.code.status != "issued" or bool(queries.stock_of(office.id, found.code.pack_id))


def _count(office: Office, actor: Actor, now: datetime) -> tuple[int, int]:
    """Guesses of this window by the clerk and at the office, with this one. Raises `TooManyGuesses`. Commits."""
    limits = _limits(office, actor)
    made = throttle.count_within(limits, now)
    if made[-1] > limits[len(made) - 1].most:
        raise errors.TooManyGuesses(throttle.window_end(WINDOW, now), now)
    return made[0], made[1]
