"""What operators do to offices, links and posters at the command line stands in the audit log, too."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from ops.demo import SLUG
from staff import audit
from tests.console.conftest import OWN, acts

COMMAND = audit.COMMAND_LINE


@pytest.fixture
def runner(app: Flask, offices: dict[str, int]) -> FlaskCliRunner:
    return app.test_cli_runner()


def done(runner: FlaskCliRunner, *arguments: str) -> str:
    answer = runner.invoke(args=list(arguments))
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_links(runner: FlaskCliRunner) -> None:
    first = done(runner, "placements", "add", "--medium", "billboard").split()[0]
    done(runner, "placements", "add", "--medium", "office_poster", "--office", OWN, "--count", "3")
    new = done(runner, "placements", "replace", first.lower()).split()[0]
    done(runner, "placements", "retire", new)
    assert acts() == [
        (COMMAND, "placement.made", f"placement:{first}"),
        (COMMAND, "placements.made", "placements"),
        (COMMAND, "placement.replaced", f"placement:{first}"),
        (COMMAND, "placement.retired", f"placement:{new}"),
    ]
    assert audit.verify()[1] == []


def test_what_is_refused_is_not_recorded(runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["placements", "retire", "NOWHERE"]).exit_code == 1
    assert runner.invoke(args=["posters", "cancel", "nothing"]).exit_code == 1
    assert acts() == []


def test_imports(runner: FlaskCliRunner, tmp_path: Path) -> None:
    file = tmp_path / "offices.csv"
    done(runner, "offices", "export", str(file))
    done(runner, "offices", "import", str(file), "--dry-run")
    assert acts() == []
    done(runner, "offices", "import", str(file))
    assert acts() == [(COMMAND, "offices.imported", "offices")]


def test_print_runs(runner: FlaskCliRunner, tmp_path: Path) -> None:
    target = str(tmp_path / "posters.pdf")
    order = ["posters", "print", "--campaign", SLUG, "--office", OWN, "--format", "a6", "--output", target]
    run = done(runner, *order).split()[-1]
    done(runner, "posters", "resume", run)
    subject = f"print_run:{run}"
    assert acts() == [(COMMAND, "posters.ordered", subject), (COMMAND, "posters.ordered_again", subject)]
