"""What the database itself refuses, attacked with plain SQL past all of our code."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from core.db import db, unit_of_work
from core.money import Money
from ledger import accounts, triggers
from ledger.models import Fund
from ledger.services import Source, post_entry, transfer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENTRY = (
    "INSERT INTO journal_entries (id, source_type, source_id, kind, occurred_at, recorded_at, reverses_id)"
    " VALUES (:id, 'attack', :source, 'attack', '2026-03-01 00:00:00.000000', '2026-03-01 00:00:00.000000', :reverses)"
)
POSTING = (
    "INSERT INTO postings (entry_id, account_id, currency, debit_minor, credit_minor)"
    " VALUES (:entry, (SELECT id FROM accounts WHERE code = :account), :currency, :debit, :credit)"
)
GIFT, RECEIVABLE, EUROS = "fund:specialists:gift", "receivable:stripe:specialists", "suspense:EUR"


class Attacker:
    """One connection that says what it likes."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def run(self, statement: str, **values: Any) -> Any:
        return self.connection.execute(sa.text(statement), values)

    def posting(self, entry: str, account: str, debit: Any, credit: Any, currency: str = "BYN") -> None:
        self.run(POSTING, entry=entry, account=account, debit=debit, credit=credit, currency=currency)

    def entry(self, entry: str, source: str | None = None, reverses: str | None = None) -> None:
        self.run(ENTRY, id=entry, source=source or entry, reverses=reverses)


@contextmanager
def attacker(isolation: str | None = None) -> Iterator[Attacker]:
    engine = db.engine.execution_options(isolation_level=isolation) if isolation else db.engine
    with engine.connect() as connection:
        yield Attacker(connection)
        connection.rollback()


@pytest.fixture
def posted(app: Flask, fund: Fund) -> str:
    """Id of an honest entry of 2500 kopecks; an account in euros is there too."""
    with unit_of_work():
        lines = transfer(accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift"), Money(2500, "BYN"))
        post_entry(Source("payment", "pay_1", "gift"), lines, occurred_at=NOW, recorded_at=NOW)
        accounts.account_ids([accounts.suspense("EUR")])
    found = db.session.execute(sa.text("SELECT id FROM journal_entries")).scalar_one()
    db.session.rollback()
    return uuid.UUID(str(found)).hex


def everything() -> tuple[list[Any], list[Any], list[Any]]:
    with db.engine.connect() as connection:
        tables = ("journal_entries", "postings", "accounts")
        entries, postings, books = (connection.execute(sa.text(f"SELECT * FROM {t} ORDER BY id")).all() for t in tables)
    return list(entries), list(postings), list(books)


@contextmanager
def refused(saying: str = "") -> Iterator[None]:
    """The attack inside raises, and afterwards the books are as they were."""
    before = everything()
    with pytest.raises(DatabaseError) as refusal:
        yield
    assert isinstance(refusal.value, IntegrityError)
    assert saying in str(refusal.value)
    assert everything() == before


def new_id() -> str:
    return uuid.uuid4().hex


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_an_honest_entry_by_plain_sql_is_taken(posted: str) -> None:
    entry = new_id()
    with attacker() as sql:
        sql.posting(entry, RECEIVABLE, 100, 0)
        sql.posting(entry, GIFT, 0, 100)
        sql.entry(entry)
        sql.connection.commit()
    assert len(everything()[0]) == 2


@pytest.mark.parametrize(
    "postings",
    [
        [],
        [(GIFT, 0, 100, "BYN")],
        [(RECEIVABLE, 100, 0, "BYN"), (GIFT, 0, 99, "BYN")],
        [(RECEIVABLE, 100, 0, "BYN"), (EUROS, 0, 100, "EUR")],
        [(RECEIVABLE, 100, 0, "BYN"), (GIFT, 0, 100, "BYN"), (EUROS, 1, 0, "EUR")],
    ],
    ids=["no postings", "one posting", "a kopeck short", "zero across currencies", "a third currency"],
)
def test_an_entry_that_does_not_balance_is_refused(posted: str, postings: list[tuple[str, int, int, str]]) -> None:
    entry = new_id()
    with refused(triggers.UNBALANCED), attacker() as sql:
        for account, debit, credit, currency in postings:
            sql.posting(entry, account, debit, credit, currency)
        sql.entry(entry)


def test_an_entry_written_before_its_postings_is_refused(posted: str) -> None:
    with refused(triggers.UNBALANCED), attacker() as sql:
        sql.entry(new_id())


def test_a_posting_for_an_entry_that_exists_is_refused(posted: str) -> None:
    with refused(triggers.SEALED), attacker() as sql:
        sql.posting(posted, GIFT, 0, 100)


def test_a_posting_for_an_entry_of_the_same_transaction_is_refused_once_it_is_written(posted: str) -> None:
    entry = new_id()
    with refused(triggers.SEALED), attacker() as sql:
        sql.posting(entry, RECEIVABLE, 100, 0)
        sql.posting(entry, GIFT, 0, 100)
        sql.entry(entry)
        sql.posting(entry, RECEIVABLE, 100, 0)


def test_postings_without_an_entry_do_not_survive_the_commit(posted: str) -> None:
    entry = new_id()
    with refused(), attacker() as sql:
        sql.posting(entry, RECEIVABLE, 100, 0)
        sql.posting(entry, GIFT, 0, 100)
        sql.connection.commit()


@pytest.mark.parametrize(
    ("debit", "credit"), [(100, 100), (0, 0), (-100, 0), (0, -100), (100, -100), (-100, 100), (None, 100), (100, None)]
)
def test_a_posting_is_one_positive_side(posted: str, debit: int | None, credit: int | None) -> None:
    with refused(), attacker() as sql:
        sql.posting(new_id(), GIFT, debit, credit)


def test_a_posting_in_another_currency_than_its_account_is_refused(posted: str) -> None:
    with refused(), attacker() as sql:
        sql.posting(new_id(), GIFT, 100, 0, "EUR")
        sql.connection.commit()


def test_a_posting_to_no_account_is_refused(posted: str) -> None:
    with refused(), attacker() as sql:
        sql.posting(new_id(), "no such account", 100, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE postings SET debit_minor = debit_minor + 1 WHERE debit_minor > 0",
        "UPDATE postings SET account_id = account_id",
        "UPDATE journal_entries SET occurred_at = '2020-01-01 00:00:00.000000'",
        "UPDATE journal_entries SET donation_id = NULL",
        "DELETE FROM postings",
        "DELETE FROM journal_entries",
        "UPDATE accounts SET currency = 'EUR' WHERE currency = 'BYN'",
        "DELETE FROM accounts WHERE currency = 'BYN'",
        "DELETE FROM funds",
    ],
)
def test_what_is_written_is_never_changed_or_taken_out(posted: str, statement: str) -> None:
    with refused(), attacker() as sql:
        sql.run(statement)
        sql.connection.commit()


