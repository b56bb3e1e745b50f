"""One consistent look at the database for as long as an export takes.

On PostgreSQL a read-only transaction under REPEATABLE READ whose rows stream through COPY or a server-side cursor; on
SQLite a read transaction, which sees in WAL mode what was there when it began. Rows come in batches, so memory stays
as it is.
"""

import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core.db import db
from finance.exports.columns import Column, Query, Row

BATCH = 2000
COPIED = {"money": "int8", "whole": "int8", "moment": "timestamptz", "day": "timestamptz"}  # by kinds of columns
COPIED |= dict.fromkeys(("code", "text", "rate"), "text")
PATIENCE_SECONDS = 3600  # the usual limits of statements are for pages that somebody waits for

Value = TypeVar("Value")


class Interrupted(Exception):
    """The reading was ended from another thread."""


class Snapshot:
    """A look at one moment, over this thread's session."""

    def __init__(self) -> None:
        self._connection = db.session.connection().connection.driver_connection
        self._interrupted = threading.Event()

    def guarded(self, read: Callable[[], Value]) -> Value:
        """What `read` answers. Raises `Interrupted` when it was ended from another thread."""
        try:
            found = read()
        except (DBAPIError, psycopg.Error):
            if self._interrupted.is_set():
                raise Interrupted from None
            raise
        if self._interrupted.is_set():
            raise Interrupted
        return found

    def rows(self, query: Query) -> Iterator[list[Row]]:
        """The rows of `query` in batches. Raises `Interrupted`."""
        # By the connection: plain columns need nothing of what a session does to objects.
        execute = db.session.connection().execute
        result = self.guarded(lambda: execute(query, execution_options={"yield_per": BATCH}))
        try:
            parts = result.partitions()
            while (batch := self.guarded(lambda: next(parts, None))) is not None:
                yield list(batch)
        finally:
            result.close()

    def all_rows(self, query: Query, columns: Sequence[Column]) -> Generator[list[Row]]:
        """As `rows`, for all that there are, as fast as can be: PostgreSQL copies, since no cursor reads in parallel.

        `columns` are those of the query. To be closed before the transaction ends, when not read to its end.
        """
        if not isinstance(self._connection, psycopg.Connection):
            yield from self.rows(query)
            return
        compiled = query.compile(db.engine, compile_kwargs={"render_postcompile": True})
        with self._connection.cursor() as cursor:
            reading = cursor.copy(f"COPY ({compiled}) TO STDOUT".encode(), compiled.params)
            copy = self.guarded(reading.__enter__)
            try:
                copy.set_types(_types(query, columns))
                rows = copy.rows()
                while batch := self.guarded(lambda: list[Row](islice(rows, BATCH))):
                    yield batch
            except BaseException as error:
                with suppress(psycopg.Error):
                    reading.__exit__(type(error), error, None)
                raise
            reading.__exit__(None, None, None)

    def interrupt(self) -> None:
        """End the reading, also in the midst of a long statement; called from another thread."""
        self._interrupted.set()
        match self._connection:
            case sqlite3.Connection():
                self._connection.interrupt()
            case psycopg.Connection():
                self._connection.cancel_safe(timeout=5)


def _types(query: Query, columns: Sequence[Column]) -> list[str]:
    """How PostgreSQL calls the types of the columns; a day may be kept as a moment, too."""
    chosen = zip(query.selected_columns, columns, strict=True)
    return ["date" if isinstance(one.type, sa.Date) else COPIED[column.kind] for one, column in chosen]


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    """Everything that this thread reads within sees one moment. Ends a read that began before; writes are refused."""
    db.session.rollback()
    db.session.expire_all()
    try:
        if db.session.get_bind().dialect.name == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            connection = db.session.connection(execution_options=options)
            for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
                connection.exec_driver_sql(f"SET LOCAL {name} = '{PATIENCE_SECONDS}s'")
            # All rows will be fetched: a plan that is quick with the first ones only is the wrong one.
            connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 1")
            connection.exec_driver_sql("SET LOCAL work_mem = '32MB'")
        else:
            db.session.connection().exec_driver_sql("SELECT 1 FROM alembic_version")  # the read transaction begins
        yield Snapshot()
    finally:
        db.session.rollback()
