"""XLSX: cells with types, a header that stays in sight, totals at the end. No cell is ever a formula.

Rows go to a file as they come. A sheet holds 1,048,575 rows besides its header; what is more goes to further sheets.
"""

import contextlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import xlsxwriter
from flask_babel import force_locale
from flask_babel import gettext as _
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from core.money import EXPONENTS
from finance.exports.columns import Column, ControlTotals, Row
from finance.exports.formats.base import Layout, Writer, day_of

ROWS = 1_048_575  # of a sheet, without its header
LONGEST_TEXT = 32_767
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel's days have no zone
CREATED = datetime(2020, 1, 1)  # noqa: DTZ001 - the same rows give the same bytes
SECONDS = 86_400
WIDTHS = {"moment": 18, "day": 11, "money": 14, "whole": 10, "code": 16, "text": 28, "rate": 12}
TINT = "#EEF0FF"

Cell = Callable[[int, Any, Row], None]


class Workbook(Writer):
    ending = "xlsx"
    mimetype = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout = layout
        # Next to the file: a full disk is met there, and what a killed worker leaves is cleared with it.
        options = {"constant_memory": True, "tmpdir": str(path.parent), "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(str(path), options)
        self._book.use_zip64()
        self._titles = layout.titles()
        with force_locale(layout.language):
            title, self._total = str(layout.title), _("Total")
        self._name = re.sub(r"[\[\]:*?/\\']", " ", title)  # what the name of a sheet may not hold
        self._book.set_properties({"title": title, "created": CREATED})
        self._formats: dict[tuple[str, bool], Format] = {}
        self._sheet: Worksheet
        self._cells: list[Cell]
        self._row = self._sheets = 0
        self._begin_sheet()

    def _format(self, pattern: str = "General", bold: bool = False) -> Format:
        if (pattern, bold) not in self._formats:
            self._formats[pattern, bold] = self._book.add_format({"num_format": pattern, "bold": bold})
        return self._formats[pattern, bold]

    def _money_format(self, currency: str, bold: bool = False) -> Format:
        decimals = "0" * EXPONENTS[currency]
        return self._format(f"#,##0.{decimals}" if decimals else "#,##0", bold)

    def _begin_sheet(self) -> None:
        self._end_sheet()
        self._sheets += 1
        self._sheet = self._book.add_worksheet(
            f"{self._name[:25]} {self._sheets}" if self._sheets > 1 else self._name[:31]
        )
        self._sheet.freeze_panes(1, 0)
        header = self._book.add_format({"bold": True, "bg_color": TINT, "text_wrap": True, "valign": "top"})
        for index, (column, title) in enumerate(zip(self.layout.columns, self._titles, strict=True)):
            self._sheet.set_column(index, index, WIDTHS[column.kind])
            self._sheet.write_string(0, index, title, header)
        self._cells = [self._cell(index, column) for index, column in enumerate(self.layout.columns)]
        self._row = 0

    def _end_sheet(self) -> None:
        if self._sheets and self._row:
            self._sheet.autofilter(0, 0, self._row, len(self.layout.columns) - 1)

    def _cell(self, index: int, column: Column) -> Cell:
        """How a cell of this column is written: (number of the row, value, the whole row)."""
        match column.kind:
            case "money":
                return self._money_cell(index, column)
            case "moment" | "day":
                return self._time_cell(index, column)
            case "whole" | "rate":
                return lambda row, value, _: self._sheet.write_number(row, index, float(value)) and None
        words = self.layout.words(column)
        return lambda row, value, _: self._write_text(row, index, words.get(value) or value)

    def _write_text(self, row: int, index: int, text: str) -> None:
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"a text of {len(text)} characters does not fit into a cell")
        if text.startswith("<r>"):  # the library takes that for its own markup
            text = f" {text}"
        if text:
            self._sheet.write_string(row, index, text)

    def _money_cell(self, index: int, column: Column) -> Cell:
        currency_at = [each.name for each in self.layout.columns].index(column.currency)
        known: dict[str, tuple[int, Format]] = {}

        def write(row: int, value: int, whole: Row) -> None:
            currency = whole[currency_at]
            if currency not in known:
                known[currency] = 10 ** EXPONENTS[currency], self._money_format(currency)
            unit, pattern = known[currency]
            self._sheet.write_number(row, index, value / unit, pattern)

        return write

    def _time_cell(self, index: int, column: Column) -> Cell:
        zone = self.layout.tz
        if column.kind == "day":
            day = self._format("dd.mm.yyyy")
            return lambda row, value, _: (
                self._sheet.write_number(row, index, day_of(value, zone).toordinal() - EPOCH.toordinal(), day) and None
            )
        moment = self._format("dd.mm.yyyy hh:mm:ss")

        def write(row: int, value: datetime, _: Row) -> None:
            since = value.astimezone(zone).replace(microsecond=0, tzinfo=None) - EPOCH
            self._sheet.write_number(row, index, since.days + since.seconds / SECONDS, moment)

        return write

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if self._row == ROWS:
                self._begin_sheet()
            self._row += 1
            number = self._row
            for write, value in zip(self._cells, row, strict=True):
                if value is not None:
                    write(number, value, row)

    def close(self, totals: ControlTotals) -> None:
        """A row of totals for each currency, then the file as a whole."""
        self._end_sheet()
        sums = totals.as_values() if self.layout.summed else {}
        if self._row + len(sums) > ROWS:
            self._begin_sheet()
        bold = self._format(bold=True)
        for currency, amounts in sums.items():
            self._row += 1
            self._sheet.write_string(self._row, 0, self._total, bold)
            for index, column in enumerate(self.layout.columns):
                if column.name in amounts:
                    value = amounts[column.name] / 10 ** EXPONENTS[currency]
                    self._sheet.write_number(self._row, index, value, self._money_format(currency, bold=True))
                    self._write_currency(column.currency, currency, bold)
                elif column.counted and column.name in (counts := totals.counts[currency]):
                    self._sheet.write_number(self._row, index, counts[column.name], bold)
        try:
            self._book.close()
        except FileCreateError as refused:
            # The library's own error hides which trouble the disk has.
            raise (refused.args[0] if isinstance(refused.args[0], OSError) else refused) from None

    def _write_currency(self, name: str, currency: str, bold: Format) -> None:
        at = [column.name for column in self.layout.columns].index(name)
        self._sheet.write_string(self._row, at, currency, bold)

    def abandon(self) -> None:
        """Its own files are deleted with the directory that they are in."""
        for sheet in self._book.worksheets():
            with contextlib.suppress(Exception):
                sheet.row_data_fh.close()
        self._book.fileclosed = True

    def notes(self) -> dict[str, Any]:
        return {"sheets": self._sheets}
