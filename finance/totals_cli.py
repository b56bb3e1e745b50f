"""`flask finance totals | check-summaries | rebuild-summaries`."""

from typing import Any

import click
from flask import Flask
from flask_babel import force_locale

from core.clock import utcnow
from core.db import db, read_snapshot
from core.errors import DomainError
from core.i18n import format_money
from core.money import Money
from finance import summaries
from finance.cli import group
from finance.facts import zones_of
from finance.filters import NAMES, parse
from finance.findings import OF_ENTRIES
from finance.matching_facts import entry_findings
from finance.totals import DIMENSIONS, Row, totals


def _filters(command: Any) -> Any:
    for name in reversed(NAMES):
        command = click.option(f"--{name.replace('_', '-')}", name, help=f"Filter: {name}, as on the page.")(command)
    return command


@group.command("totals")
@click.option("--by", type=click.Choice(DIMENSIONS), default="month", show_default=True)
@_filters
def show_totals(by: str, **values: str | None) -> None:
    """What came in, went back, was kept and is earmarked."""
    read_snapshot()
    try:
        report = totals(parse(values, utcnow()), by)
    except DomainError as error:
        with force_locale("en"):
            raise click.ClickException(error.message) from error
    names = ("gifts", "raised", "refunds", "disputes", "fees", "earmarked", "available")
    click.echo(f"{by:<24}" + "".join(f"{name:>16}" for name in names))
    for row in [*report.rows, *report.totals]:
        click.echo(_line(row))
    click.echo(f"as of {report.filters.as_of.isoformat()}, days of {', '.join(zones_of(report.filters))}")


def _line(row: Row) -> str:
    figures = row.figures
    amounts = (figures.gross, figures.refunds, figures.disputes, figures.fees, figures.earmarked, row.available)
    shown = ["–" if minor is None else format_money(Money(minor, row.currency), "en") for minor in amounts]
    return f"{row.key[:23]:<24}{figures.gifts:>16}" + "".join(f"{text:>16}" for text in shown)


@group.command("check-summaries")
def check() -> None:
    """Compare all sums with the postings; fails when any differs, a line for each dimension."""
    if found := summaries.check(utcnow()):
        lines = "".join(f"\n  {each}" for each in found)
        then = "Once all entries are right, flask finance rebuild-summaries makes them anew"
        raise click.ClickException(f"sums differ from the postings:{lines}\n{then}")
    click.echo("all sums equal the postings")


@group.command("rebuild-summaries")
@click.option("--anyway", is_flag=True, help="Also while entries are known to be wrong.")
def rebuild(anyway: bool) -> None:
    """Make all sums anew from the postings. Reports stay right meanwhile, but are slow. Entries have to be right first:
    refused while any is not what its fact says."""
    if not anyway and (wrong := sum(each.kind in OF_ENTRIES for each in entry_findings(utcnow()))):
        raise click.ClickException(f"{wrong} entries are not what they should be: flask finance reconcile names them")
    parts = 0
    for parts in summaries.rebuild(utcnow()):
        click.echo(f"\r{parts} parts", nl=False)
    db.session.remove()
    click.echo(f"\r{parts} parts of the postings are in the sums")


def init_app(app: Flask) -> None:
    """The commands belong to the group that `finance.cli` adds."""
