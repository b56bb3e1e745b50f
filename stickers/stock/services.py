"""The rules of stock. Services flush; edges commit.

Every change is one guarded UPDATE of the level and the movement that says why. The level's row is taken first, so the
movements of one level stand in the order in which they happened. Whoever changes a code or a transfer with the stock
does that before it; several levels are taken in the order of their packs.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db, insert_if_absent
from core.texts import one_line
from offices.models import Office
from stickers.models import StickerPack
from stickers.stock import alerts
from stickers.stock.errors import (
    NoStockOfDigital,
    NotEnoughPacks,
    NothingHandedOver,
    OutOfStock,
    QuantityInvalid,
    ReasonMissing,
    ReceivesNoMore,
    StockChanged,
    TextTooLong,
    UnknownPack,
)
from stickers.stock.models import LOW_MARK, StockLevel, StockMovement

MOST = 100_000  # packs in one movement
TEXT_LIMIT = 200


def hand_over(office_id: int, pack_id: int, *, redemption_id: int, actor: str, now: datetime) -> None:
    """One pack leaves the office for this redemption. Raises `OutOfStock`.

    Call it after the guarded update of the code, in the same unit of work.
    """
    if not move(office_id, pack_id, "handed_over", -1, redemption_id=redemption_id, actor=actor, now=now):
        raise OutOfStock


def take_back(office_id: int, pack_id: int, *, redemption_id: int, actor: str, now: datetime) -> None:
    """The pack of this redemption is on the shelf again. Raises `NothingHandedOver`; once only, by constraint."""
    handed = sa.select(StockMovement.id).filter_by(
        redemption_id=redemption_id, kind="handed_over", office_id=office_id, pack_id=pack_id
    )
    if db.session.scalar(handed) is None:
        raise NothingHandedOver
    move(office_id, pack_id, "taken_back", +1, redemption_id=redemption_id, actor=actor, now=now)


def receive(office_id: int, pack_id: int, quantity: int, *, reference: str, actor: str, now: datetime) -> None:
    """Packs came from the warehouse with a document. Raises `ReceivesNoMore`, `QuantityInvalid`, `ReasonMissing`,
    `TextTooLong`, `UnknownPack`, `NoStockOfDigital`."""
    # Held until the unit of work ends: who closes the office meanwhile sees these packs, or they are refused.
    if not db.session.scalar(sa.select(Office.active).where(Office.id == office_id).with_for_update(read=True)):
        raise ReceivesNoMore
    require_quantity(quantity)
    note = require_reason(reference, field="reference")
    open_level(office_id, pack_id)
    move(office_id, pack_id, "received", quantity, note=note, actor=actor, now=now)


def damage(office_id: int, pack_id: int, quantity: int, *, reason: str, actor: str, now: datetime) -> None:
    """Packs that nobody can be given any more. Raises `QuantityInvalid`, `ReasonMissing`, `TextTooLong`,
    `NotEnoughPacks`."""
    require_quantity(quantity)
    note = require_reason(reason)
    take(office_id, pack_id, "damaged", quantity, note=note, actor=actor, now=now)


def count(
    office_id: int,
    pack_id: int,
    counted: int,
    *,
    reason: str,
    actor: str,
    now: datetime,
    expected: int | None = None,
    sheet_id: int | None = None,
) -> int:
    """The level becomes what was counted on the shelf; the difference from what the system said.

    `expected` is what the system said when the person counted: `StockChanged` is raised if that is no longer so.
    Raises `QuantityInvalid`, `ReasonMissing` (only a difference needs one), `TextTooLong`, `UnknownPack`,
    `NoStockOfDigital`.
    """
    require_quantity(counted, least=0, field="counted")
    open_level(office_id, pack_id)
    system = lock(office_id, pack_id)
    if expected is not None and system != expected:
        raise StockChanged(field="counted", left=system)
    difference = counted - system
    note = require_reason(reason) if difference else text(reason)
    move(office_id, pack_id, "counted", difference, note=note, actor=actor, now=now, sheet_id=sheet_id)
    return difference


def set_low_mark(office_id: int, pack_id: int, low_mark: int, *, now: datetime) -> int:
    """When the office is told that a pack runs low; the mark before. Raises `QuantityInvalid`, `UnknownPack`."""
    require_quantity(low_mark, least=0, field="low_mark")
    open_level(office_id, pack_id)
    quantity = lock(office_id, pack_id)
    before = db.session.scalar(sa.select(StockLevel.low_mark).where(_at(office_id, pack_id)))
    step = sa.update(StockLevel).where(_at(office_id, pack_id)).values(low_mark=low_mark)
    db.session.execute(step.execution_options(synchronize_session=False))
    if quantity > low_mark:
        alerts.end(office_id, pack_id, now)
    return before or 0


# --- what all of them are made of


def move(
    office_id: int, pack_id: int, kind: str, delta: int, *, actor: str, now: datetime, note: str = "", **of: int | None
) -> bool:
    """Change the level by `delta` and write down why; False, and nothing is changed, when there are too few.

    `of` names what the movement belongs to: `redemption_id`, `transfer_id` or `sheet_id`.
    """
    changed = change(office_id, pack_id, kind, delta, note=note, actor=actor, now=now, **of)
    if changed is None:
        return False
    quantity, low_mark = changed
    alerts.watch(office_id, pack_id, delta=delta, quantity=quantity, low_mark=low_mark, now=now)
    return True


def change(
    office_id: int, pack_id: int, kind: str, delta: int, *, actor: str, now: datetime, note: str, **of: int | None
) -> tuple[int, int] | None:
    """What `move` does, without looking whether the pack runs low: (quantity, low mark), or None."""
    step = sa.update(StockLevel).where(_at(office_id, pack_id), StockLevel.quantity >= -delta)
    step = step.values(quantity=StockLevel.quantity + delta)
    changed = _update(step.returning(StockLevel.quantity, StockLevel.low_mark))
    if changed is None:
        return None
    values = {"kind": kind, "delta": delta, "level": changed.quantity, "note": note, "actor": actor[:254], "at": now}
    db.session.execute(sa.insert(StockMovement).values(office_id=office_id, pack_id=pack_id, **values, **of))
    return changed.quantity, changed.low_mark


def take(
    office_id: int, pack_id: int, kind: str, quantity: int, *, note: str, actor: str, now: datetime, **of: int | None
) -> None:
    """`quantity` packs leave. Raises `NotEnoughPacks`."""
    if not move(office_id, pack_id, kind, -quantity, note=note, actor=actor, now=now, **of):
        raise NotEnoughPacks(field="quantity", left=level_of(office_id, pack_id))


def level_of(office_id: int, pack_id: int) -> int:
    """How many packs the system believes are there."""
    return db.session.scalar(sa.select(StockLevel.quantity).where(_at(office_id, pack_id))) or 0


def open_level(office_id: int, pack_id: int) -> None:
    """Begin a level at zero where there is none. Raises `UnknownPack`, `NoStockOfDigital`."""
    require_physical(pack_id)
    insert_if_absent(StockLevel, office_id=office_id, pack_id=pack_id, quantity=0, low_mark=LOW_MARK)


def lock(office_id: int, pack_id: int) -> int:
    """The level, which nobody else changes until this unit of work ends: an UPDATE, since SQLite has no FOR UPDATE."""
    step = sa.update(StockLevel).where(_at(office_id, pack_id)).values(quantity=StockLevel.quantity)
    found = _update(step.returning(StockLevel.quantity))
    return 0 if found is None else int(found.quantity)


def require_physical(pack_id: int) -> StickerPack:
    """Raises `UnknownPack`, `NoStockOfDigital`."""
    pack = db.session.get(StickerPack, pack_id)
    if pack is None:
        raise UnknownPack(field="pack")
    if pack.kind != "physical":
        raise NoStockOfDigital(field="pack")
    return pack


def require_quantity(quantity: int, *, least: int = 1, most: int = MOST, field: str = "quantity") -> None:
    if not least <= quantity <= most:
        raise QuantityInvalid(field=field, least=least, most=most)


def require_reason(typed: str, *, field: str = "reason") -> str:
    if not (reason := text(typed, field=field)):
        raise ReasonMissing(field=field)
    return reason


def text(typed: str, *, field: str = "reason") -> str:
    """In one line, without what cannot be stored. Raises `TextTooLong`."""
    line = one_line(typed)
    if len(line) > TEXT_LIMIT:
        raise TextTooLong(field=field, limit=TEXT_LIMIT)
    return line


def _at(office_id: int, pack_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(StockLevel.office_id == office_id, StockLevel.pack_id == pack_id)


def _update(step: sa.UpdateBase) -> sa.Row[Any] | None:
    return db.session.execute(step.execution_options(synchronize_session=False)).first()
