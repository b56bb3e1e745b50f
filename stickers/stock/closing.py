"""Why an office should not be closed just now: packs on its shelf, packs on their way."""

import sqlalchemy as sa
from flask import Flask
from flask_babel import ngettext

from core.db import db
from offices.forms import Left, ask_before_closing
from stickers.stock.models import StockLevel, StockTransfer


def left_at(office_id: int) -> list[Left]:
    found = []
    shelf = sa.select(sa.func.sum(StockLevel.quantity)).where(StockLevel.office_id == office_id)
    if packs := int(db.session.scalar(shelf) or 0):
        said = ngettext("%(num)s pack is still there.", "%(num)s packs are still there.", packs)
        found.append(Left("packs", packs, said))
    ends = sa.or_(StockTransfer.from_office_id == office_id, StockTransfer.to_office_id == office_id)
    waiting = sa.select(sa.func.count()).where(StockTransfer.state == "on_the_way", ends)
    if transfers := int(db.session.scalar(waiting) or 0):
        said = ngettext("%(num)s transfer waits to be confirmed.", "%(num)s transfers wait to be confirmed.", transfers)
        found.append(Left("transfers", transfers, said))
    return found


def init_app(app: Flask) -> None:
    ask_before_closing(app, left_at)
