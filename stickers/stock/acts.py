"""What staff do to the stock of an office: the rule, and its entry in the audit log, for pages, machines and commands.

All of it belongs into a unit of work. Once an act has changed a level, nobody else does until that unit ends: the
levels written down are those right before and right after it. Of a transfer both sides are written down; the side that
does not move is what it was at that moment. Each act raises what the rule of the same name does.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from offices.models import Office
from staff import audit
from stickers.models import StickerPack
from stickers.stock import services, sheets, transfers
from stickers.stock.models import StockSheet, StockTransfer


@dataclass(frozen=True)
class By:
    """Who acts, from where, when."""

    actor: str
    address: str
    now: datetime


def receive(office: Office, pack: StickerPack, quantity: int, *, reference: str, by: By) -> None:
    services.receive(office.id, pack.id, quantity, reference=reference, actor=by.actor, now=by.now)
    _record("stock.received", office, pack, quantity, by, quantity=quantity, reference=services.text(reference))


def damage(office: Office, pack: StickerPack, quantity: int, *, reason: str, by: By) -> None:
    services.damage(office.id, pack.id, quantity, reason=reason, actor=by.actor, now=by.now)
    _record("stock.damaged", office, pack, -quantity, by, quantity=quantity, reason=services.text(reason))


def count(office: Office, pack: StickerPack, counted: int, *, reason: str, by: By, expected: int | None = None) -> None:
    moved = services.count(office.id, pack.id, counted, reason=reason, actor=by.actor, now=by.now, expected=expected)
    about = {"counted": counted, "difference": moved, "reason": services.text(reason)}
    _record("stock.counted", office, pack, moved, by, **about)


def set_low_mark(office: Office, pack: StickerPack, low_mark: int, *, by: By) -> None:
    before = services.set_low_mark(office.id, pack.id, low_mark, now=by.now)
    _write("stock.low_mark", _subject(office, pack), {"low_mark": before}, {"low_mark": low_mark}, by)


def send(office: Office, pack: StickerPack, quantity: int, *, to_office: Office, note: str, by: By) -> None:
    transfer = transfers.send(office.id, pack.id, quantity, to_office=to_office, note=note, actor=by.actor, now=by.now)
    _record_transfer("stock.sent", transfer, office, office, -quantity, by)


def confirm(transfer: StockTransfer, arrived: int, *, reason: str, by: By) -> None:
    transfers.confirm(transfer, arrived, reason=reason, actor=by.actor, now=by.now)
    _record_transfer("stock.arrived", transfer, transfer.to_office, transfer.to_office, arrived, by)


def decline(transfer: StockTransfer, *, reason: str, by: By) -> None:
    transfers.decline(transfer, reason=reason, actor=by.actor, now=by.now)
    _record_transfer("stock.declined", transfer, transfer.to_office, transfer.from_office, transfer.quantity, by)


def cancel(transfer: StockTransfer, *, reason: str, by: By) -> None:
    transfers.cancel(transfer, reason=reason, actor=by.actor, now=by.now)
    _record_transfer("stock.cancelled", transfer, transfer.from_office, transfer.from_office, transfer.quantity, by)


def close_shift(office: Office, lines: list[sheets.Counted], *, note: str, by: By) -> StockSheet:
    sheet = sheets.close_shift(office.id, lines, note=note, actor=by.actor, now=by.now)
    before: dict[str, Any] = {f"level {line.pack.code}": line.expected for line in sheet.lines}
    after: dict[str, Any] = {f"level {line.pack.code}": line.counted for line in sheet.lines}
    why = {f"reason {line.pack.code}": line.reason for line in sheet.lines if line.reason}
    about = {"office": office.code, "note": sheet.note, **why}
    _write("stock.shift_closed", f"stock_sheet:{sheet.public_id}", before, {**about, **after}, by)
    return sheet


# --- how it is written down


def _subject(office: Office, pack: StickerPack) -> str:
    return f"stock:{office.code}:{pack.code}"


def _write(action: str, subject: str, before: dict[str, Any], after: dict[str, Any], by: By) -> None:
    audit.record(by.actor, action, subject, before=before, after=after, now=by.now, address=by.address)


def _record(action: str, office: Office, pack: StickerPack, moved: int, by: By, **about: object) -> None:
    """`moved` packs more or fewer than before the act."""
    level = services.level_of(office.id, pack.id)
    _write(action, _subject(office, pack), {"level": level - moved}, {"level": level, **about}, by)


def _record_transfer(action: str, transfer: StockTransfer, acts: Office, moves: Office, moved: int, by: By) -> None:
    """The office `acts` did it; at `moves` there are `moved` packs more or fewer than before."""
    ends = transfer.from_office, transfer.to_office
    levels = {f"level {each.code}": services.level_of(each.id, transfer.pack_id) for each in ends}
    before: dict[str, Any] = {**levels, f"level {moves.code}": levels[f"level {moves.code}"] - moved}
    if transfer.ended_at is not None:
        before["state"] = "on_the_way"
    about = {"quantity": transfer.quantity, "arrived": transfer.arrived, "transfer": transfer.public_id}
    after = {**levels, "state": transfer.state, **about, "note": transfer.note, "reason": transfer.reason}
    _write(action, _subject(acts, transfer.pack), before, after, by)
