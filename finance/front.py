"""What finance sees first in the console: today's total and what changed it, files of the last month, spending."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from flask import Flask, render_template

from core.clock import local_day, utcnow
from core.db import read_snapshot
from core.i18n import current_locale
from core.money import Money
from finance import drill, funds, names
from finance.filters import Filters, day_start
from finance.totals import grand_totals
from ledger import periods
from staff import frame
from staff.access import Actor


@dataclass(frozen=True)
class Today:
    """The earmarked total of a currency, in minor units, and what was recorded since yesterday's end."""

    currency: str
    now: int
    difference: int
    changes: list[drill.Change]


def _today_card(_actor: Actor) -> str:
    read_snapshot()
    now = utcnow()
    filters = Filters(as_of=now, zone=periods.ZONE)
    since = day_start(local_day(now, filters.zone), filters.zone) or now
    before, changes = _earmarked(replace(filters, as_of=since)), drill.changes(filters, since)
    sums = [
        Today(currency, total, total - before.get(currency, 0), [each for each in changes if each.currency == currency])
        for currency, total in _earmarked(filters).items()
    ]
    words = names.in_templates()
    return render_template("finance/_today_card.html", sums=sums, money=Money, as_of=now, **words)


def _earmarked(filters: Filters) -> dict[str, int]:
    return {row.currency: row.figures.earmarked for row in grand_totals(filters)}


def _files_card(_actor: Actor) -> str:
    last = local_day(utcnow(), periods.ZONE).replace(day=1) - timedelta(days=1)
    options: dict[str, Any] = {"first": last.replace(day=1), "last": last, "locale": current_locale()}
    return render_template("finance/_files_card.html", month=last, options=options)


def _spending_card(_actor: Actor) -> str:
    available = [(fund, totals.money(totals.available)) for fund, totals in funds.with_totals()]
    return render_template("finance/_spending_card.html", funds=available)


def init_app(app: Flask) -> None:
    frame.add_card(app, _today_card, "finance", order=4)
    frame.add_card(app, _files_card, "finance", order=6)
    frame.add_card(app, _spending_card, "finance", order=8)
