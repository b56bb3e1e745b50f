"""Cells of tables that people open in spreadsheets, and that come back from there.

A text that begins like a formula is run by the program that opens it, and one of figures is taken for a number or a
day: +375291234567 becomes 375291234567, +375-29-123-45-67 a difference, 0291 becomes 291. Such a text gets an
apostrophe in front, which spreadsheets take for "this is text"; reading takes it away again, so that what went out
comes back the same. Numbers that are numbers (amounts, counts) are not texts and never get one.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, TextIO

# Spreadsheets pass over what cannot be seen; Python's \s has all blanks, the rest have no width or only a direction.
_UNSEEN = r"[\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
_FORMULA = re.compile(rf"[\t\r]|(?!-\Z){_UNSEEN}[=+\-@＝＋－＠]")  # a dash alone is no formula
_FIGURES = re.compile(
    rf"{_UNSEEN}(?:"
    r"0\d[\d\s.,]*"  # would lose its zero
    r"|\d+[.,]\d+"
    r"|\d{12,}"  # would be rounded
    r"|\d+(?:[.,]\d+)?[eE][+-]?\d+"
    r"|\([\d\s.,]+\)"  # below zero
    r"|\d{1,2}[-./]\d{1,4}(?:[-./]\d{1,4})?"  # a day
    rf"){_UNSEEN}"
)


def _is_mistaken(cell: str) -> bool:
    """Whether a spreadsheet takes this text, or this text with apostrophes in front, for anything else."""
    bare = cell.lstrip("'")
    return bool(_FORMULA.match(bare) or _FIGURES.fullmatch(bare))


def neutral(cell: str) -> str:
    """The text as every spreadsheet shows it. `plain` takes it back."""
    return f"'{cell}" if _is_mistaken(cell) else cell


def plain(cell: str) -> str:
    """What the cell said before `neutral`; any other cell as it is."""
    return cell[1:] if cell.startswith("'") and _is_mistaken(cell) else cell


def write_table(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, separator: str = ",") -> int:
    """Write CSV (RFC 4180) with a line of names first; how many rows. None is an empty cell."""
    writer = csv.writer(file, delimiter=separator, lineterminator="\r\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([_written(cell) for cell in row])
        count += 1
    return count


def _written(cell: Any) -> str:
    if cell is None:
        return ""
    return str(cell) if isinstance(cell, int | Decimal) else neutral(str(cell))
