"""Files of exports, opened by programs that know nothing of us: types, Cyrillic, sums, and nothing is run."""

import csv
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas
import pypdf
import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.models import Donation
from finance.exports.datasets import DATASETS
from finance.exports.datasets.statement import MOVEMENTS
from finance.exports.formats import separated, workbook
from tests.finance.exports.conftest import GIFTS, made

FORMULA, PHONE, QUOTED = '=HYPERLINK("http://x")', "+375 29 123-45-67", "Ян «Ян» Зьміцер; сын"
MONTH = {"first": "2026-02-01", "last": "2026-02-28"}


def plain_sums(kind: str) -> dict[str, int]:
    """What accounts of this kind were debited and credited, by SQL that knows nothing of exports."""
    query = """SELECT p.currency, SUM(p.credit_minor - p.debit_minor) FROM postings p
               JOIN accounts a ON a.id = p.account_id WHERE a.kind = :kind GROUP BY p.currency"""
    return {row[0]: int(row[1]) for row in db.session.execute(sa.text(query), {"kind": kind})}


def rename_a_donor(name: str) -> None:
    with unit_of_work() as session:
        rename = sa.text("UPDATE donors SET name = :name WHERE id = (SELECT MIN(id) FROM donors)")
        session.execute(rename, {"name": name})


def test_csv_is_rfc_4180_with_a_byte_order_mark(history: Flask, tmp_path: Path) -> None:
    path, manifest = made(tmp_path / "x", names=True)
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfdonation,")
    assert data.count(b"\n") == data.count(b"\r\n") == GIFTS + 1
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert manifest["bytes"] == len(data)


def test_csv_opens_in_pandas_with_types_and_sums(history: Flask, tmp_path: Path) -> None:
    path, manifest = made(tmp_path / "x", names=True)
    frame = pandas.read_csv(path, parse_dates=["paid_at", "started_at", "report_day"])
    assert len(frame) == manifest["rows"] == GIFTS
    cents = {name: int((frame[name] * 100).round().sum()) for name in ("gross", "refunded", "disputed", "fee", "net")}
    totals = manifest["control_totals"]["BYN"]
    assert cents == {name: totals[name] for name in cents}
    assert {"BYN": cents["gross"]} == plain_sums("gift")
    assert {"BYN": -cents["refunded"]} == plain_sums("refund")
    assert {"BYN": -cents["fee"]} == plain_sums("fee")
    assert manifest["control_totals"]["EUR"]["settled"] == -plain_sums("provider")["EUR"]
    assert frame["gross"].dtype == "float64"
    assert str(frame["paid_at"].dtype).startswith("datetime64")
    names = set(frame["donor_name"].dropna())
    assert {f"'{PHONE}", QUOTED, "Алеся Каваль", f"'{FORMULA}"} <= names
    assert not any(name.startswith("=") for name in names)


def test_csv_for_excel_and_1c_has_semicolons_commas_and_russian_days(history: Flask, tmp_path: Path) -> None:
    path, manifest = made(tmp_path / "x", format="csv-ru", names=True, locale="en")
    frame = pandas.read_csv(path, sep=";", decimal=",", encoding="utf-8-sig")
    assert int((frame["Received"] * 100).round().sum()) == manifest["control_totals"]["BYN"]["gross"]
    assert pandas.to_datetime(frame["Paid"], format="%d.%m.%Y %H:%M:%S").notna().all()
    assert set(frame["Status"]) <= {"Paid", "Refunded in part", "Refunded", "Disputed"}
    assert {f"'{PHONE}", QUOTED, f"'{FORMULA}"} <= set(frame["Donor's name"].dropna())


def test_cp1251_keeps_cyrillic_and_says_what_it_lacks(history: Flask, tmp_path: Path) -> None:
    db.session.execute(
        sa.text("UPDATE donors SET name = 'Łukasz Ўладзімір 🎁' WHERE id = (SELECT MIN(id) FROM donors)")
    )
    db.session.commit()
    path, manifest = made(tmp_path / "x", format="csv-ru", names=True, encoding="cp1251")
    text = path.read_bytes().decode("cp1251")
    assert "[U+0141]ukasz Ўладзімір [U+1F381]" in text
    assert "Алеся Каваль" in text
    assert manifest["replaced_characters"] == 2
    assert manifest["encoding"] == "cp1251"


