"""`flask finance fetch | reconcile | check`: the daily routine by hand."""

import sys
from datetime import UTC, datetime

import click
from flask import Flask

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from finance import runs
from finance.checks import run_checks
from finance.cli import DAY, group
from finance.fetching import fetch
from finance.reconciliation import reconcile
from payments.registry import all_providers
from staff.audit import COMMAND_LINE

SINCE = click.option("--since", type=DAY, help="Read again from this day (YYYY-MM-DD, UTC) on.")


def _moment(since: datetime | None) -> datetime | None:
    return since.replace(tzinfo=UTC) if since else None


@group.command("fetch")
@SINCE
def fetch_command(since: datetime | None) -> None:
    """Read the provider's own account in bulk and book it; goes on where the last fetch ended."""
    for provider in all_providers():
        try:
            done = fetch(provider, utcnow(), _moment(since))
        except DomainError as error:
            raise click.ClickException(f"{provider.name}: {error.code}; what was read before is kept") from error
        click.echo(f"{provider.name}: {done.lines} lines, {done.new} of them new, {done.payouts} payouts")


@group.command("reconcile")
@SINCE
def reconcile_command(since: datetime | None) -> None:
    """Fetch, match books, provider and bank, and tell what does not agree. Fails while anything is open."""
    run_id = _begin("reconcile")
    done = reconcile(utcnow(), _moment(since))
    runs.keep_reconciliation(run_id, done, utcnow())
    click.echo(f"{done.fetched.lines} lines read, {done.fetched.new} new; {done.matched} bank lines matched")
    for problem in done.problems:
        click.echo(f"could not be done: {problem}", err=True)
    for kind, number in sorted(done.found.items()):
        click.echo(f"{number:>6}  {kind}")
    click.echo("everything agrees" if not done.found else "see /staff/exceptions")
    if done.found or done.problems:
        sys.exit(1)


@group.command("check")
def check_command() -> None:
    """The self-check: every rule of the books by its name. Fails when one is broken."""
    run_id = _begin("check")
    results = run_checks(utcnow())
    runs.keep_check(run_id, results, utcnow())
    for result in results:
        click.echo(f"{'FAILS' if result.failures else 'ok':<6}{result.failures:>6}  {result.name}")
        for example in result.examples:
            click.echo(f"              {example}", err=True)
    if any(result.failures for result in results):
        sys.exit(1)


def _begin(kind: str) -> int:
    """A run of our own; a worker takes it over should we be killed."""
    with unit_of_work():
        run = runs.begin(kind, COMMAND_LINE, utcnow())
    return run.id


def init_app(app: Flask) -> None:
    """The group is `finance.cli`'s; its commands are registered by importing this."""
