"""`flask webhooks …`: look into the inbox, have events applied again."""

import json
from datetime import timedelta

import click
import sqlalchemy as sa
from flask import Flask
from flask.cli import AppGroup

from core.clock import utcnow
from core.db import db
from payments.registry import all_providers
from webhooks import services
from webhooks.jobs import catch_up_with
from webhooks.models import InboxEvent

group = AppGroup("webhooks", help="The inbox of provider events.")

STATES = {
    "applied": InboxEvent.processed_at.is_not(None),
    "waiting": sa.and_(InboxEvent.processed_at.is_(None), InboxEvent.dead_at.is_(None)),
    "dead": InboxEvent.dead_at.is_not(None),
}


def state_of(event: InboxEvent) -> str:
    if event.dead_at:
        return "dead"
    return "applied" if event.processed_at else "waiting"


def _find(event_id: str) -> InboxEvent:
    event = db.session.scalar(sa.select(InboxEvent).where(InboxEvent.event_id == event_id))
    if event is None:
        raise click.ClickException(f"no event {event_id} in the inbox")
    return event


@group.command("list")
@click.option("--state", type=click.Choice(list(STATES)), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def list_events(state: str | None, limit: int) -> None:
    """The newest events, one a line: time, state, attempts, id, type, error."""
    query = sa.select(InboxEvent).order_by(InboxEvent.id.desc()).limit(limit)
    if state:
        query = query.where(STATES[state])
    for event in db.session.scalars(query):
        cells = (f"{event.received_at:%Y-%m-%d %H:%M:%S}", state_of(event), str(event.attempts), event.event_id)
        click.echo("  ".join([*cells, event.type, event.last_error or ""]).rstrip())


@group.command("show")
@click.argument("event_id")
def show(event_id: str) -> None:
    """One event with its stored payload."""
    event = _find(event_id)
    click.echo(f"{event.provider} {event.type} {state_of(event)} attempts={event.attempts} error={event.last_error}")
    click.echo(json.dumps(event.payload, ensure_ascii=False, indent=2))


@group.command("retry")
@click.argument("event_id", required=False)
@click.option("--dead", is_flag=True, help="All that were given up.")
def retry(event_id: str | None, dead: bool) -> None:
    """Apply an event that is not applied yet, at once."""
    if dead == bool(event_id):
        raise click.UsageError("name one event, or --dead for all that were given up")
    query = sa.select(InboxEvent.id).where(STATES["dead"])
    _apply([_find(event_id).id] if event_id else list(db.session.scalars(query)), again=False)


@group.command("replay")
@click.argument("event_id", required=False)
@click.option("--since-hours", type=click.IntRange(1, 24 * 365), help="All received in the last hours.")
def replay(event_id: str | None, since_hours: int | None) -> None:
    """Apply an event again although it was applied: harmless, since nothing happens twice."""
    if (since_hours is None) == (event_id is None):
        raise click.UsageError("name one event, or --since-hours")
    query = sa.select(InboxEvent.id).order_by(InboxEvent.id)
    if since_hours:
        query = query.where(InboxEvent.received_at >= utcnow() - timedelta(hours=since_hours))
    _apply([_find(event_id).id] if event_id else list(db.session.scalars(query)), again=True)


@group.command("catch-up")
def catch_up() -> None:
    """Fetch the events that never reached us from the provider's own list."""
    for provider in all_providers():
        click.echo(f"{provider.name}: {catch_up_with(provider, utcnow())} new")


def _apply(ids: list[int], *, again: bool) -> None:
    db.session.rollback()
    applied = 0
    for key in ids:
        now = utcnow()
        if services.revive(key, now, again=again) and services.claim(key, now):
            applied += services.apply_held(key, now)
    click.echo(f"applied {applied} of {len(ids)}")
    if applied < len(ids):
        raise SystemExit(1)


def init_app(app: Flask) -> None:
    app.cli.add_command(group)
