"""Migrations make exactly the tables of the models, up and down, on both databases."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade

import ledger.triggers
import staff.triggers
import stickers.stock.triggers
from app import create_app
from core.db import db
from tests import databases

# Indexes of expressions (`ix_donors_email`) cannot be read back from SQLite; PostgreSQL's are compared.
pytestmark = pytest.mark.filterwarnings("ignore:.* expression-based index")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """DATABASE_URL of a database that has never been migrated."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    with databases.postgresql_database(os.environ["TEST_DATABASE_URL"]) as url:
        yield url


@pytest.fixture
def app(empty_database_url: str, tmp_path: Path) -> Iterator[Flask]:
    application = create_app(databases.settings(empty_database_url, tmp_path))
    with application.app_context():
        yield application
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def tables() -> set[str]:
    return set(sa.inspect(db.engine).get_table_names())


def triggers_installed() -> set[str]:
    on_sqlite = db.engine.dialect.name == "sqlite"
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if on_sqlite
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    )
    with db.engine.connect() as connection:
        return set(connection.execute(sa.text(query)).scalars())


def triggers_expected() -> set[str]:
    on_sqlite = db.engine.dialect.name == "sqlite"
    rooms = (ledger.triggers, staff.triggers, stickers.stock.triggers)
    names = {name for room in rooms for name in (room.SQLITE if on_sqlite else room.POSTGRESQL)}
    return names | set(ledger.triggers.SQLITE_PERIODS if on_sqlite else ledger.triggers.POSTGRESQL_PERIODS)


def differences() -> list[Any]:
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata))


def test_models_equal_migrations(app: Flask) -> None:
    upgrade()
    assert differences() == []
    assert tables() == {*db.metadata.tables, "alembic_version"}


def test_up_from_empty_down_to_empty_and_up_again(app: Flask) -> None:
    upgrade()
    first = (tables(), triggers_installed())
    assert first[1] == triggers_expected()
    downgrade(revision="base")
    assert tables() == {"alembic_version"}
    assert triggers_installed() == set()
    upgrade()
    assert (tables(), triggers_installed()) == first
    assert differences() == []


def test_an_upgrade_of_a_present_database_changes_nothing(app: Flask) -> None:
    upgrade()
    before = tables()
    upgrade()
    assert tables() == before


def test_every_constraint_has_a_name_of_ours(app: Flask) -> None:
    upgrade()
    inspector = sa.inspect(db.engine)
    nameless = []
    for table in tables() - {"alembic_version"}:
        found: list[Any] = [
            inspector.get_pk_constraint(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_check_constraints(table),
            *inspector.get_indexes(table),
        ]
        prefixes = ("pk_", "fk_", "uq_", "ck_", "ix_")
        nameless += [(table, one) for one in found if not str(one["name"] or "").startswith(prefixes)]
    assert nameless == []


def test_every_check_of_the_models_is_in_the_database(app: Flask) -> None:
    # Alembic compares no check constraints.
    upgrade()
    inspector = sa.inspect(db.engine)
    for name, table in db.metadata.tables.items():
        in_models = {str(one.name) for one in table.constraints if isinstance(one, sa.CheckConstraint)}
        assert {one["name"] for one in inspector.get_check_constraints(name)} == in_models, name
        foreign = {str(one.name) for one in table.constraints if isinstance(one, sa.ForeignKeyConstraint)}
        assert {one["name"] for one in inspector.get_foreign_keys(name)} == foreign, name


def test_names_fit_into_postgresql() -> None:
    names = [str(one.name) for table in db.metadata.tables.values() for one in table.constraints]
    names += [str(index.name) for table in db.metadata.tables.values() for index in table.indexes]
    assert [name for name in names if len(name) > 63] == []


def test_there_is_one_line_of_migrations(app: Flask) -> None:
    script = ScriptDirectory(app.extensions["migrate"].directory)
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
