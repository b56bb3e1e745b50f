"""Printing a run: parts go to presses, finished parts are files, and at the end they are joined.

A part that is there is never set again, so a run goes on after a crash, a full disk or a lost worker where it stopped.
At most one large run is printed in one process at a time; small ones go beside it.
"""

import contextlib
import logging
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

from core.clock import utcnow
from core.db import db, unit_of_work
from core.files import reason_of
from core.jobs import every, job
from offices import print_services as services
from offices.models import PrintBatch
from offices.printing.formats import FORMATS
from offices.printing.joining import NotOurs, join
from offices.printing.pages import Run
from offices.printing.press import Part, Press, PressFailed

log = logging.getLogger(__name__)

PRESSES = 2  # processes; each takes about 150 MB
PART_PAGES = 100
FILES_KEPT = timedelta(days=30)  # afterwards a run can be printed again as it was

Progress = Callable[[int, int], None]
_large = threading.Lock()


class Lost(Exception):
    """The run is no longer ours: cancelled, or another printer took it over."""


@dataclass(frozen=True)
class _Group:
    """One PDF of a run: its name, and the files of its parts with the numbers of their posters."""

    name: str
    parts: list[tuple[Path, int, int]]


class Printer:
    """One go at one run that we hold."""

    def __init__(self, batch: PrintBatch, lease: datetime, progress: Progress) -> None:
        self.batch_id, self.total, self.packaging = batch.id, batch.total, batch.packaging
        self.lease, self.progress = lease, progress
        self.run: Run = services.run_of(batch)
        self.per_page = FORMATS[batch.format].per_page
        self.directory, self.output = services.directory_of(batch), services.output_path(batch)
        self.groups = [self._group(*group) for group in services.groups_of(batch)]
        self.done = 0
        db.session.rollback()

    def _group(self, name: str, first: int, last: int) -> _Group:
        step = PART_PAGES * self.per_page
        starts = range(first, last + 1, step)
        parts = [(self.directory / f"part-{start:07d}.pdf", start, min(start + step - 1, last)) for start in starts]
        return _Group(name, parts)

    def print(self) -> None:
        """Raises `Lost`, `PressFailed`, `OSError`, `NotOurs`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.output.exists():
            self._set_parts()
            self._join()
        with unit_of_work():
            if not services.finish(self.batch_id, self.lease, utcnow()):
                raise Lost
        self.progress(self.total, self.total)
        for path in self.directory.iterdir():  # parts, and drafts of a process that was killed
            if path != self.output:
                path.unlink(missing_ok=True)

    def _keep(self, pages: int = 0) -> None:
        """After each step: hold the run, tell how far it is."""
        self.done = min(self.done + pages, self.total)
        with unit_of_work():
            lease = services.leases.keep(self.batch_id, self.lease, utcnow(), done=self.done)
        if lease is None:
            raise Lost
        self.lease = lease
        if pages:
            self.progress(self.done, self.total)

    def _set_parts(self) -> None:
        open_parts = []
        there = 0
        for path, first, last in (part for group in self.groups for part in group.parts):
            if path.exists():
                there += self._pages(first, last)
            else:
                open_parts.append((path, first, last))
        self._keep(there)
        count = min(PRESSES, len(open_parts))
        with contextlib.ExitStack() as stack:
            presses: SimpleQueue[Press] = SimpleQueue()
            for _ in range(count):
                presses.put(stack.enter_context(Press()))
            if count:
                self._feed(presses, count, iter(open_parts))

    def _pages(self, first: int, last: int) -> int:
        return (last - first + 1) // self.per_page

    def _feed(self, presses: "SimpleQueue[Press]", count: int, parts: Iterator[tuple[Path, int, int]]) -> None:
        """Keep `count` presses busy; posters are read just before they are set."""
        busy: dict[Future[None], int] = {}

        def set_on_a_press(part: Part) -> None:
            press = presses.get()
            try:
                press.set(self.run, part)
            finally:
                presses.put(press)

        with ThreadPoolExecutor(count) as threads:
            while True:
                while len(busy) <= count and (part := next(parts, None)) is not None:
                    path, first, last = part
                    batch = db.session.get_one(PrintBatch, self.batch_id)
                    task = Part(path, services.posters_between(batch, first, last))
                    db.session.rollback()
                    busy[threads.submit(set_on_a_press, task)] = self._pages(first, last)
                if not busy:
                    return
                for ended in wait(busy, return_when=FIRST_COMPLETED).done:
                    pages = busy.pop(ended)
                    ended.result()
                    self._keep(pages)

    def _join(self) -> None:
        draft = self.output.with_name(f"{self.output.name}.{self.lease:%H%M%S%f}.draft")
        try:
            if self.packaging == "pdf":
                with draft.open("wb") as out:
                    join((part[0] for part in self.groups[0].parts), out, self._keep)
            else:
                self._zip(draft)
            self._keep()
            draft.replace(self.output)
        finally:
            draft.unlink(missing_ok=True)

    def _zip(self, draft: Path) -> None:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:  # PDFs are compressed already
            for group in self.groups:
                with archive.open(f"{group.name}.pdf", "w", force_zip64=True) as out:
                    join((part[0] for part in group.parts), out, self._keep)


def print_batch(batch_id: int, progress: Progress = lambda done, total: None) -> bool:
    """Print a run that waits; whether it was printed now. False when somebody else has it, or it was cancelled.

    A failure is kept on the row and told in the log; asking again goes on from there.
    """
    with unit_of_work():
        lease = services.leases.claim(batch_id, utcnow())
    if lease is None:
        return False
    printer = Printer(db.session.get_one(PrintBatch, batch_id), lease, progress)
    try:
        printer.print()
    except Lost:
        _clear_if_cancelled(batch_id)
        return False
    except Exception as error:
        reason = _reason(error)
        log.error("print run %s failed: %s", batch_id, reason, exc_info=reason != "disk_full")
        with contextlib.suppress(OSError):
            if isinstance(error, NotOurs):  # a damaged part must be set anew
                shutil.rmtree(printer.directory)
        with unit_of_work():
            services.leases.fail(batch_id, printer.lease, reason)
        return False
    return True


def _reason(error: Exception) -> str:
    match error:
        case PressFailed():
            return error.reason
        case OSError():
            return reason_of(error)
    return type(error).__name__


def _clear_if_cancelled(batch_id: int) -> None:
    db.session.rollback()
    batch = db.session.get_one(PrintBatch, batch_id, populate_existing=True)
    if batch.state == "cancelled":
        shutil.rmtree(services.directory_of(batch), ignore_errors=True)
    db.session.rollback()


def _print_when_there_is_room(batch_id: int) -> None:
    batch = db.session.get(PrintBatch, batch_id)
    small = batch is None or batch.total <= PART_PAGES
    db.session.rollback()
    if small:
        print_batch(batch_id)
    elif _large.acquire(blocking=False):
        try:
            print_batch(batch_id)
        finally:
            _large.release()


@job
def print_soon(batch_id: int) -> None:
    _print_when_there_is_room(batch_id)


@every(seconds=10)
def sweep() -> None:
    ids = services.leases.due(utcnow())
    db.session.rollback()
    for batch_id in ids:
        _print_when_there_is_room(batch_id)


def clear_files(now: datetime) -> int:
    """Remove the files of ended runs that nobody wrote to for `FILES_KEPT`; of how many runs."""
    cleared = 0
    for directory in services.print_directory().glob("*/"):
        if _last_written(directory) + FILES_KEPT <= now and services.has_ended(directory.name):
            shutil.rmtree(directory, ignore_errors=True)
            cleared += 1
    return cleared


def _last_written(directory: Path) -> datetime:
    with contextlib.suppress(FileNotFoundError):  # a file that ends while we look was written just now
        times = [path.stat().st_mtime for path in (directory, *directory.iterdir())]
        return datetime.fromtimestamp(max(times), UTC)
    return datetime.now(UTC)


@every(seconds=3600)
def clear_old_files() -> None:
    if cleared := clear_files(utcnow()):
        log.info("files of %s print runs are cleared away", cleared)
