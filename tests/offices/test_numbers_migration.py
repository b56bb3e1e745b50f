"""Posters printed before offices counted theirs keep their numbers where these tell them apart."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask_migrate import downgrade, upgrade

from app import create_app
from core.clock import utcnow
from core.db import db
from ops.demo import seed_demo
from tests import databases

REVISION = "0015"

# Three runs of posters and one of stickers, of two offices: (run, office, number in the run).
PRINTED = [(1, 1, 1), (1, 1, 2), (1, 2, 3), (2, 1, 1), (2, 1, 2), (3, 2, 1), (4, 1, 1)]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'old.sqlite3'}"
        return
    with databases.postgresql_database(os.environ["TEST_DATABASE_URL"]) as address:
        yield address


def _insert(table: str, **values: Any) -> None:
    found = sa.Table(table, sa.MetaData(), autoload_with=db.engine)
    with db.engine.begin() as connection:
        connection.execute(found.insert(), values)


def _print_posters() -> None:
    now = utcnow()
    for office in (1, 2):
        texts = {"name": {"ru": f"Салон {office}", "be": f"Крама {office}"}, "address": {"ru": "Минск"}}
        _insert("offices", id=office, code=f"T-{office}", region="Минск", active=True, **texts)
    for run in (1, 2, 3, 4):
        format, language = "labels" if run == 4 else "a4", "be" if run == 3 else "ru"
        state = {"state": "done", "total": 1, "done": 1, "created_at": now, "created_by": "", "selection": {}}
        how = {"format": format, "language": language, "copies": 1, "packaging": "pdf"}
        _insert("print_batches", id=run, public_id=f"run-{run}", campaign_id=1, **how, **state)
    for place, (run, office, number) in enumerate(PRINTED, start=1):
        what = {"medium": "office_poster", "language": "ru", "label": "", "state": "active", "scans": 0}
        of = {"campaign_id": 1, "office_id": office, "batch_id": run, "number": number, "created_at": now}
        _insert("placements", id=place, code=f"CODE{place}", **what, **of)


@pytest.mark.filterwarnings("ignore:.* expression-based index")
def test_posters_keep_their_numbers_unless_two_have_the_same(url: str, tmp_path: Path) -> None:
    app = create_app(databases.settings(url, tmp_path))
    with app.app_context():
        upgrade()
        seed_demo(utcnow())
        db.session.remove()
        downgrade(revision=f"{REVISION}-1")
        _print_posters()
        upgrade()
        with db.engine.connect() as connection:
            numbers = connection.execute(sa.text("SELECT poster_number FROM placements ORDER BY id")).scalars().all()
            last = connection.execute(sa.text("SELECT posters FROM offices ORDER BY id")).scalars().all()
            query = "SELECT batch_id, office_id, line FROM print_batch_offices ORDER BY batch_id, office_id"
            lines = [tuple(row) for row in connection.execute(sa.text(query))]
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    assert numbers == [1, 2, 3, 3, 4, 1, None]
    assert last == [4, 3]
    assert lines == [
        (1, 1, "Салон 1, Минск"),
        (1, 2, "Салон 2, Минск"),
        (2, 1, "Салон 1, Минск"),
        (3, 2, "Крама 2, Минск"),
        (4, 1, "Салон 1, Минск"),
    ]
