"""Trouble on the API's side, switched on for the next few requests or until switched off."""

import threading
from dataclasses import asdict, dataclass

from sandbox.store import Json

# What a fault does, and when: the first five before the request is carried out, `lost` after.
KINDS = {
    "slow": "answer, but only after `seconds`",
    "error": "answer 500 with an error object; with `sticky`, the idempotency key replays it, as at Stripe",
    "rate_limit": "answer 429",
    "garbage": "answer 200 with something that is not JSON",
    "close": "close the connection and do nothing",
    "lost": "carry out the request, then close the connection without an answer",
}


@dataclass
class Fault:
    """`times` None means until switched off; an empty `path` or `method` means any (path is a prefix)."""

    kind: str
    times: int | None = None
    seconds: float = 0.0
    path: str = ""
    method: str = ""
    sticky: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}; one of {', '.join(KINDS)}")

    def concerns(self, method: str, path: str) -> bool:
        return path.startswith(self.path) and self.method.upper() in ("", method)


class Faults:
    """The faults now switched on. A restart forgets them."""

    def __init__(self) -> None:
        self._active: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._active.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._active.clear()

    def take(self, method: str, path: str) -> list[Fault]:
        """Those that strike this request; each counts down once."""
        with self._lock:
            struck = [fault for fault in self._active if fault.concerns(method, path)]
            for fault in struck:
                if fault.times is not None:
                    fault.times -= 1
            self._active = [fault for fault in self._active if fault.times is None or fault.times > 0]
        return struck

    def listed(self) -> list[Json]:
        with self._lock:
            return [asdict(fault) for fault in self._active]
