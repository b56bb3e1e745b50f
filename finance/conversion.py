"""What is left over when money was converted at different rates: the residue that goes to `fund:<fund>:fx`.

The conversion accounts show what foreign money a fund holds and what it had cost in the fund's currency when it came.
A rate from outside never enters the books: what is held is kept at its cost, the weighted average of what was held at
the start of the month and what came in during it. When foreign money leaves at another rate than that (a payment to a
programme, a refund, a dispute, a payout that arrives in roubles), the difference has really been gained or lost. It is
the residue:

    average = (cost at the start + cost of what came) / (held at the start + what came)
    residue = held at the end × average − cost that the accounts show
"""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from core.db import db
from finance.payout_shares import Ways
from ledger.models import Account, Fund, JournalEntry, Posting
from ledger.periods import Month

SOURCE = "fx_residue"


@dataclass(slots=True)
class Position:
    """Foreign money of one fund: what is held and its cost in the fund's currency, minor units of each."""

    fund_id: int
    currency: str
    opening: int = 0
    opening_cost: int = 0
    came: int = 0
    came_cost: int = 0
    left: int = 0
    left_cost: int = 0
    booked: int = 0  # residue of this month that an earlier closing of it has booked

    @property
    def held(self) -> int:
        return self.opening + self.came - self.left

    @property
    def shown(self) -> int:
        """The cost that the accounts show."""
        return self.opening_cost + self.came_cost - self.left_cost + self.booked

    @property
    def cost(self) -> int:
        """The cost that should remain, half-even. Without anything that came there is no rate, and all stays."""
        if max(0, self.opening) + self.came > 0:
            return self.cost_of(self.held)
        return self.shown if self.held else 0

    def cost_of(self, units: int) -> int:
        """What so much of it had cost, at the average of the month, half-even; nothing, where nothing came."""
        # More given back than was held: those units have no cost of their own, only the month's rate.
        opening, opening_cost = (self.opening, self.opening_cost) if self.opening > 0 else (0, 0)
        came = opening + self.came
        return round(Fraction(units * (opening_cost + self.came_cost), came)) if came > 0 else 0

    @property
    def residue(self) -> int:
        """What was gained (or, below zero, lost)."""
        return self.cost - self.shown


def positions(month: Month, before: dict[str, Any] | None, ways: Ways) -> list[Position]:
    """Positions of all funds in a month that follows the sheet `before` (None: the first one), by fund and currency.

    `ways` is what payouts brought in other currencies since ever. What is more of it than in the sheet before belongs
    to this month: that of its own payouts, and of earlier ones whose lines have become a fund's since.
    """
    found: dict[tuple[int, str], Position] = {}

    def position(fund_id: int, currency: str) -> Position:
        return found.setdefault((fund_id, currency), Position(fund_id, currency))

    funds = {fund.code: fund for fund in db.session.scalars(sa.select(Fund))}
    ids = {code: fund.id for code, fund in funds.items()}
    for row in before["positions"] if before else []:
        each = position(ids[row["fund"]], row["currency"])
        each.opening, each.opening_cost = row["held"], row["cost"]
    for fund_id, currency, came, amount, cost in db.session.execute(_moved(month)):
        each = position(fund_id, currency)
        if came:
            each.came, each.came_cost = int(amount), int(cost)
        else:
            each.left, each.left_cost = -int(amount), -int(cost)
    own = {fund.id: fund.currency for fund in funds.values()}
    for (fund_id, paid, received), (amount, fetched) in sorted(_since(before, ids, ways).items()):
        if received == own[fund_id]:
            _leave(position(fund_id, paid), amount, fetched)
        elif paid == own[fund_id]:
            _come(position(fund_id, received), fetched, amount)
        else:  # from one foreign currency to another: nothing is gained by that, it takes its cost along
            cost = position(fund_id, paid).cost_of(amount)
            _leave(position(fund_id, paid), amount, cost)
            _come(position(fund_id, received), fetched, cost)
    for (fund_id, currency), booked in _booked(month, ids).items():
        position(fund_id, currency).booked = booked
    return [found[key] for key in sorted(found)]


