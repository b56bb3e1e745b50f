"""Time: aware UTC everywhere; report days belong to a campaign's zone.

Edges (views, jobs, commands) call `utcnow()` once and pass the value down; services never look at the clock.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


def utcnow() -> datetime:
    return datetime.now(UTC)


def require_utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises `ValueError` for a naive value: nobody knows what it means."""
    if moment.tzinfo is None:
        raise ValueError("naive datetime refused: say which zone it is in")
    return moment.astimezone(UTC)


def from_unix(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def local_day(moment: datetime, zone: str) -> date:
    """The calendar day of `moment` in `zone` (an IANA name such as Europe/Minsk)."""
    return require_utc(moment).astimezone(ZoneInfo(zone)).date()
