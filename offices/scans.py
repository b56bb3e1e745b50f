"""Counting scans without a write on the request path.

Each process adds up in memory and writes once a second and when it ends; killed without warning, it loses the last
second. Nothing is kept about the person: a scan is one more on its placement's row.
"""

import logging
import multiprocessing.util
import os
import threading
import weakref
from collections import Counter

import sqlalchemy as sa
from flask import Flask

from core.db import db, unit_of_work
from offices.models import Placement

log = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0

_ADD = (
    sa.update(Placement.__table__)  # type: ignore[arg-type]
    .where(Placement.id == sa.bindparam("placement"))
    .values(scans=Placement.scans + sa.bindparam("more"))
)


class ScanBuffer:
    """The scans of this process that are not written yet. Any thread may add; a thread of its own writes them."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.start_afresh()
        _buffers.add(self)

    def start_afresh(self) -> None:
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._waiting: Counter[int] = Counter()
        self._writer: threading.Thread | None = None

    def add(self, placement_id: int) -> None:
        """Count one scan. Takes no longer than an addition."""
        with self._lock:
            self._waiting[placement_id] += 1
            if self._writer is None and not self.app.testing:  # tests flush by themselves
                self._start_writer()

    def _start_writer(self) -> None:
        # Not before the first scan: a thread would not survive the fork that makes a server's worker.
        self._writer = threading.Thread(target=self._write_forever, name="scans", daemon=True)
        self._writer.start()
        # Runs when the interpreter ends, and also at the end of a forked worker, which skips `atexit`.
        multiprocessing.util.Finalize(None, self.flush, exitpriority=100)

    def _write_forever(self) -> None:
        pause = threading.Event()
        while not pause.wait(FLUSH_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Write what is waiting. What cannot be written is told and kept for the next time."""
        with self._writing:  # at the end it waits for the thread's own
            with self._lock:
                batch, self._waiting = self._waiting, Counter()
            if not batch:
                return
            try:
                self._write(batch)
            except Exception:
                log.exception("scans of %s placements were not written yet", len(batch))
                with self._lock:
                    self._waiting.update(batch)

    def _write(self, batch: Counter[int]) -> None:
        # In the order of ids: two processes that write the same placements wait for each other, never in a circle.
        rows = [{"placement": key, "more": batch[key]} for key in sorted(batch)]
        with self.app.app_context(), unit_of_work():
            db.session.connection().execute(_ADD, rows)


def _after_fork() -> None:
    # What was waiting is the parent's to write, and whoever held its locks is not in this process.
    for buffer in list(_buffers):
        buffer.start_afresh()


_buffers: weakref.WeakSet[ScanBuffer] = weakref.WeakSet()
os.register_at_fork(after_in_child=_after_fork)
