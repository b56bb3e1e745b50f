"""Rows of exports for machines, page by page: the same objects as in JSON Lines, without data of donors."""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Flask, request
from marshmallow import Schema, fields

from core.clock import utcnow
from core.schemas import Blueprint, ErrorOut
from finance.exports.columns import Row
from finance.exports.datasets import DATASETS, Dataset
from finance.exports.errors import CursorInvalid, LimitInvalid, UnknownExport
from finance.exports.formats.base import Layout
from finance.exports.formats.jsonlines import Objects
from finance.exports.orders import require_filters, settled
from finance.exports.snapshot import snapshot
from finance.filters import NAMES, Filters, parse
from staff.access import allowed

blueprint = Blueprint("exports_api", __name__, url_prefix="/api/v1", description="Exports for finance")

PAGE = 500
MOST = 1000
_PARAMETERS = [
    {"in": "query", "name": name, "schema": {"type": "string"}, "description": "Filter, as on the page of totals."}
    for name in NAMES
] + [
    {"in": "query", "name": "cursor", "schema": {"type": "string"}, "description": "`next_cursor` of the page before."},
    {"in": "query", "name": "limit", "schema": {"type": "integer", "default": PAGE, "maximum": MOST}},
]


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins. It names the moment and the question, so that all pages are of one report."""

    after: int
    as_of: str
    question: str

    def text(self) -> str:
        plain = json.dumps([self.after, self.as_of, self.question]).encode()
        return base64.urlsafe_b64encode(plain).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises `CursorInvalid`."""
        try:
            after, as_of, question = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            datetime.fromisoformat(as_of)
        except (ValueError, TypeError):
            raise CursorInvalid(field="cursor") from None
        if type(after) is not int or not 0 <= after < 2**63:
            raise CursorInvalid(field="cursor")
        return cls(after, as_of, str(question))


def _question(dataset: Dataset, filters: Filters) -> str:
    about = json.dumps([dataset.name, replace(filters, as_of_given=False).query()], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def _limit() -> int:
    text = request.args.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise LimitInvalid(field="limit", limit=MOST)
    return int(text)


def _asked(dataset: Dataset) -> tuple[Filters, int]:
    """What is asked for, and after which key. Raises `CursorInvalid` and what `parse` raises."""
    now = utcnow()
    filters = settled(parse(request.args, now), now)
    require_filters(dataset, filters)
    if not (text := request.args.get("cursor")):
        return filters, -1
    cursor = Cursor.read(text)
    if cursor.question != _question(dataset, filters):
        raise CursorInvalid(field="cursor")
    return settled(parse({**request.args, "as_of": cursor.as_of}, now), now), cursor.after


def _rows(dataset: Dataset, filters: Filters, after: int, limit: int) -> tuple[list[Row], int | None]:
    """The next rows and the key to go on after; None when these are the last ones."""
    with snapshot() as view:
        if dataset.table is not None:
            begin = max(after, 0)
            rows = list(dataset.table(filters))
            return rows[begin : begin + limit], begin + limit if begin + limit < len(rows) else None
        if dataset.page is not None:
            query, following = dataset.page(filters, after, limit)
        else:
            assert dataset.query is not None
            query = dataset.query(filters, False)
            query, following = query.where(query.selected_columns[0] > after).limit(limit), None
        found = [row for batch in view.rows(query) for row in batch]
    if dataset.page is None and len(found) == limit:
        following = found[-1][0]
    return [row[1:] for row in found], following


class RowsOut(Schema):
    """`rows` are objects as in JSON Lines of the same dataset; what their members mean stands in docs/exports.md.

    `about` is what a manifest says of the whole, with or without rows: of a statement, how its month stands.
    """

    dataset = fields.String()
    as_of = fields.String()
    filters = fields.Dict()
    about = fields.Dict()
    rows = fields.List(fields.Dict())
    next_cursor = fields.String(allow_none=True)


@blueprint.get("/exports/<dataset>")
@allowed("finance", "admin", scope="finance:read")
@blueprint.doc(parameters=_PARAMETERS)
@blueprint.alt_response(404, schema=ErrorOut)
@blueprint.alt_response(422, schema=ErrorOut)
@blueprint.response(200, RowsOut)
def read_rows(dataset: str) -> dict[str, Any]:
    """Rows of a dataset as of one moment. A page may hold fewer rows than asked for; the last has no next_cursor."""
    found = DATASETS.get(dataset)
    if found is None:
        raise UnknownExport
    limit, (filters, after) = _limit(), _asked(found)
    rows, following = _rows(found, filters, after, limit)
    objects = Objects(Layout(found.title, found.columns, filters, "en"))
    next_cursor = None
    if following is not None:
        next_cursor = Cursor(following, filters.as_of.isoformat(), _question(found, filters)).text()
    return {
        "dataset": found.name,
        "as_of": filters.as_of.isoformat(),
        "filters": filters.describe(found.zones(filters)),
        "about": found.about(filters) if found.about else {},
        "rows": [objects.of(row) for row in rows],
        "next_cursor": next_cursor,
    }


def init_app(app: Flask) -> None:
    app.extensions["api"].register_blueprint(blueprint)
