"""All donations as CSV and XLSX: whole, in constant memory, and how long against the database's own dump.

    python -m benchmarks.exports [donations] [sqlite] [postgresql]

For SQLite and PostgreSQL, or the one that is named: fills a database, lets the database itself write the same columns
(`COPY … TO STDOUT`; the `sqlite3` program where there is one, its bare cursor through `csv` otherwise), then exports
them by a process of its own, whose memory above its resting state is taken from the kernel. An independent reader adds
the files up to the control totals of their manifests. Dump and exports take turns, the best of each counts. Fails when
CSV takes more than four times the dump, or memory grows by more than 64 MB, or a sum differs.
"""

import csv
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from shutil import which
from typing import Any

import openpyxl
import psycopg
import sqlalchemy as sa
from flask_migrate import upgrade

from app import create_app
from benchmarks.history import fill
from core.clock import utcnow
from core.db import db
from finance.exports.making import make
from finance.exports.orders import Order
from tests import databases

DONATIONS = 1_000_000
MOST_MB, MOST_TIMES = 64, 4.0
MONEY = ("amount", "gross", "refunded", "disputed", "fee", "sponsor_fee", "net")
SECONDS = 3600
ROUNDS = 3


def _status(name: str) -> float:
    """MB by the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def measure(url: str, directory: Path, as_of: str, format: str) -> None:
    """In a process of its own: rest, export, tell."""
    app = create_app(databases.settings(url, directory))
    with app.app_context():
        small = {"dataset": "donations", "format": format, "first": "2001-01-01", "last": "2001-01-02"}
        make(Order.read(small, utcnow()), directory / "small", who="benchmark", now=utcnow())
        resting = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        order = Order.read({"dataset": "donations", "format": format, "as_of": as_of}, utcnow())
        begun = time.perf_counter()
        manifest = make(order, directory / f"all.{format}", who="benchmark", now=utcnow())
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "grown": _status("VmHWM") - resting, "manifest": manifest}))


def dump(url: str, as_of: str, path: Path) -> tuple[float, str]:
    """The database's own CSV of the same columns; seconds and by what."""
    order = Order.read({"dataset": "donations", "format": "csv", "as_of": as_of}, utcnow())
    assert order.of.query is not None
    query = order.of.query(order.filters, False)
    text = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
    db.session.remove()
    begun = time.perf_counter()
    if url.startswith("sqlite"):
        how = _dump_sqlite(url.removeprefix("sqlite:///"), text, path)
    else:
        how = "COPY … TO STDOUT"
        with psycopg.connect(url) as connection, path.open("wb") as out:
            connection.execute("SET cursor_tuple_fraction = 1")
            with connection.cursor().copy(f"COPY ({text}) TO STDOUT (FORMAT csv, HEADER)") as copy:
                for part in copy:
                    out.write(part)
    return time.perf_counter() - begun, how


def _dump_sqlite(database: str, text: str, path: Path) -> str:
    if shell := which("sqlite3"):
        with path.open("wb") as out:
            subprocess.run([shell, "-readonly", "-csv", "-header", database, text], stdout=out, check=True)
        return "the sqlite3 program"
    with sqlite3.connect(database) as connection, path.open("w", newline="") as out:
        csv.writer(out).writerows(connection.execute(text))
    connection.close()
    return "the bare cursor of sqlite3"


def read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def read_xlsx(path: Path) -> Iterator[dict[str, Any]]:
    book = openpyxl.load_workbook(path, read_only=True)
    for sheet in book.worksheets:
        rows = sheet.iter_rows(values_only=True)
        next(rows)
        for row in rows:
            if row[1] is not None:  # totals have no report day
                yield dict(zip(_columns, row, strict=False))
    book.close()


_columns: list[str] = []


def prove(rows: Iterator[dict[str, Any]], manifest: dict[str, Any]) -> None:
    """Raises `SystemExit` unless the rows add up to the manifest."""
    count, sums = 0, dict.fromkeys(MONEY, 0)
    for row in rows:
        count += 1
        for name in MONEY:
            sums[name] += round(Decimal(str(row[name])) * 100)
    if (count, sums) != (manifest["rows"], manifest["control_totals"]["BYN"]):
        raise SystemExit(f"read {count} rows, {sums}; the manifest says {manifest}")


def export(url: str, directory: Path, as_of: str, format: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.exports", "measure", url, str(directory), as_of, format]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def alternated(
    url: str, directory: Path, as_of: str, formats: list[str]
) -> tuple[list[float], dict[str, dict[str, Any]], str]:
    """Dump and exports in turns, so that a busy moment of the machine meets both: seconds of the dumps, and of each
    format the fastest export with the most memory that any of its rounds took."""
    dumps: list[float] = []
    best: dict[str, dict[str, Any]] = {}
    how = ""
    for _ in range(ROUNDS):
        seconds, how = dump(url, as_of, directory / "dump.csv")
        dumps.append(seconds)
        db.session.remove()
        db.engine.dispose()
        for format in formats:
            found = export(url, directory, as_of, format)
            before = best.get(format, found)
            fastest = min(found, before, key=lambda each: each["seconds"])
            best[format] = {**fastest, "grown": max(found["grown"], before["grown"])}
    return dumps, best, how


def run(name: str, url: str, directory: Path, donations: int) -> bool:
    """Measure on one database; whether all is as promised."""
    app = create_app(databases.settings(url, directory))
    readers: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {"csv": read_csv, "xlsx": read_xlsx}
    good = True
    with app.app_context():
        upgrade()
        print(f"{name}: {donations:,} donations filled in {fill(app, donations):.0f} s", flush=True)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
        db.session.remove()
        order = Order.read({"dataset": "donations"}, utcnow())
        as_of = order.filters.as_of.isoformat()
        _columns[:] = [column.name for column in order.layout.columns]
        dumps, found_of, how = alternated(url, directory, as_of, list(readers))
        seconds = min(dumps)
        print(f"  {how}: {seconds:.1f} s, the best of {', '.join(f'{each:.1f}' for each in dumps)}", flush=True)
        for format, read in readers.items():
            found = found_of[format]
            manifest, times = found["manifest"], found["seconds"] / seconds
            prove(read(directory / f"all.{format}"), manifest)
            kept = found["grown"] <= MOST_MB and (format != "csv" or times <= MOST_TIMES)
            good = good and kept and manifest["rows"] == donations
            print(
                f"  {format}: {manifest['rows']:,} rows, {manifest['bytes'] / 1e6:.0f} MB, {found['seconds']:.1f} s = "
                f"{times:.2f} of the dump, {found['grown']:.0f} MB above rest; proven{'' if kept else '  TOO MUCH'}",
                flush=True,
            )
    return good


def run_sqlite(donations: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="campaign-exports-") as place:
        return run("SQLite", f"sqlite:///{Path(place) / 'campaign.sqlite3'}", Path(place), donations)


def run_postgresql(donations: int) -> bool:
    server, url = databases.start_postgresql()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="campaign-exports-") as place,
            databases.postgresql_database(url) as database,
        ):
            return run("PostgreSQL", database, Path(place), donations)
    finally:
        server.cleanup()


RUNS = {"sqlite": run_sqlite, "postgresql": run_postgresql}


def main(words: list[str]) -> None:
    donations = next((int(word.replace("_", "")) for word in words if word not in RUNS), DONATIONS)
    kept = [RUNS[name](donations) for name in RUNS if name in words or not RUNS.keys() & set(words)]
    if not all(kept):
        raise SystemExit("not as promised")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5])
    else:
        main(sys.argv[1:])
