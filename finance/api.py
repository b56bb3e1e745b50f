"""Totals for machines."""

from typing import Any

from flask import Flask, request
from marshmallow import Schema, fields

from core.clock import utcnow
from core.db import read_snapshot
from core.errors import Invalid
from core.schemas import Blueprint, ErrorOut
from finance.facts import zones_of
from finance.filters import NAMES, parse
from finance.totals import DIMENSIONS, Row, totals
from staff.access import allowed

blueprint = Blueprint("totals_api", __name__, url_prefix="/api/v1", description="Totals for finance")

PAGE, MOST = 1000, 5000
_HELP = {
    "by": f"Dimension, one of {', '.join(DIMENSIONS)}.",
    "limit": f"At most so many rows ({PAGE} by default, {MOST} at most).",
    "offset": "Rows to leave out at the beginning; send `as_of` along, so that all pages are of one report.",
}
PARAMETERS = [
    {"in": "query", "name": name, "schema": {"type": "string"}, "description": text} for name, text in _HELP.items()
] + [
    {"in": "query", "name": name, "schema": {"type": "string"}, "description": "Filter, as on the page of totals."}
    for name in NAMES
]


class NumberInvalid(Invalid):
    code = "number_invalid"


class FiguresOut(Schema):
    """Amounts in minor units of `currency`. `disbursed` and `available` are null where they cannot be told."""

    key = fields.String()
    currency = fields.String()
    gifts = fields.Integer()
    gross = fields.Integer()
    refunds = fields.Integer()
    disputes = fields.Integer()
    fees = fields.Integer()
    net = fields.Integer()
    fx = fields.Integer()
    earmarked = fields.Integer()
    sponsored = fields.Integer()
    disbursed = fields.Integer(allow_none=True)
    available = fields.Integer(allow_none=True)


class ReportOut(Schema):
    """`count` is how many rows there are in all; `totals`, one for each currency, are of all of them."""

    by = fields.String()
    as_of = fields.AwareDateTime(format="iso")
    settled = fields.Boolean()
    filters = fields.Dict()
    count = fields.Integer()
    rows = fields.List(fields.Nested(FiguresOut))
    totals = fields.List(fields.Nested(FiguresOut))


@blueprint.get("/totals")
@allowed("finance", "admin", scope="finance:read")
@blueprint.doc(parameters=PARAMETERS)
@blueprint.response(200, ReportOut)
@blueprint.alt_response(422, schema=ErrorOut)
def read_totals() -> dict[str, Any]:
    """Totals by a dimension. `settled`: the same question with this `as_of` has the same answer for ever."""
    now = utcnow()
    read_snapshot()
    filters = parse(request.args, now)
    by = request.args.get("by") or "month"
    report = totals(filters, by, limit=_number("limit", PAGE, MOST), offset=_number("offset", 0, 10**9))
    return {
        "by": by,
        "as_of": filters.as_of,
        "settled": filters.is_settled(now),
        "filters": filters.describe(zones_of(filters)),
        "count": report.count,
        "rows": [_figures(row) for row in report.rows],
        "totals": [_figures(row) for row in report.totals],
    }


def _number(name: str, default: int, most: int) -> int:
    """Raises `NumberInvalid`."""
    text = request.args.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= most):
        raise NumberInvalid(field=name)
    return int(text)


def _figures(row: Row) -> dict[str, Any]:
    names = ("gifts", "gross", "refunds", "disputes", "fees", "net", "fx", "earmarked", "sponsored")
    figures = {name: getattr(row.figures, name) for name in names}
    return {"key": row.key, "currency": row.currency, "disbursed": row.disbursed, "available": row.available, **figures}


def init_app(app: Flask) -> None:
    app.extensions["api"].register_blueprint(blueprint)
