"""Console page of the funnel: which place raised what."""

from datetime import date, timedelta
from io import StringIO
from typing import Any

from flask import Blueprint, Flask, Response, render_template, request
from flask_babel import lazy_gettext as _l

from core.clock import local_day, utcnow
from core.errors import Invalid
from core.money import Money
from donations import queries
from donations.models import Campaign
from finance.filters import Filters
from finance.funnel import DAYS, DIMENSIONS, funnel, total, write_csv
from finance.totals import Figures, grand_totals
from offices.labels import MEDIA_NAMES
from offices.queries import campaign_choices
from staff import frame
from staff.access import Actor, allowed

blueprint = Blueprint("finance", __name__, template_folder="templates")

ROWS_SHOWN = 200
DIMENSION_NAMES = {
    "placement": _l("Link"),
    "office": _l("Office"),
    "region": _l("Region"),
    "medium": _l("Medium"),
}


class DayInvalid(Invalid):
    code = "day_invalid"
    text = _l("A day is written as 2026-02-09, and the first one comes first.")


def _day(name: str) -> date | None:
    """Raises `DayInvalid`."""
    text = request.args.get(name, "").strip()
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        raise DayInvalid(field=name) from None
    if day and not DAYS[0] <= day <= DAYS[1]:
        raise DayInvalid(field=name)
    return day


def _asked() -> dict[str, Any]:
    """The dimension and the days that the address asks for. Raises `DayInvalid`."""
    first, last = _day("first"), _day("last")
    if first and last and first > last:
        raise DayInvalid(field="last")
    by = request.args.get("by", "office")
    return {"by": by if by in DIMENSIONS else "office", "first": first, "last": last}


def _campaign() -> Campaign:
    slug = request.args.get("campaign")
    return queries.campaign_by_slug(slug) if slug else queries.front_campaign()


@blueprint.get("/staff/funnel")
@allowed("finance", "campaign", "admin")
def funnel_page() -> str:
    campaign, asked = _campaign(), _asked()
    rows = funnel(campaign, **asked)
    return render_template(
        "finance/funnel.html",
        campaign=campaign,
        campaigns=campaign_choices(),
        rows=rows[:ROWS_SHOWN],
        more=max(0, len(rows) - ROWS_SHOWN),
        total=total(rows),
        dimensions=DIMENSION_NAMES,
        media=MEDIA_NAMES,
        money=lambda minor: Money(minor, campaign.currency),
        **asked,
    )


@blueprint.get("/staff/funnel.csv")
@allowed("finance", "campaign", "admin")
def funnel_csv() -> Response:
    """All rows, also those the page leaves out."""
    campaign, asked = _campaign(), _asked()
    text = StringIO(newline="")
    write_csv(text, funnel(campaign, **asked), campaign.currency)
    headers = {"Content-Disposition": f'attachment; filename="funnel-{asked["by"]}.csv"'}
    return Response("\ufeff" + text.getvalue(), mimetype="text/csv", headers=headers)


def _card(_actor: Actor) -> str:
    """The last seven days at a glance."""
    campaign, now = queries.front_campaign(), utcnow()
    last = local_day(now, campaign.zone)
    week = Filters(as_of=now, zone=campaign.zone, campaign=campaign.slug, first=last - timedelta(days=6), last=last)
    figures = next((total.figures for total in grand_totals(week)), Figures())
    return render_template(
        "finance/_card.html",
        paid=figures.gifts,
        started=queries.started_since(campaign, week.moments()[0] or now),
        kept=Money(figures.gross - figures.refunds - figures.disputes, campaign.currency),
        first=week.first,
    )


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "finance.funnel_page", _l("Funnel"), icon="funnel", order=40)
    frame.add_card(app, _card, "finance", "campaign", "admin", order=20)
