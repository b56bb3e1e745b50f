"""Console pages of totals: by any dimension, what stands behind a figure, and what changed one."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from core.clock import local_day, utcnow
from core.db import db, read_snapshot
from core.errors import DomainError
from core.i18n import LANGUAGE_NAMES, format_money
from core.money import Money
from donations.models import Campaign
from finance import drill, names
from finance.charts import Bar, bars, lying_bars
from finance.exports.making import unproven
from finance.exports.orders import Order
from finance.facts import zones_of
from finance.filters import DIRECT, ELSEWHERE, NOBODY, Filters, day_start, parse, parse_moment
from finance.totals import TIMES, Report, Row, grand_totals, periods, require_dimension, totals
from finance.totals_names import CHANNEL_NAMES, DIMENSION_NAMES, FIGURE_NAMES, SPECIAL, labels, short_label
from offices import queries
from offices.console import page_number
from offices.labels import MEDIA_NAMES
from staff import frame
from staff.access import acting, allowed

blueprint = Blueprint("totals", __name__, template_folder="templates")
blueprint.context_processor(names.in_templates)

ROWS_SHOWN = 100
CHARTED = (*TIMES, "channel", "medium", "office", "region", "language", "provider")
PERIOD_NAMES = {"before": _l("the period before"), "year_before": _l("the same month last year")}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The net of a currency then, and the change since in per cent (None when there was nothing)."""

    name: Any
    first: date
    last: date
    net: Money
    percent: int | None


@blueprint.context_processor
def choices() -> dict[str, Any]:
    words = [(key, text) for key, text in SPECIAL.items() if key != DIRECT]
    return {
        "dimensions": DIMENSION_NAMES,
        "figure_names": FIGURE_NAMES,
        "channel_choices": [("", _("All")), *CHANNEL_NAMES.items(), (NOBODY, SPECIAL[NOBODY])],
        "medium_choices": [("", _("All")), *MEDIA_NAMES.items(), (DIRECT, SPECIAL[DIRECT]), (NOBODY, SPECIAL[NOBODY])],
        "language_choices": [("", _("All")), *LANGUAGE_NAMES.items()],
        "region_choices": [("", _("All")), *((each, each) for each in queries.regions()), *words],
        "zones_of": zones_of,
        "words": {"direct": DIRECT, "elsewhere": ELSEWHERE, "nobody": NOBODY},
        "money": lambda minor, currency: format_money(Money(minor, currency)),
    }


def _number() -> int:
    return min(max(1, page_number()), 100_000)


def _asked() -> Filters:
    """The filters of the address; all that follows in this request is read from one state. Raises what `parse` does."""
    read_snapshot()
    return parse(request.args, utcnow())


@blueprint.get("/staff/totals")
@allowed("finance", "campaign", "admin")
def totals_page() -> ResponseReturnValue:
    try:
        by, filters = require_dimension(request.args.get("by") or "month"), _asked()
    except DomainError as refusal:
        page = render_template("finance/totals.html", refusal=refusal, asked=request.args, **_ranges(utcnow()))
        return page, refusal.status
    report = totals(filters, by, limit=ROWS_SHOWN, offset=(_number() - 1) * ROWS_SHOWN)
    return render_template("finance/totals.html", refusal=None, asked=request.args, **_shown(report))


