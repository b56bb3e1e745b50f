"""Summaries of reports: made from postings a part at a time, compared with them each night, made anew by command.

A rollup keeps some dimensions apart and adds up over all others, at three grains of time; a question is answered by
the smallest rollup that knows the dimensions it needs (`finance.totals`). One statement adds a part of the entries to
all rollups at all grains; it stands in one transaction with moving the mark (`ledger.sums`), so each entry is added
exactly once, whatever dies when.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.days import month_start
from core.db import db, rows_changed, unit_of_work
from finance.facts import facts
from finance.summary_models import FIGURES, KEYS, ReportSum
from ledger import sums
from ledger.models import AccountSum, JournalEntry, LedgerException, SumsMark
from ledger.services import close_exception, open_exception

ATTRIBUTES = ("placement", "office", "medium", "language", "provider")
# What a link is follows from its code: the rollup of links knows office and medium at no cost.
ROLLUPS = {
    "all": (),
    "office": ("office",),
    "medium": ("medium",),
    "language": ("language",),
    "provider": ("provider",),
    "mix": ("office", "medium", "language", "provider"),
    "placement": ("placement", "office", "medium"),
}
ACCOUNTS = "accounts"  # sums of accounts, which public totals read
DAY, MONTH, EVER = "day", "month", "ever"
CHECK_EACH = timedelta(hours=23)
PARTS_AT_ONCE = 200  # of one tick of the worker


def _rolled_up(source: Any, rollup: str, grain: str) -> sa.Select[Any]:
    """Rows of a rollup at a grain, from rows that have all keys."""
    days = {
        DAY: (source.c.occurred_on, source.c.recorded_on),
        MONTH: (month_start(source.c.occurred_on), month_start(source.c.recorded_on)),
        EVER: (sa.literal(sums.EVER, sa.Date), sa.literal(sums.EVER, sa.Date)),
    }[grain]
    # By position in GROUP BY: PostgreSQL takes equal expressions with parameters for different ones.
    kept = [source.c[name] if name in ROLLUPS[rollup] else sa.literal_column("''") for name in ATTRIBUTES]
    keys = [sa.literal_column(f"'{rollup}'"), sa.literal_column(f"'{grain}'"), *days]
    keys = [*keys, source.c.fund_id, source.c.campaign_id, *kept]
    grouped: list[Any] = [sa.literal_column(str(place)) for place in (3, 4, 5, 6)]
    grouped += [source.c[name] for name in ROLLUPS[rollup]]
    if grain == EVER:
        grouped = grouped[2:]
    figures = [sa.func.sum(source.c[name]).label(name) for name in FIGURES]
    labelled = [key.label(name) for name, key in zip(KEYS, keys, strict=True)]
    return sa.select(*labelled, *figures).group_by(*grouped)


def add_next_part(now: datetime) -> bool:
    """Add the next part to all sums, in a transaction of its own; False when there is nothing to add."""
    with unit_of_work():
        part = sums.next_part(now)
        if part is None:
            return False
        if sums.move_mark(*part):
            sums.add_part(*part)
            _add_part(*part)
    return True


def _add_part(begin: datetime, end: datetime) -> None:
    found = facts(JournalEntry.recorded_at >= begin, JournalEntry.recorded_at < end).cte("facts")
    every = [_rolled_up(found, rollup, grain) for rollup in ROLLUPS for grain in (DAY, MONTH, EVER)]
    rows = sa.union_all(*every).subquery()
    # SQLite would take ON for a join's without a condition here.
    sums.upsert(ReportSum, sa.select(rows).where(sa.text("1 = 1")), list(KEYS), list(FIGURES))


def catch_up(now: datetime, parts: int = PARTS_AT_ONCE) -> int:
    """Add what is waiting, at most so many parts; how many entries' parts were added."""
    done = 0
    while done < parts and add_next_part(now):
        done += 1
    return done


def rebuild(now: datetime) -> Iterator[int]:
    """Forget all sums and make them anew from the postings; yields how many parts are done. Reports stay right
    meanwhile, and slow."""
    with unit_of_work() as session:
        session.execute(sa.update(SumsMark).values(until=sums.BEGINNING))
        for table in (ReportSum, AccountSum):
            session.execute(sa.delete(table))
    done = 0
    while add_next_part(now):
        done += 1
        yield done


# Comparing


def claim_check(now: datetime) -> bool:
    """Whether it is this worker's turn to compare: once a night, of any number of workers."""
    late = sa.or_(SumsMark.checked_at.is_(None), SumsMark.checked_at <= now - CHECK_EACH)
    with unit_of_work() as session:
        taken = session.execute(sa.update(SumsMark).where(SumsMark.id == 1, late).values(checked_at=now))
        return rows_changed(taken) == 1


def recorded_days() -> list[date]:
    """Days whose entries, or some of them, are in the sums."""
    query = sa.select(ReportSum.recorded_on).where(ReportSum.rollup == "all", ReportSum.grain == DAY).distinct()
    return sorted({*db.session.scalars(query), *_days_of_entries()})


