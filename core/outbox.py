"""E-mails that must go out: a row is written with the fact, a worker sends it afterwards, at least once."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from core import mail
from core.clock import utcnow
from core.db import after_commit, db, insert_if_absent, rows_changed, unit_of_work
from core.jobs import every, job
from core.models import OutboxMessage

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # longer than an SMTP server may take
MAX_ATTEMPTS = 12
Renderer = Callable[[int], mail.Mail | None]

_renderers: dict[str, Renderer] = {}


def renderer(template: str) -> Callable[[Renderer], Renderer]:
    """Register how `template` is written for a subject id; None says that there is nobody to write to (any more)."""

    def register(function: Renderer) -> Renderer:
        _renderers[template] = function
        return function

    return register


def put(template: str, subject_id: int, now: datetime) -> None:
    """Have this e-mail sent, once per (template, subject). Inside the unit of work of the fact it tells."""
    new = insert_if_absent(
        OutboxMessage,
        template=template,
        subject_id=subject_id,
        message_id=mail.new_message_id(),
        created_at=now,
        next_attempt_at=now,
        attempts=0,
    )
    if new:
        after_commit(lambda: send_due.enqueue())


def backoff(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min … at most 6 h."""
    return min(timedelta(seconds=30 * 2 ** min(max(attempts - 1, 0), 20)), timedelta(hours=6))


def _claim(message_id: int, now: datetime) -> bool:
    with unit_of_work() as session:
        claimed = session.execute(
            sa.update(OutboxMessage)
            .where(
                OutboxMessage.id == message_id,
                OutboxMessage.done_at.is_(None),
                OutboxMessage.next_attempt_at <= now,
            )
            .values(next_attempt_at=now + LEASE, attempts=OutboxMessage.attempts + 1)
        )
        return rows_changed(claimed) == 1


def _finish(message_id: int, **values: object) -> None:
    mine = sa.and_(OutboxMessage.id == message_id, OutboxMessage.done_at.is_(None))
    with unit_of_work() as session:
        session.execute(sa.update(OutboxMessage).where(mine).values(**values))


def deliver(message_id: int, now: datetime) -> bool:
    """Send one message if it is due and nobody else is at it; whether it was sent.

    A failure is kept on the row with the next try's time; after `MAX_ATTEMPTS` it is dead and stays visible.
    """
    if not _claim(message_id, now):
        return False
    message = db.session.get_one(OutboxMessage, message_id)
    try:
        letter = _renderers[message.template](message.subject_id)
        db.session.rollback()
        if letter is None:
            _finish(message_id, done_at=now, outcome="dropped")
            return False
        mail.send(letter, message_id=message.message_id, name=f"{message.template}-{message.id}")
    except Exception as error:  # noqa: BLE001 - it is kept on the row
        db.session.rollback()
        # Its type only: what mail servers and databases say can hold addresses of people.
        log.error("outbox message %s (%s) failed: %s", message_id, message.template, type(error).__name__)
        dead = message.attempts >= MAX_ATTEMPTS
        _finish(
            message_id,
            last_error=type(error).__name__,
            next_attempt_at=now + backoff(message.attempts),
            **({"done_at": now, "outcome": "dead"} if dead else {}),
        )
        return False
    _finish(message_id, done_at=now, outcome="sent", last_error=None)
    return True


def due(now: datetime, limit: int = 100) -> list[int]:
    query = (
        sa.select(OutboxMessage.id)
        .where(OutboxMessage.done_at.is_(None), OutboxMessage.next_attempt_at <= now)
        .order_by(OutboxMessage.next_attempt_at)
        .limit(limit)
    )
    ids = list(db.session.scalars(query))
    db.session.rollback()
    return ids


def deliver_due() -> None:
    for message_id in due(utcnow()):
        deliver(message_id, utcnow())


@job
def send_due() -> None:
    deliver_due()


@every(seconds=15)
def sweep() -> None:
    deliver_due()
