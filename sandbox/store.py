"""Storage: JSON documents in one SQLite file, one writer at a time.

WAL with synchronous=NORMAL survives `kill -9`: what was committed is there after a restart.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    body TEXT NOT NULL,
    hidden TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_intent ON objects (json_extract(body, '$.payment_intent'), kind)
    WHERE json_extract(body, '$.payment_intent') IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_charge ON objects (json_extract(body, '$.charge'), kind)
    WHERE json_extract(body, '$.charge') IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_source ON objects (json_extract(body, '$.source'), kind)
    WHERE json_extract(body, '$.source') IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_payout ON objects (json_extract(hidden, '$.payout'))
    WHERE json_extract(hidden, '$.payout') IS NOT NULL;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    created INTEGER NOT NULL,
    subject TEXT,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_subject ON events (subject, seq);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL REFERENCES events (id),
    url TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'held', 'dropped', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, next_at, seq);
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event_id);
CREATE TABLE IF NOT EXISTS attempts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    url TEXT NOT NULL,
    at REAL NOT NULL,
    status INTEGER,
    error TEXT,
    note TEXT
);
CREATE INDEX IF NOT EXISTS attempts_event ON attempts (event_id);
CREATE TABLE IF NOT EXISTS timers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    due REAL NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS timers_due ON timers (due);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    request_id TEXT NOT NULL,
    created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS switches (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """One connection behind one lock; `write()` is a transaction, and nested ones join the outer."""

    def __init__(self, path: str) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._on_commit: list[Callable[[], None]] = []
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after each outermost transaction, with the lock already released."""
        self._on_commit.append(callback)

    @contextmanager
    def write(self) -> Iterator[None]:
        """All or nothing; the lock is held throughout, so what is read inside stays true until the end."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if outermost:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1
        if outermost:
            for callback in self._on_commit:
                callback()

    def run(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Execute one statement; the number of rows it changed."""
        with self._lock:
            return self._db.execute(sql, args).rowcount

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, args).fetchall()

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        with self._lock:
            row = self._db.execute(sql, args).fetchone()
        return None if row is None else row[0]

    # Documents

    def insert(self, obj: Json, hidden: Json | None = None) -> None:
        self.run(
            "INSERT INTO objects (id, kind, created, body, hidden) VALUES (?, ?, ?, ?, ?)",
            (obj["id"], obj["object"], obj["created"], dumps(obj), dumps(hidden or {})),
        )

    def save(self, obj: Json) -> None:
        self.run("UPDATE objects SET body = ? WHERE id = ?", (dumps(obj), obj["id"]))

    def get(self, object_id: str, kind: str | None = None) -> Json | None:
        """The document, or None when there is none or it is of another kind."""
        rows = self.rows("SELECT kind, body FROM objects WHERE id = ?", (object_id,))
        if not rows or (kind is not None and rows[0]["kind"] != kind):
            return None
        return _document(rows[0]["body"])

    def hidden(self, object_id: str) -> Json:
        """What the server remembers of an object but never shows over the API."""
        raw = self.value("SELECT hidden FROM objects WHERE id = ?", (object_id,))
        return _document(raw) if raw else {}

    def hide(self, object_id: str, **facts: Any) -> None:
        merged = {**self.hidden(object_id), **facts}
        self.run("UPDATE objects SET hidden = ? WHERE id = ?", (dumps(merged), object_id))

    def find(self, kind: str, where: str = "1", args: Sequence[Any] = (), tail: str = "") -> list[Json]:
        """Documents of a kind, oldest first. `where` and `tail` are SQL of our own, never a caller's text."""
        sql = f"SELECT body FROM objects WHERE kind = ? AND {where} ORDER BY seq {tail}"
        return [_document(row["body"]) for row in self.rows(sql, (kind, *args))]


def _document(raw: str) -> Json:
    document: Json = json.loads(raw)
    return document


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
