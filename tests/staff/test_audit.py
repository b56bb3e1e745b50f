"""The audit log: written with the act, never changed unseen, whole under concurrency."""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.db import db, unit_of_work
from staff import audit, triggers
from staff.models import AuditEntry

NOW = datetime(2026, 11, 22, 9, 30, 0, 120, tzinfo=UTC)


def act(number: int, **changes: Any) -> None:
    with unit_of_work():
        audit.record(
            "admin@example.org",
            "placement.retired",
            f"placement:{number}",
            **{"before": {"state": "active"}, "after": {"state": "retired", "at": NOW}, **changes},
            now=NOW,
            address="10.0.0.1",
        )
    db.session.remove()


def tamper(*statements: str) -> None:
    """Change rows as somebody with the database's own password could: without its triggers."""
    db.session.remove()
    with db.engine.begin() as connection:
        triggers.remove(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)
        triggers.install(connection)


def faults() -> set[int]:
    return {fault.number for fault in audit.verify()[1]}


def test_an_act_is_written_with_everything_about_it(app: Flask) -> None:
    act(1)
    entry = db.session.scalars(sa.select(AuditEntry)).one()
    assert (entry.number, entry.at, entry.actor, entry.address) == (1, NOW, "admin@example.org", "10.0.0.1")
    assert (entry.action, entry.subject) == ("placement.retired", "placement:1")
    assert entry.before == {"state": "active"}
    assert entry.after == {"state": "retired", "at": "2026-11-22 09:30:00.000120+00:00"}
    assert entry.previous_hash == audit.GENESIS
    assert audit.head() == audit.Head(1, entry.hash)
    assert audit.verify() == (1, [])


def test_an_act_that_fails_leaves_no_entry(app: Flask) -> None:
    with suppress(ZeroDivisionError), unit_of_work():
        audit.record("admin@example.org", "x", "y", now=NOW, address="-")
        _ = 1 / 0
    assert audit.verify() == (0, [])


def test_outside_a_unit_of_work_nothing_is_recorded(app: Flask) -> None:
    with pytest.raises(RuntimeError):
        audit.record("admin@example.org", "x", "y", now=NOW, address="-")


@pytest.mark.parametrize(
    "text", ["кот 🐈", "a\u2028b", '"', "\\", "a\x00b".replace("\x00", "\\u0000"), "x" * 300, {"deep": [1, None, True]}]
)
def test_what_is_written_reads_back_the_same(app: Flask, text: Any) -> None:
    act(1, before=None, after={"text": text})
    act(2)
    assert audit.verify() == (2, [])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE audit_log SET actor = 'other@example.org' WHERE number = 3", {3}),
        ("UPDATE audit_log SET address = '10.9.9.9' WHERE number = 1", {1}),
        ("""UPDATE audit_log SET "after" = '{}' WHERE number = 5""", {5}),
        ("UPDATE audit_log SET hash = previous_hash WHERE number = 2", {2, 3}),
        ("DELETE FROM audit_log WHERE number = 3", {3, 4}),
        ("DELETE FROM audit_log WHERE number = 1", {1, 2}),
        ("DELETE FROM audit_log WHERE number = 5", {5}),
        ("DELETE FROM audit_log", {5}),
        ("UPDATE audit_head SET number = 4", {4}),
    ],
)
def test_edited_and_removed_rows_are_found(app: Flask, change: str, found: set[int]) -> None:
    for number in range(1, 6):
        act(number)
    assert audit.verify() == (5, [])
    tamper(change)
    assert faults() == found


def test_reordered_rows_are_found(app: Flask) -> None:
    for number in range(1, 6):
        act(number)
    swap = "UPDATE audit_log SET number = {} WHERE number = {}"
    tamper(swap.format(99, 2), swap.format(2, 3), swap.format(3, 99))
    assert {2, 3} <= faults()


@pytest.fixture
def noted(app: Flask) -> audit.Head:
    """The head after five acts, written down elsewhere."""
    for number in range(1, 6):
        act(number)
    return audit.head()


def cut_off(after: int) -> None:
    """What an attacker who knows the scheme leaves: a shorter chain that is whole in itself."""
    kept = db.session.scalars(sa.select(AuditEntry.hash).where(AuditEntry.number == after)).one()
    tamper(
        f"DELETE FROM audit_log WHERE number > {after}",
        f"UPDATE audit_head SET number = {after}, hash = '{kept}'",
    )


