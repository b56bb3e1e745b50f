"""The formats of exports. Each writes rows in batches, in constant memory, the same bytes for the same rows."""

from finance.exports.formats.base import Layout, Writer
from finance.exports.formats.jsonlines import JsonLines
from finance.exports.formats.separated import Csv, RussianCsv
from finance.exports.formats.statement import Statement
from finance.exports.formats.workbook import Workbook

WRITERS: dict[str, type[Writer]] = {
    "csv": Csv,
    "csv-ru": RussianCsv,
    "xlsx": Workbook,
    "jsonl": JsonLines,
    "pdf": Statement,
}

__all__ = ["WRITERS", "Layout", "Writer"]
