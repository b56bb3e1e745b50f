"""What finance may ask of the inbox from its queue."""

from datetime import datetime

import sqlalchemy as sa

from core.db import db
from finance.exceptions import register_retry
from webhooks import services
from webhooks.models import InboxEvent


def retry_event(event_id: str, now: datetime) -> bool:
    """Apply an event that was given up; whether it is applied now. Commits."""
    key = db.session.scalar(sa.select(InboxEvent.id).where(InboxEvent.event_id == event_id))
    db.session.rollback()
    if key is None:
        return False
    services.revive(key, now)
    return services.claim(key, now) and services.apply_held(key, now)


register_retry("dead_event", retry_event)
