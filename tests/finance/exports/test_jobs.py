"""Exports made in the background: what they survive, who they tell, and that nothing unfinished stays."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.models import OutboxMessage
from finance.exports import jobs, letters, making, services
from finance.exports.columns import ControlTotals
from finance.exports.making import sha256_of
from finance.exports.models import Export
from finance.exports.orders import Order
from finance.exports.snapshot import Interrupted, snapshot
from staff.models import StaffMember
from tests.staff.console import make_member

ROOT = Path(__file__).parents[3]


def ordered(by_mail: bool = False, **options: Any) -> Export:
    email = "finance@example.org"
    if (member := db.session.scalar(sa.select(StaffMember.id).where(StaffMember.email == email))) is None:
        make_member(email, "finance")
        member = db.session.scalars(sa.select(StaffMember.id).where(StaffMember.email == email)).one()
    with unit_of_work():
        order = Order.read({"dataset": "donations", "format": "csv", **options}, utcnow())
        return services.order_export(order, member, utcnow(), by_mail=by_mail)


def fresh(export: Export) -> Export:
    db.session.rollback()
    return db.session.get_one(Export, export.id, populate_existing=True)


def left_of(export: Export) -> list[str]:
    directory = services.directory_of(export)
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def test_an_export_is_made_with_its_manifest_beside_it(history: Flask) -> None:
    export = ordered(format="xlsx")
    jobs.sweep()
    done = fresh(export)
    manifest = done.manifest
    assert manifest is not None
    assert (done.state, done.done, done.total, done.error) == ("done", manifest["rows"], manifest["rows"], None)
    assert left_of(done) == [manifest["file"], "manifest.json"]
    assert sha256_of(services.finished_file(done, utcnow())) == manifest["sha256"]
    assert manifest["made_by"] == "finance@example.org"
    assert (manifest["zone"], manifest["filters"]["as_of"]) == ("Europe/Minsk", manifest["as_of"])
    assert manifest["audit_log"]["number"] > 0
    assert len(manifest["audit_log"]["hash"]) == 64
    assert done.expires_at is not None
    assert done.finished_at is not None
    assert done.expires_at - done.finished_at == services.FILE_LASTS


def test_two_makers_make_one_file(history: Flask) -> None:
    export, results = ordered(), list[bool]()

    def make_it() -> None:
        with history.app_context():
            results.append(jobs.make_export(export.id))

    threads = [threading.Thread(target=make_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, True]
    assert fresh(export).state == "done"


def test_one_that_is_cancelled_while_it_is_made_ends_and_leaves_nothing(
    history: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.01)
    export = ordered(format="xlsx")
    public_id = export.public_id
    whole, noticed = making.Snapshot.all_rows, threading.Event()
    keep = jobs.Keeper._keep

    def kept(keeper: jobs.Keeper) -> None:
        keep(keeper)
        if keeper.lost:
            noticed.set()

    def cancelled_meanwhile(*asked: Any) -> Any:
        for part in whole(*asked):
            yield part

            def cancel() -> None:
                with history.app_context(), unit_of_work():
                    services.cancel(services.find_export(public_id), utcnow())

            other = threading.Thread(target=cancel)
            other.start()
            other.join()
            assert noticed.wait(10)

    monkeypatch.setattr(jobs.Keeper, "_keep", kept)
    monkeypatch.setattr(making.Snapshot, "all_rows", cancelled_meanwhile)
    assert not jobs.make_export(export.id)
    assert fresh(export).state == "cancelled"
    assert not services.directory_of(export).exists()
    with pytest.raises(DomainError), unit_of_work():
        services.cancel(services.find_export(export.public_id), utcnow())


def test_a_long_statement_is_ended_when_the_export_is_no_longer_ours(history: Flask) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
    query = sa.text(f"{numbers} SELECT COUNT(*) FROM n")
    with snapshot() as view:
        timer = threading.Timer(0.2, view.interrupt)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(Interrupted):
            view.guarded(lambda: db.session.scalar(query))
        timer.join()
    assert time.monotonic() - begun < 20


def _worker(app: Flask, export: Export, **more: Any) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "APP_ENV": "test",
        "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", ""),
        "INSTANCE_DIR": app.config["INSTANCE_DIR"],
        "PUBLIC_URL": app.config["PUBLIC_URL"],
    }
    code = f"""
