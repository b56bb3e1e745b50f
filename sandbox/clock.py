"""The server's clock: real time plus an offset that tests and drills may push forward."""

import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch. Listeners are called after every jump, so that sleepers look again."""

    def __init__(self) -> None:
        self.offset = 0.0
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> float:
        return time.time() + self.offset

    def timestamp(self) -> int:
        """Whole seconds, as Stripe's API carries time."""
        return int(self.now())

    def advance(self, seconds: float) -> None:
        """Jump ahead: sessions expire, transactions appear, retries come due."""
        self.offset += seconds
        for listener in self._listeners:
            listener()

    def on_jump(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)
