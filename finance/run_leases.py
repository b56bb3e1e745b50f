"""Who does a run holds it by a lease that is renewed as long as the process lives, however long the work takes.

The exact end of the lease is the token: a renewal finds the lease it set before, or the run is another's by now.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Flask, current_app

from core.db import rows_changed, unit_of_work
from finance.run_models import FinanceRun

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
BEAT = 15.0  # seconds


def renew(run_id: int, lease: datetime, now: datetime) -> datetime | None:
    """The new lease, or None when the run is finished or another's. Commits."""
    until = max(now + LEASE, lease + timedelta(microseconds=1))
    mine = sa.and_(FinanceRun.id == run_id, FinanceRun.lease_until == lease)
    with unit_of_work() as session:
        kept = session.execute(sa.update(FinanceRun).where(mine).values(lease_until=until, next_try_at=until))
        return until if rows_changed(kept) == 1 else None


@contextmanager
def held(run_id: int, lease: datetime, now: datetime) -> Iterator[None]:
    """Renew the lease while the block works, from a thread of its own. Outside of a unit of work."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    stop = threading.Event()
    beats = threading.Thread(target=_beat, args=(app, run_id, lease, now, stop), name=f"run {run_id}", daemon=True)
    beats.start()
    try:
        yield
    finally:
        stop.set()
        beats.join()


def _beat(app: Flask, run_id: int, lease: datetime, now: datetime, stop: threading.Event) -> None:
    begun = time.monotonic()
    while not stop.wait(BEAT):
        try:
            with app.app_context():
                renewed = renew(run_id, lease, now + timedelta(seconds=time.monotonic() - begun))
        except Exception:
            log.exception("the lease of run %s could not be renewed; it is tried again", run_id)
            continue
        if renewed is None:
            return
        lease = renewed
