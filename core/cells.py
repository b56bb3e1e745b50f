"""Cells of tables that people open in spreadsheets, and that come back from there.

A cell that begins like a formula is run by the program that opens it. Such a cell gets an apostrophe in front, which
spreadsheets take for "this is text"; reading takes it away again, so that what went out comes back the same. Figures
such as +375 29 123-45-67 or -25.00 are no formulas and stay as they are.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r]")
_MARKED = re.compile(r"'+[=+\-@＝＋－＠\t\r]")
_FIGURES = re.compile(r"[+-]?\d[\d\s().,-]*")


def neutral(cell: str) -> str:
    """The cell as no spreadsheet runs it. `plain` takes it back."""
    return f"'{cell}" if _FORMULA.match(cell) and not _FIGURES.fullmatch(cell) else cell


def plain(cell: str) -> str:
    """What the cell said before `neutral`; any other cell as it is."""
    return cell[1:] if _MARKED.match(cell) else cell


def write_table(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, separator: str = ",") -> int:
    """Write CSV (RFC 4180) with a line of names first; how many rows. None is an empty cell."""
    writer = csv.writer(file, delimiter=separator, lineterminator="\r\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow(["" if cell is None else neutral(str(cell)) for cell in row])
        count += 1
    return count
