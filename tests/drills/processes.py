"""Real processes of the service, to be killed without warning and started again."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until it holds; fails with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.05)


class Service:
    """Some web processes, each on a port of its own, and a worker, over one database."""

    def __init__(self, environ: dict[str, str], instance: Path, webs: int = 2) -> None:
        self.environ = {**os.environ, **environ}
        self.logs = instance / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.ports = [free_port() for _ in range(webs)]
        self.commands = {f"web{port}": self._web(port) for port in self.ports}
        self.commands["worker"] = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: dict[str, int] = dict.fromkeys(self.commands, 0)

    @staticmethod
    def _web(port: int) -> list[str]:
        options = ["--interface", "wsgi", "--port", str(port), "--blocking-threads", "4", "--no-ws"]
        return [sys.executable, "-m", "granian", *options, "--log-level", "error", "wsgi:app"]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start(self) -> None:
        for name in self.commands:
            self._start(name)
        for url in self.urls:
            wait_until(lambda url=url: answers(url), 30, f"{url} answers")  # type: ignore[misc]

    def _start(self, name: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.commands[name], cwd=ROOT, env=self.environ, stdout=log, stderr=log, start_new_session=True
            )

    def kill_one(self, chance: random.Random) -> str:
        """SIGKILL to one of them and all its children, then start it again."""
        name = chance.choice(sorted(self.running))
        self._kill(name, signal.SIGKILL)
        self.kills[name] += 1
        self._start(name)
        return name

    def _kill(self, name: str, with_signal: int) -> None:
        process = self.running[name]
        try:
            os.killpg(process.pid, with_signal)
        except ProcessLookupError:
            assert process.poll() is not None
        process.wait(timeout=15)

    def stop(self) -> None:
        for name in self.running:
            self._kill(name, signal.SIGKILL)

    def log_text(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.logs.iterdir()))


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).status_code == 200
    except requests.RequestException:
        return False