def test_an_end_that_was_cut_off_shows_against_a_head_that_was_written_down(app: Flask, noted: audit.Head) -> None:
    cut_off(3)
    assert audit.verify() == (3, [])
    assert [fault.number for fault in audit.verify(noted)[1]] == [5]


def test_an_end_that_was_replaced_shows_as_well(app: Flask, noted: audit.Head) -> None:
    cut_off(3)
    for number in range(2):
        act(100 + number)
    assert audit.verify() == (5, [])
    assert [fault.number for fault in audit.verify(noted)[1]] == [5]


def test_a_head_that_was_written_down_earlier_still_stands(app: Flask, noted: audit.Head) -> None:
    act(6)
    assert audit.verify(noted) == (6, [])
    assert audit.read_head(f" {noted} ") == noted


@pytest.mark.parametrize(
    "text", ["", "5", "5:", ":" + "a" * 64, "x:" + "a" * 64, "5:" + "g" * 64, "9" * 30 + ":" + "a" * 64]
)
def test_what_is_no_head_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="NUMBER:HASH"):
        audit.read_head(text)


def test_the_log_is_read_in_parts(app: Flask, noted: audit.Head, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 5, 6):
        monkeypatch.setattr(audit, "PART", size)
        assert audit.verify(noted) == (5, [])
    tamper("UPDATE audit_log SET actor = 'x' WHERE number = 4")
    monkeypatch.setattr(audit, "PART", 2)
    assert faults() == {4}


def test_an_entry_written_while_the_chain_is_read_is_no_fault(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    act(1)
    real = audit._beyond_head

    def late() -> list[audit.Fault]:
        with app.app_context():
            act(2)
        db.session.rollback()
        return real()

    monkeypatch.setattr(audit, "_beyond_head", late)
    assert audit.verify() == (1, [])


def test_a_row_slipped_in_is_found(app: Flask) -> None:
    for number in range(1, 4):
        act(number)
    columns = 'actor, address, action, subject, "before", "after", previous_hash, hash'
    tamper(
        f"INSERT INTO audit_log (number, at, {columns}) SELECT 4, at, {columns} FROM audit_log WHERE number = 3",
        "UPDATE audit_head SET number = 4",
    )
    assert faults() == {4}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET number = 0",
        "UPDATE audit_head SET number = 7",
        "INSERT INTO audit_log SELECT 9,at,actor,address, action, subject, NULL, NULL, hash, hash, via FROM audit_log",
    ],
)
def test_the_database_refuses_to_change_the_log(app: Flask, statement: str) -> None:
    act(1)
    with pytest.raises(sa.exc.DBAPIError, match="audit:"), db.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert audit.verify() == (1, [])


@pytest.mark.parametrize("table", ["audit_log", "audit_head"])
def test_rows_are_not_replaced_or_truncated_either(app: Flask, table: str) -> None:
    act(1)
    on_sqlite = db.engine.dialect.name == "sqlite"
    statement = f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}" if on_sqlite else f"TRUNCATE {table}"
    with pytest.raises(sa.exc.DBAPIError, match="audit:"), db.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_concurrent_writers_stand_in_line(app: Flask) -> None:
    failures: list[Exception] = []

    def write(writer: int) -> None:
        try:
            with app.app_context():
                for number in range(10):
                    act(writer * 100 + number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells it
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert audit.verify() == (60, [])
    subjects = db.session.scalars(sa.select(AuditEntry.subject))
    assert len(set(subjects)) == 60


def test_the_command_tells_whether_the_chain_is_whole(app: Flask) -> None:
    act(1)
    act(2)
    runner = app.test_cli_runner()
    good = runner.invoke(args=["audit", "verify"])
    assert good.exit_code == 0
    assert good.output.startswith("2 entries, the chain is whole; head ")
    head = str(audit.head())
    assert good.output.strip().endswith(head)
    assert runner.invoke(args=["audit", "verify", "--head", head]).exit_code == 0
    assert runner.invoke(args=["audit", "verify", "--head", "2"]).exit_code == 2
    cut_off(1)
    short = runner.invoke(args=["audit", "verify", "--head", head])
    assert short.exit_code == 1
    assert "entry 2: the end was cut off" in short.output
    tamper("UPDATE audit_log SET action = 'nothing' WHERE number = 1")
    bad = runner.invoke(args=["audit", "verify"])
    assert bad.exit_code == 1
    assert "entry 1: was changed after it was written" in bad.output
