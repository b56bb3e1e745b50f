"""Offices from and to CSV."""

import contextlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from core.cells import neutral, plain, write_table
from core.db import db, unit_of_work
from core.i18n import Localized
from offices.exporting import OFFICE_COLUMNS, write_offices
from offices.importing import Fault, ImportRefused, Report, check_offices, import_offices
from offices.models import Office

HEADER = ",".join(OFFICE_COLUMNS)
MINSK = 'MINSK-01,Центральный,Цэнтральны,Central,"Минск, пр. Независимости, 1",,,Минск,yes'
BREST = 'BREST-07,Брестский,,,"Брест, ул. Советская, 5",,,Брестская область,no'


def as_bytes(*lines: str, encoding: str = "utf-8", separator: str = ",") -> bytes:
    text = "\r\n".join(lines) + "\r\n"
    if separator != ",":
        text = text.replace(", ", "\0").replace(",", separator).replace("\0", ", ")
    return text.encode(encoding)


def check(data: bytes) -> Report:
    return check_offices(io.BytesIO(data))


def take(data: bytes) -> Report:
    with unit_of_work():
        return import_offices(io.BytesIO(data), lambda *change: None)


def faults(data: bytes) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.column, fault.code) for fault in check(data).faults]


def rows() -> list[dict[str, Any]]:
    db.session.rollback()
    db.session.expire_all()
    columns = (Office.code, Office.name, Office.address, Office.region, Office.active)
    return [dict(row._mapping) for row in db.session.execute(sa.select(*columns).order_by(Office.code))]


def exported() -> str:
    file = io.StringIO(newline="")
    write_offices(file)
    return file.getvalue()


@pytest.fixture(autouse=True)
def empty(app: Flask) -> None:
    """Without the demonstration's offices."""
    with unit_of_work() as session:
        session.execute(sa.text("DELETE FROM placements"))
        session.execute(sa.delete(Office))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_encoding_and_separator_that_people_send_is_read(encoding: str, separator: str) -> None:
    report = take(as_bytes(HEADER, MINSK, BREST, encoding=encoding, separator=separator))
    assert (report.good, report.new, report.separator) == (True, 2, separator)
    assert [(row["code"], str(row["name"]["ru"]), row["active"]) for row in rows()] == [
        ("BREST-07", "Брестский", False),
        ("MINSK-01", "Центральный", True),
    ]


@pytest.mark.parametrize("encoding", ["koi8-u", "koi8-r", "cp866", "iso8859-5", "mac_cyrillic"])
@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_other_cyrillic_encodings_are_refused_not_garbled(encoding: str, change: Callable[[str], str]) -> None:
    lines = [HEADER, *("N1," + change(line.partition(",")[2]) for line in (MINSK, BREST))]
    data = as_bytes(*lines).decode().replace("э", "е").replace("Э", "Е").encode(encoding)
    assert [code for _, _, code in faults(data)] == ["encoding_unknown"]


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_windows_files_in_one_case_throughout_are_read(change: Callable[[str], str]) -> None:
    take(as_bytes(HEADER, change(BREST), encoding="cp1251"))
    assert str(rows()[0]["name"]["ru"]) == change("Брестский")


@pytest.mark.parametrize("name", ["Café", "Straße", "Zürich Süd", "Málaga, señor"])
def test_western_letters_are_not_taken_for_cyrillic(name: str) -> None:
    assert faults(as_bytes(HEADER, f'A1,"{name}",,,b,,,c,yes', encoding="latin-1")) == [(2, "", "encoding_unknown")]


def test_words_that_a_part_of_the_file_cuts_are_judged_whole() -> None:
    filler = [f"N{n},Офис,,,ул. Мира,,,Минск,yes" for n in range(6000)]
    assert check(as_bytes(HEADER, *filler, encoding="cp1251")).good
    assert faults(as_bytes(HEADER, *filler, encoding="koi8-u")) == [(2, "", "encoding_unknown")]


