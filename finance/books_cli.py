"""`flask finance close | reopen | periods`: months of the books."""

import click
from flask import Flask
from flask_babel import force_locale

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from finance import closing, open_matters
from finance.cli import group
from ledger import periods
from staff.audit import COMMAND_LINE

BY_COMMAND = {"actor": COMMAND_LINE, "address": "-"}


class _refusals_told:  # noqa: N801 - used as a word
    """Tell a refusal as a command does: one line, and a failure."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DomainError):
            with force_locale("en"):
                raise click.ClickException(error.message) from error


@group.command("close")
@click.argument("month")
@click.option("--reason", default="", help="Why it is closed though something of it does not agree; kept in its sheet.")
def close(month: str, reason: str) -> None:
    """Close MONTH (2026-02): it takes no more postings. Months are closed in order, once they are over."""
    with _refusals_told():
        wanted = closing.read_month(month)
        for kind, number in open_matters.open_of(wanted).kinds:
            click.echo(f"{number:>6}  {kind} is open", err=True)
        with unit_of_work():
            period = closing.close_month(wanted, now=utcnow(), reason=reason, **BY_COMMAND)
    sheet = period.sheet
    click.echo(f"closed {month}: {sheet['entries']} entries, {sheet['postings']} postings, sheet {period.sheet_hash}")


@group.command("reopen")
@click.argument("month")
@click.option("--reason", required=True, help="Kept in the audit log.")
def reopen(month: str, reason: str) -> None:
    """Let postings into MONTH again; only the month that was closed last."""
    with _refusals_told(), unit_of_work():
        closing.reopen_month(closing.read_month(month), reason, now=utcnow(), **BY_COMMAND)
    click.echo(f"{month} is open again")


@group.command("periods")
def show_periods() -> None:
    """All closings, the newest month first, and the month that is next."""
    for period in closing.closings():
        state = f"closed {period.closed_at:%Y-%m-%d %H:%M} UTC by {period.closed_by}"
        if period.reopened_at is not None:
            state += f"; reopened {period.reopened_at:%Y-%m-%d %H:%M} by {period.reopened_by}: {period.reopen_reason}"
        click.echo(f"{period.month}  {state}  {period.sheet_hash}")
    next_month = periods.next_to_close()
    click.echo(f"next: {next_month}" if next_month else "nothing is in the books yet")


def init_app(app: Flask) -> None:
    """The group is `finance.cli`'s; its commands are registered by importing this."""