def _shown(report: Report) -> dict[str, Any]:
    filters, by = report.filters, report.by
    called = labels(by, report.rows)
    return {
        **_ranges(utcnow()),
        "report": report,
        "labels": called,
        "charts": {currency: _chart(report, currency, called) for currency in report.currencies},
        "comparisons": _comparisons(report),
        "campaigns": list(db.session.scalars(sa.select(Campaign).order_by(Campaign.id))),
        "behind": _behind if acting().has("finance", "admin") else None,
        "here": {**filters.query(), "by": by},
        "fixed": {**filters.fixed().query(), "by": by},
        "number": _number(),
        "pages": -(-report.count // ROWS_SHOWN),
        "settled": filters.is_settled(utcnow()),
        "has_sponsor": any(total.figures.sponsored for total in report.totals),
        "has_fx": any(total.figures.fx for total in report.totals),
    }


def _behind(report: Report, row: Row, figure: str) -> str | None:
    """The address of the postings behind a figure of a row or a total; None where no filters name them."""
    filters = report.filters.fixed()
    of_all = any(row is total for total in report.totals)
    narrow = filters if of_all else drill.narrowed(filters, report.by, row.key)
    if narrow is None:
        return None
    query: dict[str, Any] = narrow.query(currency=row.currency)
    return url_for(".lines_page", figure=figure, **query)


def _chart(report: Report, currency: str, called: dict[str, str]) -> Markup:
    if report.by not in CHARTED:
        return Markup("")
    timed = report.by in TIMES
    shown = [
        Bar(
            short_label(report.by, row.key) if timed else called[row.key],
            row.figures.net,
            f"{called[row.key]}: {format_money(Money(row.figures.net, currency))}",
        )
        for row in report.rows_in(currency)
    ]
    title = _(
        "Net by %(dimension)s, %(currency)s", dimension=str(DIMENSION_NAMES[report.by]).lower(), currency=currency
    )
    text = _("Bars of the rows in the table below, in the same order.")
    return (bars if timed else lying_bars)(shown, title=title, description=text, name=f"chart-{currency}")


def _comparisons(report: Report) -> dict[str, list[Comparison]]:
    """What each currency's net is compared with."""
    found: dict[str, list[Comparison]] = {currency: [] for currency in report.currencies}
    for name, filters in periods(report.filters):
        then = {total.currency: total.figures.net for total in grand_totals(filters)}
        for total in report.totals:
            net = then.get(total.currency, 0)
            percent = round((total.figures.net - net) * 100 / net) if net > 0 else None
            assert filters.first is not None
            assert filters.last is not None
            compared = Comparison(PERIOD_NAMES[name], filters.first, filters.last, Money(net, total.currency), percent)
            found[total.currency].append(compared)
    return found


def _ranges(now: datetime) -> dict[str, Any]:
    """Ranges that people ask for most: (text, first, last)."""
    today = local_day(now, names.in_templates()["zone"])
    month = today.replace(day=1)
    before = month - timedelta(days=1)
    monday = today - timedelta(days=today.weekday())
    return {
        "ranges": [
            (_("Today"), today, today),
            (_("Yesterday"), today - timedelta(days=1), today - timedelta(days=1)),
            (_("This week"), monday, today),
            (_("This month"), month, today),
            (_("Last month"), before.replace(day=1), before),
            (_("This year"), today.replace(month=1, day=1), today),
            (_("All"), None, None),
        ]
    }


@blueprint.get("/staff/totals.csv")
@allowed("finance", "campaign", "admin")
def totals_csv() -> Response:
    """All rows of the page, those on its other pages too: the file that an export of these totals would be."""
    by, filters = require_dimension(request.args.get("by") or "month"), _asked()
    order = Order(f"totals-{by}", "csv", filters.fixed())
    headers = {"Content-Disposition": f'attachment; filename="{order.file_name}"'}
    return Response(unproven(order), mimetype="text/csv", headers=headers)


@blueprint.get("/staff/totals/lines")
@allowed("finance", "admin")
def lines_page() -> str:
    """The postings that a figure is the sum of."""
    filters, figure = _asked(), request.args.get("figure", "")
    offset = (_number() - 1) * ROWS_SHOWN
    found = drill.lines(filters, figure, limit=ROWS_SHOWN + 1, offset=offset)
    return render_template(
        "finance/totals_lines.html",
        filters=filters,
        figure=figure,
        lines=found[:ROWS_SHOWN],
        more=len(found) > ROWS_SHOWN,
        number=_number(),
        sums=[(row.currency, dict(drill.figures_of(row.figures))[figure]) for row in grand_totals(filters)],
        query={**filters.fixed().query(), "figure": figure},
    )


@blueprint.get("/staff/totals/changes")
@allowed("finance", "admin")
def changes_page() -> ResponseReturnValue:
    """Why a total is not what it was: since the day began, or since any moment."""
    now = utcnow()
    try:
        filters = _asked()
        start = day_start(local_day(now, filters.zone), filters.zone)
        asked = request.args.get("since")
        since = parse_moment(asked, filters.zone, now, "since") if asked else min(start or now, filters.as_of)
        changed = drill.changes(filters, since)
    except DomainError as refusal:
        return render_template("finance/totals_changes.html", refusal=refusal, asked=request.args), refusal.status
    shown = _changed(filters, since, changed)
    return render_template("finance/totals_changes.html", refusal=None, asked=request.args, **shown)


def _changed(filters: Filters, since: datetime, changed: list[drill.Change]) -> dict[str, Any]:
    then = {row.currency: row.figures.earmarked for row in grand_totals(replace(filters, as_of=since))}
    now = {row.currency: row.figures.earmarked for row in grand_totals(filters)}
    found = drill.changed_lines(filters, since, limit=ROWS_SHOWN + 1, offset=(_number() - 1) * ROWS_SHOWN)
    return {
        "filters": filters,
        "since": since,
        "changes": changed,
        "sums": [(each, then.get(each, 0), now.get(each, 0)) for each in sorted({*then, *now})],
        "lines": found[:ROWS_SHOWN],
        "more": len(found) > ROWS_SHOWN,
        "number": _number(),
        "query": {**filters.fixed().query(), "since": since.isoformat()},
    }


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "totals.totals_page", _l("Totals"), icon="chart", order=41)