@pytest.mark.parametrize(("named", "separator"), [("sep=;", ";"), ('"sep=;"', ";"), ("SEP=,", ","), ("sep=^", "^")])
def test_the_line_in_which_excel_names_its_separator_is_understood(named: str, separator: str) -> None:
    body = as_bytes(HEADER, MINSK, BREST, separator=separator)
    report = take(b"\xef\xbb\xbf" + named.encode() + b"\r\n" + body)
    assert (report.new, report.separator) == (2, separator)
    assert faults(named.encode() + b"\n" + as_bytes(HEADER, "A1,,,,б,,,в,yes", separator=separator)) == [
        (3, "name_ru", "value_missing")
    ]


@pytest.mark.parametrize("data", [as_bytes(HEADER), as_bytes("sep=;", HEADER, separator=";"), as_bytes(HEADER, "", "")])
def test_a_file_without_offices_is_refused(data: bytes) -> None:
    assert [code for _, _, code in faults(data)] == ["offices_missing"]
    with pytest.raises(ImportRefused):
        take(data)


def test_texts_that_are_missing_fall_back_to_russian() -> None:
    take(as_bytes(HEADER, BREST))
    [office] = rows()
    assert office["name"] == {"ru": "Брестский"}
    assert office["address"].in_locale("en") == "Брест, ул. Советская, 5"


def test_a_dry_run_tells_what_would_happen_and_does_nothing() -> None:
    report = check(as_bytes(HEADER, MINSK, BREST))
    assert (report.lines, report.new, report.changed, report.same) == (2, 2, 0, 0)
    assert rows() == []


def test_a_known_code_updates_its_office() -> None:
    take(as_bytes(HEADER, MINSK, BREST))
    report = take(as_bytes(HEADER, MINSK.replace("Central", "Centre"), BREST))
    assert (report.new, report.changed, report.same) == (0, 1, 1)
    assert rows()[1]["name"]["en"] == "Centre"


def test_without_the_column_active_offices_stay_as_they_are() -> None:
    take(as_bytes(HEADER, MINSK, BREST))
    report = take(as_bytes(*(line.rpartition(",")[0] for line in (HEADER, MINSK, BREST, "NEW,а,,,б,,,в,"))))
    assert (report.new, report.same) == (1, 2)
    assert [row["active"] for row in rows()] == [False, True, True]


def test_columns_may_come_in_any_order_and_case() -> None:
    header = "Region,CODE,name_ru,address_ru,name_be,name_en,address_be,address_en"
    assert take(as_bytes(header, "Минск,m-1,а,б,,,,")).new == 1
    assert rows()[0]["code"] == "M-1"


def test_every_bad_line_is_named_and_nothing_is_imported() -> None:
    data = as_bytes(
        HEADER,
        MINSK,
        "МН-02,а,,,б,,,в,yes",  # Cyrillic
        ",а,,,б,,,в,yes",
        "A1,,,,б,,,в,yes",
        f"A2,{'а' * 121},,,б,,,в,yes",
        "A3,а\u0007,,,б,,,в,yes",
        "A4,а,,,б,,,в,maybe",
        "minsk-01,а,,,б,,,в,yes",
        "A5,а,,,б,,,в",
        "A6,а,,,б,,,в,yes,more",
        'A7,"а"б,,,б,,,в,yes',
        f"A8,а,,,б,,,{'в' * 61},yes",
        '"A9","две\nстроки",,,б,,,в,yes',
        "B1,,,,б,,,,yes",
    )
    expected = [
        (3, "code", "code_invalid"),
        (4, "code", "value_missing"),
        (5, "name_ru", "value_missing"),
        (6, "name_ru", "value_too_long"),
        (7, "name_ru", "control_character"),
        (8, "active", "active_invalid"),
        (9, "code", "code_twice"),
        (10, "", "cells_wrong"),
        (11, "", "cells_wrong"),
        (12, "", "row_malformed"),
        (13, "region", "value_too_long"),
        (14, "name_ru", "control_character"),
        (16, "name_ru", "value_missing"),
        (16, "region", "value_missing"),
    ]
    assert faults(data) == expected
    with pytest.raises(ImportRefused) as refusal:
        take(data)
    assert refusal.value.report.faults == check(data).faults
    assert rows() == []


