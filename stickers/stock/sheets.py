"""The shift-close sheet: every pack of an office counted at once, kept with who and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.db import db
from core.errors import DomainError
from staff.models import StaffMember
from stickers.stock import services
from stickers.stock.errors import NotCounted, UnknownSheet
from stickers.stock.models import StockLevel, StockSheet, StockSheetLine


@dataclass(frozen=True)
class Counted:
    """What a person counted of one pack, and what the system said when they did."""

    pack_id: int
    expected: int
    counted: int
    reason: str = ""


def close_shift(office_id: int, lines: Sequence[Counted], *, note: str, actor: str, now: datetime) -> StockSheet:
    """Keep the sheet; differences become counted movements. Fields of refusals end in the pack's id: `counted-7`.

    Raises `NotCounted` unless there is a line for every pack the office has a level of, `StockChanged`,
    `QuantityInvalid`, `ReasonMissing`, `TextTooLong`.
    """
    levels = sa.select(StockLevel.pack_id).where(StockLevel.office_id == office_id)
    if not lines or not set(db.session.scalars(levels)) <= {line.pack_id for line in lines}:
        raise NotCounted
    sheet = StockSheet(
        office_id=office_id, closed_by=actor[:254], closed_at=now, note=services.text(note, field="note")
    )
    db.session.add(sheet)
    db.session.flush()
    for line in sorted(lines, key=lambda line: line.pack_id):  # levels are taken in the order of their packs
        _count(sheet, line, actor, now)
    return sheet


def _count(sheet: StockSheet, line: Counted, actor: str, now: datetime) -> None:
    try:
        services.count(
            sheet.office_id,
            line.pack_id,
            line.counted,
            reason=line.reason,
            actor=actor,
            now=now,
            expected=line.expected,
            sheet_id=sheet.id,
        )
    except DomainError as refusal:
        raise type(refusal)(field=f"{refusal.field}-{line.pack_id}", **refusal.values) from None
    reason = services.text(line.reason)
    row = {"sheet_id": sheet.id, "pack_id": line.pack_id, "expected": line.expected, "counted": line.counted}
    db.session.execute(sa.insert(StockSheetLine).values(**row, reason=reason))


def find(public_id: str) -> StockSheet:
    """Raises `UnknownSheet`."""
    sheet = db.session.scalar(sa.select(StockSheet).where(StockSheet.public_id == public_id))
    if sheet is None:
        raise UnknownSheet
    return sheet


def of_office(office_id: int, limit: int = 30) -> list[StockSheet]:
    """The newest first."""
    query = sa.select(StockSheet).where(StockSheet.office_id == office_id).order_by(StockSheet.id.desc())
    return list(db.session.scalars(query.limit(limit)))


def closers(sheets: Sequence[StockSheet]) -> dict[str, str]:
    """The names of the members who closed them, by what stands on the sheet; without those who are none any more."""
    query = sa.select(StaffMember.email, StaffMember.name)
    found = db.session.execute(query.where(StaffMember.email.in_({sheet.closed_by for sheet in sheets})))
    return {member.email: member.name for member in found}
