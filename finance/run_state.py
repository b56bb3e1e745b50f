"""What is known of the comparison itself: when it was done, whether the provider was read, which lines wait.

That nothing is open means something only when these are good.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from donations.models import Payment
from finance.fetching import OVERLAP
from finance.models import SettlementLine
from finance.run_models import FinanceRun, SettlementMark

UNREAD = "provider_unread"  # the part of a reconciliation that says so
LATE = timedelta(hours=36)  # a run is due each day
SOON = timedelta(minutes=2)  # in which a worker begins with what is asked for
KINDS = ("reconcile", "check")


def last(kind: str) -> FinanceRun | None:
    """The last one that was finished."""
    query = sa.select(FinanceRun).where(FinanceRun.kind == kind, FinanceRun.finished_at.is_not(None))
    return db.session.scalar(query.order_by(FinanceRun.finished_at.desc(), FinanceRun.id.desc()).limit(1))


def under_way(kind: str, now: datetime) -> bool:
    """Whether somebody is at it, or will be in a moment."""
    waits = sa.and_(FinanceRun.tries == 0, FinanceRun.next_try_at > now - SOON, FinanceRun.next_try_at <= now)
    query = sa.select(FinanceRun.id).where(
        FinanceRun.kind == kind, FinanceRun.finished_at.is_(None), sa.or_(FinanceRun.lease_until > now, waits)
    )
    return db.session.scalar(query.limit(1)) is not None


def left_lying(kind: str, now: datetime) -> FinanceRun | None:
    """One that should have been done by now and that nobody is at: no worker runs, or it was killed or failed."""
    free = sa.or_(FinanceRun.lease_until.is_(None), FinanceRun.lease_until <= now)
    overdue = sa.or_(FinanceRun.tries > 0, FinanceRun.next_try_at <= now - SOON)
    query = sa.select(FinanceRun).where(FinanceRun.kind == kind, FinanceRun.finished_at.is_(None), free, overdue)
    return db.session.scalar(query.order_by(FinanceRun.id).limit(1))


def late_since(kind: str, now: datetime) -> datetime | None:
    """Since when none was done, once that is for too long; None while all is well or nothing was given yet."""
    done = last(kind)
    since = done.finished_at if done else db.session.scalar(sa.select(sa.func.min(Payment.created_at)))
    return since if since is not None and since <= now - LATE else None


@dataclass(frozen=True)
class Unread:
    """A provider that the last reconciliation could not read whole: why, and when it was last read."""

    provider: str
    code: str
    since: datetime | None


def unread() -> list[Unread]:
    done = last("reconcile")
    return unread_in(done) if done else []


def unread_in(run: FinanceRun) -> list[Unread]:
    said = [text for each in run.results if each["name"] == UNREAD for text in each["examples"]]
    split = [text.partition(": ") for text in said]
    return [Unread(provider, code, _read_at(provider)) for provider, _colon, code in split]


def _read_at(provider: str) -> datetime | None:
    return db.session.scalar(sa.select(SettlementMark.read_at).where(SettlementMark.provider == provider))


def keep_readings(providers: list[str], now: datetime) -> None:
    """These were read whole, just now. Commits."""
    with unit_of_work() as session:
        marks = sa.update(SettlementMark).where(
            SettlementMark.provider.in_(providers), sa.func.coalesce(SettlementMark.read_at, now) <= now
        )
        session.execute(marks.values(read_at=now))


def last_readings() -> dict[str, datetime]:
    """When each provider was last read whole."""
    query = sa.select(SettlementMark.provider, SettlementMark.read_at).where(SettlementMark.read_at.is_not(None))
    return {provider: read_at for provider, read_at in db.session.execute(query) if read_at is not None}


def read_by_itself_from() -> datetime | None:
    """What moved earlier is read again only when somebody asks for it; None before the first reading."""
    through = db.session.scalar(sa.select(sa.func.min(SettlementMark.through)))
    return through - OVERLAP if through else None


@dataclass(frozen=True)
class Waiting:
    """Lines of the provider in one currency that are not booked yet, as what they are about is not known: their net."""

    lines: int
    net: Money
    since: datetime


def waiting(until: datetime | None = None) -> list[Waiting]:
    """All that wait, or those made before `until`."""
    query = sa.select(
        SettlementLine.currency,
        sa.func.count(),
        sa.func.sum(SettlementLine.net_minor),
        sa.func.min(SettlementLine.created_at),
    ).where(SettlementLine.posted_at.is_(None))
    if until is not None:
        query = query.where(SettlementLine.created_at < until)
    rows = db.session.execute(query.group_by(SettlementLine.currency).order_by(SettlementLine.currency))
    return [Waiting(count, Money(int(net), currency), since) for currency, count, net, since in rows]