def test_reasons_are_sentences_in_the_reader_s_language(app: Flask) -> None:
    fault = Fault(9, "code", "code_twice", {"first": 2})
    assert "2" in fault.reason
    assert "%(" not in fault.reason


def test_a_fault_in_the_last_line_takes_back_what_was_written_before() -> None:
    good = [f"C{number},а,,,б,,,в,yes" for number in range(1200)]
    with pytest.raises(ImportRefused):
        take(as_bytes(HEADER, *good, "C0,а,,,б,,,в,yes"))
    assert rows() == []


def test_columns_that_are_missing_unknown_or_twice_are_named() -> None:
    header = HEADER.replace("name_be,", "phone,").replace("region", "name_ru")
    assert faults(as_bytes(header, MINSK)) == [
        (1, "phone", "column_unknown"),
        (1, "name_ru", "column_twice"),
        (1, "name_be", "column_missing"),
        (1, "region", "column_missing"),
    ]


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_told(data: bytes) -> None:
    assert [fault.code for fault in check(data).faults] == ["file_empty"]


def test_a_file_in_no_known_encoding_is_told_with_the_first_line_that_shows_it() -> None:
    broken = as_bytes(HEADER, MINSK, BREST) + b"X1,\xd0\xb0\xff,,,a,,,a,yes\r\n"
    assert faults(broken) == [(4, "", "encoding_unknown")]
    assert faults(as_bytes(HEADER, MINSK, encoding="cp866")) == [(2, "", "encoding_unknown")]
    assert faults("code,name".encode("utf-16") + b"\x00")[0][2] == "encoding_unknown"
    assert not check(bytes(range(256)) * 50).good


def test_a_quote_that_is_never_closed_is_told() -> None:
    found = faults(as_bytes(HEADER, MINSK, 'A1,"а,,,б,,,в,yes', BREST))
    assert found == [(3, "", "row_malformed")]


def test_blank_lines_do_not_matter_and_are_counted_as_lines() -> None:
    assert faults(as_bytes("", HEADER, "", MINSK, ",,,,,,,,", "A1,,,,б,,,в,yes")) == [(6, "name_ru", "value_missing")]


def test_a_hundred_thousand_lines_are_imported() -> None:
    lines = [f'N{n:06},Офис {n},Офіс {n},Office {n},"ул. Мира, {n}",,,Минск,yes' for n in range(100_000)]
    data = as_bytes(HEADER, *lines, encoding="cp1251")
    assert take(data).new == 100_000
    assert len(faults(as_bytes(HEADER, *(f"{line}," for line in lines[:20_000])))) == 20_000


def test_what_is_exported_can_be_imported_as_the_same() -> None:
    take(as_bytes(HEADER, MINSK, BREST, 'F-1,=СУММ(A1),\'+а,@b,-в,+375 29 123-45-67,"\'=""x",=в,no'))
    before, text = rows(), exported()
    assert "'=СУММ(A1)" in text
    assert ",'+375 29 123-45-67," in text
    assert take(text.encode()).same == 3
    with unit_of_work() as session:
        session.execute(sa.delete(Office))
    take(text.encode("utf-8-sig"))
    assert rows() == before
    assert exported() == text


storable = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40).map(str.strip)


@given(st.text())
def test_neutral_cells_come_back_as_they_were(cell: str) -> None:
    assert plain(neutral(cell)) == cell
    assert neutral(cell)[:1] not in ("=", "@", "\t", "\r")


figures = st.from_regex(
    r"'{0,2}[\s\u00a0\u200b]?[=+-]?\(?[0-9]{1,14}([-./ ][0-9]{1,4}){0,3}(e[0-9])?\)?\s?", fullmatch=True
)


