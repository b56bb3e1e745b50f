"""Reads of stock for the console: one office, its history, all offices, what is on the way."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from core.db import db
from core.i18n import Localized
from core.paging import PAGE_SIZE, Page, page_of
from offices.models import Office
from stickers.models import StickerPack
from stickers.stock.errors import UnknownPack
from stickers.stock.models import LOW_MARK, StockLevel, StockMovement, StockTransfer

DIFFERENCES = sa.and_(StockMovement.kind.in_(("variance", "damaged", "counted")), StockMovement.delta != 0)


def standing(quantity: int, low_mark: int) -> str:
    """none, low or enough."""
    if quantity == 0:
        return "none"
    return "low" if quantity <= low_mark else "enough"


@dataclass(frozen=True)
class PackLevel:
    """How many packs of a design an office has; `opened` tells whether it ever had any."""

    pack: StickerPack
    quantity: int
    low_mark: int
    opened: bool

    @property
    def standing(self) -> str:
        return standing(self.quantity, self.low_mark)


@dataclass(frozen=True)
class Place:
    """One pack at one office, in the list of all."""

    office: str
    office_name: Localized
    region: str
    pack: str
    pack_name: Localized
    quantity: int
    low_mark: int
    coming: int  # on the way to it
    moved_at: datetime | None

    @property
    def standing(self) -> str:
        return standing(self.quantity, self.low_mark)


def physical_packs() -> list[StickerPack]:
    query = sa.select(StickerPack).where(StickerPack.kind == "physical").order_by(StickerPack.id)
    return list(db.session.scalars(query))


def pack_by_code(code: str) -> StickerPack:
    """Raises `UnknownPack`, also for packs that are downloaded."""
    query = sa.select(StickerPack).where(StickerPack.code == code, StickerPack.kind == "physical")
    pack = db.session.scalar(query)
    if pack is None:
        raise UnknownPack(field="pack")
    return pack


def levels_of(office_id: int) -> list[PackLevel]:
    """Of every physical pack, also of those the office never had."""
    here = sa.and_(StockLevel.pack_id == StickerPack.id, StockLevel.office_id == office_id)
    query = sa.select(StickerPack, StockLevel.quantity, StockLevel.low_mark).outerjoin(StockLevel, here)
    rows = db.session.execute(query.where(StickerPack.kind == "physical").order_by(StickerPack.id))
    return [
        PackLevel(pack, quantity or 0, LOW_MARK if mark is None else mark, quantity is not None)
        for pack, quantity, mark in rows
    ]


def level_of(office_id: int, pack: StickerPack) -> PackLevel:
    return next(level for level in levels_of(office_id) if level.pack.id == pack.id)


def coming_to(office_id: int) -> dict[int, int]:
    """How many packs are on the way to an office, by pack."""
    query = sa.select(StockTransfer.pack_id, sa.func.sum(StockTransfer.quantity).label("quantity"))
    query = query.where(StockTransfer.to_office_id == office_id, StockTransfer.state == "on_the_way")
    return {row.pack_id: int(row.quantity) for row in db.session.execute(query.group_by(StockTransfer.pack_id))}


def transfers(*, to: Collection[int] = (), sent_from: Collection[int] = ()) -> list[StockTransfer]:
    """On the way to, or from, one of these offices; the oldest first."""
    ends = sa.or_(StockTransfer.to_office_id.in_(to), StockTransfer.from_office_id.in_(sent_from))
    query = sa.select(StockTransfer).where(StockTransfer.state == "on_the_way", ends)
    return list(db.session.scalars(query.order_by(StockTransfer.id)))


def transfers_of(office_id: int, number: int) -> Page[StockTransfer]:
    """All that an office sent or got, the newest first."""
    ends = sa.or_(StockTransfer.to_office_id == office_id, StockTransfer.from_office_id == office_id)
    return page_of(sa.select(StockTransfer).where(ends).order_by(StockTransfer.id.desc()), number)


def history(office_id: int, wanted: Mapping[str, str], number: int) -> Page[StockMovement]:
    """The newest first; `wanted` may name a pack and a kind."""
    query = sa.select(StockMovement).where(StockMovement.office_id == office_id)
    return _movements(query, wanted, number)


def differences(wanted: Mapping[str, str], number: int) -> Page[StockMovement]:
    """What was damaged, lost, or counted otherwise than the system said, in all offices; the newest first."""
    query = sa.select(StockMovement).join(StockMovement.office).where(DIFFERENCES)
    if region := wanted.get("region"):
        query = query.where(Office.region == region)
    if office := wanted.get("office", "").strip().upper():
        query = query.where(Office.code == office)
    return _movements(query, wanted, number)


def _movements(query: sa.Select[Any], wanted: Mapping[str, str], number: int) -> Page[StockMovement]:
    if pack := wanted.get("pack"):
        query = query.join(StockMovement.pack).where(StickerPack.code == pack)
    if kind := wanted.get("kind"):
        query = query.where(StockMovement.kind == kind)
    with_all = joinedload(StockMovement.office), joinedload(StockMovement.pack), joinedload(StockMovement.transfer)
    return page_of(query.options(*with_all).order_by(StockMovement.id.desc()), number)


# --- all offices

_coming = (
    sa.select(sa.func.sum(StockTransfer.quantity))
    .where(
        StockTransfer.state == "on_the_way",
        StockTransfer.to_office_id == Office.id,
        StockTransfer.pack_id == StickerPack.id,
    )
    .scalar_subquery()
)
_moved_at = (
    sa.select(StockMovement.at)
    .where(StockMovement.office_id == Office.id, StockMovement.pack_id == StickerPack.id)
    .order_by(StockMovement.id.desc())
    .limit(1)
    .scalar_subquery()
)
_quantity = sa.func.coalesce(StockLevel.quantity, 0)
_low_mark = sa.func.coalesce(StockLevel.low_mark, LOW_MARK)
SORTS: Mapping[str, Sequence[Any]] = {
    "office": (Office.code, StickerPack.id),
    "least": (_quantity, Office.code, StickerPack.id),
    "most": (_quantity.desc(), Office.code, StickerPack.id),
    "region": (Office.region, Office.code, StickerPack.id),
}


def _places(wanted: Mapping[str, str]) -> sa.Select[Any]:
    """Every open office with every physical pack; closed ones while they have packs."""
    here = sa.and_(StockLevel.office_id == Office.id, StockLevel.pack_id == StickerPack.id)
    query = (
        sa.select(Office.code, Office.name, Office.region, StickerPack.code, StickerPack.name)
        .add_columns(_quantity, _low_mark, sa.func.coalesce(_coming, 0), _moved_at)
        .select_from(Office)
        .join(StickerPack, StickerPack.kind == "physical")
        .outerjoin(StockLevel, here)
        .where(sa.or_(Office.active, _quantity > 0))
    )
    if region := wanted.get("region"):
        query = query.where(Office.region == region)
    if pack := wanted.get("pack"):
        query = query.where(StickerPack.code == pack)
    if office := wanted.get("office", "").strip().upper():
        query = query.where(Office.code.startswith(office, autoescape=True))
    shown = {"low": sa.and_(_quantity > 0, _quantity <= _low_mark), "none": _quantity == 0, "some": _quantity > 0}
    if (condition := shown.get(wanted.get("level", ""))) is not None:
        query = query.where(condition)
    return query.order_by(*SORTS.get(wanted.get("sort", ""), SORTS["office"]))


def places_page(wanted: Mapping[str, str], number: int) -> Page[Place]:
    query = _places(wanted)
    total = db.session.scalar(sa.select(sa.func.count()).select_from(query.order_by(None).subquery())) or 0
    number = min(max(number, 1), max(1, -(-total // PAGE_SIZE)))
    rows = db.session.execute(query.limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE))
    return Page([Place(*row) for row in rows], number, total)


def places(wanted: Mapping[str, str]) -> Iterator[Place]:
    """All of them, for the file."""
    for row in db.session.execute(_places(wanted)):
        yield Place(*row)


@dataclass(frozen=True)
class PackTotal:
    """One pack in all offices."""

    pack: StickerPack
    on_shelves: int
    on_the_way: int
    low: int  # offices
    none: int  # open offices


def totals() -> list[PackTotal]:
    open_offices = db.session.scalar(sa.select(sa.func.count()).select_from(Office).where(Office.active)) or 0
    has_some, runs_low = StockLevel.quantity > 0, StockLevel.quantity <= StockLevel.low_mark
    counts = (
        sa.select(
            StockLevel.pack_id,
            sa.func.sum(StockLevel.quantity).label("quantity"),
            sa.func.sum(sa.case((sa.and_(Office.active, has_some, runs_low), 1), else_=0)).label("low"),
            sa.func.sum(sa.case((sa.and_(Office.active, has_some), 1), else_=0)).label("some"),
        )
        .join(Office, Office.id == StockLevel.office_id)
        .group_by(StockLevel.pack_id)
    )
    levels = {row.pack_id: row for row in db.session.execute(counts)}
    on_the_way = sa.select(StockTransfer.pack_id, sa.func.sum(StockTransfer.quantity).label("quantity"))
    on_the_way = on_the_way.where(StockTransfer.state == "on_the_way").group_by(StockTransfer.pack_id)
    coming = {row.pack_id: int(row.quantity) for row in db.session.execute(on_the_way)}
    found = []
    for pack in physical_packs():
        row = levels.get(pack.id)
        quantity, low, some = (int(row.quantity), int(row.low), int(row.some)) if row else (0, 0, 0)
        found.append(PackTotal(pack, quantity, coming.get(pack.id, 0), low, open_offices - some))
    return found


def differences_since(moment: datetime) -> int:
    """How many movements since then say that packs are lost, damaged or found."""
    query = sa.select(sa.func.count()).select_from(StockMovement).where(DIFFERENCES, StockMovement.at >= moment)
    return db.session.scalar(query) or 0


def all_on_the_way(number: int) -> Page[StockTransfer]:
    """The oldest first: those that somebody forgot."""
    query = sa.select(StockTransfer).where(StockTransfer.state == "on_the_way").order_by(StockTransfer.id)
    return page_of(query, number)
