"""Whether the statements of an account go on from each other, and what the bank says we have.

The opening balance of a statement is the closing one of the statement before. Where it is not, one is missing between
them, or they contradict each other. Statements may overlap and may be imported in any order.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa

from core.db import db
from core.money import Money
from finance.bank.models import BankAccount, BankLine, BankStatement

DAY = timedelta(days=1)
Sums = list[tuple[date, int, int]]  # day, statement that brought them, minor units


@dataclass(frozen=True, slots=True)
class Gap:
    """`statement` opens with another balance than `before` closed with: `amount` more. `first` and `last` are the days
    of which a statement is missing; when the two overlap, those on which they contradict each other."""

    before: BankStatement
    statement: BankStatement
    first: date
    last: date
    amount: Money

    @property
    def overlaps(self) -> bool:
        return self.statement.first_day < self.before.last_day


@dataclass(frozen=True, slots=True)
class Standing:
    """What the bank says an account has, and what all lines we know of it come to."""

    account: BankAccount
    day: date
    closing: Money
    lines: Money


def gaps(account: BankAccount) -> list[Gap]:
    """Where the chain of balances is broken, the oldest first; statements without balances say nothing of it."""
    found, before, sums = [], None, _sums(account)
    for each in _with_balances(account):
        if before is not None:
            expected = _expected(before, each, sums)
            if each.opening_minor not in expected:
                amount = Money((each.opening_minor or 0) - expected[0], account.currency)
                found.append(Gap(before, each, *_days(before, each), amount))
        before = _later(before, each)
    return found


def standing(account: BankAccount) -> Standing | None:
    """None while the bank has told no balance."""
    last = None
    for each in _with_balances(account):
        last = _later(last, each)
    if last is None or last.closing_minor is None:
        return None
    sums = _sums(account)
    after = sum(minor for day, by, minor in sums if day > last.last_day or (day == last.last_day and by > last.id))
    total = sum(minor for _day, _by, minor in sums)
    closing = Money(last.closing_minor + after, account.currency)
    return Standing(account, last.last_day, closing, Money(total, account.currency))


def _with_balances(account: BankAccount) -> Sequence[BankStatement]:
    told = sa.and_(BankStatement.opening_minor.is_not(None), BankStatement.closing_minor.is_not(None))
    query = sa.select(BankStatement).where(BankStatement.account_id == account.id, told)
    return db.session.scalars(query.order_by(BankStatement.first_day, BankStatement.last_day, BankStatement.id)).all()


def _later(before: BankStatement | None, each: BankStatement) -> BankStatement:
    """The one that ends later; of one day the one that was imported later."""
    if before is None or (each.last_day, each.id) > (before.last_day, before.id):
        return each
    return before


def _sums(account: BankAccount) -> Sums:
    query = sa.select(BankLine.day, BankLine.statement_id, BankLine.amount_minor)
    query = query.where(BankLine.account_id == account.id).order_by(BankLine.day, BankLine.id)
    return [(day, by, minor) for day, by, minor in db.session.execute(query)]


def _expected(before: BankStatement, each: BankStatement, sums: Sums) -> list[int]:
    """What it may open with, the likeliest first. Both may hold only a part of the day that they share."""
    closing, opening = before.closing_minor or 0, before.opening_minor or 0
    if each.first_day > before.last_day:
        # What a statement without balances brought of the days between.
        return [closing + sum(minor for day, _by, minor in sums if before.last_day < day < each.first_day)]
    shared = sum(minor for day, by, minor in sums if each.first_day <= day <= before.last_day and by <= before.id)
    # The balance at the beginning of its first day, as far as the one before can say.
    begins = [closing - shared]
    if before.first_day < each.first_day:
        begins.append(opening + sum(minor for day, _by, minor in sums if before.first_day <= day < each.first_day))
    # It may begin between two lines of that day: after some of them, or after what it leaves out.
    upto = [0, *itertools.accumulate(minor for day, _by, minor in sums if day == each.first_day)]
    moved = (each.closing_minor or 0) - (each.opening_minor or 0)
    upto.append(sum(minor for day, _by, minor in sums if each.first_day <= day <= each.last_day) - moved)
    within = [start + part for part in upto for start in begins]
    if each.first_day == before.first_day:
        within.append(opening)
    return [closing, *within] if each.first_day == before.last_day else within


def _days(before: BankStatement, each: BankStatement) -> tuple[date, date]:
    if each.first_day - before.last_day > DAY:
        return before.last_day + DAY, each.first_day - DAY
    return min(before.last_day, each.first_day), max(before.last_day, each.first_day)
