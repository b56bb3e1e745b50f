"""What stands in suspense: money that no fund has, thing by thing, since when, and what is known of it.

A thing is a line of the bank, a line of the provider, or a payment that is no gift of ours with all that became of it.
Together they are the suspense accounts, or something was posted there for which there is no thing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db
from core.money import Money
from finance.bank.models import BankLine, BankMatch
from finance.exceptions import is_explained
from finance.findings import Finding
from finance.models import SettlementLine
from finance.standing import Books
from finance.strays import PREFIX
from ledger.models import Account, JournalEntry, LedgerException, Posting

KIND = "suspense_differs"
OF_LINES = ("unexplained_settlement", "missing_event", "unmatched_settlement")
OF_PAYMENTS = ("unknown_payment", "amount_mismatch", "charged_twice")
PART = 500

Key = tuple[str, str]  # what it is, and its reference


@dataclass(slots=True)
class Item:
    """`amount` is above zero for money that came and is nobody's, below zero for what was taken of nobody's money."""

    what: str  # bank_line, line or payment
    ref: str
    amount: Money
    since: datetime
    says: str = ""
    exception: LedgerException | None = None
    explained: bool = False

    def age(self, now: datetime) -> int:
        """In days."""
        return max(0, (now - self.since).days)


@dataclass(frozen=True, slots=True)
class Suspense:
    """The things, the oldest first; by currency what they come to and what the account says (minor units)."""

    items: list[Item]
    totals: dict[str, int]
    booked: dict[str, int]

    @property
    def differences(self) -> dict[str, int]:
        """What stands in an account beyond its things."""
        currencies = sorted({*self.totals, *self.booked})
        off = {each: self.booked.get(each, 0) - self.totals.get(each, 0) for each in currencies}
        return {currency: minor for currency, minor in off.items() if minor}


@dataclass(slots=True)
class _Sum:
    source_type: str
    source_id: str
    stray: bool
    currency: str
    minor: int
    since: datetime
    donation_id: int | None


def suspense(until: datetime | None = None) -> Suspense:
    """All that stands there now, or stood there before the moment `until` (by when it occurred)."""
    sums, booked = list(_sums(until)), defaultdict[str, int](int)
    keys = _keys(sums)
    amounts: defaultdict[tuple[Key, str], int] = defaultdict(int)
    since: dict[tuple[Key, str], datetime] = {}
    donations: dict[Key, int] = {}
    for each in sums:
        booked[each.currency] += each.minor
        key = keys.get((each.source_type, each.source_id, each.stray))
        if key is None:
            continue
        one = key, each.currency
        amounts[one] += each.minor
        since[one] = min(since.get(one, each.since), each.since)
        if each.donation_id:
            donations[key] = each.donation_id
    totals: defaultdict[str, int] = defaultdict(int)
    items = []
    for (key, currency), minor in amounts.items():
        totals[currency] += minor
        if minor:
            items.append(Item(*key, Money(minor, currency), since[key, currency]))
    _describe(items, donations)
    items.sort(key=lambda item: (item.since, item.ref))
    return Suspense(items, dict(totals), dict(booked))


def suspense_findings(_books: Books) -> Iterator[Finding]:
    for currency, minor in suspense().differences.items():
        yield Finding(KIND, "account", f"suspense:{currency}", Money(minor, currency))


def _sums(until: datetime | None) -> Iterator[_Sum]:
    """What stands there of each source; credits less debits, so that money that came is above zero."""
    stray = sa.case((JournalEntry.kind.startswith(PREFIX, autoescape=True), 1), else_=0)
    moment = sa.func.min(sa.func.coalesce(JournalEntry.happened_at, JournalEntry.occurred_at))
    query = (
        sa.select(
            JournalEntry.source_type,
            JournalEntry.source_id,
            stray,
            Posting.currency,
            sa.func.sum(Posting.credit_minor - Posting.debit_minor),
            sa.type_coerce(moment, JournalEntry.occurred_at.type),
            sa.func.max(JournalEntry.donation_id),
        )
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, sa.and_(Account.id == Posting.account_id, Account.kind == "suspense"))
        .group_by(*(sa.literal_column(str(place)) for place in (1, 2, 3, 4)))
        .having(sa.func.sum(Posting.credit_minor - Posting.debit_minor) != 0)
    )
    if until is not None:
        query = query.where(JournalEntry.occurred_at < until)
    for source_type, source_id, is_stray, currency, minor, since, donation_id in db.session.execute(query):
        yield _Sum(source_type, source_id, bool(is_stray), currency, int(minor), since, donation_id)


def _keys(sums: list[_Sum]) -> dict[tuple[str, str, bool], Key]:
    """Which thing a source belongs to; without one for what we have no row of."""
    of_type: defaultdict[str, set[str]] = defaultdict(set)
    for each in sums:
        of_type[each.source_type].add(each.source_id)
    lines = {row.ref: row for row in _lines(SettlementLine.ref, of_type["settlement"] | of_type["settlement_fee"])}
    matches = _matches(of_type["bank_match"])
    refunds = _payments_of(SettlementLine.refund_ref, of_type["stray_refund"])
    disputes = _payments_of(SettlementLine.ref, of_type["stray_dispute"])
    found: dict[tuple[str, str, bool], Key] = {}
    for each in sums:
        key = _key(each, lines, matches, refunds | disputes)
        if key is not None:
            found[each.source_type, each.source_id, each.stray] = key
    return found


def _key(each: _Sum, lines: dict[str, SettlementLine], matches: dict[str, str], payments: dict[str, str]) -> Key | None:
    ref = each.source_id
    match each.source_type:
        case "settlement" | "settlement_fee" if ref in lines:
            row = lines[ref]
            if each.stray and row.payment_ref:
                return "payment", f"{row.provider}:{row.payment_ref}"[-80:]
            return "line", ref
        case "bank_match" if ref in matches:
            return "bank_line", matches[ref]
        case "stray_payment":
            return "payment", ref
        case "stray_refund" | "stray_dispute":
            return "payment", payments.get(ref, ref)
    return None


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), PART):
        yield ordered[start : start + PART]


def _lines(column: Any, refs: set[str]) -> Iterator[SettlementLine]:
    for part in _parts(refs):
        yield from db.session.scalars(sa.select(SettlementLine).where(column.in_(part)))


def _matches(ids: set[str]) -> dict[str, str]:
    """The bank line of each match."""
    found: dict[str, str] = {}
    for part in _parts(ids):
        query = sa.select(BankMatch.public_id, BankLine.public_id).join(BankLine, BankLine.id == BankMatch.line_id)
        found |= {row[0]: row[1] for row in db.session.execute(query.where(BankMatch.public_id.in_(part)))}
    return found


def _payments_of(column: Any, sources: set[str]) -> dict[str, str]:
    """The stray payment of each refund or movement of a dispute, where the provider's line names it."""
    refs = {source.partition(":")[2]: source for source in sources}
    return {
        refs[getattr(row, column.key)]: f"{row.provider}:{row.payment_ref}"[-80:]
        for row in _lines(column, set(refs))
        if row.payment_ref
    }


