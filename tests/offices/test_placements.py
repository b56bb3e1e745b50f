"""Placements: made, retired, replaced; the commands for them."""

import csv
import io
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import Localized
from offices import errors, links, services
from offices.models import Office, Placement
from offices.services import Place
from tests.offices.conftest import Add


def add(count: int = 1, **values: object) -> list[Placement]:
    place = Place(**{"campaign_id": 1, "medium": "lift", "language": "be", **values})  # type: ignore[arg-type]
    with unit_of_work():
        return services.add_placements([place] * count, utcnow())


def stored(code: str) -> Placement:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(Placement).where(Placement.code == code)).one()


def test_each_gets_a_code_of_its_own(app: Flask) -> None:
    made = add(1200)
    assert len({each.code for each in made}) == 1200
    assert all(links.read_code(each.code) == each.code for each in made)


def test_a_code_that_is_taken_is_drawn_again(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = add()[0].code
    fresh = links.new_code()
    drawn = iter([taken, taken, fresh])
    monkeypatch.setattr(links, "new_code", lambda: next(drawn))
    assert add()[0].code == fresh


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"medium": "balloon"}, errors.MediumUnknown),
        ({"language": "de"}, errors.LanguageUnknown),
        ({"label": "x" * 121}, errors.LabelInvalid),
        ({"label": "two\nlines"}, errors.LabelInvalid),
    ],
)
def test_what_does_not_exist_is_refused(app: Flask, values: dict[str, str], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        add(**values)
    assert db.session.scalar(sa.select(sa.func.count(Placement.id))) == 0


def test_a_retired_link_cannot_be_retired_or_replaced_again(app: Flask) -> None:
    code = add()[0].code
    with unit_of_work():
        services.retire(code.lower())
    assert stored(code).state == "retired"
    for act in (lambda: services.retire(code), lambda: services.replace(code, utcnow())):
        with pytest.raises(errors.PlacementNotActive), unit_of_work():
            act()
    assert db.session.scalar(sa.select(sa.func.count(Placement.id))) == 1


def test_a_replacement_hangs_where_the_old_one_hung_and_chains_stay_short(app: Flask) -> None:
    first = add(label="Nemiga")[0]
    with unit_of_work():
        second = services.replace(first.code, utcnow())
    with unit_of_work():
        third = services.replace(second.code, utcnow())
    assert (third.label, third.medium, third.language, third.state) == ("Nemiga", "lift", "be", "active")
    assert [stored(each.code).replaced_by_id for each in (first, second)] == [third.id, third.id]


@pytest.mark.parametrize("typed", ["", "AAAAAAA", "x" * 99, "🙂"])
def test_unknown_codes_are_refused(app: Flask, typed: str) -> None:
    with pytest.raises(errors.UnknownPlacement), unit_of_work():
        services.retire(typed)


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    with unit_of_work() as session:
        session.add(Office(code="T-1", name=Localized(ru="Салон"), address=Localized(ru="ул. Мира"), region="Минск"))
    return app.test_cli_runner()


def test_the_commands_make_list_retire_replace_and_export(runner: FlaskCliRunner, tmp_path: Path) -> None:
    options = "--medium window --office t-1 --language be --label Door --count 2"
    made = runner.invoke(args=["placements", "add", *options.split()])
    assert made.exit_code == 0, made.output
    first, second = (line.split()[0] for line in made.output.splitlines())
    assert f"http://give.test/q/{first}" in made.output
    assert runner.invoke(args=["placements", "retire", first]).exit_code == 0
    assert "placement_not_active" in runner.invoke(args=["placements", "retire", first]).output
    new = runner.invoke(args=["placements", "replace", second.lower()]).output.split()[0]
    listed = runner.invoke(args=["placements", "list", "--office", "T-1", "--state", "active"]).output
    assert listed.split()[0] == new
    assert len(listed.splitlines()) == 1
    file = tmp_path / "links.csv"
    assert runner.invoke(args=["placements", "export", str(file)]).exit_code == 0
    rows = {row["code"]: row for row in csv.DictReader(io.StringIO(file.read_text("utf-8")))}
    assert {code: row["state"] for code, row in rows.items()} == {first: "retired", second: "replaced", new: "active"}
    assert (rows[second]["replaced_by"], rows[new]["office"], rows[new]["label"]) == (new, "T-1", "Door")


@pytest.mark.parametrize(
    "line",
    [
        "placements add --medium lift --office NONE",
        "placements add --medium lift --campaign none",
        "placements list --office NONE",
        "placements retire AAAAAAA",
        "placements replace 🙂",
    ],
)
def test_the_commands_refuse_in_one_line(runner: FlaskCliRunner, line: str) -> None:
    result = runner.invoke(args=line.split())
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert len(result.output.splitlines()) == 1


def test_a_wrong_medium_is_a_usage_error(runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["placements", "add", "--medium", "balloon"]).exit_code == 2


def test_the_code_check_needs_no_database(app: Flask, placed: Add) -> None:
    code = placed().code
    taken: list[object] = []
    for engine in db.engines.values():
        sa.event.listen(engine, "checkout", lambda *args: taken.append(args))
    wrong = code[:-1] + next(char for char in links.ALPHABET if char != code[-1])
    app.test_client().get(f"/q/{wrong}")
    assert taken == []
