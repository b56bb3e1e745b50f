"""Short links against a bare Flask redirect on the same server: `python -m benchmarks.redirect`.

Both stand behind Granian with the settings of `make run` and are loaded in turns over the same kept-alive loopback
connections. Promised: `/q/<code>` is answered at 0.6 or more of the bare rate, on SQLite and on PostgreSQL, and after
SIGTERM every answered scan is counted. Fails when either does not hold.
"""

import asyncio
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from flask import Flask, redirect
from werkzeug.wrappers import Response

from app import create_app
from core.clock import utcnow
from core.db import db, unit_of_work
from offices import links
from offices.models import Placement
from ops.demo import seed_demo
from tests import databases

ROOT = Path(__file__).resolve().parents[1]
PROMISE = 0.6
ROUNDS = 5
REQUESTS = 6000  # each round, each server
CONNECTIONS = 16
PLACEMENTS = 500
ROUND_SECONDS = 60

bare = Flask("bare")


@bare.get("/q/<code>")
def bare_redirect(code: str) -> Response:
    return redirect("/c/bullying-free-internet?lang=ru")


class Caller(asyncio.Protocol):
    """One kept-alive connection that asks for the next path as soon as it has its answer."""

    def __init__(self, paths: Iterator[str], done: asyncio.Future[None]) -> None:
        self.paths, self.done = paths, done
        self.seen = b""
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        path = next(self.paths, None)
        if path is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self.seen += data
        head, end, body = self.seen.partition(b"\r\n\r\n")
        if not end:
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) < int(length.split(b":")[1]):
            return
        assert head.startswith(b"HTTP/1.1 302"), head
        self.seen, self.answers = b"", self.answers + 1
        self._ask()


async def _load(port: int, paths: list[str]) -> float:
    """Ask for all of them; answers a second."""
    loop, waiting, begun = asyncio.get_running_loop(), iter(paths), time.perf_counter()
    done = [loop.create_future() for _ in range(CONNECTIONS)]
    callers = [
        (await loop.create_connection(lambda each=each: Caller(waiting, each), "127.0.0.1", port))[1] for each in done
    ]
    await asyncio.wait_for(asyncio.gather(*done), ROUND_SECONDS)
    assert sum(caller.answers for caller in callers) == len(paths)
    return len(paths) / (time.perf_counter() - begun)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server(target: str, path: str, environ: dict[str, str]) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--workers", "1"]
    command += ["--blocking-threads", "4", "--no-ws", "--log-level", "warning", target]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ})
    try:
        _wait_for(f"http://127.0.0.1:{port}{path}")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def _prepare(url: str, instance: Path) -> list[str]:
    """A migrated database with the demonstration campaign and many placements; their codes."""
    databases.migrate(url, instance)
    app = create_app(databases.settings(url, instance))
    with app.app_context():
        seed_demo(utcnow())
        codes = sorted({links.new_code() for _ in range(PLACEMENTS)})
        with unit_of_work() as session:
            session.add_all(
                Placement(code=code, campaign_id=1, medium="other", language="ru", created_at=utcnow())
                for code in codes
            )
    return codes


def _counted(url: str, instance: Path, codes: list[str]) -> int:
    app = create_app(databases.settings(url, instance))
    with app.app_context():
        query = sa.select(sa.func.sum(Placement.scans)).where(Placement.code.in_(codes))
        return int(db.session.scalar(query) or 0)


def compare(name: str, url: str, instance: Path) -> bool:
    """Whether the promise holds on this database."""
    codes = _prepare(url, instance)
    paths = [f"/q/{code}" for code in itertools.islice(itertools.cycle(codes), REQUESTS)]
    environ = {"APP_ENV": "development", "DATABASE_URL": url, "INSTANCE_DIR": str(instance)}
    plain, ours = [], []
    with (
        _server("benchmarks.redirect:bare", "/q/x", environ) as bare_port,
        _server("wsgi:app", "/healthz", environ) as our_port,
    ):
        for port in (bare_port, our_port):
            asyncio.run(_load(port, paths))  # warm-up
        for _ in range(ROUNDS):
            plain.append(asyncio.run(_load(bare_port, paths)))
            ours.append(asyncio.run(_load(our_port, paths)))
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, plain, strict=True))
    counted, scanned = _counted(url, instance, codes), (ROUNDS + 1) * REQUESTS
    print(
        f"{name}: bare {statistics.median(plain):,.0f}/s, /q/ {statistics.median(ours):,.0f}/s, "
        f"ratio {ratio:.2f} (promised {PROMISE}); scans {counted:,} of {scanned:,}"
    )
    return ratio >= PROMISE and counted == scanned


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        first = Path(directory)
        good = compare("SQLite", f"sqlite:///{first / 'campaign.sqlite3'}", first)
        second = first / "postgresql"
        second.mkdir()
        server, server_url = databases.start_postgresql()
        try:
            with databases.postgresql_database(server_url) as url:
                good = compare("PostgreSQL", url, second) and good
        finally:
            server.cleanup()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