def test_xlsx_has_typed_cells_and_no_formula(history: Flask, tmp_path: Path) -> None:
    path, manifest = made(tmp_path / "x", format="xlsx", names=True, locale="en")
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    assert sheet.freeze_panes == "A2"
    kinds = {cell.data_type for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds
    header = [cell.value for cell in sheet[1]]
    first = dict(zip(header, sheet[2], strict=True))
    assert (first["Received"].data_type, first["Received"].number_format) == ("n", "#,##0.00")
    assert first["Paid"].is_date
    assert first["Report day"].is_date
    total = dict(zip(header, [cell.value for cell in sheet[GIFTS + 2]], strict=True))
    assert total["Donation"] == "Total"
    sums = {row[header.index("Currency")].value: row for row in sheet.iter_rows(min_row=GIFTS + 2)}
    assert round(sums["BYN"][header.index("Received")].value * 100) == manifest["control_totals"]["BYN"]["gross"]


def test_xlsx_opens_in_pandas(history: Flask, tmp_path: Path) -> None:
    path, manifest = made(tmp_path / "x", format="xlsx", names=True, locale="en")
    frame = pandas.read_excel(path).iloc[: manifest["rows"]]
    assert int((frame["Received"] * 100).round().sum()) == manifest["control_totals"]["BYN"]["gross"]
    assert str(frame["Paid"].dtype).startswith("datetime64")
    csv_path, _ = made(tmp_path / "x", names=True)
    local = pandas.read_csv(csv_path)["paid_at"].str.slice(0, 19)
    assert list(frame["Paid"].dt.round("s").dt.strftime("%Y-%m-%dT%H:%M:%S")) == list(local)
    assert {FORMULA, PHONE, QUOTED, "Алеся Каваль"} <= set(frame["Donor's name"].dropna())


def test_xlsx_goes_on_in_further_sheets(history: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "ROWS", 225)
    path, manifest = made(tmp_path / "x", format="xlsx")
    book = openpyxl.load_workbook(path, read_only=True)
    sizes = [sum(1 for _ in sheet.iter_rows(min_row=2)) for sheet in book.worksheets]
    book.close()
    assert sizes == [225, 225, 2]  # both are full, so the totals have a sheet of their own
    assert manifest["sheets"] == 3


def test_a_text_that_looks_like_markup_stays_a_text(tmp_path: Path, history: Flask) -> None:
    rename_a_donor("<r><t>x</t></r>")
    path, _ = made(tmp_path / "x", format="xlsx", names=True, locale="en")
    assert " <r><t>x</t></r>" in set(pandas.read_excel(path)["Donor's name"].dropna())


def test_json_lines_have_minor_units_and_open_in_pandas(history: Flask, tmp_path: Path) -> None:
    path, manifest = made(tmp_path / "x", format="jsonl", names=True)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert sum(row["gross_minor"] for row in rows) == manifest["control_totals"]["BYN"]["gross"]
    assert {row["donor_name"] for row in rows} >= {FORMULA, PHONE, QUOTED}
    frame = pandas.read_json(path, lines=True)
    assert frame["gross_minor"].dtype == "int64"
    assert str(frame["paid_at"].dtype).startswith("datetime64")
    assert len(frame) == GIFTS


def test_statuses_are_those_of_the_donations(history: Flask, tmp_path: Path) -> None:
    path, _ = made(tmp_path / "x")
    with path.open(encoding="utf-8-sig", newline="") as file:
        derived = {row["donation"]: row["status"] for row in csv.DictReader(file)}
    stored = {row[0]: row[1] for row in db.session.execute(sa.select(Donation.public_id, Donation.status))}
    assert derived == stored
    assert set(derived.values()) == {"paid", "partially_refunded", "disputed"}


def test_postings_are_all_there_and_balance(history: Flask, tmp_path: Path) -> None:
    path, manifest = made(tmp_path / "x", dataset="postings")
    frame = pandas.read_csv(path)
    assert len(frame) == manifest["rows"] == db.session.scalar(sa.text("SELECT COUNT(*) FROM postings"))
    for currency, sums in manifest["control_totals"].items():
        rows = frame[frame["currency"] == currency]
        assert int((rows["debit"] * 100).round().sum()) == sums["debit"] == sums["credit"]


def test_a_month_without_anything_is_a_whole_file(history: Flask, tmp_path: Path) -> None:
    january = {"first": "2001-01-01", "last": "2001-01-31", "locale": "en"}
    for name, dataset in DATASETS.items():
        for format in dataset.formats:
            path, manifest = made(tmp_path / "x", dataset=name, format=format, **january)
            assert (manifest["rows"], manifest["control_totals"]) == (0, {}), (name, format)
            assert path.stat().st_size == manifest["bytes"] > 0 or format == "jsonl"


def test_the_same_order_gives_the_same_bytes(history: Flask, tmp_path: Path) -> None:
    moment = (utcnow() - timedelta(minutes=2)).isoformat()
    for name, dataset in DATASETS.items():
        for format in dataset.formats:
            order: dict[str, Any] = {"dataset": name, "format": format, **MONTH, "as_of": moment}
            one, first = made(tmp_path / "1", **order)
            two, second = made(tmp_path / "2", **order)
            assert one.read_bytes() == two.read_bytes(), (name, format)
            assert first["sha256"] == second["sha256"]


def test_the_month_statement_is_ready_to_sign_in_three_languages(history: Flask, tmp_path: Path) -> None:
    rows, _ = made(tmp_path / "x", dataset="statement", **MONTH)
    with rows.open(encoding="utf-8-sig", newline="") as file:
        fund = next(csv.DictReader(file))
    for language, mark in (("ru", ","), ("be", ","), ("en", ".")):
        path, _ = made(tmp_path / "x", dataset="statement", format="pdf", locale=language, **MONTH)
        reader = pypdf.PdfReader(path)
        text = "".join(page.extract_text() for page in reader.pages)
        for figure in ("opening", "received", "fees", "closing"):
            whole, _, cents = fund[figure].removeprefix("-").partition(".")
            assert f"{whole[-3:]}{mark}{cents}" in text, (language, figure)
        assert "Europe/Minsk" in text
        assert len(reader.pages) == 1


def test_every_line_of_the_statement_adds_up_and_months_follow_each_other(history: Flask, tmp_path: Path) -> None:
    def lines(first: str, last: str) -> pandas.DataFrame:
        path, _ = made(tmp_path / "x", dataset="statement", format="jsonl", first=first, last=last)
        return pandas.read_json(path, lines=True).set_index(["part", "name", "currency"])

    january, february = lines("2026-01-01", "2026-01-31"), lines("2026-02-01", "2026-02-28")
    assert list(january["closing_minor"]) == list(february["opening_minor"])
    movements = sum(february[f"{name}_minor"] for name in MOVEMENTS)
    assert list(movements) == list(february["change_minor"])
    assert list(february["opening_minor"] + movements) == list(february["closing_minor"])
    whole = lines("2026-02-01", "2026-02-28").loc[("fund", "specialists", "BYN")]
    expected = sa.text(
        """SELECT SUM(p.credit_minor - p.debit_minor) FROM postings p JOIN accounts a ON a.id = p.account_id
           JOIN journal_entries e ON e.id = p.entry_id
           WHERE a.kind IN ('gift', 'refund', 'dispute', 'fee', 'fx', 'spent') AND e.occurred_at < :end"""
    )
    assert whole["closing_minor"] == db.session.scalar(expected, {"end": "2026-02-28 21:00:00"})


def test_what_an_encoding_lacks_stands_in_brackets() -> None:
    assert separated.in_brackets("ў і € ł", "cp1251") == ("ў і € [U+0142]", 1)


def test_totals_by_every_dimension_add_up_to_the_ledger(history: Flask, tmp_path: Path) -> None:
    for name in (name for name in DATASETS if name.startswith("totals-")):
        path, manifest = made(tmp_path / "x", dataset=name)
        frame = pandas.read_csv(path)
        assert int(frame["gifts"].sum()) == GIFTS, name
        assert int((frame["gross"] * 100).round().sum()) == plain_sums("gift")["BYN"]
        assert int((frame["fees"] * 100).round().sum()) == -plain_sums("fee")["BYN"]
        assert "available" not in manifest["control_totals"]["BYN"]  # of different moments


def test_totals_by_time_have_true_days_in_a_workbook(history: Flask, tmp_path: Path) -> None:
    for by in ("day", "week", "month"):
        path, _ = made(tmp_path / "x", dataset=f"totals-{by}", format="xlsx", locale="en")
        sheet = openpyxl.load_workbook(path).active
        assert sheet is not None
        assert sheet["A2"].is_date, by
        text, _ = made(tmp_path / "x", dataset=f"totals-{by}")
        assert pandas.read_csv(text)[by][0] == f"{sheet['A2'].value:%Y-%m-%d}"


def test_totals_by_currency_are_a_file_too(history: Flask, tmp_path: Path) -> None:
    path, _ = made(tmp_path / "x", dataset="totals-currency")
    frame = pandas.read_csv(path)
    assert list(frame["currency"]) == ["BYN"]
    assert list(frame.columns[:2]) == ["currency", "gifts"]


def test_the_filter_of_currency_is_the_column_of_the_file(history: Flask, tmp_path: Path) -> None:
    for dataset in ("settlements", "payouts", "postings", "donations"):
        whole = pandas.read_csv(made(tmp_path / "x", dataset=dataset)[0])["currency"].value_counts()
        for currency in ("BYN", "EUR"):
            path, manifest = made(tmp_path / currency, dataset=dataset, currency=currency)
            assert manifest["rows"] == whole.get(currency, 0), (dataset, currency)
            assert set(pandas.read_csv(path)["currency"]) <= {currency}
