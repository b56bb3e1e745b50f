"""Packs for the offices of the demonstration: most have some, one runs low, one is out, some are on the way."""

from datetime import datetime

import sqlalchemy as sa

from core.db import db, unit_of_work
from offices.models import Office
from ops.demo_offices import OFFICES
from staff.audit import COMMAND_LINE
from stickers.models import StickerPack
from stickers.stock import services, transfers
from stickers.stock.models import StockLevel

USUAL, DELIVERY = 20, "ТТН 0000001"
LOW_OFFICE, EMPTY_OFFICE = "BREST-01", "VITEBSK-01"
RECEIVED = {LOW_OFFICE: 3, EMPTY_OFFICE: 2}
SENDER, RECEIVER, ON_THE_WAY = "MINSK-02", "MINSK-01", 5


def seed_stock(now: datetime) -> bool:
    """Whether it was made now: not where there is stock already, and only for offices of the demonstration."""
    if db.session.scalar(sa.select(StockLevel.office_id).limit(1)) is not None:
        return False
    with unit_of_work() as session:
        codes = [code for code, *_ in OFFICES]
        offices = {office.code: office for office in session.scalars(sa.select(Office).where(Office.code.in_(codes)))}
        packs = list(session.scalars(sa.select(StickerPack).filter_by(kind="physical").order_by(StickerPack.id)))
        for code, office in sorted(offices.items()):
            for pack in packs:
                _fill(office, pack, RECEIVED.get(code, USUAL), now)
        if packs and {SENDER, RECEIVER} <= set(offices):
            sender, to = offices[SENDER].id, offices[RECEIVER]
            note = "с курьером"
            transfers.send(sender, packs[0].id, ON_THE_WAY, to_office=to, note=note, actor=COMMAND_LINE, now=now)
    made = bool(offices and packs)
    db.session.remove()
    return made


def _fill(office: Office, pack: StickerPack, quantity: int, now: datetime) -> None:
    services.receive(office.id, pack.id, quantity, reference=DELIVERY, actor=COMMAND_LINE, now=now)
    if office.code == EMPTY_OFFICE:
        services.damage(office.id, pack.id, quantity, reason="промокли в подвале", actor=COMMAND_LINE, now=now)
