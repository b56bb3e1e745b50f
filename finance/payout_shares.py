"""Whose money it was that a payout brought to the bank in another currency.

The entry of such an arrival names no fund: bank and transit are everybody's. Which fund's money it was is what the
payout's lines say, as they are booked: each fund has the sum of its lines, to the cent. What stands in suspense (lines
that nothing is known of, fees that name nothing) is nobody's, and moves to a fund when its line does.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from core.db import db
from finance.bank.models import BankMatch
from finance.models import PayoutRecord, SettlementLine
from finance.services import PAYOUT_KINDS
from ledger.models import Account, JournalEntry, Posting
from ledger.periods import Month
from payments.base import SettlementKind

OF_LINES = ("settlement", "settlement_fee")  # sources of entries that a line of the provider has
Ways = dict[tuple[int, str, str], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of `whole` by fund; what no fund has is nobody's."""

    whole: int
    funds: dict[int, int]

    def of(self, amount: int) -> dict[int, int]:
        """The same parts of another amount, each right to a unit and nothing lost; of -amount they are the opposite."""
        ids = sorted(self.funds)
        weights = [self.funds[fund_id] for fund_id in ids]
        return dict(zip(ids, split(amount, [*weights, self.whole - sum(weights)]), strict=False))


NOBODY = Shares(0, {})


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Parts that sum to exactly `amount`; weights may be below zero. All is the last one's when they sum to zero."""
    total, gone, upto = sum(weights), 0, 0
    if not total:
        return [*(0 for _weight in weights[1:]), amount]
    parts = []
    for weight in weights:
        upto += weight
        parts.append(round(Fraction(amount * upto, total)) - gone)
        gone += parts[-1]
    return parts


def exchanged(until: Month) -> Ways:
    """By (fund, currency of the payout, currency in which it arrived): (how much of it, what it fetched), minor units.

    Of all payouts up to the end of the month, as far as their lines were booked by then.
    """
    found: defaultdict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for ref, sides in _arrivals(until.ends_at).items():
        payout = _payout(ref)
        if payout is None or payout.currency not in sides:
            continue
        amount = sides.pop(payout.currency)
        shares = _shares(payout, until.ends_at, frozenset())
        for currency, net in sides.items():
            fetched = shares.of(-net)
            for fund_id, part in shares.of(amount).items():
                way = found[fund_id, payout.currency, currency]
                way[0] += part
                way[1] += fetched[fund_id]
    return {key: (amount, fetched) for key, (amount, fetched) in found.items() if amount or fetched}


def _arrivals(until: datetime) -> dict[str, dict[str, int]]:
    """By payout: what its arrivals moved on the accounts of conversion, debits less credits by currency."""
    query = (
        sa.select(BankMatch.ref, Posting.currency, sa.func.sum(Posting.debit_minor - Posting.credit_minor))
        .join(JournalEntry, JournalEntry.source_id == sa.type_coerce(BankMatch.public_id, sa.String))
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, sa.and_(Account.id == Posting.account_id, Account.kind == "conversion"))
        .where(JournalEntry.source_type == "bank_match", JournalEntry.occurred_at < until)
        .group_by(BankMatch.ref, Posting.currency)
    )
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for ref, currency, net in db.session.execute(query):
        if net:
            found[ref][currency] = int(net)
    return found


def _payout(ref: str) -> PayoutRecord | None:
    provider, _colon, name = ref.partition(":")
    query = sa.select(PayoutRecord).where(PayoutRecord.provider == provider, PayoutRecord.ref == name)
    return db.session.scalar(query)


def _shares(payout: PayoutRecord, until: datetime, seen: frozenset[str]) -> Shares:
    """What each fund has in a payout; `seen` are payouts that failed and came back in this one."""
    mine = sa.and_(
        SettlementLine.provider == payout.provider,
        SettlementLine.payout_ref == payout.ref,
        SettlementLine.kind != SettlementKind.PAYOUT.value,
    )
    lines = _by_fund(mine, payout.currency, until)
    returned = [
        line
        for line in db.session.scalars(
            sa.select(SettlementLine).where(mine, SettlementLine.kind == SettlementKind.PAYOUT_FAILURE.value)
        )
        if _failed(line) not in (None, payout.ref, *seen)
    ]
    for line in returned:
        earlier = _payout(f"{payout.provider}:{_failed(line)}")
        if earlier is not None:
            for fund_id, part in _shares(earlier, until, seen | {payout.ref}).of(line.net_minor).items():
                lines[fund_id] += part
    told = sa.exists().where(mine, SettlementLine.kind.not_in([kind.value for kind in PAYOUT_KINDS]))
    if returned or db.session.scalar(sa.select(told)):
        return Shares(payout.amount_minor, lines)
    return _pool(payout, until)


def _failed(line: SettlementLine) -> str | None:
    """The payout that a line gives back, as its provider names it."""
    source = line.payload.get("source")
    return source.get("id") if isinstance(source, dict) else source


def _pool(payout: PayoutRecord, until: datetime) -> Shares:
    """A payout by hand is made of an amount, not of lines: it is everybody's whose lines are in no payout."""
    free = sa.and_(
        SettlementLine.provider == payout.provider,
        SettlementLine.currency == payout.currency,
        SettlementLine.payout_ref.is_(None),
        SettlementLine.created_at <= payout.created_at,
    )
    whole = db.session.scalar(sa.select(sa.func.sum(SettlementLine.net_minor)).where(free))
    return Shares(int(whole), _by_fund(free, payout.currency, until)) if whole else NOBODY


def _by_fund(lines: Any, currency: str, until: datetime) -> defaultdict[int, int]:
    """What lines moved at the provider for each fund, as they are booked; a fee that was charged to it is its own."""
    held = sa.and_(Account.kind.in_(("provider", "suspense")), Posting.currency == currency)
    entries = (
        sa.select(
            sa.func.max(Account.fund_id).label("fund_id"),
            sa.func.sum(sa.case((held, Posting.debit_minor - Posting.credit_minor), else_=0)).label("moved"),
        )
        .select_from(JournalEntry)
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, Account.id == Posting.account_id)
        .where(
            JournalEntry.source_type.in_(OF_LINES),
            JournalEntry.source_id.in_(sa.select(SettlementLine.ref).where(lines)),
            JournalEntry.occurred_at < until,
        )
        .group_by(JournalEntry.id)
        .subquery()
    )
    query = sa.select(entries.c.fund_id, sa.func.sum(entries.c.moved)).where(entries.c.fund_id.is_not(None))
    found: defaultdict[int, int] = defaultdict(int)
    for fund_id, moved in db.session.execute(query.group_by(entries.c.fund_id)):
        found[fund_id] = int(moved)
    return found
