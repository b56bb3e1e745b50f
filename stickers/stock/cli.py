"""`flask stock …`: receive deliveries, show levels, check that everything adds up."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask
from flask.cli import AppGroup

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.i18n import DEFAULT_LOCALE
from offices.queries import office_by_code
from staff import audit
from stickers.stock import acts, checks, queries, services
from stickers.stock.acts import By

group = AppGroup("stock", help="Stock of sticker packs.")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DomainError as refusal:
        raise click.ClickException(f"{refusal.code}: {refusal.message}") from None


@group.command("receive")
@click.argument("office")
@click.argument("pack")
@click.argument("quantity", type=click.IntRange(1, services.MOST))
@click.option("--reference", required=True, help="The delivery note they came with.")
def receive(office: str, pack: str, quantity: int, reference: str) -> None:
    """Put packs that came from the warehouse on an office's stock."""
    with _refusals(), unit_of_work():
        place, what = office_by_code(office), queries.pack_by_code(pack)
        acts.receive(place, what, quantity, reference=reference, by=By(audit.COMMAND_LINE, "-", utcnow()))
        level = services.level_of(place.id, what.id)
    click.echo(f"{place.code} has {level} of {what.code}")


@group.command("show")
@click.argument("office", required=False)
@click.option("--low", is_flag=True, help="Only packs that run low or are out.")
def show(office: str | None, low: bool) -> None:
    """Levels, one a line: office, pack, packs left, on the way, standing."""
    with _refusals():
        wanted = office_by_code(office).code if office else None
    for place in queries.places({}):
        if (wanted is None or place.office == wanted) and not (low and place.standing == "enough"):
            cells = (place.office, place.pack, str(place.quantity), str(place.coming), place.standing)
            click.echo("  ".join([*cells, place.office_name.in_locale(DEFAULT_LOCALE)]))


@group.command("check")
def check() -> None:
    """Compare levels, movements and transfers. Ends with 1 and names every fault when they do not add up."""
    found = checks.faults()
    for fault in found:
        click.echo(f"{fault.place}: {fault.what}")
    if found:
        raise click.ClickException(f"{len(found)} faults")
    click.echo("levels, movements and transfers agree")


def init_app(app: Flask) -> None:
    app.cli.add_command(group)
