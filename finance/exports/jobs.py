"""Making exports in the background: held by a lease, told how far they are, ended when cancelled, expired in time."""

import contextlib
import json
import logging
import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask, current_app

from core import outbox
from core.clock import utcnow
from core.db import db, unit_of_work
from core.files import reason_of, write_whole
from core.jobs import every, job
from finance.exports import letters, schedules, services
from finance.exports.making import make
from finance.exports.models import Export
from finance.exports.orders import Order
from finance.exports.snapshot import Interrupted, Snapshot

log = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
MANIFEST = "manifest.json"

_large = threading.Lock()


class Lost(Exception):
    """The export is no longer ours: cancelled, or another maker took it over."""


class Keeper:
    """Holds an export while it is made: a thread that renews the lease, tells how far it is, and ends the reading when
    the export is no longer ours. A thread, since one statement can take longer than a lease."""

    def __init__(self, export_id: int, lease: datetime) -> None:
        self.export_id, self.lease = export_id, lease
        self.lost = False
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        self._view: Snapshot | None = None
        self._total = self._done = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"export-{export_id}", daemon=True)

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def begins(self, snapshot: Snapshot, total: int) -> None:
        self._view, self._total = snapshot, total

    def goes_on(self, done: int) -> None:
        self._done = done
        if self.lost:
            raise Interrupted

    def _beat(self) -> None:
        with self._app.app_context():
            while not self._stop.wait(BEAT_SECONDS):
                try:
                    self._keep()
                except Exception:
                    log.exception("export %s could not tell how far it is", self.export_id)
                if self.lost:
                    return

    def _keep(self) -> None:
        total = self._total
        with unit_of_work():
            lease = services.leases.keep(self.export_id, self.lease, utcnow(), done=min(self._done, total), total=total)
        if lease is not None:
            self.lease = lease
            return
        self.lost = True
        if self._view is not None:
            self._view.interrupt()


def make_export(export_id: int) -> bool:
    """Make an export that waits; whether it was made now. False when somebody else has it, or it was cancelled.

    A failure is kept on the row and told in the log; nothing unfinished stays on the disk.
    """
    now = utcnow()
    with unit_of_work():
        lease = services.leases.claim(export_id, now)
    if lease is None:
        return False
    export = db.session.get_one(Export, export_id)
    order, who = services.order_of(export, now), export.member.email
    directory = services.directory_of(export)
    draft = directory / f"draft-{lease:%H%M%S%f}"
    keeper = Keeper(export_id, lease)
    try:
        with keeper:
            manifest = _make(order, draft, who=who, now=now, keeper=keeper)
            _put_in_place(draft, directory, manifest)
        _finish(export_id, keeper, order, manifest)
    except (Lost, Interrupted):
        _clear_if_cancelled(export_id)
        return False
    except Exception as error:
        reason = reason_of(error) if isinstance(error, OSError) else type(error).__name__
        log.error("export %s failed: %s", export_id, reason, exc_info=reason != "disk_full")
        _fail(export_id, keeper, reason)
        return False
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return True


def _make(order: Order, draft: Path, *, who: str, now: datetime, keeper: Keeper) -> dict[str, Any]:
    for left in draft.parent.glob("draft-*"):  # by a maker that was killed
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(parents=True)
    return make(order, draft / order.file_name, who=who, now=now, watch=keeper)


def _put_in_place(draft: Path, directory: Path, manifest: dict[str, Any]) -> None:
    write_whole(directory / MANIFEST, manifest_text(manifest).encode())
    (draft / manifest["file"]).replace(directory / manifest["file"])


def manifest_text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"


def _finish(export_id: int, keeper: Keeper, order: Order, manifest: dict[str, Any]) -> None:
    """Raises `Lost`."""
    db.session.rollback()
    now = utcnow()
    with unit_of_work():
        export = db.session.get_one(Export, export_id)
        values = {"total": manifest["rows"], "done": manifest["rows"], "manifest": manifest}
        if not services.leases.finish(export_id, keeper.lease, now, expires_at=now + services.lasts(order), **values):
            raise Lost
        if export.by_mail:
            outbox.put(letters.READY, export_id, now)


def _fail(export_id: int, keeper: Keeper, reason: str) -> None:
    db.session.rollback()
    with unit_of_work():
        failed = services.leases.fail(export_id, keeper.lease, reason)
        export = db.session.get_one(Export, export_id)
        if failed and export.by_mail:
            outbox.put(letters.FAILED, export_id, utcnow())


def _clear_if_cancelled(export_id: int) -> None:
    db.session.rollback()
    export = db.session.get_one(Export, export_id, populate_existing=True)
    if export.state == "cancelled":
        services.remove_files(export)
    db.session.rollback()


def make_when_there_is_room(export_id: int) -> None:
    """At most one at a time in a process: each reads the whole database."""
    if _large.acquire(blocking=False):
        try:
            make_export(export_id)
        finally:
            _large.release()


@job
def make_soon(export_id: int) -> None:
    make_when_there_is_room(export_id)


@every(seconds=10)
def sweep() -> None:
    ids = services.leases.due(utcnow())
    db.session.rollback()
    for export_id in ids:
        make_when_there_is_room(export_id)


@every(seconds=600)
def sweep_expired() -> None:
    expire_due(utcnow())


def expire_due(now: datetime) -> None:
    """Remove files whose time is over."""
    ids = services.expired(now)
    db.session.rollback()
    for export_id in ids:
        with unit_of_work():
            gone = services.expire(export_id)
        if gone:
            with contextlib.suppress(OSError):
                services.remove_files(db.session.get_one(Export, export_id))
            db.session.rollback()


@every(seconds=60)
def sweep_schedules() -> None:
    order_due(utcnow())


def order_due(now: datetime) -> None:
    """Order what schedules have due, also what was missed while no worker ran: each period once."""
    ids = schedules.due(now)
    db.session.rollback()
    for schedule_id in ids:
        with unit_of_work():
            ordered = schedules.order_missing(schedule_id, now)
        for export_id in ordered:
            make_soon.enqueue(export_id)
