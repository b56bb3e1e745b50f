"""Transactions: one unit of work, committed whole or not at all, on both databases."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.db import NestedUnitOfWork, after_commit, at_end, db, insert_if_absent, rows_changed, unit_of_work
from core.i18n import Localized
from core.models import OutboxMessage
from ledger.models import Fund, LedgerException

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("app")


def fund(code: str) -> Fund:
    return Fund(code=code, name=Localized(ru="Имя"), currency="BYN")


def codes() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(Fund.code).order_by(Fund.code)))


def message(**values: Any) -> dict[str, Any]:
    base = {"template": "t", "subject_id": 1, "message_id": "<1@x>", "created_at": NOW, "next_attempt_at": NOW}
    return {**base, "attempts": 0, **values}


# Moments


def test_moments_come_back_aware_and_in_utc() -> None:
    minsk = NOW.astimezone(timezone(timedelta(hours=3)))
    with unit_of_work() as session:
        session.add(OutboxMessage(**message(created_at=minsk)))
    db.session.expire_all()
    found = db.session.scalars(sa.select(OutboxMessage)).one()
    assert found.created_at == NOW
    assert found.created_at.tzinfo is not None
    assert found.created_at.utcoffset() == timedelta(0)
    assert found.done_at is None


def test_a_naive_moment_is_refused_in_values_and_in_conditions() -> None:
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - what is refused
    with pytest.raises(sa.exc.StatementError, match="naive"), unit_of_work() as session:
        session.add(OutboxMessage(**message(created_at=naive)))
    with pytest.raises(sa.exc.StatementError, match="naive"):
        db.session.scalar(sa.select(OutboxMessage.id).where(OutboxMessage.created_at < naive))
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count(OutboxMessage.id))) == 0


def test_moments_of_all_zones_are_compared_by_time() -> None:
    with unit_of_work() as session:
        for number in range(3):
            moment = NOW + timedelta(microseconds=number)
            session.add(OutboxMessage(**message(subject_id=number, created_at=moment)))
    elsewhere = (NOW + timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=-11)))
    query = sa.select(OutboxMessage.subject_id).where(OutboxMessage.created_at >= elsewhere)
    assert sorted(db.session.scalars(query)) == [1, 2]


# Units of work


def test_a_unit_of_work_is_committed_at_its_end() -> None:
    with unit_of_work() as session:
        session.add(fund("a"))
    assert codes() == ["a"]


def test_an_exception_takes_everything_back() -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work() as session:
        session.add(fund("a"))
        session.flush()
        session.add(fund("b"))
        raise ZeroDivisionError
    assert codes() == []


def test_a_unit_of_work_within_another_is_refused_and_takes_the_outer_one_back() -> None:
    with pytest.raises(NestedUnitOfWork), unit_of_work() as session:
        session.add(fund("a"))
        with unit_of_work():
            pass
    assert codes() == []
    with unit_of_work() as session:
        session.add(fund("b"))
    assert codes() == ["b"]


@pytest.mark.parametrize("how", ["new", "dirty", "deleted"])
def test_a_session_that_somebody_changed_before_is_refused(how: str) -> None:
    with unit_of_work() as session:
        session.add(fund("a"))
    found = db.session.scalars(sa.select(Fund)).one()
    if how == "new":
        db.session.add(fund("b"))
    elif how == "dirty":
        found.code = "changed"
    else:
        db.session.delete(found)
    with pytest.raises(RuntimeError, match="outside a unit of work"), unit_of_work():
        pytest.fail("not opened")
    assert codes() == ["a"]


def test_a_unit_of_work_ends_a_read_that_began_before_it_and_reads_anew(app: Flask) -> None:
    with unit_of_work() as session:
        session.add(fund("a"))
    stale = db.session.scalars(sa.select(Fund)).one()

    def rename() -> None:
        with unit_of_work() as session:
            session.execute(sa.update(Fund).values(code="renamed"))

    elsewhere(app, rename)
    assert stale.code == "a"
    with unit_of_work():
        assert stale.code == "renamed"


def test_what_waits_for_the_end_comes_last_in_order_and_within_the_transaction() -> None:
    order: list[str] = []
    with unit_of_work() as session:
        at_end(lambda: order.append(f"first, {session.scalar(sa.select(sa.func.count(Fund.id)))} fund"))
        at_end(lambda: session.add(fund("from the end")))
        at_end(lambda: (order.append("second"), at_end(lambda: order.append("third"))))
        session.add(fund("a"))
        order.append("body")
    assert order == ["body", "first, 1 fund", "second", "third"]
    assert codes() == ["a", "from the end"]


def test_a_failure_at_the_end_takes_everything_back() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), unit_of_work() as session:
        session.add(fund("a"))
        at_end(fail)
    assert codes() == []


def test_what_follows_the_commit_happens_only_after_it_and_may_write_itself(app: Flask) -> None:
    seen: list[Any] = []

    def follow() -> None:
        elsewhere(app, lambda: seen.append(codes()))
        with unit_of_work() as session:
            session.add(fund("b"))

    with unit_of_work() as session:
        after_commit(follow)
        session.add(fund("a"))
        assert seen == []
    assert seen == [["a"]]
    assert codes() == ["a", "b"]


def test_nothing_follows_a_commit_that_did_not_happen() -> None:
    followed: list[str] = []
    with pytest.raises(ZeroDivisionError), unit_of_work():
        after_commit(lambda: followed.append("after the exception"))
        raise ZeroDivisionError
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        after_commit(lambda: followed.append("after the refused flush"))
        session.add_all([fund("a"), fund("a")])
    with unit_of_work() as session:
        session.add(fund("b"))
    assert followed == []


@pytest.mark.parametrize("register", [at_end, after_commit])
def test_waiting_for_a_unit_of_work_that_is_not_open_is_refused(register: Callable[[Any], None]) -> None:
    with unit_of_work():
        pass
    with pytest.raises(RuntimeError, match="none is open"):
        register(lambda: None)


def test_a_commit_refused_for_a_missing_row_leaves_no_lock_behind(app: Flask) -> None:
    # The foreign key of postings is checked at the commit.
    orphan = (
        "INSERT INTO postings (entry_id, account_id, currency, debit_minor, credit_minor)"
        " SELECT '00000000000000000000000000000001', id, currency, 1, 0 FROM accounts"
    )
    with unit_of_work() as session:
        session.execute(sa.text("INSERT INTO accounts (code, kind, currency) VALUES ('x', 'suspense', 'BYN')"))
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.execute(sa.text(orphan))

    def write() -> None:
        with unit_of_work() as session:
            session.add(fund("a"))

    elsewhere(app, write)
    assert codes() == ["a"]
    write_again = sa.text("SELECT count(*) FROM postings")
    assert db.session.execute(write_again).scalar_one() == 0


def test_a_released_savepoint_does_not_survive_the_rollback_around_it() -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work() as session:
        session.add(fund("a"))
        with session.begin_nested():
            session.add(fund("b"))
        raise ZeroDivisionError
    assert codes() == []


def test_a_savepoint_that_is_rolled_back_leaves_what_was_before_it() -> None:
    with unit_of_work() as session:
        session.add(fund("a"))
        session.flush()
        savepoint = session.begin_nested()
        session.add(fund("b"))
        session.flush()
        savepoint.rollback()
        session.add(fund("c"))
    assert codes() == ["a", "c"]


def test_foreign_keys_are_enforced() -> None:
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.add(LedgerException(kind="k", source_type="s", source_id="1", since=NOW, opened_at=NOW, donation_id=99))


# Two connections


def elsewhere(app: Flask, act: Callable[[], Any]) -> Any:
    """Do it in another thread, with a session and a connection of its own; what it answered."""
    answers: list[Any] = []

    def run() -> None:
        with app.app_context():
            answers.append(act())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=30)
    assert answers, "it raised, or is still waiting"
    return answers[0]


def test_a_read_that_later_writes_works_beside_another_writer(app: Flask) -> None:
    with unit_of_work() as session:
        session.add(
            LedgerException(kind="count", source_type="s", source_id="0", since=NOW, opened_at=NOW, amount_minor=0)
        )
    rounds, gate, failures = 15, threading.Barrier(3), []

    def read_then_write() -> None:
        with app.app_context():
            gate.wait(timeout=20)
            for _ in range(rounds):
                try:
                    with unit_of_work() as session:
                        session.scalar(sa.select(LedgerException.amount_minor))
                        session.execute(
                            sa.update(LedgerException).values(amount_minor=LedgerException.amount_minor + 1)
                        )
                except sa.exc.OperationalError as failure:  # database is locked: SQLITE_BUSY_SNAPSHOT
                    failures.append(failure)

    threads = [threading.Thread(target=read_then_write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    db.session.rollback()
    assert db.session.scalar(sa.select(LedgerException.amount_minor)) == 3 * rounds


def test_a_reader_sees_the_last_commit_while_somebody_writes(app: Flask) -> None:
    with unit_of_work() as session:
        session.add(fund("a"))
        session.flush()
        assert elsewhere(app, codes) == []
    assert elsewhere(app, codes) == ["a"]


def test_a_guarded_update_lets_one_of_two_through(app: Flask) -> None:
    with unit_of_work() as session:
        session.add(OutboxMessage(**message()))
    gate, won = threading.Barrier(4), []

    def claim() -> None:
        with app.app_context():
            gate.wait(timeout=20)
            with unit_of_work() as session:
                mine = sa.update(OutboxMessage).where(OutboxMessage.attempts == 0).values(attempts=1)
                won.append(rows_changed(session.execute(mine)))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(won) == [0, 0, 0, 1]


def test_insert_if_absent_says_whether_the_row_is_new_and_never_changes_one() -> None:
    with unit_of_work():
        assert insert_if_absent(OutboxMessage, **message(message_id="<first@x>"))
        assert not insert_if_absent(OutboxMessage, **message(message_id="<second@x>"))
    assert list(db.session.scalars(sa.select(OutboxMessage.message_id))) == ["<first@x>"]


@pytest.mark.parametrize("first_commits", [True, False])
def test_insert_if_absent_waits_for_a_concurrent_insert_of_the_same_key(app: Flask, first_commits: bool) -> None:
    inserted, started, answers = threading.Event(), threading.Event(), []

    def second() -> None:
        with app.app_context():
            inserted.wait(timeout=20)
            started.set()
            with unit_of_work():
                answers.append(insert_if_absent(OutboxMessage, **message(message_id="<second@x>")))

    thread = threading.Thread(target=second)
    thread.start()
    try:
        with unit_of_work():
            assert insert_if_absent(OutboxMessage, **message(message_id="<first@x>"))
            inserted.set()
            assert started.wait(timeout=20)
            if not first_commits:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    thread.join(timeout=30)
    assert answers == [not first_commits]
    db.session.rollback()
    kept = "<first@x>" if first_commits else "<second@x>"
    assert list(db.session.scalars(sa.select(OutboxMessage.message_id))) == [kept]
