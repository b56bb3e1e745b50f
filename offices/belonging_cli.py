"""`flask offices assign | release`: who works in which office."""

import click
from flask import Flask

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from offices import belonging, queries
from offices.cli import offices
from staff.audit import COMMAND_LINE


@offices.command("assign")
@click.argument("office")
@click.argument("email")
def assign(office: str, email: str) -> None:
    """Let a member of staff work for an office."""
    _change(belonging.assign, office, email)


@offices.command("release")
@click.argument("office")
@click.argument("email")
def release(office: str, email: str) -> None:
    """Let a member of staff work for an office no longer."""
    _change(belonging.release, office, email)


def _change(act: belonging.Change, office: str, email: str) -> None:
    try:
        with unit_of_work():
            changed = act(queries.office_by_code(office), email, actor=COMMAND_LINE, address="-", now=utcnow())
    except DomainError as refusal:
        raise click.ClickException(f"{refusal.code}: {refusal.message}") from None
    click.echo("done" if changed else "it was so already")


def init_app(app: Flask) -> None:
    """Call after `offices.cli`, whose group these commands belong to."""
