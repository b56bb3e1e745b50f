"""`flask finance …`: reports of what was raised."""

import sys
from datetime import datetime
from pathlib import Path

import click
from flask import Flask
from flask.cli import AppGroup

from core.i18n import format_money
from core.money import Money
from donations.errors import UnknownCampaign
from donations.models import Campaign
from donations.queries import campaign_by_slug, front_campaign
from finance.funnel import DAYS, DIMENSIONS, FunnelRow, funnel, total, write_csv

group = AppGroup("finance", help="What was raised, and where.")
DAY = click.DateTime(formats=["%Y-%m-%d"])


def _campaign(slug: str | None) -> Campaign:
    try:
        return campaign_by_slug(slug) if slug else front_campaign()
    except UnknownCampaign:
        raise click.ClickException(f"no campaign {slug or 'yet'}") from None


@group.command("funnel")
@click.option("--by", type=click.Choice(DIMENSIONS), default="placement", show_default=True)
@click.option("--campaign", "slug", help="Its slug; the first one by default.")
@click.option("--from", "first", type=DAY, help="First day (YYYY-MM-DD, the campaign's zone) of gifts and money.")
@click.option("--to", "last", type=DAY, help="Last day, included.")
@click.option(
    "--csv", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write a file; - for standard output."
)
def show_funnel(by: str, slug: str | None, first: datetime | None, last: datetime | None, path: Path | None) -> None:
    """Scans, gifts started and paid, money, packs collected. Scans are totals: they keep no day."""
    if first and last and first > last:
        raise click.UsageError("--from is after --to")
    if any(day and not DAYS[0] <= day.date() <= DAYS[1] for day in (first, last)):
        raise click.UsageError(f"days are from {DAYS[0]} to {DAYS[1]}")
    campaign = _campaign(slug)
    rows = funnel(campaign, by, first=first.date() if first else None, last=last.date() if last else None)
    if path is None:
        _echo(rows, campaign.currency)
    elif str(path) == "-":
        write_csv(sys.stdout, rows, campaign.currency)
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            write_csv(file, rows, campaign.currency)
        click.echo(f"{len(rows)} rows in {path}")


def _echo(rows: list[FunnelRow], currency: str) -> None:
    click.echo(f"{'':<32}{'scans':>9}{'started':>9}{'paid':>9}{'kept':>16}{'collected':>11}")
    for row in [*rows, total(rows)]:
        name = " ".join(filter(None, [row.key or "(no office)", row.label if row.label != row.key else "", row.office]))
        name = name if row.attributed else "(unattributed)"
        money = format_money(Money(row.kept, currency), "en")
        click.echo(f"{name[:31]:<32}{row.scans:>9}{row.started:>9}{row.paid:>9}{money:>16}{row.collected:>11}")


def init_app(app: Flask) -> None:
    app.cli.add_command(group)
