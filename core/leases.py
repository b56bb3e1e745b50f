"""Long work that is a row: whoever does it holds the row by a lease, so that two never finish one piece of work.

A row goes queued → running → done, or failed (asking again queues it), or cancelled. The exact end of the lease is the
token: every step is a guarded update that finds the lease it set before. When its worker is killed the lease runs out,
and the next one who asks takes the row over.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.db import db, rows_changed

LEASE = timedelta(seconds=60)


@dataclass(frozen=True)
class Leases:
    """The leases of one table with `id`, `state`, `lease_until` (null once it ended), `error`, `done`, `total` and
    `finished_at`. Each method is one guarded update; flushes, never commits."""

    model: Any
    length: timedelta = LEASE

    def _held(self, row_id: int, lease: datetime) -> sa.ColumnElement[bool]:
        model = self.model
        return sa.and_(model.id == row_id, model.state == "running", model.lease_until == lease)

    def changed(self, where: sa.ColumnElement[bool], **values: Any) -> bool:
        return rows_changed(db.session.execute(sa.update(self.model).where(where).values(**values))) == 1

    def claim(self, row_id: int, now: datetime) -> datetime | None:
        """Take a row that waits, or whose worker was lost; the lease, or None when it is not to be had."""
        model, lease = self.model, now + self.length
        waiting = sa.and_(model.state.in_(("queued", "running")), model.lease_until <= now)
        taken = self.changed(sa.and_(model.id == row_id, waiting), state="running", lease_until=lease, error=None)
        return lease if taken else None

    def keep(self, row_id: int, lease: datetime, now: datetime, **values: Any) -> datetime | None:
        """Hold on to a row and tell how far it is; the new lease, or None when it was cancelled or is another's."""
        # Always later than the one before: it is the token.
        renewed = max(now + self.length, lease + timedelta(microseconds=1))
        return renewed if self.changed(self._held(row_id, lease), lease_until=renewed, **values) else None

    def finish(self, row_id: int, lease: datetime, now: datetime, **values: Any) -> bool:
        ended = {"state": "done", "done": self.model.total, "finished_at": now, "lease_until": None, "error": None}
        return self.changed(self._held(row_id, lease), **{**ended, **values})

    def fail(self, row_id: int, lease: datetime, reason: str) -> bool:
        return self.changed(self._held(row_id, lease), state="failed", error=reason[:200], lease_until=None)

    def due(self, now: datetime) -> list[int]:
        """Ids of rows that wait, or whose worker was lost."""
        query = sa.select(self.model.id).where(self.model.lease_until <= now).order_by(self.model.id)
        return list(db.session.scalars(query))
