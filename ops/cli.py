"""Commands of whoever runs the service."""

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from flask_migrate import upgrade

from core.clock import utcnow
from core.jobs import prepare_queue, run_worker
from ops.demo import seed_demo
from ops.demo_bank import seed_bank
from ops.demo_history import DAYS, NoSandbox, make_history, spend
from ops.demo_staff import NotInDevelopment, seed_staff
from ops.demo_stock import seed_stock

demo = AppGroup("demo", help="Demonstration data.")


@demo.command("seed")
def seed() -> None:
    """Make the demonstration campaign if it is not there yet."""
    click.echo("made the demonstration campaign" if seed_demo(utcnow()) else "the demonstration campaign is there")


@demo.command("staff")
def seed_members() -> None:
    """Make offices and one member of staff for each role; their password is in the README. Only in development."""
    try:
        click.echo("made members of staff" if seed_staff(utcnow()) else "the members of staff are there")
    except NotInDevelopment:
        raise click.ClickException("everybody knows their password: only with APP_ENV=development") from None


@demo.command("stock")
def seed_shelves() -> None:
    """Put packs on the shelves of the demonstration's offices if there is no stock yet."""
    click.echo("put packs on the shelves" if seed_stock(utcnow()) else "nothing was made: there is stock, or no office")


@demo.command("bank")
def seed_accounts() -> None:
    """Make two bank accounts, with how their statements are read, if there is none yet."""
    click.echo("made bank accounts" if seed_bank(utcnow()) else "nothing was made: there is a bank account")


@demo.command("history")
@click.option("--days", type=click.IntRange(1, DAYS), default=DAYS, show_default=True, help="How far back it begins.")
def history(days: int) -> None:
    """Let the running sandbox make a month of gifts, refunds, disputes and payouts, and spend half of them.

    For trying finance's pages; nobody gave anything. Only with the sandbox; once.
    """
    try:
        made = make_history(utcnow(), days=days)
    except NoSandbox as reason:
        raise click.ClickException(
            f"start the service with `make run` first: the sandbox is needed. {reason}"
        ) from None
    if not made:
        click.echo("the history is there")
        return
    click.echo(f"made {made} gifts of the sandbox" + (", and spent half of them" if spend(utcnow()) else ""))


@click.command("worker")
@click.option("--threads", type=click.IntRange(1, 64), help="Jobs run at once; WORKER_THREADS by default.")
def worker(threads: int | None) -> None:
    """Run background work until stopped: jobs, sweeps, e-mail."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    run_worker(app, threads or app.config["WORKER_THREADS"])


@click.command("setup")
def setup() -> None:
    """Bring the database to the present schema; outside production also make the demonstration campaign, and in
    development offices, members of staff, stock and bank accounts."""
    upgrade()
    prepare_queue(current_app._get_current_object())  # type: ignore[attr-defined]
    if current_app.config["APP_ENV"] != "production":
        seed_demo(utcnow())
    if current_app.config["APP_ENV"] == "development":
        seed_staff(utcnow())
        seed_stock(utcnow())
        seed_bank(utcnow())


def init_app(app: Flask) -> None:
    app.cli.add_command(setup)
    app.cli.add_command(demo)
    app.cli.add_command(worker)
