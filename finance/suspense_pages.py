"""The page and the command of what stands in suspense."""

import click
from flask import Blueprint, Flask, render_template, url_for
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import read_snapshot
from core.i18n import format_money
from core.money import Money
from finance import names
from finance.cli import group
from finance.exception_kinds import kind_of
from finance.overspent import overspent
from finance.suspense import Item, suspense
from staff import frame
from staff.access import Actor, allowed

blueprint = Blueprint("suspense", __name__, template_folder="templates")
blueprint.context_processor(names.in_templates)

WHAT = {
    "bank_line": _l("A line of the bank"),
    "line": _l("A line of the provider"),
    "payment": _l("A payment that is no gift of ours"),
}


@blueprint.get("/staff/suspense")
@allowed("finance", "admin")
def overview() -> str:
    """By thing: how much, since when, and where its act is."""
    read_snapshot()
    return render_template(
        "finance/suspense.html",
        held=suspense(),
        what=WHAT,
        where=where,
        kind_of=kind_of,
        money=Money,
        now=utcnow(),
    )


def where(item: Item) -> str:
    """The page that has the act which resolves it; none for what was never put before anybody."""
    if item.what == "bank_line":
        return url_for("bank.line_page", public_id=item.ref)
    return url_for("exceptions.show", number=item.exception.id) if item.exception else ""


@group.command("suspense")
def show_suspense() -> None:
    """What stands in suspense, thing by thing, the oldest first. Fails when they are not what the accounts say."""
    held, now = suspense(), utcnow()
    for item in held.items:
        state = "explained" if item.explained else ""
        amount = format_money(item.amount, "en")
        click.echo(f"{amount:>18}  {item.age(now):>4} days  {item.what:<10} {item.ref}  {state}".rstrip())
    for currency, minor in sorted(held.totals.items()):
        click.echo(f"{format_money(Money(minor, currency), 'en'):>18}  in all")
    for currency, minor in held.differences.items():
        click.echo(f"{format_money(Money(minor, currency), 'en'):>18}  in the account that nothing explains", err=True)
    if held.differences:
        raise SystemExit(1)


def _overspent_card(_actor: Actor) -> str:
    found = overspent()
    return render_template("finance/_overspent_card.html", found=found) if found else ""


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_card(app, _overspent_card, "finance", "admin", order=1)
