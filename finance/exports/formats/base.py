"""What all formats have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from flask_babel import force_locale

from core.money import EXPONENTS
from finance.exports.columns import Column, ControlTotals, Row
from finance.filters import Filters

ENCODINGS = ("utf-8", "cp1251")


@dataclass(frozen=True)
class Layout:
    """What a writer needs to know besides the rows."""

    title: Any
    columns: tuple[Column, ...]
    filters: Filters
    language: str
    encoding: str = "utf-8"
    summed: bool = True  # with a line of totals, where the format has a place for it

    def titles(self) -> list[str]:
        """Names of columns for people, in the language of the export."""
        with force_locale(self.language):
            return [str(column.title) for column in self.columns]

    def words(self, column: Column) -> dict[str, str]:
        """What the codes of a column are called for people."""
        with force_locale(self.language):
            return {code: str(word) for code, word in column.words.items()}

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.filters.zone)


class Writer:
    """One file. `write` batches, then `close` once; what is at `path` before that is no whole file."""

    ending: ClassVar[str]
    mimetype: ClassVar[str]

    def __init__(self, path: Path, layout: Layout) -> None:
        raise NotImplementedError

    def write(self, rows: Sequence[Row]) -> None:
        raise NotImplementedError

    def close(self, totals: ControlTotals) -> None:
        """The end of the file: totals where the format has a place for them."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Give back what is open; the file will be thrown away."""

    def notes(self) -> dict[str, Any]:
        """What the manifest must say of this file besides."""
        return {}


@lru_cache(maxsize=8192)
def decimal_text(minor: int | None, currency: str, mark: str = ".") -> str | None:
    """12345 BYN as 123.45: all digits, no grouping. None stays."""
    if minor is None:
        return None
    exponent = EXPONENTS[currency]
    if not exponent:
        return str(minor)
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    return f"{'-' if minor < 0 else ''}{digits[:-exponent]}{mark}{digits[-exponent:]}"


def day_of(value: date | datetime, zone: ZoneInfo) -> date:
    return value.astimezone(zone).date() if isinstance(value, datetime) else value
