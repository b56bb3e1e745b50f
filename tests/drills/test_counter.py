"""Two drills of the counter, over HTTP and two web processes, on both databases.

A hundred rounds of fifty clients that redeem one code at the same instant; and ten thousand guesses, from one account
and from many: whatever is asked, the limits let through what they say, no answer tells a valid code apart, and one
account stops nobody but itself.
"""

import time
from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import db
from core.models import ThrottleCounter
from offices.models import Office
from staff.access import Actor
from stickers import codes
from stickers.counter.guessing import OVERALL, PER_CLERK, PER_OFFICE, WINDOW
from stickers.counter.models import CounterAlert
from stickers.models import Redemption
from tests.counter.conftest import Counter, NewClerk, office_by
from tests.counter.crowds import Crowd, two_processes
from tests.counter.test_at_once import redeem_in_rounds
from tests.drills.processes import Service, wait_until
from tests.staff.machines import make_token

ROUNDS = 100
GUESSES = 10_000
ACCOUNTS = 40
VALID_EVERY = 50
ENOUGH_SECONDS = 300

pytestmark = pytest.mark.drill

Guesser = tuple[str, str]  # token, code of the office


@pytest.fixture
def service(counter: Counter, database_url: str, tmp_path: Path) -> Iterator[Service]:
    with two_processes(database_url, tmp_path) as running:
        yield running


def test_a_hundred_codes_each_redeemed_by_fifty_clients_at_once(counter: Counter, service: Service) -> None:
    redeem_in_rounds(counter, service, ROUNDS)


class Attack:
    """Guesses from some accounts, in eight lines; among them valid codes, as if the guesser had hit one."""

    def __init__(self, service: Service, guessers: list[Guesser], valid: list[str]) -> None:
        self.crowd = Crowd(service, 8)
        self.guessers, self.valid = guessers, valid
        self.answers: Tally[tuple[bool, int, str]] = Tally()

    def run(self) -> int:
        """All guesses; how many windows of counting they fell into. Begins where one holds them: in a new window the
        limits let through some guesses anew, valid ones among them."""
        wait_until(lambda: seconds_left() > ENOUGH_SECONDS, ENOUGH_SECONDS + 1, "a window that holds all guesses")
        start = time.time()
        for right, (status, body) in self.crowd.pool.map(self._guess, range(GUESSES)):
            self.answers[right, status, str(sorted(body.items()))] += 1
        self.crowd.close()
        seconds = WINDOW.total_seconds()
        return int(time.time() // seconds - start // seconds) + 1

    def _guess(self, number: int) -> tuple[bool, tuple[int, dict[str, Any]]]:
        token, office = self.guessers[number % len(self.guessers)]
        right = number % VALID_EVERY == VALID_EVERY - 1 and number > GUESSES // 2
        code = self.valid[number % len(self.valid)] if right else codes.draw()
        return right, self.crowd.redeem(number, code, token, office=office)

    def figure(self, status: int, right: bool = False) -> int:
        return sum(
            count for (was_right, was, _body), count in self.answers.items() if (was_right, was) == (right, status)
        )

    def bodies(self, status: int) -> set[str]:
        return {body for _right, was, body in self.answers if was == status}


def seconds_left() -> float:
    return WINDOW.total_seconds() - time.time() % WINDOW.total_seconds()


def counted(scope: str) -> int:
    db.session.rollback()
    query = sa.select(sa.func.sum(ThrottleCounter.hits)).where(ThrottleCounter.scope == scope)
    return int(db.session.scalar(query) or 0)


def require_silence(attack: Attack, windows: int, counter: Counter) -> None:
    """Nothing told a valid code from another one, and nothing was handed over."""
    tried = GUESSES // 2 // VALID_EVERY
    assert attack.figure(429, right=True) == tried, attack.answers
    assert attack.figure(404) + attack.figure(429) == GUESSES - tried
    assert len(attack.bodies(404)) == 1
    assert len(attack.bodies(429)) == windows
    assert counter.house.count(Redemption) == 0
    assert counter.stock() == 10
    answered = attack.figure(404)  # counted at each limit; what was refused, at the one that refused it
    everywhere = sum(counted(scope) for scope in ("code-clerk", "code-office", "code-overall"))
    assert everywhere - 2 * answered == GUESSES, "every guess stands in the figures"


def test_ten_thousand_guesses_of_one_account(
    counter: Counter, service: Service, new_clerk: NewClerk, other: Office
) -> None:
    valid = counter.many_codes(20)
    attack = Attack(service, [(make_token(counter.actor.email), counter.office.code)], valid)
    windows = attack.run()
    assert 0 < attack.figure(404) <= PER_CLERK * windows
    require_silence(attack, windows, counter)
    assert counted("code-clerk") == GUESSES
    assert counted("code-overall") == counted("code-office") == attack.figure(404)
    assert 1 <= counter.house.count(CounterAlert, CounterAlert.kind == "many_unknown") <= windows
    require_others_work(counter, service, [new_clerk(counter.office), new_clerk(other)], [counter.office, other])


def require_others_work(counter: Counter, service: Service, clerks: list[Actor], places: list[Office]) -> None:
    """Another clerk of the office, and one of another office."""
    counter.fill(1, office=places[-1])
    crowd = Crowd(service, 1)
    for clerk, place in zip(clerks, places, strict=True):
        status, body = crowd.redeem(0, counter.new_code(), make_token(clerk.email), office=place.code)
        assert (status, body["office"]) == (201, place.code), body
    crowd.close()


def test_ten_thousand_guesses_of_many_accounts(counter: Counter, service: Service, new_clerk: NewClerk) -> None:
    valid = counter.many_codes(20)
    places = [office_by(code) for code in db.session.scalars(sa.select(Office.code).order_by(Office.code).limit(8))]
    guessers = []
    for number in range(ACCOUNTS):
        place = places[number % len(places)]
        guessers.append((make_token(new_clerk(place).email), place.code))
    attack = Attack(service, guessers, valid)
    windows = attack.run()
    most = min(OVERALL, PER_OFFICE * len(places), PER_CLERK * ACCOUNTS)
    assert 0 < attack.figure(404) <= most * windows
    require_silence(attack, windows, counter)
    assert counter.house.count(CounterAlert, CounterAlert.kind == "many_unknown") >= len(places)
