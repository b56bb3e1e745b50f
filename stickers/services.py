"""Rules of sticker codes: how many a gift earns, and what becomes of them when money goes back."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from core.db import db
from stickers import codes
from stickers.models import RedemptionCode, StickerPack, StickerRule

# Redeemed codes stay redeemed whatever happens to the money: the pack is gone. Replaced ones are dead for good.
REVIVABLE = ("issued", "held", "voided")


def rules_of(campaign_id: int) -> list[StickerRule]:
    """The campaign's rules, smallest amount first."""
    query = sa.select(StickerRule).where(StickerRule.campaign_id == campaign_id)
    return list(db.session.scalars(query.order_by(StickerRule.from_minor, StickerRule.id)))


def issue_codes(donation_id: int, campaign_id: int, amount_minor: int, now: datetime) -> None:
    """Give the donation the codes its amount earns, once: a second call finds them there and adds none.

    The caller holds the donation (its version is bumped first), so that two calls stand in line.
    """
    if codes_of(donation_id):
        return
    # Smallest amount first: for each pack the highest rule that is reached is the one that stays.
    earned = {rule.pack_id: rule.quantity for rule in rules_of(campaign_id) if amount_minor >= rule.from_minor}
    packs = [pack_id for pack_id, quantity in earned.items() for _ in range(quantity)]
    db.session.add_all(
        RedemptionCode(
            donation_id=donation_id, ordinal=ordinal, pack_id=pack_id, code=codes.draw(), status="issued", issued_at=now
        )
        for ordinal, pack_id in enumerate(packs, start=1)
    )
    db.session.flush()


def set_codes(donation_id: int, status: str) -> None:
    """Bring the donation's codes to `issued`, `held` or `voided`; handed-over and replaced ones keep their status.

    They remember it as their standing, for the case that the hand-over is undone. One statement: it and an undo at the
    same time end alike, whichever comes first.
    """
    revived = sa.case((RedemptionCode.status.in_(REVIVABLE), status), else_=RedemptionCode.status)
    db.session.execute(
        sa.update(RedemptionCode)
        .where(RedemptionCode.donation_id == donation_id, RedemptionCode.standing != status)
        .values(standing=status, status=revived)
    )


def codes_of(donation_id: int) -> list[RedemptionCode]:
    """With where and when they were handed over."""
    query = sa.select(RedemptionCode).where(RedemptionCode.donation_id == donation_id)
    query = query.options(selectinload(RedemptionCode.redemption))
    return list(db.session.scalars(query.order_by(RedemptionCode.ordinal)))


def code_by_text(typed: str) -> RedemptionCode | None:
    """The code that somebody typed, whoever holds it. Raises `MistypedCode`."""
    return db.session.scalar(sa.select(RedemptionCode).where(RedemptionCode.code == codes.read(typed)))


def ensure_pack(pack: StickerPack) -> StickerPack:
    """The pack of that code, made if it is not there yet."""
    found = db.session.scalar(sa.select(StickerPack).where(StickerPack.code == pack.code))
    if found is None:
        db.session.add(pack)
        db.session.flush()
    return found or pack
