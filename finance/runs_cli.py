"""`flask finance fetch | reconcile | check`: the daily routine by hand."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import click
from flask import Flask

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from finance import run_state, runs
from finance.checks import run_checks
from finance.cli import DAY, group
from finance.fetching import fetch
from finance.reconciliation import Reconciled, reconcile
from finance.run_leases import LEASE, held
from finance.run_models import FinanceRun
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
    run = _begin("reconcile", _moment(since))
    with held(run.id, run.asked_at + LEASE, run.asked_at):
        done = reconcile(utcnow(), run.read_from)
        runs.keep_reconciliation(run.id, done, utcnow())
    click.echo(f"{done.fetched.lines} lines read, {done.fetched.new} new; {done.matched} bank lines matched")
    for problem in done.problems:
        click.echo(f"could not be done: {problem}", err=True)
    for kind, number in sorted(done.found.items()):
        click.echo(f"{number:>6}  {kind}")
    for line in _ends_with(done):
        click.echo(line)
    if done.found or done.problems:
        sys.exit(1)


def _ends_with(done: Reconciled) -> Iterator[str]:
    """That everything agrees is said only of what was compared whole."""
    if done.found:
        yield "see /staff/exceptions"
    for each in run_state.unread():
        since = f"{each.since:%Y-%m-%d %H:%M} UTC" if each.since else "never"
        yield f"NOT compared with {each.provider}: last read from it {since}"
    if not done.found and not done.problems:
        yield "everything agrees"
    for waits in run_state.waiting():
        lines, since = f"{waits.lines} {'line' if waits.lines == 1 else 'lines'}", f"{waits.since:%Y-%m-%d %H:%M} UTC"
        yield f"{lines} of {waits.net.major} {waits.net.currency} waiting to be booked, the oldest since {since}"


@group.command("check")
def check_command() -> None:
    """The self-check: every rule of the books by its name. Fails when one is broken."""
    run = _begin("check")
    with held(run.id, run.asked_at + LEASE, run.asked_at):
        results = run_checks(utcnow())
        runs.keep_check(run.id, results, utcnow())
    for result in results:
        click.echo(f"{'FAILS' if result.failures else 'ok':<6}{result.failures:>6}  {result.name}")
        for example in result.examples:
            click.echo(f"              {example}", err=True)
    if any(result.failures for result in results):
        sys.exit(1)


def _begin(kind: str, read_from: datetime | None = None) -> FinanceRun:
    """A run of our own; a worker takes it over should we be killed."""
    with unit_of_work():
        return runs.begin(kind, COMMAND_LINE, utcnow(), read_from)


def init_app(app: Flask) -> None:
    """The group is `finance.cli`'s; its commands are registered by importing this."""
