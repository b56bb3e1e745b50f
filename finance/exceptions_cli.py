"""`flask finance exceptions | resolve`: the queue of finance by hand, with the acts of the console."""

from collections.abc import Callable
from datetime import datetime

import click
import sqlalchemy as sa
from flask import Flask, current_app
from flask_babel import force_locale

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.money import Money
from finance import corrections, errors, exceptions, stray_refunds
from finance.cli import group
from finance.exception_kinds import AGAIN, ASIDE, CORRECT, FEE, KINDS, LINK, REFUND, RETRY
from finance.exceptions import Wanted
from finance.forms import read_text
from ledger.models import Fund, LedgerException
from staff import audit
from staff.access import Actor
from staff.audit import COMMAND_LINE

EXPLAIN, CHARGE = "explain", "charge"
ACTS = (CORRECT, LINK, REFUND, CHARGE, ASIDE, RETRY, EXPLAIN)
LONGEST_REASON = 160
# Whoever may run commands here: no member of the staff, so never a second person who approves.
BY_COMMAND = Actor(0, COMMAND_LINE, COMMAND_LINE, frozenset({"finance"}), "-")


@group.command("exceptions")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--older", type=click.IntRange(min=0), default=0, help="Only those older than so many days.")
@click.option("--closed", is_flag=True, help="Those that were resolved, the last one first.")
def show(kind: str | None, older: int, closed: bool) -> None:
    """What does not agree: number, age, amount, kind, what it is about, and the acts that resolve it."""
    now = utcnow()
    found = list(db.session.scalars(exceptions.listed(Wanted(kind or "", older, closed), now)))
    for row in found:
        click.echo(_told(row, now))
    if not found:
        click.echo("nothing is open" if not closed else "nothing was found")


def _told(row: LedgerException, now: datetime) -> str:
    amount = ""
    if row.amount_minor is not None and row.currency is not None:
        amount = f"{Money(row.amount_minor, row.currency).major} {row.currency}"
    ends = f"{row.resolved_by or ''} {row.resolution}".strip() if row.resolved_at else " ".join(_acts(row))
    age = f"{(now - row.opened_at).days}d"
    return f"{row.id:>6}  {age:>5}  {amount:>16}  {row.kind:<24}  {row.source_type} {row.source_id}  [{ends}]"


def _acts(row: LedgerException) -> list[str]:
    names = {FEE: CHARGE}
    return [names.get(act, act) for act in exceptions.acts_of(row) if act != AGAIN] + [EXPLAIN]


@group.command("resolve")
@click.argument("number", type=int)
@click.option(
    "--act", type=click.Choice(ACTS), required=True, help="What to do about it; `exceptions` names what can be."
)
@click.option("--reason", required=True, help="Kept with it and in the audit log.")
@click.option("--donation", default="", help="For link: the donation's number.")
@click.option("--fund", "fund_code", default="", help="For charge: the fund whose fee it is.")
def resolve(number: int, act: str, reason: str, donation: str, fund_code: str) -> None:
    """Do something about the matter NUMBER, as the console does."""
    now = utcnow()
    with force_locale("en"):
        try:
            why = read_text(reason, "reason", limit=LONGEST_REASON)
            row = exceptions.find(number)
            if act not in _acts(row) or row.resolved_at is not None:
                raise errors.Resolved if row.resolved_at is not None else errors.NotCorrectable
            if act == RETRY:
                _retry(row, why, now)
            else:
                _do(number, act, why, donation, fund_code, now)
        except DomainError as refusal:
            raise click.ClickException(refusal.message) from refusal
    db.session.expire_all()
    row = exceptions.find(number)
    click.echo(f"{row.kind} {row.source_id}: {'resolved' if row.resolved_at else 'still open'}")


def _do(number: int, act: str, reason: str, donation: str, fund_code: str, now: datetime) -> None:
    limit = current_app.config["REFUND_ALONE_UP_TO"]
    acts: dict[str, Callable[[LedgerException], object]] = {
        CORRECT: lambda row: corrections.correct(row, reason, BY_COMMAND, now),
        LINK: lambda row: exceptions.link_to_donation(row, donation, reason, BY_COMMAND, now),
        REFUND: lambda row: stray_refunds.order(row, reason, BY_COMMAND, alone_up_to=limit, now=now),
        CHARGE: lambda row: exceptions.charge_to_fund(row, _fund(fund_code), reason, BY_COMMAND, now),
        ASIDE: lambda row: exceptions.put_aside(row, reason, BY_COMMAND, now),
        EXPLAIN: lambda row: exceptions.explain(row, reason, BY_COMMAND, now),
    }
    db.session.rollback()
    with unit_of_work():
        acts[act](exceptions.find(number))


def _fund(code: str) -> Fund:
    found = db.session.scalar(sa.select(Fund).where(Fund.code == code))
    if found is None:
        raise errors.FundUnknown(field="fund")
    return found


def _retry(row: LedgerException, reason: str, now: datetime) -> None:
    kind, source_id = row.kind, row.source_id
    db.session.rollback()
    worked = exceptions.retry(kind, source_id, now)
    with unit_of_work():
        after = {"worked": worked, "reason": reason}
        audit.record(
            COMMAND_LINE, "exception.retried", f"exception:{kind}:{source_id}", after=after, now=now, address="-"
        )


def init_app(app: Flask) -> None:
    """The group is `finance.cli`'s; its commands are registered by importing this."""
