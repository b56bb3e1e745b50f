"""Sums of postings kept ready, so that a page need not add up a million of them.

The worker adds postings to the sums some time after they were recorded, in parts, each part once: the mark says how
far it has come, and moving it is the guarded update that decides who adds. Postings never change, so a sum is right
for ever. Whoever reads takes the sums and adds what was recorded since the mark from the postings themselves: the
figure is that of the postings, whether or not a worker runs.

Days of recording are those of UTC. A moment within a day that is in the sums is read from whole days before it and
from the postings of that day.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.days import local_day
from core.db import db, insert_if_absent, rows_changed
from ledger.models import Account, AccountSum, JournalEntry, Posting, SumsMark

EVER = date.min
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9999, 12, 31, tzinfo=UTC)
REST = timedelta(seconds=120)  # transactions end within 30: what is older than this is all there
PART = 10_000  # entries added in one transaction
NO_GIFT = 0  # campaign of what no donation is behind

T = TypeVar("T")

# Donations are a room above: here only what tells which campaign an entry's gift was for.
donations = sa.table("donations", sa.column("id"), sa.column("campaign_id"))
_earlier, _reversal = sa.orm.aliased(JournalEntry), sa.orm.aliased(JournalEntry)


def is_gift(entry: Any) -> sa.ColumnElement[bool]:
    """Whether this entry is a gift's: money in suspense is none, and a reversal is none."""
    return sa.and_(entry.source_type == "payment", entry.reverses_id.is_(None))


def gifts_counted() -> sa.ColumnElement[int]:
    """What this entry does to the number of donations that gave; who paid twice is counted once.

    1 for a gift when no other one of its donation stood before it, -1 for what takes the last one back.
    """
    others = sa.exists().where(
        _earlier.donation_id == JournalEntry.donation_id,
        is_gift(_earlier),
        _earlier.id != sa.func.coalesce(JournalEntry.reverses_id, JournalEntry.id),
        _before(_earlier),
        ~sa.exists().where(_reversal.reverses_id == _earlier.id, _before(_reversal)),
    )
    sign = sa.case((JournalEntry.reverses_id.is_(None), 1), else_=-1)
    return sa.case((sa.and_(JournalEntry.source_type == "payment", ~others), sign), else_=0)


def _before(entry: Any) -> sa.ColumnElement[bool]:
    return sa.tuple_(entry.recorded_at, entry.id) < sa.tuple_(JournalEntry.recorded_at, JournalEntry.id)


def by_value(column: Any) -> Any:
    """The column, but not by its index: SQLite would go through all postings of an account rather than those of the
    few entries that were recorded lately."""
    return column + sa.literal_column("0")


def summed_until() -> datetime:
    return db.session.scalar(sa.select(SumsMark.until)) or BEGINNING


def consistently(read: Callable[[datetime], T]) -> T:
    """What `read` finds with the mark; once more when a worker has moved the mark meanwhile."""
    while True:
        mark = summed_until()
        found = read(mark)
        if summed_until() == mark:
            return found


def day_of(moment: datetime) -> date:
    """The day that a moment is recorded on."""
    return moment.astimezone(UTC).date()


