"""Posters by the thousand: `python -m benchmarks.posters [--pages 20000]`.

`flask posters print` for so many distinct A4 posters, its database work included, against a straightforward run that
draws the same pages with qrcode and ReportLab: same texts, same font, same panels, a symbol of its own on each page.
Each runs in a process of its own; memory is the largest sum over its processes, sampled. Promised: at most 60 s and
512 MB for 20,000 posters on two cores. Fails when that does not hold.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pypdf

from app import create_app
from core.clock import utcnow
from core.db import unit_of_work
from core.i18n import Localized
from offices.models import Office
from ops.demo import SLUG, seed_demo
from tests import databases

ROOT = Path(__file__).resolve().parents[1]
PROMISED_SECONDS, PROMISED_MB, PROMISED_PAGES = 60, 512, 20_000
OFFICES = 20


@dataclass(frozen=True)
class Figures:
    seconds: float
    megabytes: float
    file_megabytes: float


def measured(command: list[str], environment: dict[str, str], target: Path, pages: int) -> Figures:
    """Run `command` and weigh it with all its children; the PDF must have so many pages."""
    start, peak = time.monotonic(), 0
    process = psutil.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, _weight(process))
        time.sleep(0.1)
    seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    assert len(pypdf.PdfReader(target).pages) == pages
    return Figures(seconds, peak / 2**20, target.stat().st_size / 2**20)


def _weight(process: psutil.Process) -> int:
    total = 0
    try:
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    except psutil.NoSuchProcess:  # ended while we looked
        return total
    return total


def prepared(directory: Path) -> dict[str, str]:
    """A database with offices, and the environment that points at it."""
    url = databases.make_sqlite_template(directory)
    environment = {
        "APP_ENV": "test",
        "DATABASE_URL": f"sqlite:///{url}",
        "INSTANCE_DIR": str(directory),
        "PUBLIC_URL": "https://give.example.by",
    }
    app = create_app(databases.settings(environment["DATABASE_URL"], directory))
    with app.app_context():
        seed_demo(utcnow())
        with unit_of_work() as session:
            for number in range(OFFICES):
                name = Localized(ru=f"Салон МТС № {number}")
                address = Localized(ru="Минск, пр-т Независимости, 95")
                session.add(Office(code=f"B-{number:02}", name=name, address=address, region="Минск", active=True))
    return environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=PROMISED_PAGES, help="a multiple of 20")
    pages = parser.parse_args().pages // OFFICES * OFFICES
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        target = directory / "out.pdf"
        environment = prepared(directory)
        print(f"{pages} distinct A4 posters, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before", flush=True)
        offices = [part for number in range(OFFICES) for part in ("--office", f"B-{number:02}")]
        ours = [sys.executable, "-m", "flask", "--app", "wsgi", "posters", "print", "--campaign", SLUG, *offices]
        ours += ["--copies", str(pages // OFFICES), "--output", str(target)]
        usual = [sys.executable, "-m", "benchmarks.posters_reportlab", str(pages), str(target)]
        results = {}
        for label, command in (("flask posters print", ours), ("qrcode + ReportLab", usual)):
            results[label] = got = measured(command, environment, target, pages)
            print(
                f"{label:20} {got.seconds:7.1f} s {got.megabytes:7.0f} MB {got.file_megabytes:7.0f} MB file", flush=True
            )
    mine, theirs = results.values()
    print(
        f"{theirs.seconds / mine.seconds:.1f} times as fast with {mine.megabytes / theirs.megabytes:.2f} of the memory"
    )
    if mine.megabytes > PROMISED_MB or mine.seconds > PROMISED_SECONDS * max(pages / PROMISED_PAGES, 0.1):
        sys.exit("the promise is not kept")


if __name__ == "__main__":
    main()