import time
from app import create_app
from finance.exports import jobs, making
app = create_app()
whole = making.Snapshot.all_rows
def slowly(*asked):
    for part in whole(*asked):
        yield part
        print("written", flush=True)
        time.sleep({more.pop("pause", 0)})
making.Snapshot.all_rows = slowly
with app.app_context():
    print(jobs.make_export({export.id}), flush=True)
"""
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, **more
    )


def test_a_killed_one_is_made_anew_by_the_next_worker(history: Flask) -> None:
    export = ordered()
    process = _worker(history, export, pause=60)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    assert fresh(export).state == "running"
    [draft] = left_of(export)
    assert draft.startswith("draft-")
    assert not jobs.make_export(export.id)  # its lease still holds
    with unit_of_work() as session:
        session.execute(sa.update(Export).values(lease_until=utcnow() - timedelta(seconds=1)))
    jobs.sweep()
    done = fresh(export)
    assert done.manifest is not None
    assert (done.state, left_of(done)) == ("done", [done.manifest["file"], "manifest.json"])


def _meets_a_full_disk(app: Flask, export: Export, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Make it where files end at 30 kilobytes. SQLite's own file would meet that limit, so there it is only said."""
    if db.engine.dialect.name == "sqlite":
        with monkeypatch.context() as patch:
            full = OSError(errno.ENOSPC, "No space left on device")
            patch.setattr(ControlTotals, "add", lambda *_: (_ for _ in ()).throw(full))
            return jobs.make_export(export.id)
    limits = (30_000, 30_000)
    process = _worker(app, export, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    output, _ = process.communicate(timeout=60)
    return "True" in output


def test_a_full_disk_is_told_and_the_unfinished_file_removed(history: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    exports = [ordered(format=format, by_mail=True) for format in ("csv", "xlsx")]
    for export in exports:
        assert not _meets_a_full_disk(history, export, monkeypatch)
        failed = fresh(export)
        assert (failed.state, failed.error, left_of(failed)) == ("failed", "disk_full", [])
        with unit_of_work():
            services.make_again(services.find_export(export.public_id), utcnow())
        assert jobs.make_export(export.id)
    templates = db.session.scalars(sa.select(OutboxMessage.template).order_by(OutboxMessage.id)).all()
    assert templates == [letters.FAILED, letters.READY] * 2


def test_whoever_waits_gets_a_link_and_not_the_file(history: Flask) -> None:
    export = ordered(by_mail=True, locale="en", names=True, first="2026-02-01", last="2026-02-28")
    assert jobs.make_export(export.id)
    letter = letters.ready_letter(export.id)
    assert letter is not None
    assert (letter.to, letter.subject) == ("finance@example.org", "Ready: Donations")
    address = f"http://give.test/staff/exports/{export.public_id}"
    assert address in letter.text
    assert address in letter.html
    assert "Feb 1, 2026 – Feb 28, 2026" in letter.text.replace("\u202f", " ")
    assert "2026-02-01" not in letter.text
    assert letter.images == ()
    assert letters.failed_letter(export.id) is None
    with unit_of_work() as session:
        session.execute(sa.update(StaffMember).values(active=False))
    db.session.expire_all()
    assert letters.ready_letter(export.id) is None


def test_files_go_when_their_time_is_over_and_are_made_again_the_same(history: Flask) -> None:
    export, named = ordered(), ordered(names=True)
    assert jobs.make_export(export.id)
    assert jobs.make_export(named.id)
    manifest = fresh(export).manifest
    assert manifest is not None
    jobs.expire_due(utcnow() + timedelta(days=2))
    assert [fresh(each).state for each in (export, named)] == ["done", "expired"]
    jobs.expire_due(utcnow() + timedelta(days=8))
    assert fresh(export).state == "expired"
    assert not services.directory_of(export).exists()
    with pytest.raises(DomainError):
        services.finished_file(fresh(export), utcnow())
    with unit_of_work():
        services.make_again(services.find_export(export.public_id), utcnow())
    assert jobs.make_export(export.id)
    again = fresh(export).manifest
    assert again is not None
    assert again["sha256"] == manifest["sha256"]
