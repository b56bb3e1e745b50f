"""Offices from CSV. A file is checked as a whole first; one bad line, and nothing of it is imported.

Columns are those of `offices.exporting`, in any order: all are needed except `active`; without it new offices are
active and known ones stay as they are. Cells of be and en may be empty, which means "as in Russian". A code that is
known updates its office. The file is read in parts and never held as a whole.
"""

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, BinaryIO

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.dialects import postgresql, sqlite

from core import faults
from core.cells import plain
from core.db import db
from core.decoding import NotText, detect_encoding, detect_separator, opened
from core.i18n import DEFAULT_LOCALE, LOCALES, Localized
from offices.exporting import OFFICE_COLUMNS
from offices.forms import described, left_behind, still_there
from offices.models import Office
from offices.schemas import CODE, LIMITS, NO, OPTIONAL_CELLS, OPTIONAL_COLUMNS, YES

PART = 500
HEADER_LIMIT = 10_000  # characters
_NAMED_SEPARATOR = re.compile(r'"?sep=([^\w\s"]|\t)"?[ \t]*', re.IGNORECASE)  # Excel's own first line

REASONS = {
    "encoding_unknown": _l("This is text in no encoding that we read: save the file as UTF-8, UTF-16 or Windows-1251."),
    "file_empty": _l("The file has no lines."),
    "offices_missing": _l("The file has names of columns, but no office."),
    "column_missing": _l("This column is missing."),
    "column_unknown": _l("This column is not known here."),
    "column_twice": _l("This column is there twice."),
    "row_malformed": _l("Quotes or separators of this line do not fit."),
    "cells_wrong": _l("This line has %(found)s cells, and %(wanted)s are needed."),
    "value_missing": _l("This cell must not be empty."),
    "value_too_long": _l("At most %(limit)s characters fit here."),
    "control_character": _l("This cell has line breaks or invisible control characters."),
    "code_invalid": _l("A code has up to 20 Latin letters, figures, dots, dashes and underscores."),
    "code_twice": _l("This code stands in line %(first)s too."),
    "active_invalid": _l("yes or no is needed."),
    "not_empty": _l("This office would be closed, and it is not empty. %(left)s"),
}


class Fault(faults.Fault):
    REASONS = REASONS


@dataclass(frozen=True, slots=True)
class Report:
    """What a file holds and what importing it does: offices made, changed, and left as they were.

    `closing` names the lines that close an office which is not empty: that must be asked for."""

    faults: tuple[Fault, ...] = ()
    closing: tuple[Fault, ...] = ()
    lines: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    encoding: str = ""
    separator: str = ""

    @property
    def good(self) -> bool:
        return not self.faults


class ImportRefused(faults.FileRefused):
    """The file has faults; `report` names each."""

    code = "import_refused"

    def __init__(self, report: Report) -> None:
        super().__init__(report.faults)
        self.report = report


Change = dict[str, Any]
Changed = Callable[[str, Change, Change], object]  # the code, and what differs before and after


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    values: dict[str, str]


def check_offices(stream: BinaryIO) -> Report:
    """What importing would do, and every fault there is. Reads only; never raises for what the file holds."""
    return _go_through(stream, lambda part: None)


def import_offices(stream: BinaryIO, changed: Changed, *, close_anyway: bool = False) -> Report:
    """Make and update all offices of the file; `changed` writes each one down that was there before.

    Raises `ImportRefused` when the file has any fault, or closes an office that is not empty without `close_anyway`:
    the unit of work that this must be called in takes back what was written before."""
    if db.session.get_bind().dialect.name == "postgresql":  # as SQLite does: one writer, for two that meet halfway
        db.session.execute(sa.text("LOCK TABLE offices IN SHARE ROW EXCLUSIVE MODE"))

    def take(part: _Part) -> None:
        _store([*part.made, *(wish for _, wish, _ in part.altered)])
        for there, wish, left in part.altered:
            before, after = described(there), {**described(wish), **left}
            names = [name for name in after if before.get(name) != after[name]]
            changed(wish["code"], {name: before.get(name) for name in names}, {name: after[name] for name in names})

    report = _go_through(stream, take)
    if report.closing and not close_anyway:
        report = replace(report, faults=(*report.faults, *report.closing))
    if not report.good:
        raise ImportRefused(report)
    return report


def _go_through(stream: BinaryIO, take: Callable[["_Part"], None]) -> Report:
    """Read the file once and hand over, in parts and up to the first fault, what is new or changed."""
    file = _File(stream)
    new = changed = same = lines = 0
    closing: list[Fault] = []
    for rows in _in_parts(file.rows()):
        lines += len(rows)
        if not file.faults:  # what a bad file would change is nobody's question
            part = _compare(rows)
            take(part)
            closing += part.closing
            new, changed, same = new + len(part.made), changed + len(part.altered), same + part.same
    counts = {"new": new, "changed": changed, "same": same} if not file.faults else {}
    asks = () if file.faults else tuple(closing)
    return Report(tuple(file.faults), asks, lines, encoding=file.encoding, separator=file.separator, **counts)