@pytest.mark.parametrize("amount", [1.5, "abc", b"100"], ids=["a fraction", "a word", "bytes"])
def test_an_amount_that_is_no_whole_number_is_refused(app: Flask, posted: str, amount: Any) -> None:
    before = everything()
    with attacker() as sql:
        if db.engine.dialect.name == "postgresql" and amount == 1.5:
            sql.posting(new_id(), GIFT, amount, 0)  # the column makes it whole
        else:
            with pytest.raises(DatabaseError):
                sql.posting(new_id(), GIFT, amount, 0)
    assert everything() == before


def test_an_upsert_cannot_change_an_entry(posted: str) -> None:
    with refused(), attacker() as sql:
        sql.run(ENTRY + " ON CONFLICT (id) DO UPDATE SET kind = 'changed'", id=posted, source="x", reverses=None)


def test_a_source_is_posted_once(posted: str) -> None:
    first, second = new_id(), new_id()
    with attacker() as sql:
        for account, debit, credit in ((RECEIVABLE, 100, 0), (GIFT, 0, 100)):
            sql.posting(first, account, debit, credit)
        sql.entry(first, source="same")
        sql.connection.commit()
    with refused(), attacker() as sql:
        for account, debit, credit in ((RECEIVABLE, 100, 0), (GIFT, 0, 100)):
            sql.posting(second, account, debit, credit)
        sql.entry(second, source="same")


def test_an_entry_is_reversed_once(posted: str) -> None:
    with attacker() as sql:
        entry = new_id()
        sql.posting(entry, GIFT, 2500, 0)
        sql.posting(entry, RECEIVABLE, 0, 2500)
        sql.entry(entry, reverses=posted)
        sql.connection.commit()
    with refused(), attacker() as sql:
        entry = new_id()
        sql.posting(entry, GIFT, 2500, 0)
        sql.posting(entry, RECEIVABLE, 0, 2500)
        sql.entry(entry, reverses=posted)


# SQLite alone


@on_sqlite
def test_replacing_a_posting_into_another_entry_is_refused(posted: str) -> None:
    replace = POSTING.replace("INSERT INTO postings (", "INSERT OR REPLACE INTO postings (id, ")
    replace = replace.replace("VALUES (", "VALUES ((SELECT min(id) FROM postings), ")
    with refused(triggers.SEALED), attacker() as sql:
        sql.run(replace, entry=new_id(), account=GIFT, currency="BYN", debit=0, credit=100)