def _days_of_entries() -> Iterator[date]:
    """Days that have entries before the mark, by hopping along the index: one look for each."""
    moment, mark = sums.BEGINNING, sums.summed_until()
    first = sa.select(sa.func.min(JournalEntry.recorded_at))
    while found := db.session.scalar(first.where(JournalEntry.recorded_at >= moment, JournalEntry.recorded_at < mark)):
        day = sums.day_of(found)
        yield day
        moment = sums.start_of(day + timedelta(days=1))


@dataclass(slots=True)
class Difference:
    """Where the sums of a rollup (or of accounts) are not what they should be: days of recording that differ from
    their postings, grains that differ from their days."""

    name: str
    days: list[date] = field(default_factory=list)
    grains: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = list(self.grains)
        if len(self.days) == 1:
            parts.insert(0, self.days[0].isoformat())
        elif self.days:
            parts.insert(0, f"{len(self.days)} days, {min(self.days)} to {max(self.days)}")
        kept = ROLLUPS.get(self.name, ())
        told = f"{self.name} ({', '.join(kept)})" if len(kept) > 1 else self.name
        return f"{told}: {', '.join(parts)}"


def differences() -> list[Difference]:
    """One for each rollup that has any, in their order, accounts last."""
    found = {name: Difference(name) for name in (*ROLLUPS, ACCOUNTS)}
    for day in recorded_days():
        for name in different_on(day):
            found[name].days.append(day)
    for name, grain in coarse_differences():
        found[name].grains.append(grain)
    return [each for each in found.values() if each.days or each.grains]


def different_on(day: date) -> list[str]:
    """Names of rollups whose sums of what was recorded on a day differ from its postings, and of accounts."""
    return sums.consistently(lambda mark: list(_different(day, mark)))


def _different(day: date, mark: datetime) -> Iterator[str]:
    begin, end = sums.start_of(day), min(sums.start_of(day + timedelta(days=1)), mark)
    of_part = (JournalEntry.recorded_at >= begin, JournalEntry.recorded_at < end)
    found = facts(*of_part).cte("facts")
    for rollup in ROLLUPS:
        stored = sa.select(ReportSum).where(
            ReportSum.rollup == rollup, ReportSum.grain == DAY, ReportSum.recorded_on == day
        )
        if _any_left(_rolled_up(found, rollup, DAY), stored, KEYS, FIGURES):
            yield rollup
    kept = sa.select(AccountSum).where(AccountSum.recorded_on == day)
    keys, amounts = ("account_id", "recorded_on", "campaign_id"), ("debit_minor", "credit_minor", "gifts")
    if _any_left(sums.account_days(*of_part), kept, keys, amounts):
        yield ACCOUNTS


def coarse_differences() -> Iterator[tuple[str, str]]:
    """Rollups and their grains whose sums differ from those of their days: (`office`, `month`)."""
    for rollup in ROLLUPS:
        days = sa.select(ReportSum).where(ReportSum.rollup == rollup, ReportSum.grain == DAY).subquery()
        for grain in (MONTH, EVER):
            stored = sa.select(ReportSum).where(ReportSum.rollup == rollup, ReportSum.grain == grain)
            if _any_left(_rolled_up(days, rollup, grain), stored, KEYS, FIGURES):
                yield rollup, grain
    amounts = ("debit_minor", "credit_minor", "gifts")
    by_day = sa.select(AccountSum).where(AccountSum.recorded_on > sums.EVER)
    ever = sa.select(AccountSum).where(AccountSum.recorded_on == sums.EVER)
    if _any_left(by_day, ever, ("account_id", "campaign_id"), amounts):
        yield ACCOUNTS, EVER


def _any_left(made: sa.Select[Any], stored: sa.Select[Any], keys: tuple[str, ...], amounts: tuple[str, ...]) -> bool:
    """Whether anything is left when stored rows are taken from those that were made anew."""
    one, other = made.subquery(), stored.subquery()
    both = sa.union_all(
        sa.select(*(one.c[name] for name in (*keys, *amounts))),
        sa.select(*(other.c[name] for name in keys), *((-other.c[name]).label(name) for name in amounts)),
    ).subquery()
    left = sa.or_(*(sa.func.sum(both.c[name]) != 0 for name in amounts))
    query = sa.select(sa.literal(1)).select_from(both).group_by(*(both.c[name] for name in keys)).having(left)
    return db.session.scalar(query.limit(1)) is not None


def check(now: datetime) -> list[Difference]:
    """Compare all sums with the postings and put what differs into the queue of finance, by the name of its rollup.

    What is right again is closed.
    """
    found = differences()
    names = [each.name for each in found]
    db.session.rollback()
    with unit_of_work() as session:
        for name in names:
            open_exception("summary_differs", "summary", name, now=now)
        for name in _complained_of(session) - set(names):
            close_exception("summary_differs", "summary", name, now=now)
    return found


def _complained_of(session: Any) -> set[str]:
    query = sa.select(LedgerException.source_id).where(
        LedgerException.kind == "summary_differs", LedgerException.resolved_at.is_(None)
    )
    return set(session.scalars(query))
