"""Behind a figure: the postings that it is the sum of, and what changed it between two moments."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.days import text_part
from core.db import db
from core.errors import Invalid
from donations.models import Donation
from finance.facts import dimensions, joined, report_day
from finance.filters import NOBODY, Filters
from finance.reading import World, conditions, days, near
from finance.totals import Figures
from ledger import sums
from ledger.models import Account, Fund, JournalEntry, Posting

# Accounts whose credits less debits make up a figure, and its sign.
FIGURES = {
    "gross": (("gift",), 1),
    "refunds": (("refund",), -1),
    "disputes": (("dispute",), -1),
    "fees": (("fee",), -1),
    "net": (("gift", "refund", "dispute", "fee"), 1),
    "earmarked": (("gift", "refund", "dispute", "fee", "fx"), 1),
    "disbursed": (("spent",), -1),
    "sponsored": (("sponsor",), -1),
}
EARMARKED = FIGURES["earmarked"][0]


class FigureUnknown(Invalid):
    code = "figure_unknown"
    text = _l("There is no such figure.")


class MomentsReversed(Invalid):
    code = "range_invalid"
    text = _l("The earlier moment comes first.")


@dataclass(frozen=True, slots=True)
class Line:
    """One posting as far as it counts in the figure: `amount` in minor units, with the figure's sign."""

    entry_id: Any
    day: date
    occurred_at: datetime
    recorded_at: datetime
    kind: str
    account: str
    currency: str
    amount: int
    donation: str | None  # its public id
    late_for: str | None = None


def lines(filters: Filters, figure: str, *, limit: int, offset: int = 0) -> list[Line]:
    """Postings of a figure, newest day first. Their amounts add up to the figure. Raises `FigureUnknown`."""
    if figure not in FIGURES:
        raise FigureUnknown(field="figure")
    kinds, sign = FIGURES[figure]
    query = _lines(kinds, sign).where(*_selected(filters), JournalEntry.recorded_at <= filters.as_of)
    if figure == "sponsored":
        query = query.where(JournalEntry.donation_id.is_not(None))
    query = query.order_by(JournalEntry.occurred_at.desc(), Posting.id.desc())
    return [_line(row) for row in db.session.execute(query.limit(limit).offset(offset))]


def sum_of_lines(filters: Filters, figure: str) -> dict[str, int]:
    """What the postings of a figure add up to, by currency: one by one, with no help of the sums."""
    kinds, sign = FIGURES[figure]
    found = _lines(kinds, sign).where(*_selected(filters), JournalEntry.recorded_at <= filters.as_of).subquery()
    query = sa.select(found.c.currency, sa.func.sum(found.c.amount)).group_by(found.c.currency)
    return {currency: int(amount) for currency, amount in db.session.execute(query)}


def _lines(kinds: tuple[str, ...], sign: int) -> sa.Select[Any]:
    amount = (Posting.credit_minor - Posting.debit_minor) * sa.literal_column(str(sign))
    columns: list[Any] = [
        Posting.entry_id,
        Account.code.label("account"),
        Fund.currency,
        amount.label("amount"),
        JournalEntry.occurred_at,
        JournalEntry.recorded_at,
        JournalEntry.kind,
        JournalEntry.late_for,
        Donation.public_id.label("donation"),
        report_day(JournalEntry.occurred_at).label("day"),
    ]
    query = (
        sa.select(*columns)
        .select_from(JournalEntry)
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, Account.id == Posting.account_id)
        .join(Fund, Fund.id == Account.fund_id)
        .where(Account.kind.in_(kinds))
    )
    return joined(query, JournalEntry.donation_id)


def _selected(filters: Filters) -> list[sa.ColumnElement[bool]]:
    """The filters, for rows of `_lines`."""
    columns = {
        **dimensions(JournalEntry.donation_id),
        "fund_id": Account.fund_id,
        "campaign_id": sa.func.coalesce(Donation.campaign_id, sums.NO_GIFT),
        "provider": _provider(),
    }
    day = report_day(JournalEntry.occurred_at)
    return [*conditions(filters, columns, World.read()), *days(filters, day), *near(filters)]


