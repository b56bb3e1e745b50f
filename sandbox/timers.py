"""What happens by itself when its time comes: sessions expire, transactions appear, delayed payments settle."""

import logging
import threading
from collections.abc import Callable

from sandbox import balance, checkout
from sandbox.account import NO_REQUEST, Account, current_request

logger = logging.getLogger(__name__)


def _expire_session(account: Account, session_id: str) -> None:
    session = account.store.get(session_id, "checkout.session")
    if session is not None and session["status"] == "open":
        checkout.expire(account, session_id)


def _settle_charge(account: Account, charge_id: str) -> None:
    balance.settle_charge(account, charge_id)


def _finish_delayed(account: Account, session_id: str) -> None:
    session = account.store.get(session_id, "checkout.session") or {}
    intent = account.store.get(session.get("payment_intent") or "", "payment_intent")
    if intent is not None and intent["status"] == "processing":
        checkout.finish_delayed(account, session_id)


_ACTIONS: dict[str, Callable[[Account, str], None]] = {
    "expire_session": _expire_session,
    "settle_charge": _settle_charge,
    "finish_delayed": _finish_delayed,
}


def next_due(account: Account) -> float | None:
    due: float | None = account.store.value("SELECT min(due) FROM timers")
    return due


def run_due(account: Account) -> int:
    """Do everything whose time has come; how many actions that was. Each is one transaction."""
    done = 0
    while True:
        due = next_due(account)
        if due is None or due > account.clock.now():
            return done
        done += _run_first(account)


def _run_first(account: Account) -> int:
    token = current_request.set(NO_REQUEST)  # nobody's request caused what the clock causes
    try:
        with account.store.write():
            rows = account.store.rows("SELECT * FROM timers ORDER BY due, seq LIMIT 1")
            if not rows or rows[0]["due"] > account.clock.now():
                return 0  # another thread was quicker
            account.store.run("DELETE FROM timers WHERE seq = ?", (rows[0]["seq"],))
            _ACTIONS[rows[0]["action"]](account, rows[0]["target"])
        return 1
    finally:
        current_request.reset(token)


class Ticker:
    """The thread that runs timers as real time passes."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="sandbox-timers", daemon=True)
        account.store.after_commit(self._wake.set)
        account.clock.on_jump(self._wake.set)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                run_due(self._account)
            except Exception:
                logger.exception("A timer failed; it stays due and is tried again")
                self._wake.wait(1)
                continue
            due = next_due(self._account)
            pause = None if due is None else max(0.0, due - self._account.clock.now())
            self._wake.wait(pause)
