"""`flask posters …` on both databases."""

import errno
import os
from pathlib import Path
from typing import Any

import pypdf
import pytest
from flask import Flask

from core.db import unit_of_work
from core.i18n import Localized
from offices import posters_cli
from offices import print_services as services
from offices.models import Office
from ops.demo import SLUG
from tests.offices.test_print_runs import codes_of


@pytest.fixture(autouse=True)
def office(app: Flask) -> None:
    with unit_of_work() as session:
        name = Localized(ru="Салон T-01")
        session.add(Office(code="T-01", name=name, address=Localized(ru="Минск"), region="Минск"))


def test_the_command_prints_and_lists(app: Flask, tmp_path: Path) -> None:
    runner = app.test_cli_runner()
    target = tmp_path / "out" / "posters.pdf"
    arguments = ["posters", "print", "--campaign", SLUG, "--office", "T-01", "--copies", "2", "--output", str(target)]
    printed = runner.invoke(args=arguments)
    assert printed.exit_code == 0, printed.output
    assert len(pypdf.PdfReader(target).pages) == 2
    assert "done  2/2  a4  ru" in runner.invoke(args=["posters", "list"]).output
    refused = runner.invoke(args=["posters", "print", "--campaign", SLUG, "--all-offices", "--copies", "10001"])
    assert refused.exit_code == 1
    assert "copies_out_of_range" in refused.output


def order_by_command(app: Flask, *more: str) -> Any:
    arguments = ["posters", "print", "--campaign", SLUG, "--office", "T-01", "--format", "a6", *more]
    return app.test_cli_runner().invoke(args=arguments)


def test_the_command_says_where_the_codes_lead(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for url, local in (("http://127.0.0.1:8000", True), ("http://localhost:81", True), ("https://give.by", False)):
        monkeypatch.setitem(app.config, "PUBLIC_URL", url)
        output = order_by_command(app).output
        assert f"the codes lead to {url}/q/" in output
        assert ("no phone reaches that" in output) == local
        assert output.index("lead to") < output.index("1 pages  run")


def test_an_output_that_cannot_be_written_is_one_line_and_leaves_nothing(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    nowhere = order_by_command(app, "--output", str(file / "posters.pdf"))

    def on_a_full_disk(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(posters_cli.shutil, "copyfile", on_a_full_disk)
    full = order_by_command(app, "--output", str(tmp_path / "posters.pdf"))
    for answer, reason in ((nowhere, "Error: "), (full, "No space left on device")):
        assert answer.exit_code == 1
        assert isinstance(answer.exception, SystemExit), "no traceback"
        last = answer.output.strip().splitlines()[-1]
        assert reason in last
        assert "the finished file is" in last
    assert list(tmp_path.glob("posters*")) == []
    assert {batch.state for batch in services.newest()} == {"done"}
    code = codes_of(services.newest(1)[0])[0]
    symbol = app.test_cli_runner().invoke(args=["posters", "symbol", code, "--output", str(file / "code.svg")])
    assert isinstance(symbol.exception, SystemExit)
    assert "Not a directory" in symbol.output
