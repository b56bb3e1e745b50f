"""Making one file: rows of one snapshot through a writer, counted and summed on the way, and proven at the end."""

import hashlib
import tomllib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import sqlalchemy as sa
from flask_babel import force_locale

from core.db import db
from finance.exports.columns import ControlTotals, Row
from finance.exports.errors import Incomplete
from finance.exports.formats import WRITERS
from finance.exports.orders import Order
from finance.exports.snapshot import Snapshot, snapshot
from staff import audit

UNIT = "minor units"


class Watch(Protocol):
    """Who follows the making: is told how far it is, may end it by `snapshot.interrupt()`."""

    def begins(self, snapshot: Snapshot, total: int) -> None: ...

    def goes_on(self, done: int) -> None: ...


class Nobody:
    def begins(self, snapshot: Snapshot, total: int) -> None: ...

    def goes_on(self, done: int) -> None: ...


@dataclass(frozen=True)
class _Control:
    """What the database itself says is there, asked in another way than the rows are."""

    rows: int
    sums: dict[str, dict[str, int]]

    def require(self, totals: ControlTotals) -> None:
        """Raises `Incomplete`."""
        written = totals.as_values()
        for currency, sums in self.sums.items():
            if any(written.get(currency, {}).get(name, 0) != amount for name, amount in sums.items()):
                raise Incomplete
        if totals.rows != self.rows:
            raise Incomplete


def make(order: Order, path: Path, *, who: str, now: datetime, watch: Watch | None = None) -> dict[str, Any]:
    """Write the file to `path`; its manifest.

    Whoever calls has made the directory, and removes what is in it when this raises: `Incomplete`, `Interrupted`,
    `OSError`, `TypesettingFailed`.
    """
    watch = watch or Nobody()
    layout = order.layout
    totals = ControlTotals(layout.columns)
    with snapshot() as view:
        parts, control = _parts(order, view, watch)
        writer = WRITERS[order.format](path, layout)
        try:
            with closing(parts):  # a copy under way must be ended before its transaction can be
                for rows in parts:
                    writer.write(rows)
                    totals.add(rows)
                    watch.goes_on(totals.rows)
            chain, schema = audit.head(), _schema()
            about = order.of.about(order.filters) if order.of.about else {}
            zones = order.of.zones(order.filters)
        except BaseException:
            writer.abandon()
            raise
    try:
        control.require(totals)
        writer.close(totals)
    except BaseException:
        writer.abandon()
        raise
    return {
        "manifest": 1,
        "dataset": order.dataset,
        "format": order.format,
        "encoding": order.encoding,
        "language": order.language,
        "file": order.file_name,
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
        "filters": order.filters.describe(zones),
        "zone": ", ".join(zones),
        "zone_of_moments": layout.tz.key,
        "as_of": order.filters.as_of.isoformat(),
        "columns": [column.name for column in layout.columns],
        "donor_names": order.names,
        "rows": totals.rows,
        "control_totals": totals.as_values(),
        "control_totals_unit": UNIT,
        **about,
        **writer.notes(),
        "made_at": now.isoformat(timespec="seconds"),
        "made_by": who,
        "audit_log": {"number": chain.number, "hash": chain.hash},
        "software": {"version": software_version(), "schema": schema},
    }


def unproven(order: Order) -> bytes:
    """The file of what is reckoned (`Dataset.table`) as of the order's very moment: what a page shows.

    It has no manifest, and may change within its first minute.
    """
    assert order.of.table is not None
    layout = order.layout
    with TemporaryDirectory() as place:
        path = Path(place) / order.file_name
        writer, totals = WRITERS[order.format](path, layout), ControlTotals(layout.columns)
        rows = order.of.table(order.filters)
        writer.write(rows)
        totals.add(rows)
        writer.close(totals)
        return path.read_bytes()


def _parts(order: Order, view: Snapshot, watch: Watch) -> tuple[Generator[list[Row]], _Control]:
    dataset, filters = order.of, order.filters
    if dataset.table is not None:
        with force_locale(order.language):
            rows = list(dataset.table(filters))
        watch.begins(view, len(rows))
        return (part for part in [rows] if part), _Control(len(rows), {})
    assert dataset.query is not None
    query = dataset.query(filters, order.names)
    # Told before the counting: that, too, can take long, and may be ended.
    watch.begins(view, 0)
    if dataset.control is not None:
        control = _Control(*view.guarded(lambda: dataset.control(filters)))  # type: ignore[misc]
    else:
        count = sa.select(sa.func.count()).select_from(query.order_by(None).subquery())
        control = _Control(view.guarded(lambda: int(db.session.scalar(count) or 0)), {})
    watch.begins(view, control.rows)
    # The first column is the key that rows are in order of; it is not exported.
    exported = query.with_only_columns(*list(query.selected_columns)[1:], maintain_column_froms=True)
    return view.all_rows(exported, dataset.columns_for(order.names)), control


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def software_version() -> str:
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def _schema() -> str:
    return str(db.session.scalar(sa.text("SELECT version_num FROM alembic_version")))
