"""A month and a half of gifts for trying finance's pages: made by the payment sandbox, so nobody has given anything.

The sandbox's clock stands in the past meanwhile and its webhooks are not sent; what it tells is fetched from its list,
as after an outage. So everything happened then and was recorded now: by the day on which it occurred, pages are full.
"""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import urllib3
from flask import current_app

from core.clock import local_day, utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.ids import new_public_id
from core.money import Money
from donations.models import Campaign, Donation
from donations.services import Gift, ensure_checkout, start_donation
from donations.views import addresses
from finance import disbursements
from finance.disbursements import Spending
from ledger.models import Fund
from ledger.queries import fund_totals
from offices.models import Placement
from ops.demo import SLUG
from payments.registry import get_provider
from staff import services as members
from staff.access import Actor
from webhooks import services as inbox

CALLER = "demo-history"
DAYS, GIFTS_A_DAY = 29, 3  # the provider keeps its notifications for 30 days
AMOUNTS = (500, 1000, 1000, 2500, 2500, 2500, 3000, 5000, 5000, 10_000)
REFUND_EACH, DISPUTE_EACH, PAYOUT_EACH = 11, 29, 7


class NoSandbox(RuntimeError):
    """Payments do not go to the sandbox, or it does not answer."""


class Sandbox:
    """The drills of the running sandbox."""

    def __init__(self) -> None:
        base = current_app.config["STRIPE_API_BASE"]
        if current_app.config["APP_ENV"] == "production" or not base:
            raise NoSandbox
        self._url, self._pool = f"{base.rstrip('/')}/_sandbox", urllib3.PoolManager(retries=False)

    def drill(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Raises `NoSandbox`."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps(arguments).encode()
        try:
            answer = self._pool.request("POST", f"{self._url}/drills/{name}", body=body, headers=headers, timeout=30)
        except urllib3.exceptions.HTTPError as error:
            raise NoSandbox(str(error)) from error
        if answer.status >= 400:
            raise NoSandbox(answer.data.decode())
        found: dict[str, Any] = json.loads(answer.data)
        return found

    @contextmanager
    def in_the_past(self, days: int) -> Iterator[None]:
        """Its clock goes back and sends nothing; afterwards all is as it was."""
        before = self.drill("advance_clock", seconds=0)["clock_offset"]
        self.drill("drop")
        self.drill("advance_clock", seconds=-days * 86_400)
        try:
            yield
        finally:
            now = self.drill("advance_clock", seconds=0)["clock_offset"]
            self.drill("advance_clock", seconds=before - now)
            self.drill("stop_dropping")


def make_history(now: datetime, *, days: int = DAYS) -> int:
    """How many gifts were made: none where they are there already. Raises `NoSandbox`."""
    there = db.session.scalar(sa.select(Donation.id).where(Donation.idempotency_scope == _gift(0, None).scope).limit(1))
    codes = list(db.session.scalars(sa.select(Placement.code).order_by(Placement.id)))
    db.session.rollback()
    if there is not None:
        return 0
    sandbox, number, begin = Sandbox(), 0, now - timedelta(days=days)
    chance = random.Random(20260209)  # noqa: S311 - the same history each time
    with sandbox.in_the_past(days):
        for day in range(days):
            moment = begin + timedelta(days=day)
            for _ in range(chance.randint(1, 2 * GIFTS_A_DAY - 1)):
                number += 1
                page = _give(number, moment, chance.choice([None, *codes]), chance.choice(AMOUNTS))
                _happen(sandbox, number, page)
            sandbox.drill("settle")
            if day % PAYOUT_EACH == PAYOUT_EACH - 1:
                sandbox.drill("payout")
            sandbox.drill("advance_clock", seconds=86_400)
    _fetch(begin - timedelta(hours=1))
    return number


def _gift(amount: int, placement: str | None) -> Gift:
    return Gift(SLUG, amount, "BYN", "page", caller=CALLER, locale="ru", placement=placement)


def _give(number: int, moment: datetime, placement: str | None, amount: int) -> str:
    """The id of the provider's page for this gift."""
    donation = start_donation(_gift(amount, placement), f"{CALLER}-{number}", moment)
    url = ensure_checkout(donation, addresses(), moment)
    db.session.remove()
    return str(url).rpartition("/")[2]


def _happen(sandbox: Sandbox, number: int, page: str) -> None:
    sandbox.drill("pay", sessions=[page], outcome="decline" if number % 19 == 7 else "pay")
    if number % 19 == 7:
        return
    if number % REFUND_EACH == 3:
        sandbox.drill("refund", payment=page, amount=0 if number % 2 else 200)
    elif number % DISPUTE_EACH == 5:
        sandbox.drill("settle", payment=page)
        dispute = sandbox.drill("dispute", payment=page)["id"]
        sandbox.drill("lose_dispute" if number % 2 else "win_dispute", dispute=dispute)


def _fetch(since: datetime) -> None:
    """Store and apply what the sandbox lists: recorded now, since sums of earlier moments are closed."""
    now = utcnow()
    for event in get_provider("stripe").list_events(since):
        event_id = inbox.store_event(event, now)
        if event_id is not None:
            inbox.apply_held(event_id, now)
    inbox.apply_due(utcnow())
    db.session.remove()


def spend(now: datetime) -> bool:
    """Half of what is available is spent with two people, and a smaller sum waits; whether there was anything."""
    by, other = _actor("finance@example.org"), _actor("admin@example.org")
    try:
        with unit_of_work() as session:
            fund = session.scalars(sa.select(Fund).join(Campaign).where(Campaign.slug == SLUG)).one()
            half = Money(fund_totals(fund).available // 200 * 100, fund.currency)
            if not half.minor or by is None or other is None:
                return False
            first = Spending(local_day(now, "Europe/Minsk"), half, half, "Обучение в Бресте (пример)", "Акт 1", 12)
            disbursements.approve(disbursements.propose(fund, first, new_public_id(), by, now), other, now)
            rest = Money(half.minor // 4, fund.currency)
            second = Spending(first.spent_on, rest, rest, "Обучение в Гродно (пример)", "Акт 2", 4)
            disbursements.propose(fund, second, new_public_id(), by, now)
    except DomainError:
        return False
    finally:
        db.session.remove()
    return True


def _actor(email: str) -> Actor | None:
    member = members.find_member(email)
    found = member and Actor(member.id, member.email, member.name, member.role_names(), "-")
    db.session.rollback()
    return found or None
