"""Webhook delivery: signed, at least once, by several workers, with retries that survive a crash.

Stripe promises no order and may deliver twice; so does this. https://docs.stripe.com/webhooks
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import urllib3

from sandbox import signature
from sandbox.account import Account
from sandbox.store import Json, dumps

logger = logging.getLogger(__name__)

# (url, body, headers) -> HTTP status; raises DeliveryError when there was no answer.
Transport = Callable[[str, bytes, dict[str, str]], int]

_BATCH = 500


class DeliveryError(Exception):
    """The endpoint could not be reached or did not answer."""


@dataclass(frozen=True)
class Delivery:
    seq: int
    event_id: str
    url: str
    attempts: int


class HttpTransport:
    """POST over loopback with kept-alive connections; redirects are not followed, as Stripe does not."""

    def __init__(self, timeout: float, connections: int) -> None:
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, timeout=timeout)

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        try:
            return self._pool.request("POST", url, body=body, headers=headers, redirect=False).status
        except urllib3.exceptions.HTTPError as error:
            raise DeliveryError(str(error)) from error

    def close(self) -> None:
        self._pool.clear()


def signed(account: Account, event: Json, secret: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a webhook request for an event as it is now."""
    body = dumps(account.shown_event(event)).encode()
    return body, signature.headers(signature.signature(body, secret, account.clock.timestamp()))


def record_attempt(
    account: Account, event_id: str, url: str, status: int | None, error: str | None, note: str | None = None
) -> None:
    account.store.run(
        "INSERT INTO attempts (event_id, url, at, status, error, note) VALUES (?, ?, ?, ?, ?, ?)",
        (event_id, url, account.clock.now(), status, error, note),
    )


class Dispatcher:
    """Sends due deliveries: by its own threads once started, or when `drain` is called."""

    def __init__(self, account: Account, transport: Transport | None = None) -> None:
        settings = account.settings
        self._account = account
        self._http = HttpTransport(settings.delivery_timeout, settings.workers)
        self.transport: Transport = transport or self._http
        self._ready: deque[Delivery] = deque()
        self._busy: set[int] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"sandbox-webhooks-{number}", daemon=True)
            for number in range(settings.workers)
        ]

    def start(self) -> None:
        self._account.store.after_commit(self.wake)
        self._account.clock.on_jump(self.wake)
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float = 1.0) -> None:
        """Take no more, and wait `patience` seconds in all for what is under way.

        What does not end in time is sent again after a restart, as after a crash.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + patience
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._http.close()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def drain(self, transport: Transport | None = None) -> int:
        """Send everything due, one after the other in order, until nothing is; how many attempts."""
        sent = 0
        while batch := self._due():
            for delivery in batch:
                self.attempt(delivery, transport)
                sent += 1
        return sent

    def attempt(self, delivery: Delivery, transport: Transport | None = None) -> bool:
        """Send once and record the outcome; whether the endpoint took it (2xx)."""
        event = self._account.event(delivery.event_id)
        endpoint = self._account.endpoint(delivery.url)
        if event is None or endpoint is None:
            self._record(delivery, None, "this endpoint is not configured any more", last=True)
            return False
        body, headers = signed(self._account, event, endpoint.secret)
        status, error = None, None
        try:
            status = (transport or self.transport)(delivery.url, body, headers)
        except DeliveryError as failure:
            error = str(failure)
        return self._record(delivery, status, error)

    def _record(self, delivery: Delivery, status: int | None, error: str | None, last: bool = False) -> bool:
        schedule = self._account.settings.retry_schedule
        taken = status is not None and 200 <= status < 300
        retry = not taken and not last and delivery.attempts < len(schedule)
        pause = schedule[delivery.attempts] if retry else 0
        state = "delivered" if taken else "pending" if retry else "failed"
        with self._account.store.write():
            record_attempt(self._account, delivery.event_id, delivery.url, status, error)
            self._account.store.run(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, next_at = ? WHERE seq = ?",
                (state, self._account.clock.now() + pause, delivery.seq),
            )
        return taken

    def _due(self) -> list[Delivery]:
        rows = self._account.store.rows(
            "SELECT seq, event_id, url, attempts FROM deliveries"
            " WHERE state = 'pending' AND next_at <= ? ORDER BY next_at, seq LIMIT ?",
            (self._account.clock.now(), _BATCH),
        )
        return [Delivery(*row) for row in rows]

    # Threads

    def _loop(self) -> None:
        while (delivery := self._next()) is not None:
            try:
                self._attempt_safely(delivery)
            finally:
                with self._changed:
                    self._busy.discard(delivery.seq)

    def _attempt_safely(self, delivery: Delivery) -> None:
        """A worker must outlive whatever a transport raises; the delivery is retried like any other."""
        try:
            self.attempt(delivery)
        except Exception as error:
            if self._stopping:
                return
            logger.exception("A webhook delivery failed in an unforeseen way")
            self._record(delivery, None, repr(error))

    def _next(self) -> Delivery | None:
        """The next delivery to make, waiting for one; None when it is time to stop."""
        with self._changed:
            while not self._stopping:
                if not self._ready:
                    self._refill()
                if self._ready:
                    delivery = self._ready.popleft()
                    if self._ready:
                        self._changed.notify()
                    return delivery
                self._changed.wait(self._pause())
            return None

    def _refill(self) -> None:
        fresh = [delivery for delivery in self._due() if delivery.seq not in self._busy]
        self._busy.update(delivery.seq for delivery in fresh)
        self._ready.extend(fresh)

    def _pause(self) -> float | None:
        """Until the next retry is due; those under way are looked at again when they end."""
        marks = ",".join("?" * len(self._busy))
        sql = f"SELECT min(next_at) FROM deliveries WHERE state = 'pending' AND seq NOT IN ({marks})"
        due = self._account.store.value(sql, tuple(self._busy))
        return None if due is None else max(0.01, due - self._account.clock.now())


def attempts_of(account: Account, event_id: str) -> list[Json]:
    """Delivery attempts of an event, oldest first."""
    rows = account.store.rows("SELECT * FROM attempts WHERE event_id = ? ORDER BY seq", (event_id,))
    return [dict(row) for row in rows]
