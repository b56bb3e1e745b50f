"""Print runs on both databases: what is refused, and what a run survives."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pypdf
import pypdfium2
import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import Localized
from offices import links, previews, print_jobs
from offices import print_services as services
from offices.models import Office, Placement, PrintBatch, PrintBatchOffice
from offices.printing.press import Press
from offices.printing.texts import campaigns
from ops.demo import SLUG

ROOT = Path(__file__).parents[2]


@pytest.fixture
def offices(app: Flask) -> list[str]:
    codes = ["T-01", "T-02"]
    with unit_of_work() as session:
        for code in codes:
            name = Localized(ru=f"Салон {code}", be=f"Салон {code}", en=f"Shop {code}")
            session.add(Office(code=code, name=name, address=Localized(ru="Минск"), region="Минск", active=True))
    return codes


def make(offices: list[str] | None, **more: Any) -> PrintBatch:
    campaign_id = campaigns().find(SLUG)
    assert campaign_id is not None
    values = {"format": "a4", "language": "ru", "copies": 1, "packaging": "pdf", "created_by": "test", **more}
    with unit_of_work():
        return services.create_batch(campaign_id=campaign_id, offices=offices, now=utcnow(), **values)


def fresh(batch: PrintBatch) -> PrintBatch:
    db.session.rollback()
    return db.session.get_one(PrintBatch, batch.id, populate_existing=True)


def page_codes(path: Path) -> list[str]:
    document = pypdfium2.PdfDocument(path)
    texts = [page.get_textpage().get_text_range() for page in document]
    document.close()
    return [text.rsplit("·", 1)[1].strip() for text in texts]


def codes_of(batch: PrintBatch) -> list[str]:
    query = sa.select(Placement.code).where(Placement.batch_id == batch.id).order_by(Placement.number)
    return list(db.session.scalars(query))


def test_each_poster_has_its_own_code_and_page(offices: list[str]) -> None:
    batch = make(offices, copies=3)
    assert print_jobs.print_batch(batch.id)
    codes = codes_of(batch)
    assert len(set(codes)) == 6
    assert all(links.read_code(code) == code for code in codes)
    assert page_codes(services.finished_file(fresh(batch))) == codes
    assert (batch.state, batch.done, batch.total) == ("done", 6, 6)
    assert [path.name for path in services.directory_of(batch).iterdir()] == ["posters.pdf"]


def test_a_zip_has_one_pdf_for_each_office(offices: list[str], tmp_path: Path) -> None:
    batch = make(offices, copies=2, packaging="zip", format="a6")
    assert print_jobs.print_batch(batch.id)
    with zipfile.ZipFile(services.finished_file(fresh(batch))) as archive:
        assert archive.namelist() == ["T-01.pdf", "T-02.pdf"]
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    assert page_codes(tmp_path / "T-01.pdf") + page_codes(tmp_path / "T-02.pdf") == codes_of(batch)


def test_a_sheet_has_a_code_for_each_sticker(offices: list[str]) -> None:
    batch = make(offices, format="labels")
    assert print_jobs.print_batch(batch.id)
    assert len(codes_of(batch)) == 42
    assert len(pypdf.PdfReader(services.finished_file(fresh(batch))).pages) == 2


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"copies": 10_001}, "copies_out_of_range"),
        ({"copies": 0}, "copies_out_of_range"),
        ({"format": "b4"}, "format_unknown"),
        ({"language": "de"}, "language_unknown"),
        ({"packaging": "rar"}, "packaging_unknown"),
        ({"offices": ["T-01", "nowhere"]}, "office_not_found"),
        ({"offices": []}, "no_offices"),
    ],
)
def test_refusals_leave_nothing(offices: list[str], wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        make(**{"offices": offices, **wrong})
    assert refusal.value.code == code
    assert refusal.value.message
    assert db.session.scalar(sa.select(sa.func.count(PrintBatch.id))) == 0
    assert db.session.scalar(sa.select(sa.func.count(Placement.id))) == 0


def test_a_run_has_at_most_100_000_pages(offices: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_PAGES", 5)
    with pytest.raises(DomainError) as refusal:
        make(offices, copies=3)
    assert refusal.value.code == "run_too_large"


def test_codes_that_are_taken_are_drawn_again(offices: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    few = iter(["A0", "A0", "A1", "A0", "A2"])
    monkeypatch.setattr(services.links, "new_code", lambda: next(few))
    assert codes_of(make(offices[:1], copies=3)) == ["A0", "A2", "A1"]


def test_a_run_is_printed_again_as_it_was(offices: list[str]) -> None:
    batch = make(offices, copies=2)
    assert print_jobs.print_batch(batch.id)
    path = services.output_path(batch)
    before = path.read_bytes()
    path.unlink()
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE campaigns SET lead = title"))
        services.print_again(services.find_batch(batch.public_id), utcnow())
    assert print_jobs.print_batch(batch.id)
    assert path.read_bytes() == before


def test_offices_are_named_as_they_were_when_the_run_was_ordered(offices: list[str]) -> None:
    batch = make(offices, copies=2)
    assert print_jobs.print_batch(batch.id)
    path = services.output_path(batch)
    before = path.read_bytes()
    path.unlink()
    with unit_of_work() as session:
        moved = Localized(ru="Переехал", be="Пераехаў", en="Moved")
        session.execute(sa.update(Office).values(name=moved, address=moved, active=False))
        services.print_again(services.find_batch(batch.public_id), utcnow())
    assert print_jobs.print_batch(batch.id)
    assert path.read_bytes() == before
    assert db.session.scalar(sa.select(sa.func.count()).select_from(PrintBatchOffice)) == len(offices)


def states_of(batch: PrintBatch) -> set[str]:
    db.session.rollback()
    return set(db.session.scalars(sa.select(Placement.state).where(Placement.batch_id == batch.id)))


@pytest.mark.parametrize("reprint", ["waits", "runs", "failed"])
def test_posters_that_hang_stay_in_use_when_a_reprint_is_stopped(offices: list[str], reprint: str) -> None:
    batch = make(offices, copies=2)
    assert print_jobs.print_batch(batch.id)
    finished = fresh(batch).finished_at
    services.output_path(batch).unlink()
    with unit_of_work():
        services.print_again(services.find_batch(batch.public_id), utcnow())
    with unit_of_work():
        lease = services.leases.claim(batch.id, utcnow()) if reprint != "waits" else None
        if lease and reprint == "failed":
            assert services.leases.fail(batch.id, lease, "disk_full")
    with unit_of_work():
        services.cancel(services.find_batch(batch.public_id), utcnow())
    assert states_of(batch) == {"active"}
    assert (fresh(batch).state, batch.finished_at, batch.error) == ("done", finished, None)
    with pytest.raises(DomainError), unit_of_work():  # nothing is left to be stopped
        services.cancel(services.find_batch(batch.public_id), utcnow())
    with unit_of_work():
        services.print_again(services.find_batch(batch.public_id), utcnow())
    assert print_jobs.print_batch(batch.id)
    assert page_codes(services.finished_file(fresh(batch))) == codes_of(batch)
    assert batch.finished_at == finished


def test_a_printer_of_a_stopped_reprint_lets_go(offices: list[str]) -> None:
    batch = make(offices)
    assert print_jobs.print_batch(batch.id)
    services.output_path(batch).unlink()
    with unit_of_work():
        services.print_again(services.find_batch(batch.public_id), utcnow())
    with unit_of_work():
        lease = services.leases.claim(batch.id, utcnow())
    assert lease is not None
    with unit_of_work():
        services.cancel(services.find_batch(batch.public_id), utcnow())
    with unit_of_work():
        assert services.leases.keep(batch.id, lease, utcnow()) is None
        assert not services.finish(batch.id, lease, utcnow())
    assert fresh(batch).state == "done"


def _age(batch: PrintBatch, days: float) -> None:
    then = (utcnow() - timedelta(days=days)).timestamp()
    directory = services.directory_of(batch)
    for path in (*directory.iterdir(), directory):
        os.utime(path, (then, then))


def test_files_of_runs_that_ended_long_ago_are_cleared_away(offices: list[str]) -> None:
    old, young, waiting, strange = make(offices), make(offices), make(offices), services.print_directory() / "strange"
    for batch in (old, young):
        assert print_jobs.print_batch(batch.id)
    before = services.output_path(old).read_bytes()
    for directory in (services.directory_of(waiting), strange):
        directory.mkdir(parents=True)
        (directory / "part-0000001.pdf").write_bytes(b"%PDF-")
    for batch, days in ((old, 31), (young, 29), (waiting, 31)):
        _age(batch, days)
    os.utime(strange, (0, 0))
    os.utime(strange / "part-0000001.pdf", (0, 0))
    assert print_jobs.clear_files(utcnow()) == 1
    assert not services.directory_of(old).exists()
    assert services.output_path(young).exists()
    assert services.directory_of(waiting).exists(), "somebody is about to go on with it"
    assert strange.exists(), "it is none of ours"
    with unit_of_work():
        services.print_again(services.find_batch(old.public_id), utcnow())
    assert print_jobs.print_batch(old.id)
    assert services.output_path(old).read_bytes() == before
    assert print_jobs.clear_files(utcnow()) == 0, "a file printed again today stays, however old its run"


def _command(app: Flask, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "APP_ENV": "test",
        "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"].replace("+psycopg", ""),
        "INSTANCE_DIR": app.config["INSTANCE_DIR"],
        "PUBLIC_URL": app.config["PUBLIC_URL"],
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "posters", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes, **more)


def _wait_for_a_part(directory: Path) -> list[Path]:
    for _ in range(600):
        if parts := sorted(directory.glob("part-*.pdf")):
            return parts
        time.sleep(0.02)
    raise AssertionError("no part was printed")


def test_a_killed_run_goes_on_where_it_stopped(app: Flask, offices: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make(offices[:1], copies=800, format="a6")
    process = _command(app, "resume", batch.public_id)
    _wait_for_a_part(services.directory_of(batch))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    time.sleep(1)  # the presses end after the part at hand
    there = len(list(services.directory_of(batch).glob("part-*.pdf")))
    assert fresh(batch).state == "running"
    assert not print_jobs.print_batch(batch.id)  # its lease still holds
    with unit_of_work() as session:
        session.execute(sa.update(PrintBatch).values(lease_until=utcnow() - timedelta(seconds=1)))
    made = _counted(monkeypatch)
    assert print_jobs.print_batch(batch.id)
    assert 0 < there < 8
    assert len(made) == 8 - there
    assert page_codes(services.output_path(batch)) == codes_of(batch)


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    set_part = Press.set

    def counted(press: Press, run: Any, part: Any) -> None:
        made.append(part.target.name)
        set_part(press, run, part)

    monkeypatch.setattr(Press, "set", counted)
    return made


def test_a_full_disk_is_told_and_the_run_goes_on_afterwards(app: Flask, offices: list[str]) -> None:
    batch = make(offices[:1], copies=250, format="a6")

    def small_files() -> None:
        # Parts still fit, the whole does not: the write fails in the middle, as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_200_000, 1_200_000))

    process = _command(app, "resume", batch.public_id, preexec_fn=small_files)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "disk_full" in output
    assert (fresh(batch).state, batch.error) == ("failed", "disk_full")
    assert not services.output_path(batch).exists()
    assert not list(services.directory_of(batch).glob("*.draft"))
    process = _command(app, "resume", batch.public_id)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert page_codes(services.output_path(batch)) == codes_of(batch)


def test_a_cancelled_run_ends_at_once_and_its_codes_are_retired(app: Flask, offices: list[str]) -> None:
    batch = make(offices, copies=2000)
    process = _command(app, "resume", batch.public_id)
    _wait_for_a_part(services.directory_of(batch))
    with unit_of_work():
        services.cancel(services.find_batch(batch.public_id), utcnow())
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "print_run_ended" in output
    assert fresh(batch).state == "cancelled"
    assert not services.directory_of(batch).exists()
    assert set(db.session.scalars(sa.select(Placement.state))) == {"retired"}
    with pytest.raises(DomainError), unit_of_work():
        services.print_again(services.find_batch(batch.public_id), utcnow())


def test_two_printers_of_one_run_make_one_file(app: Flask, offices: list[str]) -> None:
    batch = make(offices, copies=150)
    batch_id, results = batch.id, list[bool]()

    def print_it() -> None:
        with app.app_context():
            results.append(print_jobs.print_batch(batch_id))

    threads = [threading.Thread(target=print_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, True]
    assert page_codes(services.finished_file(fresh(batch))) == codes_of(batch)


def test_the_worker_prints_what_waits(app: Flask, offices: list[str]) -> None:
    batch = make(offices)
    print_jobs.sweep()
    assert fresh(batch).state == "done"


def test_previews_are_pictures_made_once(app: Flask, offices: list[str]) -> None:
    campaign_id = campaigns().find(SLUG)
    assert campaign_id is not None
    office = db.session.scalars(sa.select(Office)).first()
    picture = previews.preview(campaign_id, "a4", "be", office)
    assert picture.startswith(b"\x89PNG")
    assert previews.preview(campaign_id, "a4", "be", office) is picture
