"""Funds of which more is gone than there was: spent and then given back, or taken by a donor's bank."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from core.days import local_day
from core.db import db
from core.money import Money
from finance.findings import Finding
from ledger.models import Account, Fund, JournalEntry, Posting
from ledger.queries import fund_totals, totals_of_kinds

KIND = "fund_overspent"


@dataclass(frozen=True, slots=True)
class Overspent:
    """`too_much` is above zero; `since` is the day (UTC) since whose records it is so."""

    fund: Fund
    too_much: Money
    since: date


def overspent() -> list[Overspent]:
    found = []
    for fund in db.session.scalars(sa.select(Fund).order_by(Fund.code)):
        totals = fund_totals(fund)
        if totals.available < 0:
            found.append(Overspent(fund, totals.money(-totals.available), _since(fund)))
    return found


def overspent_findings(_books: object) -> Iterator[Finding]:
    for each in overspent():
        yield Finding(KIND, "fund", each.fund.code, each.too_much, None, {"since": each.since.isoformat()})


def _since(fund: Fund) -> date:
    day = local_day(JournalEntry.recorded_at, sa.literal_column("'UTC'"))
    query = (
        sa.select(day, Account.kind, sa.func.sum(Posting.credit_minor - Posting.debit_minor))
        .select_from(Posting)
        .join(Account, Account.id == Posting.account_id)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .where(Account.fund_id == fund.id)
        .group_by(sa.literal_column("1"), sa.literal_column("2"))
        .order_by(sa.literal_column("1"))
    )
    moved: defaultdict[Any, dict[str, int]] = defaultdict(dict)
    for recorded_on, kind, credit in db.session.execute(query):
        moved[recorded_on][kind] = int(credit)
    sums: defaultdict[str, int] = defaultdict(int)
    since: date | None = None
    for recorded_on, kinds in moved.items():
        for kind, credit in kinds.items():
            sums[kind] += credit
        below = totals_of_kinds(fund.currency, sums).available < 0
        since = (since or recorded_on) if below else None
    return since or max(moved)
