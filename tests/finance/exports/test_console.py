"""Exports in the console, by command and by API: who may, what is written down, what is told."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from finance.exports import jobs, letters, services
from finance.exports.making import sha256_of
from finance.exports.models import Export, ExportSchedule
from staff import audit
from staff import services as members
from tests.console.conftest import acts
from tests.finance.exports.conftest import GIFTS, made, sign_in
from tests.staff.console import Browser
from tests.staff.machines import Machine

FEBRUARY = {"first": "2026-02-01", "last": "2026-02-28"}
ORDER = {"dataset": "donations", "format": "csv", "locale": "en"}


def exports() -> list[Export]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(Export).order_by(Export.id).execution_options(populate_existing=True)))


def order(browser: Browser, **fields: str) -> Any:
    browser.get("/staff/exports")
    return browser.post("/staff/exports", {**ORDER, **fields})


def opened(browser: Browser, path: str) -> bytes:
    """What is downloaded there; the file is closed again."""
    answer = browser.get(path)
    data = answer.data
    answer.close()
    assert answer.status_code == 200
    return data


def test_a_small_export_is_downloaded_at_once(history: Flask, finance: Browser) -> None:
    answer = order(finance, **FEBRUARY)
    assert answer.status_code == 303
    file = finance.get(answer.location)
    [export] = exports()
    manifest = export.manifest
    assert manifest is not None
    assert file.headers["Content-Disposition"] == f"attachment; filename={manifest['file']}"
    assert file.mimetype == "text/csv"
    assert file.data == services.finished_file(export, utcnow()).read_bytes()
    file.close()
    page = finance.get(f"/staff/exports/{export.public_id}").text
    assert manifest["sha256"] in page
    assert f"/staff/exports/{export.public_id}/file" in page
    told = json.loads(finance.get(f"/staff/exports/{export.public_id}/manifest.json").data)
    assert told == manifest
    subject = f"export:{export.public_id}"
    who = "finance@example.org"
    assert acts() == [(who, "export.ordered", subject), (who, "export.downloaded", subject)]


def test_a_file_whose_time_is_over_is_gone_though_no_worker_has_removed_it(history: Flask, finance: Browser) -> None:
    answer = order(finance, **FEBRUARY)
    [export] = exports()
    page, file = f"/staff/exports/{export.public_id}", services.path_of(export)
    there = finance.get(answer.location)
    assert (there.status_code, there.headers["Cache-Control"]) == (200, "private, no-store")
    there.close()
    with unit_of_work() as session:
        session.execute(sa.update(Export).values(expires_at=utcnow()))
    assert file.is_file()
    assert finance.get(answer.location).status_code == 409
    shown = finance.get(page).text
    assert "The file has been cleared away" in shown
    assert f"{page}/file" not in shown
    finance.post(f"{page}/again")
    history.extensions["jobs"].run_queued()
    assert opened(finance, f"{page}/file")


def test_a_large_export_is_made_in_the_background_with_progress(
    history: Flask, finance: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 10)
    answer = order(finance)
    page = finance.get(answer.location).text
    assert '<meta http-equiv="refresh" content="2">' in page
    with unit_of_work() as session:
        session.execute(sa.update(Export).values(state="running", total=450, done=100))
    assert '<progress class="bar" max="450" value="100"' in finance.get(answer.location).text
    with unit_of_work() as session:
        session.execute(sa.update(Export).values(state="queued"))
    history.extensions["jobs"].run_queued()
    page = finance.get(answer.location).text
    assert "refresh" not in page
    assert "Ready" in page
    assert opened(finance, f"{answer.location}/file").count(b"\r\n") == GIFTS + 1
    assert exports()[0].by_mail


def test_a_large_one_can_be_cancelled_and_made_after_all(
    history: Flask, finance: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 10)
    page = order(finance).location
    finance.get(page)
    assert finance.post(f"{page}/cancel").status_code == 303
    assert exports()[0].state == "cancelled"
    assert "Cancelled" in finance.get(page).text
    assert finance.get(f"{page}/file").status_code == 409
    finance.post(f"{page}/again")
    history.extensions["jobs"].run_queued()
    assert exports()[0].state == "done"


def test_the_last_month_takes_one_tap(history: Flask, finance: Browser) -> None:
    page = finance.get("/staff/exports").text
    assert 'value="statement"' in page
    answer = order(finance, dataset="statement", format="pdf", **FEBRUARY)
    file = finance.get(answer.location)
    assert file.mimetype == "application/pdf"
    assert file.data.startswith(b"%PDF-")
    file.close()


def test_the_form_is_filled_in_by_the_address(history: Flask, finance: Browser) -> None:
    page = finance.get("/staff/exports?dataset=postings&first=2026-02-01&last=2026-02-28&medium=sms").text
    assert '<option value="postings" selected>' in page
    assert 'value="2026-02-01"' in page
    assert '<option value="sms" selected>' in page
    assert '<details class="mt-3" open>' in page


def test_a_range_without_rows_leads_to_a_page_that_says_so(history: Flask, finance: Browser) -> None:
    for format in ("csv", "csv-ru", "xlsx"):
        answer = order(finance, dataset="statement", format=format, first="2001-01-01", last="2001-01-31")
        page = finance.get(answer.location).text
        assert "No rows: there was nothing in this time" in page
        assert "not closed yet" in page
        assert opened(finance, f"{answer.location}/file")
        told = json.loads(finance.get(f"{answer.location}/manifest.json").data)
        assert (told["rows"], told["control_totals"], told["month"]["state"]) == (0, {}, "open")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"first": "2026-03-01", "last": "2026-02-01"}, "The first day comes before the last one."),
        ({"encoding": "cp1251"}, "This encoding is for CSV in a Russian locale only."),
        ({"format": "pdf"}, "This is not to be had in that format."),
        ({"office": "<script>"}, "&lt;script&gt; is not known here."),
        ({"rhythm": "hourly"}, "Choose every day, every week or every month."),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    history: Flask, finance: Browser, fields: dict[str, str], text: str
) -> None:
    answer = order(finance, **{"placement": "B0000001", **fields})
    assert answer.status_code == 422
    assert text in answer.text
    assert 'value="B0000001"' in answer.text
    assert exports() == []


def test_somebody_elses_link_is_refused_and_written_down(history: Flask, finance: Browser) -> None:
    order(finance, **FEBRUARY)
    public_id = exports()[0].public_id
    page = f"/staff/exports/{public_id}"
    for role in ("admin", "campaign", "office"):
        other = sign_in(history, role)
        for path in (page, f"{page}/file", f"{page}/manifest.json"):
            assert other.get(path).status_code == 403
        other.get("/staff")
        assert other.post(f"{page}/cancel").status_code == 403
        refused = (f"{role}@example.org", "export.refused", f"export:{public_id}")
        assert acts().count(refused) == 4
    colleague = sign_in(history, "finance", "colleague")
    assert opened(colleague, f"{page}/file")
    stranger = Browser(history).get(f"{page}/file")
    assert (stranger.status_code, "/staff/login" in stranger.location) == (303, True)


def test_who_lost_the_role_opens_no_export_ordered_earlier(history: Flask, finance: Browser) -> None:
    order(finance, **FEBRUARY)
    [export] = exports()
    with unit_of_work():
        members.assign_roles(members.require_member("finance@example.org"), ["campaign"])
    page = f"/staff/exports/{export.public_id}"
    for path in (page, f"{page}/file", f"{page}/manifest.json"):
        assert finance.get(path).status_code == 403
    finance.get("/staff")
    for act in ("cancel", "again"):
        assert finance.post(f"{page}/{act}").status_code == 403
    assert acts().count(("finance@example.org", "export.refused", f"export:{export.public_id}")) == 5
    assert letters.ready_letter(export.id) is None, "nobody is written to who may not open it"
    with unit_of_work():
        members.assign_roles(members.require_member("finance@example.org"), ["finance"])
    assert opened(finance, f"{page}/file")


def test_an_admin_opens_what_they_ordered(history: Flask) -> None:
    admin = sign_in(history, "admin")
    answer = order(admin, **FEBRUARY)
    assert opened(admin, answer.location)
    assert "/staff/exports/" in admin.get("/staff/exports").text


@pytest.mark.parametrize("role", ["campaign", "office"])
def test_only_finance_and_admins_order(history: Flask, role: str) -> None:
    browser = sign_in(history, role)
    assert browser.get("/staff/exports").status_code == 403
    browser.get("/staff")
    assert browser.post("/staff/exports", ORDER).status_code == 403
    assert exports() == []


def test_names_are_given_on_request_only_and_that_is_written_down(history: Flask, finance: Browser) -> None:
    plain = opened(finance, order(finance).location).decode()
    named = opened(finance, order(finance, names="1").location).decode()
    assert "donor_name" not in plain
    assert "Алеся Каваль" not in plain
    assert "Алеся Каваль" in named
    db.session.rollback()
    entries = db.session.scalars(sa.select(audit.AuditEntry).where(audit.AuditEntry.action == "export.ordered"))
    assert [(entry.after or {})["names"] for entry in entries] == [False, True]
    assert audit.verify()[1] == []


def test_regular_exports_are_added_and_ended(history: Flask, finance: Browser) -> None:
    answer = order(finance, rhythm="monthly", medium="sms")
    assert answer.status_code == 303
    [schedule] = db.session.scalars(sa.select(ExportSchedule)).all()
    assert (schedule.rhythm, schedule.options["medium"], "first" in schedule.options) == ("monthly", "sms", False)
    page = finance.get("/staff/exports").text
    assert "Every month" in page
    assert finance.post(f"/staff/exports/schedules/{schedule.public_id}/end").status_code == 303
    assert "Made regularly" not in finance.get("/staff/exports").text
    assert [act[1] for act in acts()] == ["export_schedule.added", "export_schedule.ended"]


def test_the_command_writes_a_file_with_its_manifest(history: Flask, tmp_path: Path) -> None:
    target = tmp_path / "out" / "donations.csv"
    month = ["--first", "2026-02-01", "--last", "2026-02-28", "--as-of", "2026-06-01"]
    arguments = ["finance", "export", "donations", "--format", "csv", *month, "-o", str(target)]
    runner = history.test_cli_runner()
    done = runner.invoke(args=arguments)
    assert done.exit_code == 0, done.output
    manifest = json.loads(target.with_name("donations.csv.manifest.json").read_text(encoding="utf-8"))
    assert manifest["file"] == "donations.csv", "its manifest names the file that lies beside it"
    assert manifest["sha256"] == sha256_of(target)
    assert manifest["as_of"] == "2026-06-01T20:59:59.999999+00:00"
    assert sorted(path.name for path in target.parent.iterdir()) == ["donations.csv", "donations.csv.manifest.json"]
    before = target.read_bytes()
    runner.invoke(args=arguments)
    assert target.read_bytes() == before
    assert [act[:2] for act in acts()] == [("command line", "export.ordered")] * 2
    refused = runner.invoke(args=["finance", "export", "donations", "--first", "2026-03-01", "--last", "2026-02-01"])
    assert (refused.exit_code, "range_invalid (last)" in refused.output) == (1, True)


def test_the_command_writes_to_the_output_what_other_programs_read(history: Flask, tmp_path: Path) -> None:
    runner = history.test_cli_runner()
    manifest = tmp_path / "manifest.json"
    done = runner.invoke(args=["finance", "export", "donations", "--manifest", str(manifest)])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout_bytes.decode("utf-8-sig"), newline="")))
    assert len(rows) == json.loads(manifest.read_text(encoding="utf-8"))["rows"] == GIFTS


def test_the_file_of_the_totals_page_is_the_export_of_these_totals(
    history: Flask, finance: Browser, tmp_path: Path
) -> None:
    then = (utcnow() - timedelta(minutes=2)).replace(microsecond=0).isoformat()
    for by in ("office", "month", "currency"):
        path, manifest = made(tmp_path, dataset=f"totals-{by}", as_of=then, locale="en")
        file = finance.get("/staff/totals.csv", query_string={"by": by, "as_of": then})
        assert file.data == path.read_bytes()
        assert file.headers["Content-Disposition"] == f'attachment; filename="{manifest["file"]}"'


def pages(machine: Machine, dataset: str, **query: Any) -> Iterator[dict[str, Any]]:
    cursor = ""
    while cursor is not None:
        answer = machine.get(f"/api/v1/exports/{dataset}", query_string={**query, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        body = dict(answer.json or {})
        yield body
        cursor = body["next_cursor"]


def test_the_api_gives_all_rows_page_by_page_as_of_one_moment(history: Flask, machine: Machine, tmp_path: Path) -> None:
    for dataset, query in (
        ("donations", {}),
        ("donations", {"medium": "sms"}),
        ("donations", {"first": "2025-01-01", "last": "2025-12-31"}),
        ("receipts", {}),
        ("postings", {"first": "2026-01-01", "last": "2026-01-31"}),
        ("statement", FEBRUARY),
        ("payouts", {}),
    ):
        found = list(pages(machine, dataset, limit=40, **query))
        assert len({page["as_of"] for page in found}) == 1
        path, manifest = made(
            tmp_path / "x", dataset=dataset, format="jsonl", as_of=found[0]["as_of"], now=utcnow(), **query
        )
        expected = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert [row for page in found for row in page["rows"]] == expected, dataset
        assert len(expected) == manifest["rows"]
        assert found[0]["about"].get("month") == manifest.get("month")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"cursor": "nonsense"}, "cursor_invalid"),
        ({"limit": "0"}, "limit_invalid"),
        ({"limit": "1001"}, "limit_invalid"),
        ({"first": "2026-03-01", "last": "2026-02-01"}, "range_invalid"),
    ],
)
def test_the_api_refuses_what_is_no_question(
    history: Flask, machine: Machine, query: dict[str, str], code: str
) -> None:
    answer = machine.get("/api/v1/exports/donations", query_string=query)
    assert (answer.status_code, (answer.json or {})["code"]) == (422, code)


def test_a_cursor_belongs_to_its_question(history: Flask, machine: Machine) -> None:
    cursor = next(pages(machine, "donations", limit=10))["next_cursor"]
    for path in ("donations?medium=sms", "postings?"):
        answer = machine.get(f"/api/v1/exports/{path}&cursor={cursor}")
        assert (answer.json or {})["code"] == "cursor_invalid"
    assert machine.get("/api/v1/exports/secrets").status_code == 404
    assert Browser(history).get("/api/v1/exports/donations").status_code == 401
    assert sign_in(history, "campaign").get("/api/v1/exports/donations").status_code == 401, "a session is no token"


def test_typesetting_says_what_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "finance.exports.typesetting"]
    broken = subprocess.run(command, input=b"{}", capture_output=True, cwd=Path(__file__).parents[3])
    assert broken.returncode != 0
    assert b"title" in broken.stderr


def test_manifests_are_readable(history: Flask) -> None:
    assert jobs.manifest_text({"что": 1}) == '{\n  "что": 1\n}\n'
