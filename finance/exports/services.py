"""The rules of exports: ordering, who may open one, cancelling, making again, expiry. Services flush; edges commit.

An export is a row and goes queued → running → done → expired, or failed, or cancelled. Whoever makes it holds it by a
lease (`core.leases`). A killed or failed one is made anew from its start: the same order gives the same bytes.
"""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from flask import current_app

from core.db import db
from core.leases import Leases
from finance.exports.errors import ExportEnded, NotMade, NotYourExport, UnknownExport
from finance.exports.models import Export
from finance.exports.orders import Order
from ledger.models import JournalEntry
from staff.access import Actor

READERS = frozenset({"finance", "admin"})
FILE_LASTS = timedelta(days=7)
NAMES_LAST = timedelta(days=1)  # data of donors stand nowhere longer than needed
AT_ONCE = 20_000  # entries that are read while the browser waits

leases = Leases(Export)


def order_export(
    order: Order,
    member_id: int,
    now: datetime,
    *,
    by_mail: bool = False,
    schedule_id: int | None = None,
    period: str | None = None,
) -> Export:
    """A row that a worker will make."""
    export = Export(
        options=order.options(),
        member_id=member_id,
        schedule_id=schedule_id,
        period=period,
        by_mail=by_mail,
        created_at=now,
        lease_until=now,
    )
    db.session.add(export)
    db.session.flush()
    return export


def is_small(order: Order) -> bool:
    """Whether it is made so soon that somebody may wait for it."""
    start, end = order.filters.moments()
    entries = sa.select(sa.literal(1)).select_from(JournalEntry)
    if start is not None and order.of.table is None:  # what is reckoned begins with all that was before
        entries = entries.where(JournalEntry.occurred_at >= start)
    if end is not None:
        entries = entries.where(JournalEntry.occurred_at < end)
    count = sa.select(sa.func.count()).select_from(entries.limit(AT_ONCE + 1).subquery())
    return int(db.session.scalar(count) or 0) <= AT_ONCE


def find_export(public_id: str) -> Export:
    """Raises `UnknownExport`."""
    export = db.session.scalar(sa.select(Export).where(Export.public_id == public_id))
    if export is None:
        raise UnknownExport
    return export


def may_have_exports(roles: frozenset[str]) -> bool:
    """Whether members of these roles may have figures of their own: asked anew each time, of the roles of now."""
    return not roles.isdisjoint(READERS)


def require_access(export: Export, actor: Actor) -> None:
    """It opens to finance, and to whoever ordered it while they may have exports. Raises `NotYourExport`."""
    if actor.has("finance"):
        return
    if export.member_id != actor.id or not may_have_exports(actor.roles):
        raise NotYourExport


def cancel(export: Export, now: datetime) -> None:
    """Raises `ExportEnded`. Whoever makes it notices within seconds and removes what is written."""
    going = Export.state.in_(("queued", "running", "failed"))
    ended = {"state": "cancelled", "lease_until": None, "finished_at": now}
    if not leases.changed(sa.and_(Export.id == export.id, going), **ended):
        raise ExportEnded
    db.session.refresh(export)


def make_again(export: Export, now: datetime) -> None:
    """Queue one that failed, was cancelled, or whose file is gone: the same file. Harmless otherwise."""
    states = ["failed", "cancelled", "expired"]
    if export.state == "done" and not is_there(export, now):
        states.append("done")
    again = {"state": "queued", "lease_until": now, "finished_at": None, "error": None, "done": 0, "total": 0}
    leases.changed(sa.and_(Export.id == export.id, Export.state.in_(states)), **again)
    db.session.refresh(export)


def order_of(export: Export, now: datetime) -> Order:
    return Order.read(export.options, now)


def lasts(order: Order) -> timedelta:
    return NAMES_LAST if order.names else FILE_LASTS


def directory_of(export: Export) -> Path:
    return Path(current_app.config["INSTANCE_DIR"]) / "exports" / export.public_id


def path_of(export: Export) -> Path:
    """Where the finished file is, once the export is done."""
    name = export.manifest["file"] if export.manifest else "-"
    return directory_of(export) / str(name)


def is_there(export: Export, now: datetime) -> bool:
    """Whether its file may be had: not once its time is over, whether or not a worker has removed it yet."""
    lasts = export.expires_at is not None and now < export.expires_at
    return export.state == "done" and lasts and path_of(export).is_file()


def finished_file(export: Export, now: datetime) -> Path:
    """Raises `NotMade`."""
    if not is_there(export, now):
        raise NotMade
    return path_of(export)


def newest(actor: Actor, limit: int = 50) -> list[Export]:
    """Finance sees all, others their own."""
    query = sa.select(Export).order_by(Export.id.desc()).limit(limit)
    if not actor.has("finance"):
        query = query.where(Export.member_id == actor.id)
    return list(db.session.scalars(query))


def expired(now: datetime) -> list[int]:
    query = sa.select(Export.id).where(Export.state == "done", Export.expires_at <= now)
    return list(db.session.scalars(query))


def expire(export_id: int) -> bool:
    """The file goes, row and manifest stay."""
    return leases.changed(sa.and_(Export.id == export_id, Export.state == "done"), state="expired")


def remove_files(export: Export) -> None:
    shutil.rmtree(directory_of(export), ignore_errors=True)
