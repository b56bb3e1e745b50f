"""Scans counted by real server processes, side by side, to the last one."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from flask import Flask

from core.db import db
from offices.models import Placement
from offices.scans import ScanBuffer
from tests.drills.processes import Service, wait_until
from tests.offices.conftest import Add

THREADS = 4
SCANS = 150  # by each thread


def counted(placement: Placement) -> int:
    db.session.rollback()
    db.session.expire_all()
    return int(db.session.scalar(sa.select(Placement.scans).where(Placement.id == placement.id)) or 0)


@pytest.fixture
def service(app: Flask, database_url: str, tmp_path: Path) -> Iterator[Service]:
    """Two web processes over the test's database."""
    environ = {"APP_ENV": "development", "DATABASE_URL": database_url, "INSTANCE_DIR": str(tmp_path)}
    running = Service(environ, tmp_path)
    del running.commands["worker"]
    try:
        running.start()
        yield running
    finally:
        running.stop()


def scan_together(service: Service, placements: list[Placement]) -> None:
    """Each thread scans all of them again and again, half of the threads in the opposite order."""

    def work(number: int) -> None:
        order = placements if number % 2 else placements[::-1]
        with requests.Session() as session:
            for index in range(SCANS):
                url = f"{service.urls[number % 2]}/q/{order[index % len(order)].code}"
                assert session.get(url, allow_redirects=False, timeout=15).status_code == 302

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def test_two_processes_count_every_scan_and_lose_none_when_asked_to_stop(service: Service, placed: Add) -> None:
    placements = [placed() for _ in range(10)]
    scan_together(service, placements)
    for process in service.running.values():  # the last second is still in their memory
        process.send_signal(signal.SIGTERM)
    for process in service.running.values():
        process.wait(timeout=15)
    assert [counted(each) for each in placements] == [THREADS * SCANS // 10] * 10
    assert "Traceback" not in service.log_text()


def test_scans_are_written_within_seconds_while_the_process_goes_on(service: Service, placed: Add) -> None:
    placement = placed()
    requests.get(f"{service.urls[0]}/q/{placement.code}", allow_redirects=False, timeout=15)
    wait_until(lambda: counted(placement) == 1, 8, "the scan is written")


def test_threads_of_one_process_lose_nothing(app: Flask, placed: Add) -> None:
    placement = placed()
    buffer = ScanBuffer(app)
    stop = threading.Event()

    def flush() -> None:
        while not stop.is_set():
            buffer.flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [buffer.add(placement.id) for _ in range(500)], range(8)))
    stop.set()
    flusher.join()
    buffer.flush()
    assert counted(placement) == 4000


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_what_is_the_parent_s_to_the_parent(app: Flask, placed: Add) -> None:
    placement = placed()
    buffer = ScanBuffer(app)
    buffer.add(placement.id)
    with buffer._lock, buffer._writing:  # as if other threads held them at that moment
        child = os.fork()
        if not child:
            try:
                buffer.add(placement.id)  # would wait for ever for the parent's lock
            finally:
                os._exit(buffer._waiting[placement.id])  # 1: its own only
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    buffer.flush()
    assert counted(placement) == 1
