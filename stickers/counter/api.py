"""The JSON API of handing over and its undo, for tills and machines with a token of the scope `codes:redeem`."""

from typing import Any

from flask import Flask, request
from marshmallow import Schema, fields

from core.clock import utcnow
from core.db import unit_of_work
from core.ids import new_public_id
from core.schemas import Blueprint, ErrorOut, StrictSchema
from offices import belonging
from staff.access import acting, allowed
from stickers import codes
from stickers.counter import guessing, queries
from stickers.counter.services import undo_redemption
from stickers.models import Redemption

blueprint = Blueprint("counter_api", __name__, url_prefix="/api/v1", description="Handing sticker packs over")

NONCE = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "Names this hand-over (best a UUID). The same key again answers with the same redemption and hands "
    "nothing over; without a key a repeated request is refused, since the code is redeemed by then.",
}


class RedemptionIn(StrictSchema):
    office = fields.String(required=True, metadata={"example": "MINSK-01"})


class UndoIn(StrictSchema):
    reason = fields.String(required=True, metadata={"example": "The wrong pack"})


class RedemptionOut(Schema):
    """`id` names the hand-over, for its undo. `undone_at` is null unless the pack came back since: then nothing may be
    handed over for this answer."""

    id = fields.String(attribute="public_id")
    code = fields.String(attribute="code.shown")
    pack = fields.String(attribute="code.pack.code")
    office = fields.String(attribute="office.code")
    redeemed_at = fields.AwareDateTime(format="iso")
    undone_at = fields.AwareDateTime(format="iso", allow_none=True)


@blueprint.post("/sticker-codes/<code>/redemptions")
@allowed("office", "campaign", "admin", scope="codes:redeem")
@blueprint.doc(parameters=[NONCE])
@blueprint.arguments(RedemptionIn)
@blueprint.response(201, RedemptionOut)
@blueprint.alt_response(404, schema=ErrorOut, description="sticker_code_unknown, office_not_found")
@blueprint.alt_response(
    409,
    schema=ErrorOut,
    description="sticker_code_redeemed, sticker_code_voided, sticker_code_held, sticker_code_replaced, "
    "sticker_code_expired, sticker_code_other_campaign, sticker_code_digital, out_of_stock, office_closed, "
    "idempotency_key_reused",
)
@blueprint.alt_response(422, schema=ErrorOut, description="sticker_code_mistyped, validation_failed")
@blueprint.alt_response(429, schema=ErrorOut, description="too_many_guesses; Retry-After says when to go on")
def redeem(body: dict[str, Any], code: str) -> Redemption:
    """Hand a pack over for a code, once."""
    actor, stored = acting(), codes.read(code)
    office = belonging.office_for(actor, body["office"])
    nonce = request.headers.get("Idempotency-Key", new_public_id())
    return guessing.redeem(stored, office=office, actor=actor, nonce=nonce, now=utcnow())


@blueprint.post("/redemptions/<public_id>/undo")
@allowed("office", "campaign", "admin", scope="codes:redeem")
@blueprint.arguments(UndoIn)
@blueprint.response(200, RedemptionOut)
@blueprint.alt_response(404, schema=ErrorOut, description="redemption_not_found")
@blueprint.alt_response(409, schema=ErrorOut, description="too_late_to_undo")
@blueprint.alt_response(422, schema=ErrorOut, description="undo_reason_missing, validation_failed")
def undo(body: dict[str, Any], public_id: str) -> Redemption:
    """The pack is back on the shelf: take the hand-over back, within minutes. Undone already, nothing happens."""
    actor = acting()
    with unit_of_work():
        redemption = queries.redemption_for(actor, public_id)
        undo_redemption(redemption, actor=actor, reason=body["reason"], now=utcnow())
    return redemption


def init_app(app: Flask) -> None:
    app.extensions["api"].register_blueprint(blueprint)