def start_of(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def next_part(now: datetime) -> tuple[datetime, datetime] | None:
    """From when (included) to when (not included) the next part was recorded; None when nothing is to be added yet."""
    begin, limit = summed_until(), now - REST
    recorded = sa.select(JournalEntry.recorded_at).where(
        JournalEntry.recorded_at >= begin, JournalEntry.recorded_at < limit
    )
    ordered = recorded.order_by(JournalEntry.recorded_at)
    end = db.session.scalar(ordered.offset(PART).limit(1))
    if end == begin:  # more than a part at one moment: all of it, then
        end = db.session.scalar(ordered.where(JournalEntry.recorded_at > begin).limit(1))
    end = end or limit
    return (begin, end) if begin < end else None


def move_mark(begin: datetime, end: datetime) -> bool:
    """Take the part for this transaction; False when another worker has it."""
    insert_if_absent(SumsMark, id=1, until=BEGINNING)
    moved = sa.update(SumsMark).where(SumsMark.id == 1, SumsMark.until == begin).values(until=end)
    return rows_changed(db.session.execute(moved)) == 1


def upsert(model: Any, rows: sa.Select[Any], keys: list[str], amounts: list[str]) -> None:
    """Insert the rows, or add their amounts to the rows that have the same keys."""
    kind: Any = postgresql.insert if db.session.get_bind().dialect.name == "postgresql" else sqlite.insert
    insert = kind(model).from_select([*keys, *amounts], rows)
    table = model.__table__
    added = {name: table.c[name] + insert.excluded[name] for name in amounts}
    db.session.execute(insert.on_conflict_do_update(index_elements=[table.c[name] for name in keys], set_=added))


def add_part(begin: datetime, end: datetime) -> None:
    """Add the postings of a part to the sums of accounts; in the transaction that moved the mark."""
    by_day = account_days(JournalEntry.recorded_at >= begin, JournalEntry.recorded_at < end).cte("by_day")
    keys, amounts = ["account_id", "recorded_on", "campaign_id"], ["debit_minor", "credit_minor", "gifts"]
    sums = [sa.func.sum(by_day.c[name]).label(name) for name in amounts]
    ever = sa.select(
        by_day.c.account_id, sa.literal(EVER, sa.Date).label("recorded_on"), by_day.c.campaign_id, *sums
    ).group_by(by_day.c.account_id, by_day.c.campaign_id)
    both = sa.union_all(sa.select(by_day), ever).subquery()
    # SQLite would take ON for a join's without a condition here.
    upsert(AccountSum, sa.select(both).where(sa.text("1 = 1")), keys, amounts)


def account_days(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Sums by account, day of recording and campaign, straight from the postings of these entries."""
    day = local_day(JournalEntry.recorded_at, sa.literal_column("'UTC'"))
    campaign = sa.func.coalesce(donations.c.campaign_id, sa.literal_column(str(NO_GIFT)))
    account = by_value(Posting.account_id)
    found: list[Any] = [
        account.label("account_id"),
        day.label("recorded_on"),
        campaign.label("campaign_id"),
        sa.func.sum(Posting.debit_minor).label("debit_minor"),
        sa.func.sum(Posting.credit_minor).label("credit_minor"),
        sa.func.sum(sa.case((Account.kind == "gift", gifts_counted()), else_=0)).label("gifts"),
    ]
    return (
        sa.select(*found)
        .select_from(JournalEntry)
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, Account.id == account)
        .outerjoin(donations, donations.c.id == JournalEntry.donation_id)
        .where(by_value(Account.fund_id).is_not(None), *where)
        .group_by(account, day, campaign)
    )


def fund_sums(fund_id: int, as_of: datetime | None) -> list[Any]:
    """(kind of account, campaign or 0, credits less debits, gifts) of a fund, recorded up to `as_of` (all, by default).

    As the postings have it, quickly.
    """
    return consistently(lambda mark: _fund_sums(fund_id, as_of, mark))


def _fund_sums(fund_id: int, as_of: datetime | None, mark: datetime) -> list[Any]:
    if as_of is None or as_of >= mark:
        kept, since = AccountSum.recorded_on == EVER, mark
    else:
        day = day_of(as_of)
        kept, since = sa.and_(AccountSum.recorded_on > EVER, AccountSum.recorded_on < day), start_of(day)
    # Bounded on both sides always: of one side alone SQLite expects so many that it would rather read all postings.
    bounds = [JournalEntry.recorded_at >= since, JournalEntry.recorded_at <= (as_of or END)]
    live = account_days(by_value(Account.fund_id) == fund_id, *bounds).subquery()
    parts = sa.union_all(
        *(
            sa.select(Account.kind, part.c.campaign_id, part.c.credit_minor, part.c.debit_minor, part.c.gifts)
            .join(Account, Account.id == part.c.account_id)
            .where(Account.fund_id == fund_id, *where)
            for part, where in ((AccountSum.__table__, [kept]), (live, []))
        )
    ).subquery()
    query = sa.select(
        parts.c.kind,
        parts.c.campaign_id,
        sa.func.sum(parts.c.credit_minor - parts.c.debit_minor).label("credit"),
        sa.func.sum(parts.c.gifts).label("gifts"),
    )
    return list(db.session.execute(query.group_by(parts.c.kind, parts.c.campaign_id)))
