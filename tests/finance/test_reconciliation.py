"""A month at the provider and the bank agrees with the books to the cent; whatever is wrong is found and named."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.finance.month import March, lived


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived_through(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[March]:
    directory = tmp_path_factory.mktemp("month")
    with lived(request.param, sqlite_template, directory, os.environ["TEST_DATABASE_URL"]) as march:
        yield march


@pytest.fixture
def march(lived_through: March) -> March:
    lived_through.restore()
    return lived_through


def test_a_month_reconciles_to_nothing_open(march: March) -> None:
    march.bring(march.lines)
    done = march.reconcile()
    assert (done.problems, done.found) == ([], {})
    assert done.fetched.lines > 90
    found = march.house.balances()
    assert found.get("transit:stripe:EUR", 0) == 0
    assert found["bank:EUR"] == sum(cents for _day, cents, _text in march.lines)
