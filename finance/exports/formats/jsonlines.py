"""JSON Lines: an object a row, money as whole minor units in fields that say so. The API answers with the same rows."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finance.exports.columns import Column, ControlTotals, Row
from finance.exports.formats.base import Layout, Writer, day_of


def _convert(column: Column, layout: Layout) -> Callable[[Any], Any] | None:
    zone = layout.tz
    match column.kind:
        case "moment":
            return lambda moment: moment and moment.astimezone(zone).isoformat(timespec="seconds")
        case "day":
            return lambda day: day and day_of(day, zone).isoformat()
    return None


class Objects:
    """Rows as JSON objects."""

    def __init__(self, layout: Layout) -> None:
        self._plan = [
            (f"{column.name}_minor" if column.kind == "money" else column.name, _convert(column, layout))
            for column in layout.columns
        ]

    def of(self, row: Row) -> dict[str, Any]:
        return {
            name: cell if convert is None else convert(cell)
            for (name, convert), cell in zip(self._plan, row, strict=True)
        }


class JsonLines(Writer):
    ending, mimetype = "jsonl", "application/x-ndjson"

    def __init__(self, path: Path, layout: Layout) -> None:
        self._objects = Objects(layout)
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, rows: Sequence[Row]) -> None:
        encode, of = self._encode, self._objects.of
        self._file.write("".join([encode(of(row)) + "\n" for row in rows]))

    def close(self, totals: ControlTotals) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()
