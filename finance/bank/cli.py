"""`flask finance bank …`: accounts, statements, lines that wait."""

from pathlib import Path

import click
import sqlalchemy as sa
from flask import Flask
from flask_babel import force_locale

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from finance.bank import matching, services
from finance.bank.models import BankAccount
from finance.bank.reading import Movement, Statement, StatementRefused
from finance.cli import group
from staff.audit import COMMAND_LINE


@group.group("bank")
def bank() -> None:
    """Our bank accounts and their statements."""


@bank.command("accounts")
def accounts() -> None:
    """All accounts."""
    for account in db.session.scalars(sa.select(BankAccount).order_by(BankAccount.code)):
        click.echo(f"{account.code}  {account.currency}  {account.name}")


@bank.command("waiting")
def waiting() -> None:
    """Lines that nothing is known of."""
    for line in matching.waiting_lines():
        click.echo(f"{line.day}  {line.account.code}  {line.amount.major} {line.currency}  {line.reference}")


@bank.command("import")
@click.argument("account")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only check, and name every bad line.")
def import_file(account: str, file: Path, dry_run: bool) -> None:
    """Import a statement of ACCOUNT; one bad line, and nothing is imported."""
    with force_locale("en"):
        try:
            _import(account, file, dry_run)
        except StatementRefused as refusal:
            _tell_faults(refusal.statement)
            raise click.ClickException(refusal.message) from refusal
        except DomainError as refusal:
            raise click.ClickException(refusal.message) from refusal


def _import(code: str, file: Path, dry_run: bool) -> None:
    if dry_run:
        statement, new = services.check_statement(services.account_by_code(code), file.read_bytes(), utcnow())
        if not statement.good:
            raise StatementRefused(statement)
        for each in statement.shown:
            click.echo("…" if each is None else _told(each))
        click.echo(f"every line is good: {len(statement.movements)} lines, {new} of them new; nothing was imported")
        return
    with unit_of_work():
        kept = services.import_statement(
            services.account_by_code(code),
            file.read_bytes(),
            file.name,
            actor=COMMAND_LINE,
            address="-",
            now=utcnow(),
        )
    click.echo(f"imported {kept.new_lines} new lines of {kept.lines}")
    for gap in services.gaps_around(kept):
        click.echo(f"a statement is missing of {gap.first} to {gap.last}: {gap.amount.major} {gap.amount.currency}")
    click.echo(f"{len(matching.waiting_lines())} lines wait for a person")


def _told(line: Movement) -> str:
    return "  ".join([str(line.day), f"{line.amount.major} {line.amount.currency}", line.reference, line.counterparty])


def _tell_faults(statement: Statement) -> None:
    for fault in statement.faults:
        place = ", ".join(filter(None, [f"line {fault.line}" if fault.line else "", fault.column]))
        click.echo(f"{place}: {fault.reason}" if place else fault.reason, err=True)


def init_app(app: Flask) -> None:
    """The commands hang below `flask finance`."""
