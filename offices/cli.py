"""`flask offices …` and `flask placements …`: lists that come and go as CSV, links for single places."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.i18n import DEFAULT_LOCALE, LOCALES
from offices import exporting, queries, services
from offices.importing import Change, ImportRefused, Report, check_offices, import_offices
from offices.models import MEDIA, PLACEMENT_STATES, Placement
from staff.audit import record_command

offices = AppGroup("offices", help="MTS offices.")
placements = AppGroup("placements", help="Places where a short link hangs.")

CODES_RECORDED = 100

FILE = click.Path(dir_okay=False, path_type=Path)
EXCEL = click.option("--excel", is_flag=True, help="With ; and a byte-order mark, as Excel expects it here.")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DomainError as refusal:
        raise click.ClickException(f"{refusal.code}: {refusal.message}") from None


@offices.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only tell what would happen.")
@click.option("--close-anyway", is_flag=True, help="Also close offices that still have packs, or some on the way.")
def import_(file: Path, dry_run: bool, close_anyway: bool) -> None:
    """Make and update offices from CSV; nothing unless every line is good."""
    with file.open("rb") as stream:
        report = check_offices(stream) if dry_run else _import(stream, file.name, close_anyway)
    _echo_report(report)
    if not report.good:
        raise click.ClickException(f"{len(report.faults)} faults; nothing was imported")
    if dry_run:
        click.echo("dry run: nothing was imported")


def _import(stream: BinaryIO, name: str, close_anyway: bool) -> Report:
    now = utcnow()

    def changed(code: str, before: Change, after: Change) -> None:
        record_command("office.changed", f"office:{code}", before=before, after=after, now=now)

    try:
        with unit_of_work():
            report = import_offices(stream, changed, close_anyway=close_anyway)
            after = {"file": name[:100], "new": report.new, "changed": report.changed, "same": report.same}
            record_command("offices.imported", "offices", after=after, now=now)
            return report
    except ImportRefused as refusal:
        return refusal.report


def _echo_report(report: Report) -> None:
    for fault in report.faults or report.closing:
        place = f"line {fault.line}" + (f", column {fault.column}" if fault.column else "")
        click.echo(f"{place}: {fault.code}: {fault.reason}", err=True)
    click.echo(
        f"{report.lines} offices ({report.encoding}, separator {report.separator!r}): "
        f"{report.new} new, {report.changed} changed, {report.same} as they were"
    )


def _write(path: Path | None, excel: bool, write: Callable[[TextIO, str], int]) -> None:
    separator = ";" if excel else ","
    if path is None:
        write(sys.stdout, separator)
        return
    with path.open("w", encoding="utf-8-sig" if excel else "utf-8", newline="") as file:
        count = write(file, separator)
    click.echo(f"{count} rows in {path}")


@offices.command("export")
@click.argument("file", type=FILE, required=False)
@EXCEL
def export_offices(file: Path | None, excel: bool) -> None:
    """All offices as CSV, as `import` takes it; to standard output without FILE."""
    _write(file, excel, exporting.write_offices)


@placements.command("add")
@click.option("--medium", type=click.Choice(MEDIA), required=True)
@click.option("--office", help="Its code.")
@click.option("--language", type=click.Choice(LOCALES), default=DEFAULT_LOCALE, show_default=True)
@click.option("--label", default="", help="What tells it from others, such as the street or the blogger's name.")
@click.option("--campaign", "slug", help="Its slug; the first one by default.")
@click.option("--count", type=click.IntRange(1, 10_000), default=1, show_default=True)
def add(medium: str, office: str | None, language: str, label: str, slug: str | None, count: int) -> None:
    """Make links; one line for each: code and address."""
    campaign = queries.campaign_id(slug)
    if campaign is None:
        raise click.ClickException(f"no campaign {slug or 'yet'}")
    with _refusals(), unit_of_work():
        office_id = queries.office_by_code(office).id if office else None
        place = services.Place(campaign, medium, language, office_id=office_id, label=label)
        made = services.add_placements([place] * count, utcnow())
        _record_made(made, office)
    for placement in made:
        click.echo(_line(placement))


def _record_made(made: list[Placement], office: str | None) -> None:
    """One act, however many were made."""
    first = made[0]
    about = {"medium": first.medium, "language": first.language, "office": office, "label": first.label}
    if len(made) == 1:
        record_command("placement.made", f"placement:{first.code}", after=about, now=utcnow())
    else:
        after = {**about, "count": len(made), "codes": [each.code for each in made[:CODES_RECORDED]]}
        record_command("placements.made", "placements", after=after, now=utcnow())


def _line(placement: Placement) -> str:
    return f"{placement.code}  {exporting.address(placement.code, current_app.config['PUBLIC_URL'])}"


@placements.command("list")
@click.option("--medium", type=click.Choice(MEDIA))
@click.option("--state", type=click.Choice(PLACEMENT_STATES))
@click.option("--office", help="Its code.")
def list_placements(medium: str | None, state: str | None, office: str | None) -> None:
    """One a line: code, state, medium, language, office, number of the poster, scans, label."""
    with _refusals():
        office_id = queries.office_by_code(office).id if office else None
    for each in queries.placements(medium=medium, state=state, office_id=office_id):
        cells: list[Any] = [each.code, f"{each.state:<8}", f"{each.medium:<13}", each.language]
        cells += [
            f"{each.office.code if each.office else '-':<12}",
            f"{each.poster_number or '-':>6}",
            f"{each.scans:>8}",
            each.label,
        ]
        click.echo("  ".join(cells).rstrip())


@placements.command("retire")
@click.argument("code")
def retire(code: str) -> None:
    """Take a link out of use: whoever scans it can still give, for no place."""
    with _refusals(), unit_of_work():
        placement = services.retire(code)
        change = {"before": {"state": "active"}, "after": {"state": "retired"}}
        record_command("placement.retired", f"placement:{placement.code}", now=utcnow(), **change)
    click.echo(f"{placement.code} is retired")


@placements.command("replace")
@click.argument("code")
def replace(code: str) -> None:
    """A new link for the same place; the old one leads on as the new one."""
    with _refusals(), unit_of_work():
        old, new = queries.placement_by_code(code).code, services.replace(code, utcnow())
        change = {"before": {"state": "active"}, "after": {"replaced_by": new.code}}
        record_command("placement.replaced", f"placement:{old}", now=utcnow(), **change)
    click.echo(_line(new))


@placements.command("export")
@click.argument("file", type=FILE, required=False)
@EXCEL
def export_placements(file: Path | None, excel: bool) -> None:
    """All placements with addresses and scans as CSV; to standard output without FILE."""
    origin = current_app.config["PUBLIC_URL"]
    _write(file, excel, lambda out, separator: exporting.write_placements(out, separator, origin))


def init_app(app: Flask) -> None:
    app.cli.add_command(offices)
    app.cli.add_command(placements)