@given(figures)
def test_figures_that_are_texts_stay_as_they_were_written(cell: str) -> None:
    written = neutral(cell)
    assert plain(written) == cell
    assert written in (cell, f"'{cell}")  # readable
    with contextlib.suppress(ArithmeticError):
        assert str(Decimal(written)) == written.strip()
        assert len(written.strip()) < 12


@pytest.mark.parametrize("cell", ["25", "220030", "-", "ул. Мира, 5-1", "2026-02-09", "127.0.0.1", "8 029 123"])
def test_what_nothing_mistakes_is_not_spoiled(cell: str) -> None:
    assert neutral(cell) == cell


@pytest.mark.parametrize(
    "cell",
    ["+375291234567", "+375-29-123-45-67", "+375 (29) 1", "-25.00", "375291234567", "0291", "1e5", "(25)", "5-1"],
)
def test_texts_of_figures_are_no_numbers(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


def test_numbers_are_no_texts() -> None:
    file = io.StringIO(newline="")
    write_table(file, ["a", "b", "c", "d"], [[-1, Decimal("-25.00"), None, "-25.00"]])
    assert file.getvalue() == "a,b,c,d\r\n-1,-25.00,,'-25.00\r\n"


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+A1",
        "@SUM(1)",
        "=HYPERLINK(0)",
        "＝1",
        " =1",
        "\u00a0=1",
        "\u200b=1",
        "\ufeff+1",
    ],
)
def test_formulas_are_neutralised(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@given(st.lists(st.tuples(storable.filter(bool), storable, storable, st.booleans()), max_size=8))
def test_any_offices_make_the_round_trip(contents: list[tuple[str, str, str, bool]]) -> None:
    made = [
        Office(
            code=f"H{number}",
            name=Localized({"ru": ru, **({"be": be} if be else {})}),
            address=Localized({"ru": ru, **({"en": en} if en else {})}),
            region=ru,
            active=active,
        )
        for number, (ru, be, en, active) in enumerate(contents)
    ]
    file = io.StringIO(newline="")
    write_offices(file, offices=made)
    from offices.importing import _File, _office

    read = [_office(row.values, active=False) for row in _File(io.BytesIO(file.getvalue().encode())).rows()]
    assert read == [
        {name: getattr(office, name) for name in ("code", "name", "address", "region", "active")} for office in made
    ]


def test_the_commands_import_and_export(app: Flask, tmp_path: Path) -> None:
    runner, file, copy = app.test_cli_runner(), tmp_path / "offices.csv", tmp_path / "copy.csv"
    file.write_bytes(as_bytes(HEADER, MINSK, BREST, encoding="cp1251", separator=";"))
    dry = runner.invoke(args=["offices", "import", str(file), "--dry-run"])
    assert (dry.exit_code, "2 new" in dry.output, rows()) == (0, True, [])
    assert runner.invoke(args=["offices", "import", str(file)]).exit_code == 0
    assert len(rows()) == 2
    assert runner.invoke(args=["offices", "export", str(copy), "--excel"]).exit_code == 0
    assert "2 as they were" in runner.invoke(args=["offices", "import", str(copy)]).output
    file.write_bytes(as_bytes(HEADER, "BAD CODE,а,,,б,,,в,yes"))
    bad = runner.invoke(args=["offices", "import", str(file)])
    assert bad.exit_code == 1
    assert "line 2, column code: code_invalid:" in bad.output
    assert runner.invoke(args=["offices", "export"]).output.startswith("code,name_ru")


def test_two_imports_at_once_end_as_one_after_the_other(app: Flask) -> None:
    """Both name the same offices, in opposite orders."""
    lines = [f"D{number},Офис,,,ул. Мира,,,Минск,yes" for number in range(1500)]
    files = [as_bytes(HEADER, *lines), as_bytes(HEADER, *reversed(lines))]

    def run(data: bytes) -> Report:
        with app.app_context():
            return take(data)

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(run, files))
    assert sorted((report.new, report.same) for report in reports) == [(0, 1500), (1500, 0)]
    assert len(rows()) == 1500