def _provider() -> sa.ColumnElement[str]:
    """The provider on whose account the entry stands."""
    other, account = sa.orm.aliased(Posting), sa.orm.aliased(Account)
    of_entry = (
        sa.select(sa.func.max(text_part(account.code)))
        .join(other, other.account_id == account.id)
        .where(other.entry_id == JournalEntry.id, account.kind == "receivable", account.fund_id.is_not(None))
    )
    return sa.func.coalesce(of_entry.scalar_subquery(), NOBODY)


def _line(row: Any) -> Line:
    return Line(
        row.entry_id,
        row.day,
        row.occurred_at,
        row.recorded_at,
        row.kind,
        row.account,
        row.currency,
        int(row.amount),
        row.donation,
        row.late_for,
    )


# What changed


@dataclass(frozen=True, slots=True)
class Change:
    """Entries of one kind that were recorded between two moments, and what they did to the earmarked total."""

    kind: str
    currency: str
    count: int
    amount: int


def changes(filters: Filters, since: datetime) -> list[Change]:
    """Why the earmarked total of these filters is not what it was at `since`: what took most away comes first.

    Raises `MomentsReversed`.
    """
    found = _between(filters, since).subquery()
    query = sa.select(
        found.c.kind,
        found.c.currency,
        sa.func.count(found.c.entry_id.distinct()).label("entries"),
        sa.func.sum(found.c.amount).label("amount"),
    ).group_by(found.c.kind, found.c.currency)
    rows = [Change(row.kind, row.currency, row.entries, int(row.amount)) for row in db.session.execute(query)]
    return sorted(rows, key=lambda change: (change.currency, change.amount, change.kind))


def changed_lines(filters: Filters, since: datetime, *, limit: int, offset: int = 0) -> list[Line]:
    """The postings behind `changes`, what took most away first."""
    query = _between(filters, since)
    amount = Posting.credit_minor - Posting.debit_minor
    query = query.order_by(amount, JournalEntry.recorded_at.desc(), Posting.id).limit(limit).offset(offset)
    return [_line(row) for row in db.session.execute(query)]


def _between(filters: Filters, since: datetime) -> sa.Select[Any]:
    if since > filters.as_of:
        raise MomentsReversed(field="since")
    recorded = (JournalEntry.recorded_at > since, JournalEntry.recorded_at <= filters.as_of)
    return _lines(EARMARKED, 1).where(*_selected(filters), *recorded)


def narrowed(filters: Filters, by: str, key: str) -> Filters | None:
    """The filters of one row of a report; None for a row that no filters name (what no gift is behind, by campaign)."""
    match by:
        case "day" | "week" | "month":
            return _within(filters, *_days_of(by, date.fromisoformat(key)))
        case "campaign":
            return None if key == NOBODY else replace(filters, campaign=key)
        case "designation":
            return replace(filters, fund=key)
        case _:
            changed: dict[str, Any] = {by: key}
            return replace(filters, **changed)


def _days_of(by: str, day: date) -> tuple[date, date]:
    ends = {
        "day": day,
        "week": date.fromordinal(day.toordinal() + 6),
        "month": date.fromordinal(day.replace(day=28).toordinal() + 4).replace(day=1),
    }
    last = ends[by]
    return day, date.fromordinal(last.toordinal() - 1) if by == "month" else last


def _within(filters: Filters, first: date, last: date) -> Filters:
    """That period, as far as it lies in the range."""
    begin = max(first, filters.first) if filters.first else first
    end = min(last, filters.last) if filters.last else last
    return replace(filters, first=begin, last=end)


def figures_of(figures: Figures) -> Iterator[tuple[str, int]]:
    """(name, amount) of all figures that can be opened."""
    for name in FIGURES:
        yield name, figures.spent if name == "disbursed" else int(getattr(figures, name))
