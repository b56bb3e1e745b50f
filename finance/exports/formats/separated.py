"""CSV: for machines as RFC 4180 has it, and as Excel and 1C read it in a Russian locale.

Texts that a spreadsheet would run or reckon with get an apostrophe in front (`core.cells`); numbers are numbers.
"""

import csv
from collections.abc import Callable, Sequence
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from core.cells import neutral
from finance.exports.columns import Column, ControlTotals, Row
from finance.exports.formats.base import Layout, Writer, day_of, decimal_text

Convert = Callable[[Any], Any]


def _text(cell: str | None) -> str | None:
    return cell if not cell or cell[0].isalpha() else neutral(cell)  # most names begin with a letter


def in_brackets(text: str, encoding: str) -> tuple[str, int]:
    """The text with what the encoding lacks written as [U+0142], and how many characters that were."""
    count = 0
    found = []
    for character in text:
        try:
            character.encode(encoding)
            found.append(character)
        except UnicodeEncodeError:
            found.append(f"[U+{ord(character):04X}]")
            count += 1
    return "".join(found), count


class Csv(Writer):
    """UTF-8 with a byte order mark, commas, CRLF, a line of names first. Moments are ISO 8601 with their offset."""

    ending, mimetype = "csv", "text/csv"
    separator, mark = ",", "."

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout, self.replaced = layout, 0
        self._file = path.open("wb")
        self._buffer = StringIO(newline="")
        self._writer = csv.writer(self._buffer, delimiter=self.separator, lineterminator="\r\n")
        names = [column.name for column in layout.columns]
        self._plan = [
            (index, self._convert(column), names.index(column.currency) if column.currency else None)
            for index, column in enumerate(layout.columns)
        ]
        self._amount = partial(decimal_text, mark=self.mark) if self.mark != "." else decimal_text
        if layout.encoding == "utf-8":
            self._file.write(b"\xef\xbb\xbf")
        self._writer.writerow(self.header())
        self._flush()

    def header(self) -> list[str]:
        return [column.name for column in self.layout.columns]

    def _convert(self, column: Column) -> Convert | None:
        """How a cell is written; None when it stays as it is."""
        zone = self.layout.tz
        match column.kind:
            case "text":
                return _text
            case "moment":
                return self.moment(zone)
            case "day":
                return self.day(zone)
            case "rate":
                return self.rate
        return self.code(column)

    def code(self, column: Column) -> Convert | None:
        return None

    def moment(self, zone: ZoneInfo) -> Convert:
        return lambda moment: moment and moment.astimezone(zone).isoformat(timespec="seconds")

    def day(self, zone: ZoneInfo) -> Convert:
        return lambda day: day and day_of(day, zone).isoformat()

    def rate(self, rate: str | None) -> str | None:
        return rate

    def write(self, rows: Sequence[Row]) -> None:
        # By columns: what need not be converted is not touched, the rest goes through one call of C each.
        columns: list[Any] = list(zip(*rows, strict=True))
        for index, convert, currency in self._plan:
            if currency is not None:
                columns[index] = map(self._amount, columns[index], columns[currency])
            elif convert is not None:
                columns[index] = map(convert, columns[index])
        self._writer.writerows(zip(*columns, strict=True))
        self._flush()

    def _flush(self) -> None:
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        try:
            data = text.encode(self.layout.encoding)
        except UnicodeEncodeError:
            text, count = in_brackets(text, self.layout.encoding)
            self.replaced += count
            data = text.encode(self.layout.encoding)
        self._file.write(data)

    def close(self, totals: ControlTotals) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()

    def notes(self) -> dict[str, Any]:
        if self.layout.encoding == "utf-8":
            return {}
        return {"replaced_characters": self.replaced, "replaced_as": "[U+0000]"}


class RussianCsv(Csv):
    """Semicolons, decimal commas, days as 31.12.2026, names for people: opens by a double click, loads into 1C."""

    separator, mark = ";", ","

    def header(self) -> list[str]:
        return self.layout.titles()

    def code(self, column: Column) -> Convert | None:
        words = self.layout.words(column)
        return (lambda code: words.get(code, code)) if words else None

    def moment(self, zone: ZoneInfo) -> Convert:
        return lambda moment: moment and f"{moment.astimezone(zone):%d.%m.%Y %H:%M:%S}"

    def day(self, zone: ZoneInfo) -> Convert:
        return lambda day: day and f"{day_of(day, zone):%d.%m.%Y}"

    def rate(self, rate: str | None) -> str | None:
        return rate and rate.replace(".", ",")
