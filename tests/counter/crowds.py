"""Many clients at two web processes at the same instant, over real HTTP."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.counter.conftest import OWN
from tests.drills.processes import Service

PATIENCE = 60  # seconds
Answer = tuple[int, dict[str, Any]]


@contextmanager
def two_processes(database_url: str, instance: Path) -> Iterator[Service]:
    """Two web processes over the test's database."""
    environ = {"APP_ENV": "development", "DATABASE_URL": database_url, "INSTANCE_DIR": str(instance)}
    running = Service(environ, instance)
    del running.commands["worker"]
    try:
        running.start()
        yield running
    finally:
        running.stop()


class Crowd:
    """Clients that each have a connection of their own; half of them at each process."""

    def __init__(self, service: Service, size: int) -> None:
        self.service, self.size = service, size
        self.pool = ThreadPoolExecutor(size)
        self.local = threading.local()

    def all_at_once(self, act: Callable[[int], Answer]) -> list[Answer]:
        """Every client does it once, none before all are ready."""
        gate = threading.Barrier(self.size)

        def one(number: int) -> Answer:
            gate.wait(timeout=PATIENCE)
            return act(number)

        return list(self.pool.map(one, range(self.size)))

    def redeem(self, number: int, code: str, token: str, key: str | None = None, office: str = OWN) -> Answer:
        url = f"{self.service.urls[number % 2]}/api/v1/sticker-codes/{code}/redemptions"
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        answer = self._session().post(url, json={"office": office}, headers=headers, timeout=PATIENCE)
        return answer.status_code, answer.json()

    def _session(self) -> requests.Session:
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
        session: requests.Session = self.local.session
        return session

    def close(self) -> None:
        def leave(_number: int) -> None:
            gate.wait(timeout=PATIENCE)
            self._session().close()

        gate = threading.Barrier(self.size)
        list(self.pool.map(leave, range(self.size)))
        self.pool.shutdown()
