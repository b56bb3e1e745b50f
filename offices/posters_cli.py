"""`flask posters …`: print runs of any size from the command line."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click
from flask import Flask
from flask.cli import AppGroup

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import DEFAULT_LOCALE, LOCALES
from offices import print_jobs
from offices import print_services as services
from offices.models import PrintBatch
from offices.print_errors import AlreadyPrinting, RunEnded, failure
from offices.printing import symbols
from offices.printing.formats import FORMATS
from offices.printing.texts import campaigns
from staff.audit import COMMAND_LINE, record_command

posters = AppGroup("posters", help="Posters, counter cards and stickers with QR codes.")

OUTPUT = click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Copy the finished file there.")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DomainError as refusal:
        raise click.ClickException(f"{refusal.code}: {refusal.message}") from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    with click.progressbar(length=total, label="pages", show_pos=True) as bar:
        yield lambda done, _: bar.update(done - bar.pos)


def _run(batch: PrintBatch, output: Path | None) -> None:
    """Print it here and now, and say where the file is."""
    batch_id, public_id = batch.id, batch.public_id
    _say_where_codes_lead(services.run_of(batch).link)
    try:
        with _progress(batch.total) as progress:
            printed = print_jobs.print_batch(batch_id, progress)
    except KeyboardInterrupt:
        raise click.ClickException(f"interrupted; `flask posters resume {public_id}` goes on from here") from None
    batch = db.session.get_one(PrintBatch, batch_id, populate_existing=True)
    if not printed:
        match batch.state:
            case "failed":
                raise failure(batch.error)
            case "cancelled":
                raise RunEnded
            case "queued" | "running":
                raise AlreadyPrinting
    _hand_over(batch, output)


def _say_where_codes_lead(link: str) -> None:
    click.echo(f"the codes lead to {link}…", err=True)
    if _is_local(urlsplit(link).hostname or ""):
        advice = "set PUBLIC_URL (or PORT) as the service has it, and print anew"
        click.secho(f"WARNING: no phone reaches that, it is an address of this machine: {advice}", err=True, fg="red")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _hand_over(batch: PrintBatch, output: Path | None) -> None:
    path = services.finished_file(batch)
    if output is not None:
        try:
            _copy(path, output)
        except OSError as fault:
            raise click.ClickException(f"{output}: {fault.strerror}; the finished file is {path}") from None
        path = output
    click.echo(f"{path}  {batch.total} pages  run {batch.public_id}")


def _copy(path: Path, output: Path) -> None:
    """The whole file, or none of it and an `OSError`."""
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f"{output.name}.draft")
    try:
        shutil.copyfile(path, draft)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


@posters.command("print")
@click.option("--campaign", required=True, help="Its short name in addresses.")
@click.option("--format", "format_", default="a4", show_default=True, help=f"One of {', '.join(FORMATS)}.")
@click.option("--copies", type=int, default=1, show_default=True, help="Pages for each office, each with its own code.")
@click.option("--office", "offices", multiple=True, help="Code of an office; may be given again.")
@click.option("--all-offices", is_flag=True, help="For all active offices.")
@click.option("--language", type=click.Choice(LOCALES), default=DEFAULT_LOCALE, show_default=True)
@click.option("--packaging", type=click.Choice(services.PACKAGINGS), default="pdf", show_default=True)
@OUTPUT
def print_(
    campaign: str,
    format_: str,
    copies: int,
    offices: tuple[str, ...],
    all_offices: bool,
    language: str,
    packaging: str,
    output: Path | None,
) -> None:
    """Make posters, each with a code of its own, and print them into one PDF or a ZIP with one for each office."""
    if bool(offices) == all_offices:
        raise click.UsageError("name offices with --office, or give --all-offices")
    campaign_id = campaigns().find(campaign)
    if campaign_id is None:
        raise click.ClickException(f"no campaign {campaign}")
    with _refusals():
        with unit_of_work():
            batch = services.create_batch(
                campaign_id=campaign_id,
                format=format_,
                language=language,
                copies=copies,
                offices=None if all_offices else offices,
                packaging=packaging,
                created_by=COMMAND_LINE,
                now=utcnow(),
            )
            after = {"format": batch.format, "language": language, "copies": copies, "pages": batch.total}
            record_command("posters.ordered", f"print_run:{batch.public_id}", after=after, now=utcnow())
        click.echo(f"run {batch.public_id}: {batch.total} pages", err=True)
        _run(batch, output)


@posters.command("resume")
@click.argument("run")
@OUTPUT
def resume(run: str, output: Path | None) -> None:
    """Go on with a run that failed or was interrupted; print one again as it was when its file is gone."""
    with _refusals():
        with unit_of_work():
            batch = services.find_batch(run)
            before = {"state": batch.state}
            services.print_again(batch, utcnow())
            _record_state("posters.ordered_again", batch, before)
        if batch.state == "done":
            _hand_over(batch, output)
        else:
            _run(batch, output)


@posters.command("cancel")
@click.argument("run")
def cancel(run: str) -> None:
    """Stop a run. If it was never done its codes are retired; posters that hang already stay in use."""
    with _refusals(), unit_of_work():
        batch = services.find_batch(run)
        before = {"state": batch.state}
        services.cancel(batch, utcnow())
        _record_state("posters.cancelled", batch, before)
    click.echo("cancelled" if batch.state == "cancelled" else "stopped; its posters stay in use")


def _record_state(action: str, batch: PrintBatch, before: dict[str, str]) -> None:
    after = {"state": batch.state}
    record_command(action, f"print_run:{batch.public_id}", before=before, after=after, now=utcnow())


@posters.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def list_(limit: int) -> None:
    """The newest runs, one a line: time, state, pages, format, language, run, error."""
    for batch in services.newest(limit):
        cells = (f"{batch.created_at:%Y-%m-%d %H:%M:%S}", batch.state, f"{batch.done}/{batch.total}", batch.format)
        click.echo("  ".join([*cells, batch.language, batch.public_id, batch.error or ""]).rstrip())


@posters.command("symbol")
@click.argument("code")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A .svg or .png file.")
def symbol(code: str, output: Path) -> None:
    """The bare QR symbol of one placement, for somebody else's layout."""
    with _refusals():
        address = services.address_of(code)
    match output.suffix.lower():
        case ".svg":
            drawn = symbols.svg(address).encode()
        case ".png":
            drawn = symbols.png(address)
        case other:
            raise click.UsageError(f"{other or 'no ending'}: a .svg or .png file is needed")
    try:
        output.write_bytes(drawn)
    except OSError as fault:
        raise click.ClickException(f"{output}: {fault.strerror}") from None
    click.echo(str(output))


def init_app(app: Flask) -> None:
    app.cli.add_command(posters)
