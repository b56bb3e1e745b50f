"""How often somebody may guess at a password or code: counted in the database before anything is looked at.

A guess that proves right is uncounted. Whoever guesses too often is told when the next try is taken, in the same words
whether the account exists; the first refusal of a window stands in the audit log. A guess that is refused is counted at
the limit that refused it alone: who goes on from one address uses up nothing of the account's, and so shuts nobody else
out of it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import g

from core import throttle
from core.clock import utcnow
from core.db import unit_of_work
from core.http import client_address
from core.pages import format_moment
from core.throttle import Limit
from staff import audit, errors
from staff.labels import ZONE
from staff.models import StaffMember

QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
# An office has one address for all its clerks; a botnet has many for one account.
PER_PAIR, PER_ACCOUNT, PER_ADDRESS = 8, 24, 80
# Three of a million codes are right at any time: who knows the password and guesses the code all day finds one of
# ten thousand. Nobody types so many wrong ones.
CODES, CODES_A_DAY = 8, 40
RESETS, RESETS_PER_ACCOUNT, RESETS_PER_ADDRESS = 3, 12, 20


def of_password(account: str) -> list[Limit]:
    address = client_address()
    return [
        Limit("sign-in-pair", f"{account}|{address}", PER_PAIR, QUARTER),
        Limit("sign-in-address", address, PER_ADDRESS, QUARTER),
        Limit("sign-in-account", account, PER_ACCOUNT, QUARTER),
    ]


def of_code(member: StaffMember) -> list[Limit]:
    key = str(member.id)
    return [Limit("second-factor", key, CODES, QUARTER), Limit("second-factor-day", key, CODES_A_DAY, DAY)]


def of_recovery_code(member: StaffMember) -> list[Limit]:
    """Counted apart: who guesses at the app's codes must not shut this way for the member. 80 bits are not guessed."""
    return [Limit("recovery-code", str(member.id), CODES, QUARTER)]


def of_reset() -> list[Limit]:
    return [Limit("reset-address", client_address(), RESETS_PER_ADDRESS, HOUR)]


def of_reset_letter(account: str) -> list[Limit]:
    return [
        Limit("reset-pair", f"{account}|{client_address()}", RESETS, HOUR),
        Limit("reset-account", account, RESETS_PER_ACCOUNT, HOUR),
    ]


def of_email_change(member: StaffMember) -> list[Limit]:
    return [Limit("email-change", str(member.id), RESETS, HOUR), *of_reset()]


def of_passkey() -> list[Limit]:
    return [Limit("passkey-address", client_address(), PER_ADDRESS, QUARTER)]


def of_link() -> list[Limit]:
    return [Limit("link-address", client_address(), PER_ADDRESS, QUARTER)]


def count(limits: Sequence[Limit], subject: str) -> None:
    """Count one more guess at each. Raises `LockedOut` when one was too much, whether the guess is right or not.

    `subject` stands in the audit log as what was guessed at. Commits.
    """
    now = utcnow()
    made = throttle.count_within(limits, now)
    limit = limits[len(made) - 1]
    if made[-1] <= limit.most:
        g.guess = (limits, now)
        return
    until = throttle.window_end(limit.window, now)
    if made[-1] == limit.most + 1:
        after = {"guesses": limit.most, "until": until, "of": limit.scope}
        with unit_of_work():
            audit.record("nobody", "staff.locked_out", subject, after=after, now=now, address=client_address())
    raise errors.LockedOut(time=format_moment(until, ZONE), seconds=_seconds(until, now))


def _seconds(until: datetime, now: datetime) -> int:
    return int((until - now).total_seconds()) + 1


def take_back() -> None:
    """The guess of this request was right: uncount it. Inside a unit of work."""
    limits, now = g.pop("guess", ([], None))
    throttle.uncount(limits, now)
