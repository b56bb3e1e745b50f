"""The statement of a month: what each fund and each place where its money lies had, got, gave away and has.

Every row adds up: closing = opening + received − refunded − disputed − fees + exchange − paid_out − spent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.db import db
from donations.models import Campaign
from finance.exports.columns import Column, Query, Row
from finance.exports.datasets.base import TABLES, Dataset
from finance.exports.errors import MonthNeeded
from finance.filters import Filters
from ledger.models import Account, Fund, JournalEntry, Posting

FIGURES = (
    "opening",
    "received",
    "refunded",
    "disputed",
    "fees",
    "exchange",
    "net",
    "paid_out",
    "spent",
    "closing",
)


@dataclass(frozen=True)
class Part:
    """`lines` are the figures that are shown of it, under which names; `sign` of what a debit adds."""

    title: Any = field(hash=False)
    sign: int
    lines: tuple[tuple[str, Any], ...] = field(hash=False)


def _account(title: Any, sign: int, received: Any, paid_out: Any) -> Part:
    lines = (
        ("opening", _l("Opening balance")),
        ("received", received),
        ("paid_out", paid_out),
        ("closing", _l("Closing balance")),
    )
    return Part(title, sign, lines)


PARTS: Mapping[str, Part] = {
    "fund": Part(
        _l("Fund"),
        -1,
        (
            ("opening", _l("Opening balance")),
            ("received", _l("Gifts received")),
            ("refunded", _l("Refunds")),
            ("disputed", _l("Disputes")),
            ("fees", _l("Fees")),
            ("exchange", _l("Differences of exchange")),
            ("net", _l("Net of the month")),
            ("spent", _l("Spent")),
            ("closing", _l("Closing balance")),
        ),
    ),
    "sponsor": _account(_l("Fees owed by the sponsor"), 1, _l("Fees charged"), _l("Paid by the sponsor")),
    "receivable": _account(_l("Charged and not yet settled"), 1, _l("Charged"), _l("Settled or given back")),
    "provider": _account(_l("Held by the provider"), 1, _l("Settled, less fees"), _l("Payouts")),
    "transit": _account(_l("On the way to the bank"), 1, _l("Payouts"), _l("Arrived at the bank")),
    "bank": _account(_l("At the bank"), 1, _l("Received"), _l("Paid")),
    "suspense": _account(_l("Not attributed"), -1, _l("Came in"), _l("Placed or given back")),
}
OF_FUND = {
    "gift": "received",
    "refund": "refunded",
    "dispute": "disputed",
    "fee": "fees",
    "fx": "exchange",
    "spent": "spent",
}
ADDS = {"received", "exchange"}

COLUMNS = (
    Column("part", "code", _l("Part"), words={name: part.title for name, part in PARTS.items()}),
    Column("name", "code", _l("Name")),
    Column("currency", "code", _l("Currency")),
    *(
        Column(name, "money", title, "currency")
        for name, title in {
            "opening": _l("Opening balance"),
            "received": _l("Received"),
            "refunded": _l("Refunds"),
            "disputed": _l("Disputes"),
            "fees": _l("Fees"),
            "exchange": _l("Differences of exchange"),
            "net": _l("Net of the month"),
            "paid_out": _l("Paid out"),
            "spent": _l("Spent"),
            "closing": _l("Closing balance"),
        }.items()
    ),
)


def _movements(filters: Filters) -> Query:
    """Per account: debits and credits before the month, and within it."""
    start, end = filters.moments()
    before = JournalEntry.occurred_at < start

    def total(column: Any, condition: Any) -> sa.ColumnElement[int]:
        return sa.cast(sa.func.sum(sa.case((condition, column), else_=0)), sa.BigInteger)

    query = (
        sa.select(
            Account.kind,
            Account.code,
            Account.currency,
            Fund.code,
            total(Posting.debit_minor, before),
            total(Posting.credit_minor, before),
            total(Posting.debit_minor, sa.not_(before)),
            total(Posting.credit_minor, sa.not_(before)),
        )
        .join(Posting, Posting.account_id == Account.id)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .outerjoin(Fund, Fund.id == Account.fund_id)
        .where(JournalEntry.recorded_at <= filters.as_of, JournalEntry.occurred_at < end)
        .group_by(Account.kind, Account.code, Account.currency, Fund.code)
        .order_by(Account.code)
    )
    if filters.campaign:
        query = query.where(Account.fund_id.in_(sa.select(Campaign.fund_id).where(Campaign.slug == filters.campaign)))
    if filters.fund:
        query = query.where(Fund.code == filters.fund)
    if filters.currency:
        query = query.where(Account.currency == filters.currency)
    return query


def statement(filters: Filters) -> list[Row]:
    """Raises `MonthNeeded`."""
    if not filters.months():
        raise MonthNeeded(field="first")
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for kind, account, currency, fund, *amounts in db.session.execute(_movements(filters)):
        if kind in OF_FUND:
            _add_to_fund(_figures(found, "fund", fund, currency), kind, amounts)
        elif kind in PARTS:
            _add_account(_figures(found, kind, _name(account, currency), currency), PARTS[kind].sign, amounts)
    rows = []
    for (part, name, currency), figures in found.items():
        _sum_up(figures)
        if any(figures.values()):
            rows.append((part, name, currency, *(figures[figure] for figure in FIGURES)))
    order = list(PARTS)
    return sorted(rows, key=lambda row: (order.index(row[0]), *row[1:3]))


def _name(account: str, currency: str) -> str:
    """provider:stripe:EUR is stripe's: what kind it is and its currency stand beside."""
    return account.partition(":")[2].removesuffix(currency).removesuffix(":") or account


def _figures(found: dict[tuple[str, str, str], dict[str, int]], part: str, name: str, currency: str) -> dict[str, int]:
    return found.setdefault((part, name, currency), dict.fromkeys(FIGURES, 0))


def _add_to_fund(figures: dict[str, int], kind: str, amounts: list[int]) -> None:
    debit_before, credit_before, debit, credit = amounts
    figure = OF_FUND[kind]
    figures["opening"] += credit_before - debit_before
    figures[figure] += credit - debit if figure in ADDS else debit - credit


def _add_account(figures: dict[str, int], sign: int, amounts: list[int]) -> None:
    debit_before, credit_before, debit, credit = amounts
    figures["opening"] += sign * (debit_before - credit_before)
    figures["received"] += debit if sign > 0 else credit
    figures["paid_out"] += credit if sign > 0 else debit


def _sum_up(figures: dict[str, int]) -> None:
    figures["net"] = (
        figures["received"] - figures["refunded"] - figures["disputed"] - figures["fees"] + figures["exchange"]
    )
    figures["closing"] = figures["opening"] + figures["net"] - figures["paid_out"] - figures["spent"]


DATASET = Dataset(
    "statement",
    _l("Month statement"),
    COLUMNS,
    table=statement,
    filters=frozenset({"campaign", "fund", "currency"}),
    formats=("pdf", *TABLES),
    summed=False,
)
