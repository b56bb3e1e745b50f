"""The database: one declarative base, aware UTC columns, and the unit of work that edges open and commit.

SQLite is the embedded default, PostgreSQL one setting away; both behave alike here:
foreign keys are enforced, a unit of work that will write holds SQLite's write lock from its first statement
(a read that later writes would fail at once with SQLITE_BUSY_SNAPSHOT, whatever the timeout).
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.orm import DeclarativeBase, registry, scoped_session
from sqlalchemy.types import TypeDecorator

from core import days
from core.clock import require_utc

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

BUSY_TIMEOUT_SECONDS = 15


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out; naive values are refused. SQLite keeps it as sortable text."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = require_utc(value)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# 64-bit keys; SQLite gives row ids only to a column declared INTEGER.
BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Base(DeclarativeBase):
    registry = registry(metadata=sa.MetaData(naming_convention=NAMING), type_annotation_map={datetime: UtcDateTime()})


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

_writing: ContextVar[bool] = ContextVar("unit_of_work_open", default=False)


class NestedUnitOfWork(RuntimeError):
    """A unit of work was opened inside another one: somebody commits who should not."""


def init_app(app: Flask) -> None:
    db.init_app(app)
    with app.app_context():
        for engine in db.engines.values():
            configure_engine(engine)


def configure_engine(engine: Engine) -> None:
    """Make connections of `engine` keep the rules at the top of this module."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "checkin", _end_sqlite)


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not open transactions by itself: with its own control a released savepoint
    # survived an outer rollback.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    days.register(connection)


def _end_sqlite(connection: sqlite3.Connection | None, _record: Any) -> None:
    # A COMMIT refused for a deferred foreign key leaves the transaction open. SQLAlchemy believes it ended, and
    # the write lock would rest in the pool until somebody happens to take this connection.
    if connection is not None and connection.in_transaction:
        connection.rollback()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() else "BEGIN")


@contextmanager
def unit_of_work() -> Iterator[scoped_session[Session]]:
    """One transaction, committed at the end, rolled back on any exception.

    Ends a read that began by itself; everything loaded before is read anew. Raises `NestedUnitOfWork` inside
    another one and `RuntimeError` for a session with unflushed changes nobody would know the origin of.
    """
    session = db.session
    if _writing.get():
        raise NestedUnitOfWork
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("the session was changed outside a unit of work")
    session.rollback()
    session.expire_all()
    mark = _writing.set(True)
    try:
        session.info["at_end"], session.info["after_commit"] = [], []
        yield session
        session.flush()
        for finish in session.info["at_end"]:
            finish()
        after = session.info["after_commit"]
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        _writing.reset(mark)
        session.info.pop("at_end", None)
        session.info.pop("after_commit", None)
    for follow in after:
        follow()


def read_snapshot() -> None:
    """From here on, reads of this session see one state of the database: what is read together adds up.

    Ends a read that began by itself; for reading only, until the session is removed or a unit of work begins.
    Raises `NestedUnitOfWork` inside one.
    """
    if _writing.get():
        raise NestedUnitOfWork
    db.session.rollback()
    if db.session.get_bind().dialect.name == "postgresql":  # a reading transaction of SQLite sees one state anyway
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def at_end(finish: Callable[[], None]) -> None:
    """Run `finish` as the last statements of the current unit of work: for rows that everybody waits for."""
    _of_unit("at_end").append(finish)


def after_commit(follow: Callable[[], object]) -> None:
    """Run `follow` once the current unit of work is committed: the place to enqueue jobs."""
    _of_unit("after_commit").append(follow)


def _of_unit(name: str) -> list[Callable[[], object]]:
    waiting: list[Callable[[], object]] | None = db.session.info.get(name)
    if waiting is None:
        raise RuntimeError("this belongs into a unit of work, and none is open")
    return waiting


def insert_if_absent(model: type[Base], **values: Any) -> bool:
    """INSERT … ON CONFLICT DO NOTHING; whether the row is new. Waits for a concurrent insert of the same key."""
    insert: Any = postgresql.insert if db.session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(model).values(**values).on_conflict_do_nothing().returning(sa.literal(1))
    return db.session.execute(statement).first() is not None


def rows_changed(result: sa.Result[Any]) -> int:
    """The row count of an UPDATE, DELETE or INSERT: what decides a guarded update."""
    assert isinstance(result, sa.CursorResult)
    return result.rowcount
