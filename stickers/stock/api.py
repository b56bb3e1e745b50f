"""Stock for machines: what an office has, for tokens with the scope `stock:read`."""

from flask import Flask
from marshmallow import Schema, fields

from core.schemas import Blueprint, ErrorOut
from offices import belonging
from staff.access import acting, allowed
from stickers.stock import queries
from stickers.stock.queries import PackLevel

blueprint = Blueprint("stock_api", __name__, url_prefix="/api/v1", description="Stock of sticker packs")


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
