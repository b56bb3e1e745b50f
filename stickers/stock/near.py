"""Which offices have packs, as donors are told: never how many."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.db import db
from core.paging import PAGE_SIZE, Page
from offices.models import Office
from stickers.models import StickerPack, StickerRule
from stickers.stock.models import StockLevel

PLENTY_FROM = 4  # fewer may be gone before the donor is there
_RANK = {"yes": 0, "few": 1, "no": 2}


def plenty(quantity: int) -> str:
    """yes, few or no."""
    if quantity == 0:
        return "no"
    return "yes" if quantity >= PLENTY_FROM else "few"


@dataclass(frozen=True)
class NearOffice:
    """An office with what it has of each pack; `best` is the best of them."""

    office: Office
    packs: list[tuple[StickerPack, str]]

    @property
    def best(self) -> str:
        return min((word for _pack, word in self.packs), key=_RANK.__getitem__, default="no")


def packs_of(campaign_id: int | None) -> list[StickerPack]:
    """Packs that are collected at an office: all that a campaign thanks with, or of this one."""
    earned = sa.select(StickerRule.pack_id)
    if campaign_id is not None:
        earned = earned.where(StickerRule.campaign_id == campaign_id)
    query = sa.select(StickerPack).where(StickerPack.kind == "physical", StickerPack.id.in_(earned))
    return list(db.session.scalars(query.order_by(StickerPack.id)))


def regions() -> list[str]:
    query = sa.select(Office.region).where(Office.active).distinct().order_by(Office.region)
    return list(db.session.scalars(query))


def offices_near(packs: Sequence[StickerPack], *, region: str, place: str, number: int) -> Page[NearOffice]:
    """Open offices of the region whose name or address has `place` in it, in any language; with packs first."""
    query = sa.select(Office).where(Office.active).order_by(Office.region, Office.code)
    # Some hundred offices, and SQLite folds the case of Latin letters only: compared here, not by the database.
    words = place[:100].casefold().replace("ё", "е").split()
    here = (office for office in db.session.scalars(query) if region in ("", office.region))
    offices = [office for office in here if all(word in _spelled(office) for word in words)]
    levels = _levels([pack.id for pack in packs])
    found = [
        NearOffice(office, [(pack, plenty(levels.get((office.id, pack.id), 0))) for pack in packs])
        for office in offices
    ]
    found.sort(key=lambda each: (each.office.region, _RANK[each.best], str(each.office.name)))
    number = min(max(number, 1), max(1, -(-len(found) // PAGE_SIZE)))
    return Page(found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE], number, len(found))


def _spelled(office: Office) -> str:
    return " ".join([*office.name.values(), *office.address.values(), office.region]).casefold().replace("ё", "е")


def _levels(pack_ids: Sequence[int]) -> dict[tuple[int, int], int]:
    query = sa.select(StockLevel.office_id, StockLevel.pack_id, StockLevel.quantity)
    rows = db.session.execute(query.where(StockLevel.pack_id.in_(pack_ids)))
    return {(row.office_id, row.pack_id): row.quantity for row in rows}
