"""Stock for machines: read with tokens of the scope `stock:read`, recorded with those of `stock:write`."""

from collections.abc import Callable
from typing import Any

from flask import Flask, request
from marshmallow import Schema, fields

from core.clock import utcnow
from core.db import unit_of_work
from core.schemas import Blueprint, ErrorOut, StrictSchema, WholeNumber
from offices import belonging
from offices.models import Office
from staff.access import acting, allowed
from stickers.models import StickerPack
from stickers.stock import acts, forms, queries
from stickers.stock.acts import By
from stickers.stock.queries import PackLevel

blueprint = Blueprint("stock_api", __name__, url_prefix="/api/v1", description="Stock of sticker packs")


KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": forms.KEY_LIMIT},
    "description": "Names this request (best a UUID). The same key with the same body again changes nothing and is "
    "answered 200 in place of 201; with another body or address it is refused (409). Kept for a week.",
}
BAD_KEY = "idempotency_key_invalid, also when there is none"
NOT_THERE = "office_not_found, pack_not_found"
REFUSED = "validation_failed, quantity_invalid, reason_missing, text_too_long"


class ReceivedIn(StrictSchema):
    quantity = WholeNumber(required=True, metadata={"example": 50})
    reference = fields.String(required=True, metadata={"example": "TTN 0042", "description": "The delivery note"})


class DamagedIn(StrictSchema):
    quantity = WholeNumber(required=True, metadata={"example": 2})
    reason = fields.String(required=True, metadata={"example": "wet"})


class CountedIn(StrictSchema):
    counted = WholeNumber(required=True, metadata={"example": 48, "description": "What is really on the shelf"})
    expected = WholeNumber(
        load_default=None,
        allow_none=True,
        metadata={"description": "What the system said when it was counted; refused when that is no longer so"},
    )
    reason = fields.String(load_default="", metadata={"description": "Why it is another number; needed if it is"})


class LevelOut(Schema):
    pack = fields.String(required=True, metadata={"description": "Code of the pack"})
    quantity = fields.Integer(required=True, metadata={"description": "Packs on the shelf, as the system believes"})
    low_mark = fields.Integer(required=True, metadata={"description": "At this many or fewer the office is warned"})
    standing = fields.String(required=True, metadata={"description": "none, low or enough"})
    coming = fields.Integer(required=True, metadata={"description": "On the way from other offices"})


class StockOut(Schema):
    office = fields.String(required=True, metadata={"description": "Code of the office"})
    packs = fields.List(fields.Nested(LevelOut), required=True)


@blueprint.get("/offices/<code>/stock")
@allowed("office", "campaign", "admin", scope="stock:read")
@blueprint.response(200, StockOut)
@blueprint.alt_response(404, schema=ErrorOut)
def read_stock(code: str) -> dict[str, object]:
    """How many packs of each design an office has. Members of an office see their own offices only."""
    office = belonging.office_for(acting(), code)
    coming = queries.coming_to(office.id)
    packs = [_level(level, coming.get(level.pack.id, 0)) for level in queries.levels_of(office.id)]
    return {"office": office.code, "packs": packs}


@blueprint.post("/offices/<code>/stock/<pack>/received")
@allowed("office", "campaign", "admin", scope="stock:write")
@blueprint.doc(parameters=[KEY])
@blueprint.arguments(ReceivedIn)
@blueprint.response(201, LevelOut)
@blueprint.alt_response(400, schema=ErrorOut, description=BAD_KEY)
@blueprint.alt_response(404, schema=ErrorOut, description=NOT_THERE)
@blueprint.alt_response(409, schema=ErrorOut, description="office_closed, idempotency_key_reused")
@blueprint.alt_response(422, schema=ErrorOut, description=REFUSED)
def received(body: dict[str, Any], code: str, pack: str) -> tuple[dict[str, object], int]:
    """Packs came from the warehouse with a document: they are on the stock. Answers with the level after it."""
    return _submit(code, pack, body, acts.receive)


@blueprint.post("/offices/<code>/stock/<pack>/damaged")
@allowed("office", "campaign", "admin", scope="stock:write")
@blueprint.doc(parameters=[KEY])
@blueprint.arguments(DamagedIn)
@blueprint.response(201, LevelOut)
@blueprint.alt_response(400, schema=ErrorOut, description=BAD_KEY)
@blueprint.alt_response(404, schema=ErrorOut, description=NOT_THERE)
@blueprint.alt_response(409, schema=ErrorOut, description="not_enough_packs, idempotency_key_reused")
@blueprint.alt_response(422, schema=ErrorOut, description=REFUSED)
def damaged(body: dict[str, Any], code: str, pack: str) -> tuple[dict[str, object], int]:
    """Packs that nobody can be given any more leave the stock. Answers with the level after it."""
    return _submit(code, pack, body, acts.damage)


@blueprint.post("/offices/<code>/stock/<pack>/counted")
@allowed("office", "campaign", "admin", scope="stock:write")
@blueprint.doc(parameters=[KEY])
@blueprint.arguments(CountedIn)
@blueprint.response(201, LevelOut)
@blueprint.alt_response(400, schema=ErrorOut, description=BAD_KEY)
@blueprint.alt_response(404, schema=ErrorOut, description=NOT_THERE)
@blueprint.alt_response(409, schema=ErrorOut, description="stock_changed, idempotency_key_reused")
@blueprint.alt_response(422, schema=ErrorOut, description=REFUSED)
def counted(body: dict[str, Any], code: str, pack: str) -> tuple[dict[str, object], int]:
    """The level becomes what was counted; the difference is kept. Answers with the level after it."""
    return _submit(code, pack, body, acts.count)


def _submit(code: str, pack_code: str, body: dict[str, Any], act: Callable[..., None]) -> tuple[dict[str, object], int]:
    """Do it in one unit of work: 201, or 200 when it was done before. Raises what the act raises."""
    actor, now = acting(), utcnow()
    office, pack = belonging.office_for(actor, code), queries.pack_by_code(pack_code)
    asked = [("act", act.__name__), ("office", office.code), ("pack", pack.code), *body.items()]
    with unit_of_work():
        new = forms.take_request(str(actor.id), request.headers.get("Idempotency-Key", ""), asked, now)
        if new:
            act(office, pack, by=By(actor.email, actor.address, now), **body)
    return _level_now(office, pack), 201 if new else 200


def _level_now(office: Office, pack: StickerPack) -> dict[str, object]:
    return _level(queries.level_of(office.id, pack), queries.coming_to(office.id).get(pack.id, 0))


def _level(level: PackLevel, coming: int) -> dict[str, object]:
    return {
        "pack": level.pack.code,
        "quantity": level.quantity,
        "low_mark": level.low_mark,
        "standing": level.standing,
        "coming": coming,
    }


def init_app(app: Flask) -> None:
    app.extensions["api"].register_blueprint(blueprint)
