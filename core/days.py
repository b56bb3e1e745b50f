"""Report days in SQL, alike on both databases: the calendar day of a moment in a zone, and months of days.

PostgreSQL knows zones itself; SQLite is given Python's own knowledge of them when a connection is opened.
"""

import sqlite3
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class local_day(FunctionElement[date]):  # noqa: N801 - reads as the SQL function that it is
    """The calendar day of a stored moment in a zone: `local_day(JournalEntry.occurred_at, Campaign.zone)`."""

    type = sa.Date()
    inherit_cache = True


class month_start(FunctionElement[date]):  # noqa: N801
    """The first day of a day's month."""

    type = sa.Date()
    inherit_cache = True


class text_part(FunctionElement[str]):  # noqa: N801
    """The second of the parts of a text that colons part: `stripe` of `receivable:stripe:training`."""

    type = sa.String()
    inherit_cache = True


@compiles(local_day)
def _local_day(element: local_day, compiler: SQLCompiler, **kw: Any) -> str:
    moment, zone = list(element.clauses)
    return f"local_day({compiler.process(moment, **kw)}, {compiler.process(zone, **kw)})"


@compiles(local_day, "postgresql")
def _local_day_postgresql(element: local_day, compiler: SQLCompiler, **kw: Any) -> str:
    moment, zone = list(element.clauses)
    return f"CAST(timezone({compiler.process(zone, **kw)}, {compiler.process(moment, **kw)}) AS DATE)"


@compiles(month_start)
def _month_start(element: month_start, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(substr({compiler.process(element.clauses, **kw)}, 1, 8) || '01')"


@compiles(month_start, "postgresql")
def _month_start_postgresql(element: month_start, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(date_trunc('month', {compiler.process(element.clauses, **kw)}) AS DATE)"


@compiles(text_part)
def _text_part(element: text_part, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    rest = f"substr({text}, instr({text}, ':') + 1)"
    return f"substr({rest}, 1, instr({rest}, ':') - 1)"


@compiles(text_part, "postgresql")
def _text_part_postgresql(element: text_part, compiler: SQLCompiler, **kw: Any) -> str:
    return f"split_part({compiler.process(element.clauses, **kw)}, ':', 2)"


@lru_cache(maxsize=4096)
def _day_of_minute(minute: str, zone: str) -> str:
    # No zone has changed within a minute since 1972, and reports ask for many moments of the same few minutes.
    return datetime.fromisoformat(minute).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date().isoformat()


def _sqlite_local_day(moment: str | None, zone: str) -> str | None:
    return None if moment is None else _day_of_minute(moment[:16], zone)


def register(connection: sqlite3.Connection) -> None:
    """Give a new connection of SQLite what the functions above need."""
    connection.create_function("local_day", 2, _sqlite_local_day, deterministic=True)
