"""Months of the books: where one ends, which are closed, and where postings go that come too late.

Months belong to one zone for the whole ledger: the one all campaigns are in. Months are closed in order, so what is
closed is everything before one moment. `finance.closing` has the acts; that nothing is posted before that moment is
the database's own rule (`ledger.triggers`).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.db import db
from ledger import triggers
from ledger.models import AccountingPeriod, JournalEntry

ZONE = triggers.ZONE

_WRITTEN = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    year: int
    number: int  # 1 to 12

    @classmethod
    def read(cls, text: str) -> "Month":
        """2026-02. Raises `ValueError`."""
        written = _WRITTEN.fullmatch(text)
        if written is None or not triggers.FIRST_YEAR <= int(written[1]) < 9999:
            raise ValueError(text)
        return cls(int(written[1]), int(written[2]))

    @classmethod
    def at(cls, moment: datetime) -> "Month":
        here = moment.astimezone(ZoneInfo(ZONE))
        return cls(here.year, here.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def starts_at(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)

    @property
    def ends_at(self) -> datetime:
        """The first moment that is no longer in it."""
        return self.next.starts_at

    @property
    def ordinal(self) -> int:
        """As the database counts months for its locks."""
        return max(0, (self.year - triggers.FIRST_YEAR) * 12 + self.number - 1)


def month_of(moment: datetime) -> str:
    """Such as 2026-02."""
    return str(Month.at(moment))


def open_from() -> datetime | None:
    """The moment before which nothing is posted; None while no month is closed."""
    query = sa.select(sa.func.max(AccountingPeriod.ends_at)).where(AccountingPeriod.reopened_at.is_(None))
    return db.session.scalar(query)


def last_closed() -> AccountingPeriod | None:
    query = sa.select(AccountingPeriod).where(AccountingPeriod.reopened_at.is_(None))
    return db.session.scalar(query.order_by(AccountingPeriod.ends_at.desc()).limit(1))


def next_to_close() -> Month | None:
    """The month after the last closed one; before the first closing that of the oldest entry, None without any."""
    last = last_closed()
    if last is not None:
        return Month.read(last.month).next
    oldest = db.session.scalar(sa.select(sa.func.min(JournalEntry.occurred_at)))
    return None if oldest is None else Month.at(oldest)


def hold_alone(through: Month) -> None:
    """Wait for everybody who is posting into a month up to this one, and keep others out until the commit.

    SQLite has one writer at a time; PostgreSQL is asked for the locks that its trigger shares.
    """
    if db.session.get_bind().dialect.name != "postgresql":
        return
    last = last_closed()
    first = Month.read(last.month).next.ordinal if last else 0
    locks = sa.func.generate_series(first, through.ordinal).table_valued("month").render_derived()
    lock = sa.func.pg_advisory_xact_lock(triggers.PERIOD_LOCK, locks.c.month)
    db.session.execute(sa.select(lock).select_from(locks)).all()