def _in_parts(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    while part := list(islice(rows, PART)):
        yield part


class _File:
    """One reading of a file: good rows come out of `rows`, what is wrong gathers in `faults`."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.faults: list[Fault] = []
        self.encoding = self.separator = ""
        self.columns: list[str] = []
        self._lines_of_codes: dict[str, int] = {}

    def rows(self) -> Iterator[_Row]:
        try:
            self.encoding = detect_encoding(self.stream)
        except NotText as bad:
            self._fault(bad.line, "", "encoding_unknown")
            return
        with opened(self.stream, self.encoding) as text:
            first = next((line for line in iter(lambda: text.readline(HEADER_LIMIT), "") if line.strip()), "")
            named = _NAMED_SEPARATOR.fullmatch(first.strip("\ufeff\r\n"))
            self.separator = named[1] if named else detect_separator(first, frozenset(OFFICE_COLUMNS))
            text.seek(0)
            records = self._records(text)
            if named:
                next(records)
            line, header = next(records, (1, []))
            if not header:
                self._fault(line, "", "file_empty")
            elif self._reads_header(line, header):
                yield from self._offices(line, records)

    def _offices(self, line: int, records: Iterator[tuple[int, list[str]]]) -> Iterator[_Row]:
        first = next(records, None)
        if first is not None:
            yield from self._good_rows(chain([first], records))
        elif not self.faults:
            self._fault(line, "", "offices_missing")

    def _fault(self, line: int, column: str, code: str, **values: Any) -> None:
        self.faults.append(Fault(line, column, code, values))

    def _records(self, text: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """(first line, cells) of every record that is not empty."""
        reader = csv.reader(text, delimiter=self.separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                self._fault(line, "", "row_malformed")
                continue
            if any(cell.strip() for cell in cells):
                yield line, cells

    def _reads_header(self, line: int, cells: list[str]) -> bool:
        self.columns = [cell.strip().lower() for cell in cells]
        for place, name in enumerate(self.columns):
            if name not in OFFICE_COLUMNS:
                self._fault(line, _shown(name), "column_unknown")
            elif name in self.columns[:place]:
                self._fault(line, name, "column_twice")
        for name in OFFICE_COLUMNS:
            if name not in self.columns and name not in OPTIONAL_COLUMNS:
                self._fault(line, name, "column_missing")
        return not self.faults

    def _good_rows(self, records: Iterator[tuple[int, list[str]]]) -> Iterator[_Row]:
        for line, cells in records:
            before = len(self.faults)
            if len(cells) != len(self.columns):
                self._fault(line, "", "cells_wrong", found=len(cells), wanted=len(self.columns))
                continue
            values = {name: plain(cell.strip()) for name, cell in zip(self.columns, cells, strict=True)}
            for name, value in values.items():
                self._check_cell(line, name, value)
            self._check_code(line, values)
            if len(self.faults) == before:
                yield _Row(line, values)

    def _check_cell(self, line: int, name: str, value: str) -> None:
        if not value:
            if name not in OPTIONAL_CELLS:
                self._fault(line, name, "value_missing")
        elif not value.isprintable() and any(unicodedata.category(char) in _UNWANTED for char in value):
            self._fault(line, name, "control_character")
        elif name == "active" and value.lower() not in YES | NO:
            self._fault(line, name, "active_invalid")
        elif name != "code" and len(value) > LIMITS[name]:
            self._fault(line, name, "value_too_long", limit=LIMITS[name])

    def _check_code(self, line: int, values: dict[str, str]) -> None:
        code = values["code"] = values["code"].upper()
        if code and not CODE.fullmatch(code):
            self._fault(line, "code", "code_invalid")
        elif code and (first := self._lines_of_codes.setdefault(code, line)) != line:
            self._fault(line, "code", "code_twice", first=first)


_UNWANTED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _shown(name: str) -> str:
    """An unknown column's name, fit for a message."""
    return "".join(char if char.isprintable() else "?" for char in name[:40]) or _("(no name)")


def _texts(values: dict[str, str], what: str) -> Localized:
    texts = {locale: values[f"{what}_{locale}"] for locale in LOCALES}
    return Localized({locale: text for locale, text in texts.items() if text or locale == DEFAULT_LOCALE})


@dataclass(slots=True)
class _Part:
    """What a part of the file makes of the offices there are."""

    made: list[Change] = field(default_factory=list)
    altered: list[tuple[Change, Change, dict[str, int]]] = field(default_factory=list)  # before, after, left behind
    closing: list[Fault] = field(default_factory=list)
    same: int = 0


def _compare(rows: list[_Row]) -> _Part:
    query = sa.select(Office.id, Office.code, Office.name, Office.address, Office.region, Office.active)
    found = db.session.execute(query.where(Office.code.in_([row.values["code"] for row in rows])))
    known = {office.code: office._asdict() for office in found}
    part = _Part()
    for row in rows:
        there = known.get(row.values["code"])
        wish = _office(row.values, active=there["active"] if there else True)
        if there is None:
            part.made.append(wish)
            continue
        office_id = there.pop("id")
        if there == wish:
            part.same += 1
            continue
        left = still_there(office_id) if there["active"] and not wish["active"] else []
        part.altered.append((there, wish, left_behind(left)))
        if left:
            said = " ".join(each.said for each in left)
            part.closing.append(Fault(row.line, "active", "not_empty", {"left": said}))
    return part


def _office(values: dict[str, str], *, active: bool) -> dict[str, Any]:
    said = values.get("active", "").lower()
    return {
        "code": values["code"],
        "name": _texts(values, "name"),
        "address": _texts(values, "address"),
        "region": values["region"],
        "active": said in YES if said else active,
    }


def _store(offices: list[dict[str, Any]]) -> None:
    """Insert or update."""
    if not offices:
        return
    kind: Any = postgresql.insert if db.session.get_bind().dialect.name == "postgresql" else sqlite.insert
    insert = kind(Office.__table__)
    fresh = {name: insert.excluded[name] for name in ("name", "address", "region", "active")}
    upsert = insert.on_conflict_do_update(index_elements=[Office.code], set_=fresh)
    db.session.connection().execute(upsert, offices)
