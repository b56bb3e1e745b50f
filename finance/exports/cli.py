"""`flask finance export`: a file with its manifest, from the command line."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from flask import Flask

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.files import reason_of
from core.i18n import DEFAULT_LOCALE, LOCALES
from finance.cli import group
from finance.exports.datasets import DATASETS
from finance.exports.errors import failure
from finance.exports.formats import WRITERS
from finance.exports.formats.base import ENCODINGS
from finance.exports.jobs import manifest_text
from finance.exports.making import make
from finance.exports.orders import Order
from finance.exports.snapshot import Snapshot
from finance.filters import NAMES
from staff import audit

STANDARD_OUTPUT = "-"


class _Bar:
    """Progress on the error output: the standard one may be the file."""

    def __init__(self) -> None:
        self._bar: Any = None

    def begins(self, snapshot: Snapshot, total: int) -> None:
        if total:
            self._bar = click.progressbar(length=total, label="rows", show_pos=True, file=sys.stderr)

    def goes_on(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._bar.pos)

    def ends(self) -> None:
        if self._bar is not None:
            self._bar.render_finish()


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(NAMES):
        command = click.option(f"--{name.replace('_', '-')}", name, help=f"Filter: {name}, as on the totals page.")(
            command
        )
    return command


@group.command("export")
@click.argument("dataset", type=click.Choice(list(DATASETS)))
@click.option("--format", "format_", type=click.Choice(list(WRITERS)), help="The first one of the data by default.")
@click.option("--locale", type=click.Choice(LOCALES), default=DEFAULT_LOCALE, show_default=True, help="Of titles.")
@click.option("--encoding", type=click.Choice(ENCODINGS), default="utf-8", show_default=True)
@click.option("--names", is_flag=True, help="With names and addresses of donors; written into the audit log.")
@click.option("--output", "-o", default=STANDARD_OUTPUT, help="A file; its manifest goes beside it. - is the output.")
@click.option(
    "--manifest", "manifest_path", type=click.Path(dir_okay=False, path_type=Path), help="Manifest elsewhere."
)
@_filters
def export(
    dataset: str,
    format_: str | None,
    locale: str,
    encoding: str,
    names: bool,
    output: str,
    manifest_path: Path | None,
    **filters: str | None,
) -> None:
    """Everything of DATASET, as of a moment a minute ago or earlier. The same options give the same file later."""
    now = utcnow()
    options = {"dataset": dataset, "format": format_, "locale": locale, "encoding": encoding, "names": names}
    try:
        order = Order.read({**filters, **options}, now)
        if order.clamped:
            click.echo(f"as of {order.filters.as_of.isoformat()}: a minute ago is the latest there is", err=True)
        _export(order, output, manifest_path)
    except DomainError as refusal:
        where = f" ({refusal.field})" if refusal.field else ""
        raise click.ClickException(f"{refusal.code}{where}: {refusal.message}") from None


def _export(order: Order, output: str, manifest_path: Path | None) -> None:
    target = None if output == STANDARD_OUTPUT else Path(output)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        manifest_path = manifest_path or target.with_name(f"{target.name}.manifest.json")
    try:
        # The file is whole and proven before anything of it is handed over.
        with tempfile.TemporaryDirectory(dir=target.parent if target else None, prefix=".export-") as directory:
            draft = Path(directory) / order.file_name
            manifest = _make(order, draft)
            if target is not None:
                manifest["file"] = target.name
                draft.replace(target)
            else:
                with draft.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
    except OSError as error:
        raise failure(reason_of(error)) from None
    if manifest_path is not None:
        manifest_path.write_text(manifest_text(manifest), encoding="utf-8")
    click.echo(f"{manifest['rows']} rows, {manifest['bytes']} bytes, sha256 {manifest['sha256']}", err=True)


def _make(order: Order, draft: Path) -> dict[str, Any]:
    bar, now = _Bar(), utcnow()
    with unit_of_work():
        subject = f"export:{order.dataset}"
        audit.record(audit.COMMAND_LINE, "export.ordered", subject, after=order.options(), now=now, address="-")
    manifest = make(order, draft, who=audit.COMMAND_LINE, now=now, watch=bar)
    bar.ends()
    return manifest


def init_app(app: Flask) -> None:
    """The command is in the group of `finance.cli`, which is registered there."""
