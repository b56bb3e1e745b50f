"""Giving a code to a friend: the old one dies, a new one stands at an address that only its holders know."""

from datetime import datetime

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import selectinload

from core.db import db, rows_changed
from core.errors import Conflict, NotFound
from stickers import codes
from stickers.models import PassedOn, RedemptionCode


class NothingHere(NotFound):
    code = "friend_code_not_found"
    text = _l("We do not know this address. Please check it, or ask the person who sent it to you.")


class NotToPassOn(Conflict):
    code = "sticker_code_not_to_pass_on"
    text = _l("This code cannot be given away: it was collected, given away already, or is on hold.")


class TooLateToPassOn(NotToPassOn):
    text = _l("Packs of this campaign are handed over no longer: a friend could not collect one either.")


def kept_codes(donation_id: int) -> list[RedemptionCode]:
    """What the donor may see: all codes of the donation without those that friends hold now."""
    query = sa.select(RedemptionCode).where(
        RedemptionCode.donation_id == donation_id, RedemptionCode.id.not_in(sa.select(PassedOn.code_id))
    )
    query = query.options(selectinload(RedemptionCode.redemption)).order_by(RedemptionCode.ordinal)
    return list(db.session.scalars(query))


def passed_on(code: RedemptionCode) -> PassedOn | None:
    """To where this code was given away, if it was."""
    return db.session.scalar(sa.select(PassedOn).where(PassedOn.old_code_id == code.id))


def passed_by_token(token: str) -> PassedOn:
    """Raises `NothingHere`."""
    found = db.session.scalar(sa.select(PassedOn).where(PassedOn.token == token)) if token.isascii() else None
    if found is None:
        raise NothingHere
    return found


def pass_on(code: RedemptionCode, now: datetime, *, until: datetime | None = None) -> PassedOn:
    """Replace an issued code by a new one for a friend; the same press twice is one replacement.

    `until` is when the campaign stops handing packs over. The caller holds the donation, so that two codes of it get
    different numbers. Raises `NotToPassOn`, `TooLateToPassOn`.
    """
    if before := passed_on(code):
        return before
    if until is not None and until <= now and code.pack.kind == "physical":
        raise TooLateToPassOn
    mine = sa.and_(RedemptionCode.id == code.id, RedemptionCode.status == "issued")
    if rows_changed(db.session.execute(sa.update(RedemptionCode).where(mine).values(status="replaced"))) != 1:
        raise NotToPassOn
    last = sa.select(sa.func.max(RedemptionCode.ordinal)).where(RedemptionCode.donation_id == code.donation_id)
    successor = RedemptionCode(
        donation_id=code.donation_id,
        ordinal=(db.session.scalar(last) or 0) + 1,
        pack_id=code.pack_id,
        code=codes.draw(),
        issued_at=now,
    )
    db.session.add(successor)
    db.session.flush()
    passed = PassedOn(old_code_id=code.id, code_id=successor.id, passed_at=now)
    db.session.add(passed)
    db.session.flush()
    return passed
