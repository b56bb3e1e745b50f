"""The month statement as a PDF, ready to sign when the month is closed, set by Typst in one of the three languages."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from flask_babel import force_locale
from flask_babel import gettext as _

from core.i18n import format_money
from core.money import Money
from finance.exports.columns import ControlTotals, Row
from finance.exports.datasets.statement import PARTS, note_on_days, standing_of
from finance.exports.formats.base import Layout, Writer
from finance.filters import DEFAULT_ZONE

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 120
ALWAYS = ("opening", "change", "closing")
STRONG = ALWAYS


class TypesettingFailed(Exception):
    """Typst refused, or took too long."""


class Statement(Writer):
    ending, mimetype = "pdf", "application/pdf"

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._rows: list[dict[str, Any]] = []
        self._standing = standing_of(layout.filters)
        with force_locale(layout.language):
            self._note = note_on_days(layout.filters)

    def write(self, rows: Sequence[Row]) -> None:
        names = [column.name for column in self.layout.columns]
        self._rows += [dict(zip(names, row, strict=True)) for row in rows]

    def close(self, totals: ControlTotals) -> None:
        with force_locale(self.layout.language):
            data = json.dumps(self._data(), ensure_ascii=False)
        command = [sys.executable, "-m", "finance.exports.typesetting"]
        try:
            # Our own module; what is typed comes to it as data.
            made = subprocess.run(command, cwd=ROOT, input=data.encode(), capture_output=True, timeout=SECONDS)  # noqa: S603
        except subprocess.TimeoutExpired as late:
            raise TypesettingFailed from late
        if made.returncode:
            raise TypesettingFailed(made.stderr.decode(errors="replace")[-500:])
        self.path.write_bytes(made.stdout)

    def _data(self) -> dict[str, Any]:
        filters, language = self.layout.filters, self.layout.language
        first, last = filters.first, filters.last
        assert first is not None
        assert last is not None
        zone = ZoneInfo(DEFAULT_ZONE)
        days = [format_date(day, "long", locale=language) for day in (first, last)]
        as_of = format_datetime(filters.as_of.astimezone(zone), "d MMMM y, HH:mm:ss", locale=language)
        month = format_date(first, "LLLL y", locale=language)
        return {
            "lang": language,
            "house": "#BullyingFreeInternet",
            "title": _("Statement for %(month)s", month=month),
            "subtitle": _(
                "%(first)s to %(last)s, days of the zone %(zone)s", first=days[0], last=days[1], zone=DEFAULT_ZONE
            ),
            "footer": _("Everything recorded up to %(moment)s (%(zone)s)", moment=as_of, zone=DEFAULT_ZONE),
            "note": self._note,
            "parts": [self._part(row) for row in self._rows],
            "nothing": _("Nothing was posted up to the end of this month."),
            **self._end(zone),
            "captions": {"name": _("position, name"), "signature": _("signature"), "date": _("date")},
        }

    def _end(self, zone: ZoneInfo) -> dict[str, Any]:
        """Only what cannot change any more is signed; `proof` says of which closing it is."""
        standing = self._standing
        if standing.closed_at is None:
            warning = {
                "not_over": _("The month is not over: these figures will change. This statement is not to be signed."),
                "open": _("The month is not closed yet: figures can still change. This statement is not to be signed."),
            }[standing.state]
            return {"warning": warning, "proof": [], "signatures": []}
        closed = format_datetime(standing.closed_at.astimezone(zone), "d MMMM y, HH:mm:ss", locale=self.layout.language)
        proof = [
            _("Closed on %(moment)s. SHA-256 of the closing's sheet:", moment=closed),
            str(standing.sheet_hash),
            _("Audit log at the closing: entry %(number)s, hash", number=standing.audit_number),
            str(standing.audit_hash),
        ]
        return {"warning": "", "proof": proof, "signatures": [_("Prepared by"), _("Checked by"), _("Approved by")]}

    def _part(self, row: dict[str, Any]) -> dict[str, Any]:
        currency, titles = row["currency"], PARTS[row["part"]].lines
        # Of the bank there is one account in a currency: it has no name of its own.
        own = row["title"] if row["title"] != f"{row['part']}:{currency}" else ""
        names = (str(PARTS[row["part"]].title), own)
        title = ": ".join(filter(None, names))
        lines = [
            {
                "name": str(titles[name]),
                "amount": format_money(Money(row[name], currency), self.layout.language),
                "strong": name in STRONG,
            }
            for name in titles
            if row[name] or name in ALWAYS
        ]
        return {"name": ", ".join(filter(None, (title, currency))), "rows": lines}