def _leave(each: Position, amount: int, cost: int) -> None:
    each.left, each.left_cost = each.left + amount, each.left_cost + cost


def _come(each: Position, amount: int, cost: int) -> None:
    each.came, each.came_cost = each.came + amount, each.came_cost + cost


def _since(before: dict[str, Any] | None, ids: dict[str, int], ways: Ways) -> Ways:
    """What is new of them; sheets from before they were kept have none."""
    new = dict(ways)
    for row in (before or {}).get("exchanged", []):
        key = ids[row["fund"]], row["paid"], row["received"]
        amount, fetched = new.get(key, (0, 0))
        new[key] = amount - row["amount"], fetched - row["fetched"]
    return {key: both for key, both in new.items() if any(both)}


def _within(month: Month) -> sa.ColumnElement[bool]:
    return sa.and_(JournalEntry.occurred_at >= month.starts_at, JournalEntry.occurred_at < month.ends_at)


def _moved(month: Month) -> sa.Select[Any]:
    """(fund, foreign currency, whether it came, how much of it, at what cost) of the month's conversions."""
    taken_back = sa.and_(JournalEntry.source_type == "settlement", JournalEntry.reverses_id.is_not(None))
    sides = (
        sa.select(
            Posting.entry_id,
            Posting.currency,
            sa.func.sum(Posting.debit_minor - Posting.credit_minor).label("net"),
            sa.func.max(sa.case((taken_back, 1), else_=0)).label("taken_back"),
        )
        .join(Account, sa.and_(Account.id == Posting.account_id, Account.kind == "conversion"))
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .where(_within(month), JournalEntry.source_type != SOURCE)
        .group_by(Posting.entry_id, Posting.currency)
        .cte("sides")
    )
    # An entry is one fund's: its receivable, its spending or its sponsor.
    owners = (
        sa.select(Posting.entry_id, sa.func.max(Account.fund_id).label("fund_id"))
        .join(Account, Account.id == Posting.account_id)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .where(_within(month), Account.fund_id.is_not(None))
        .group_by(Posting.entry_id)
        .cte("owners")
    )
    foreign, own = sides.alias("foreign_side"), sides.alias("own_side")
    # What a correction takes back of a settlement is less that came (or left), not more that left (or came).
    came = sa.case((foreign.c.net < 0, 1 - foreign.c.taken_back), else_=foreign.c.taken_back)
    return (
        sa.select(
            Fund.id, foreign.c.currency, came, -sa.func.sum(foreign.c.net), sa.func.coalesce(sa.func.sum(own.c.net), 0)
        )
        .select_from(foreign)
        .join(owners, owners.c.entry_id == foreign.c.entry_id)
        .join(Fund, Fund.id == owners.c.fund_id)
        .outerjoin(own, sa.and_(own.c.entry_id == foreign.c.entry_id, own.c.currency == Fund.currency))
        .where(foreign.c.currency != Fund.currency, foreign.c.net != 0)
        .group_by(sa.literal_column("1"), sa.literal_column("2"), sa.literal_column("3"))
    )


def _booked(month: Month, ids: dict[str, int]) -> dict[tuple[int, str], int]:
    query = (
        sa.select(JournalEntry.source_id, sa.func.sum(Posting.debit_minor - Posting.credit_minor))
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, sa.and_(Account.id == Posting.account_id, Account.kind == "conversion"))
        .where(_within(month), JournalEntry.source_type == SOURCE)
        .group_by(JournalEntry.source_id)
    )
    booked: defaultdict[tuple[int, str], int] = defaultdict(int)
    for source_id, net in db.session.execute(query):
        fund, _, currency = source_id.partition(":")[2].rpartition(":")
        booked[ids[fund], currency] += int(net)
    return booked
