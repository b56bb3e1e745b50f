"""Packs on the way between two offices. The sender's stock falls when they leave, the receiver's rises when confirmed.

A transfer ends once: confirmed, declined or cancelled, by a guarded update of its row before any level is touched.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.db import db, rows_changed
from offices.models import Office
from stickers.stock import alerts, services
from stickers.stock.errors import OfficeClosed, SameOffice, TransferEnded, UnknownTransfer
from stickers.stock.models import StockTransfer


def send(
    from_office_id: int, pack_id: int, quantity: int, *, to_office: Office, note: str, actor: str, now: datetime
) -> StockTransfer:
    """Raises `QuantityInvalid`, `SameOffice`, `OfficeClosed`, `NotEnoughPacks`, `TextTooLong`, `UnknownPack`,
    `NoStockOfDigital`."""
    services.require_quantity(quantity)
    services.require_physical(pack_id)
    if to_office.id == from_office_id:
        raise SameOffice(field="office")
    if not to_office.active:
        raise OfficeClosed(field="office")
    transfer = StockTransfer(
        from_office_id=from_office_id,
        to_office_id=to_office.id,
        pack_id=pack_id,
        quantity=quantity,
        state="on_the_way",
        note=services.text(note, field="note"),
        sent_by=actor[:254],
        sent_at=now,
    )
    db.session.add(transfer)
    db.session.flush()
    services.take(
        from_office_id, pack_id, "sent", quantity, note=transfer.note, actor=actor, now=now, transfer_id=transfer.id
    )
    return transfer


def find(public_id: str) -> StockTransfer:
    """Raises `UnknownTransfer`."""
    transfer = db.session.scalar(sa.select(StockTransfer).where(StockTransfer.public_id == public_id))
    if transfer is None:
        raise UnknownTransfer
    return transfer


def most_of(transfer: StockTransfer) -> int:
    """How many may arrive: a parcel packed wrongly may hold a few more than its paper says, and not a warehouse."""
    return min(2 * transfer.quantity + 10, services.MOST)


def confirm(transfer: StockTransfer, arrived: int, *, reason: str, actor: str, now: datetime) -> None:
    """So many packs arrived; a difference from what was sent needs a reason and is a movement of its own.

    Raises `TransferEnded`, `QuantityInvalid` (also for far more than were sent: that is a slip of the finger),
    `ReasonMissing`, `TextTooLong`.
    """
    services.require_quantity(arrived, least=0, most=most_of(transfer), field="arrived")
    difference = arrived - transfer.quantity
    note = services.require_reason(reason) if difference else services.text(reason)
    _end(transfer, "arrived", arrived=arrived, reason=note, ended_by=actor[:254], ended_at=now)
    services.open_level(transfer.to_office_id, transfer.pack_id)
    place = transfer.to_office_id, transfer.pack_id
    of: dict[str, Any] = {"actor": actor, "now": now, "transfer_id": transfer.id}
    level = services.change(*place, "arrived", transfer.quantity, note=transfer.note, **of)
    if difference:
        level = services.change(*place, "variance", difference, note=note, **of)
    quantity, low_mark = level or (0, 0)
    # Once for both movements: what never arrived has not been above the mark.
    alerts.watch(*place, delta=arrived, quantity=quantity, low_mark=low_mark, now=now)


def decline(transfer: StockTransfer, *, reason: str, actor: str, now: datetime) -> None:
    """The receiver does not take the packs: they are the sender's again. Raises `TransferEnded`, `ReasonMissing`,
    `TextTooLong`, of the field `decline_reason`."""
    _return(transfer, "declined", services.require_reason(reason, field="decline_reason"), actor, now)


def cancel(transfer: StockTransfer, *, reason: str, actor: str, now: datetime) -> None:
    """The sender does not send them after all. Raises `TransferEnded`, `TextTooLong` of the field `cancel_reason`."""
    _return(transfer, "cancelled", services.text(reason, field="cancel_reason"), actor, now)


def _return(transfer: StockTransfer, state: str, reason: str, actor: str, now: datetime) -> None:
    _end(transfer, state, reason=reason, ended_by=actor[:254], ended_at=now)
    place, quantity = (transfer.from_office_id, transfer.pack_id), transfer.quantity
    services.move(*place, "returned", quantity, note=reason, actor=actor, now=now, transfer_id=transfer.id)


def _end(transfer: StockTransfer, state: str, **values: object) -> None:
    mine = sa.and_(StockTransfer.id == transfer.id, StockTransfer.state == "on_the_way")
    step = sa.update(StockTransfer).where(mine).values(state=state, **values)
    if rows_changed(db.session.execute(step.execution_options(synchronize_session=False))) == 0:
        raise TransferEnded
    db.session.refresh(transfer)
