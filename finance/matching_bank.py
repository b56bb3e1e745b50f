"""Provider and books against the bank: what should stand in a statement and does not, and the other way round."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from core.clock import local_day
from core.db import db
from core.money import Money
from finance.bank import chain
from finance.bank.chain import Standing
from finance.bank.matching import AFTER, open_candidates, waiting_lines
from finance.bank.models import BankAccount, BankLine, BankMatch, BankStatement
from finance.findings import Finding
from ledger import accounts, periods
from ledger.queries import balance

PATIENCE = timedelta(days=5)  # after the day on which a payout should be there


def bank_findings(now: datetime) -> Iterator[Finding]:
    """Lines that nothing is known of; payouts and spending that no statement shows; balances that do not agree."""
    yield from _lines()
    yield from _gaps()
    yield from _balances()
    today, read = local_day(now, periods.ZONE), _read_through()
    for each in open_candidates():
        last = read.get(each.amount.currency)
        if not each.sure:
            continue
        if each.kind == "payout_back":
            details = {"day": each.day.isoformat(), "statements": last.isoformat() if last else None}
            yield Finding("payout_failed_at_bank", "payout", each.ref, -each.amount, None, details)
        elif each.kind == "payout":
            if each.day + PATIENCE < today:
                details = {"day": each.day.isoformat(), "statements": last.isoformat() if last else None}
                yield Finding("payout_unmatched", "payout", each.ref, each.amount, None, details)
        elif last is not None and each.day + AFTER < last:
            # What we ordered of our bank is missed once the statement of those days is here.
            details = {"day": each.day.isoformat(), "document": each.label}
            yield Finding("spending_not_at_bank", each.kind, each.ref, each.amount, None, details)


def _lines() -> Iterator[Finding]:
    waiting = waiting_lines()
    for line in waiting:
        kind = "bank_line_doubled" if _is_double(line) else "bank_line_unknown"
        details = {"day": line.day.isoformat(), "says": line.reference[:120]}
        yield Finding(kind, "bank_line", line.public_id, line.amount, None, details)


def _is_double(line: BankLine) -> bool:
    """Whether the bank says the very same once more."""
    same = sa.select(BankLine.id).where(
        BankLine.account_id == line.account_id, BankLine.fingerprint == line.fingerprint, BankLine.id != line.id
    )
    return db.session.scalar(same.limit(1)) is not None


def _read_through() -> dict[str, date]:
    """By currency the day up to which all its accounts that have statements were read: each may have paid."""
    query = (
        sa.select(BankAccount.currency, sa.func.max(BankStatement.last_day))
        .join(BankStatement, BankStatement.account_id == BankAccount.id)
        .group_by(BankAccount.id, BankAccount.currency)
    )
    found: dict[str, date] = {}
    for currency, last in db.session.execute(query):
        found[currency] = min(last, found.get(currency, last))
    return found


def _gaps() -> Iterator[Finding]:
    for account in db.session.scalars(sa.select(BankAccount).order_by(BankAccount.code)):
        for gap in chain.gaps(account):
            details = {
                "account": account.code,
                "from": gap.first.isoformat(),
                "to": gap.last.isoformat(),
                "closing": _written(Money(gap.before.closing_minor or 0, account.currency)),
                "opening": _written(Money(gap.statement.opening_minor or 0, account.currency)),
            }
            yield Finding("statement_gap", "bank_statement", str(gap.statement.id), gap.amount, None, details)


def _balances() -> Iterator[Finding]:
    """What the bank says we have against what is booked, together with what is known to be on its way between them.

    Lines that wait (explained ones too) are not booked yet, and what we ordered is not in a statement yet: both are
    counted in, so that what is left has no explanation. Several accounts of a currency are one account of the books:
    each is compared with its own lines, and what is booked with the lines of all.
    """
    told: defaultdict[str, list[Standing]] = defaultdict(list)
    for account in db.session.scalars(sa.select(BankAccount).order_by(BankAccount.code)):
        if standing := chain.standing(account):
            told[account.currency].append(standing)
    for currency, standings in sorted(told.items()):
        nothing = Money(0, currency)
        books, matched = Money(balance(accounts.bank(currency).code), currency), _matched(currency)
        ordered = [each.amount for each in open_candidates() if each.kind != "payout"]
        unseen = sum((each for each in ordered if each.currency == currency), start=nothing)
        booked_off = matched - (books - unseen)
        waiting = _all_lines(currency) - matched
        details = {name: _written(each) for name, each in (("books", books), ("waiting", waiting), ("unseen", unseen))}
        alone = standings[0] if len(standings) == 1 and _accounts(currency) == 1 else None
        for each in standings:
            off = each.closing - each.lines + (booked_off if alone else nothing)
            if off:
                of_account = {"account": each.account.code, "day": each.day.isoformat(), "bank": _written(each.closing)}
                more = details if alone else {"lines": _written(each.lines)}
                code = each.account.code
                yield Finding("bank_balance_differs", "bank_account", code, off, None, {**of_account, **more})
        if booked_off and not alone:
            yield Finding("bank_balance_differs", "account", f"bank:{currency}", booked_off, None, details)


def _matched(currency: str) -> Money:
    """What lines of all accounts come to that are taken for something."""
    query = (
        sa.select(sa.func.coalesce(sa.func.sum(BankLine.amount_minor), 0))
        .join(BankMatch, sa.and_(BankMatch.line_id == BankLine.id, BankMatch.undone_at.is_(None)))
        .where(BankLine.currency == currency)
    )
    return Money(int(db.session.scalar(query) or 0), currency)


def _all_lines(currency: str) -> Money:
    query = sa.select(sa.func.coalesce(sa.func.sum(BankLine.amount_minor), 0)).where(BankLine.currency == currency)
    return Money(int(db.session.scalar(query) or 0), currency)


def _accounts(currency: str) -> int:
    """How many accounts of it have statements."""
    query = sa.select(sa.func.count(sa.distinct(BankStatement.account_id))).join(BankAccount)
    return db.session.scalar(query.where(BankAccount.currency == currency)) or 0


def _written(amount: Money) -> str:
    return f"{amount.major} {amount.currency}"