def _describe(items: list[Item], donations: dict[Key, int]) -> None:
    """What each says of itself, and what stands (or stood) in the queue of finance for it."""
    lines = {item.ref for item in items if item.what == "line"}
    payments = {item.ref.partition(":")[2] for item in items if item.what == "payment"}
    queue = sa.select(LedgerException).order_by(LedgerException.id)
    of_lines = {row.source_id: row for row in _exceptions(queue, OF_LINES, LedgerException.source_id, lines)}
    of_payments = {row.source_id: row for row in _exceptions(queue, OF_PAYMENTS, LedgerException.source_id, payments)}
    by_gift = queue.where(LedgerException.kind.in_(OF_PAYMENTS))
    of_gifts = {
        row.donation_id: row
        for part in _parts(str(number) for number in donations.values())
        for row in db.session.scalars(by_gift.where(LedgerException.donation_id.in_([int(each) for each in part])))
    }
    said = {row.ref: row.kind for row in _lines(SettlementLine.ref, lines)}
    bank = {row.public_id: row for row in _bank_lines({item.ref for item in items if item.what == "bank_line"})}
    for item in items:
        if item.what == "line":
            item.exception, item.says = of_lines.get(item.ref), said.get(item.ref, "")
        elif item.what == "payment":
            gift = of_gifts.get(donations.get((item.what, item.ref)))
            item.exception = of_payments.get(item.ref.partition(":")[2]) or gift
        elif item.ref in bank:
            item.says = bank[item.ref].reference
        item.explained = item.exception is not None and is_explained(item.exception)


def _exceptions(queue: Any, kinds: tuple[str, ...], column: Any, refs: set[str]) -> Iterator[LedgerException]:
    for part in _parts(refs):
        yield from db.session.scalars(queue.where(LedgerException.kind.in_(kinds), column.in_(part)))


def _bank_lines(ids: set[str]) -> Iterator[BankLine]:
    for part in _parts(ids):
        yield from db.session.scalars(sa.select(BankLine).where(BankLine.public_id.in_(part)))