@on_sqlite
@pytest.mark.parametrize("same", ["id", "source", "reverses"])
def test_replacing_an_entry_is_refused(posted: str, same: str) -> None:
    entry, reversal = new_id(), new_id()
    with attacker() as sql:
        sql.posting(reversal, GIFT, 2500, 0)
        sql.posting(reversal, RECEIVABLE, 0, 2500)
        sql.entry(reversal, source="reversal", reverses=posted)
        sql.connection.commit()
    with refused(triggers.SEALED), attacker() as sql:
        sql.posting(entry, RECEIVABLE, 100, 0)
        sql.posting(entry, GIFT, 0, 100)
        sql.run(
            ENTRY.replace("INSERT", "INSERT OR REPLACE", 1),
            id=posted if same == "id" else entry,
            source="reversal" if same == "source" else "new",
            reverses=posted if same == "reverses" else None,
        )
        sql.connection.commit()


# PostgreSQL alone


@on_postgresql
@pytest.mark.parametrize("what", ["postings", "journal_entries CASCADE", "accounts CASCADE", "funds CASCADE"])
def test_truncating_is_refused(posted: str, what: str) -> None:
    with refused(triggers.SEALED), attacker() as sql:
        sql.run(f"TRUNCATE {what}")


def wait_until_somebody_waits_for_a_lock() -> None:
    deadline = time.monotonic() + 20
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        waiting = sa.text(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN"
            " (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
        )
        while connection.execute(waiting).scalar_one() == 0:
            assert time.monotonic() < deadline, "nobody waits"


@on_postgresql
@pytest.mark.parametrize("first_commits", [True, False])
def test_a_second_connection_cannot_add_to_an_entry_that_is_being_written(
    app: Flask, posted: str, first_commits: bool
) -> None:
    entry, refusals = new_id(), []

    def add_to_it() -> None:
        with app.app_context(), attacker() as second:
            try:
                second.posting(entry, GIFT, 0, 999)
                second.connection.commit()
            except IntegrityError as refusal:
                refusals.append(str(refusal.orig))

    thread = threading.Thread(target=add_to_it)
    with attacker() as first:
        first.posting(entry, RECEIVABLE, 100, 0)
        first.posting(entry, GIFT, 0, 100)
        first.entry(entry)
        thread.start()
        wait_until_somebody_waits_for_a_lock()
        first.connection.commit() if first_commits else first.connection.rollback()
        thread.join(timeout=20)

    assert len(refusals) == 1
    # Where the first one gave up, the second one's posting has no entry at its commit.
    assert (triggers.SEALED if first_commits else "fk_postings_entry_id") in refusals[0]
    assert len(everything()[1]) == (4 if first_commits else 2)


@on_postgresql
@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_snapshot_cannot_add_to_an_entry_it_does_not_see(app: Flask, posted: str, isolation: str) -> None:
    entry = new_id()
    with attacker(isolation) as old:
        old.run("SELECT count(*) FROM journal_entries")
        with attacker() as sql:
            sql.posting(entry, RECEIVABLE, 100, 0)
            sql.posting(entry, GIFT, 0, 100)
            sql.entry(entry)
            sql.connection.commit()
        with refused(triggers.ISOLATION):
            old.posting(entry, GIFT, 0, 999)
            old.connection.commit()


# Both


def installed(connection: Connection) -> dict[str, str]:
    if connection.dialect.name == "sqlite":
        query = (
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            " AND tbl_name IN ('journal_entries', 'postings', 'accounting_periods')"
        )
        return {row[0]: row[1] for row in connection.execute(sa.text(query))}
    query = (
        "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'"
        " AND tgrelid IN ('journal_entries'::regclass, 'postings'::regclass, 'accounting_periods'::regclass)"
        " UNION SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'ledger%'"
    )
    return {row[0]: row[1] for row in connection.execute(sa.text(query))}


def test_installed_triggers_are_those_of_the_one_file(app: Flask) -> None:
    with db.engine.connect() as connection:
        found = installed(connection)
        on_server = connection.dialect.name == "postgresql"
    if not on_server:
        written = {**triggers.SQLITE, **triggers.SQLITE_PERIODS}
        assert found == {name: text.strip() for name, text in written.items()}
        return
    functions = {**triggers.POSTGRESQL_FUNCTIONS, **triggers.POSTGRESQL_PERIOD_FUNCTIONS}
    on_tables = {**triggers.POSTGRESQL, **triggers.POSTGRESQL_PERIODS}
    assert found.keys() == on_tables.keys() | functions.keys()
    for name, text in functions.items():
        assert found[name] == text.split("$$")[1]
    for name, text in on_tables.items():
        assert found[name].replace("public.", "").split() == text.split()
