"""Tables of stock. Levels change by guarded updates, movements are only ever added."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.ids import new_public_id
from offices.models import Office
from stickers.models import StickerPack

KINDS = (
    "received",
    "sent",
    "arrived",
    "returned",  # a transfer was cancelled or declined: back to the sender
    "variance",  # what arrived is not what was sent
    "handed_over",
    "taken_back",
    "damaged",
    "counted",
)
OF_A_TRANSFER = ("sent", "arrived", "returned", "variance")
OF_A_REDEMPTION = ("handed_over", "taken_back")
TRANSFER_STATES = ("on_the_way", "arrived", "cancelled", "declined")
LOW_MARK = 5  # of a level that nobody has set one for


def _in(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class StockLevel(Base):
    """An office is told that a pack runs low when `quantity` falls to `low_mark` or below."""

    __tablename__ = "stock_levels"
    __table_args__ = (
        sa.CheckConstraint("quantity >= 0", name="quantity"),
        sa.CheckConstraint("low_mark >= 0", name="low_mark"),
    )

    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"), primary_key=True, autoincrement=False)
    pack_id: Mapped[int] = mapped_column(
        sa.ForeignKey("sticker_packs.id"), primary_key=True, autoincrement=False, index=True
    )
    quantity: Mapped[int]
    low_mark: Mapped[int]

    office: Mapped[Office] = relationship()
    pack: Mapped[StickerPack] = relationship()


class StockTransfer(Base):
    """`quantity` left the sender; `arrived` is what the receiver confirmed."""

    __tablename__ = "stock_transfers"
    __table_args__ = (
        sa.CheckConstraint(_in("state", TRANSFER_STATES), name="state"),
        sa.CheckConstraint("from_office_id <> to_office_id", name="two_offices"),
        sa.CheckConstraint("quantity > 0", name="quantity"),
        sa.CheckConstraint("arrived >= 0", name="arrived"),
        sa.CheckConstraint("(state = 'arrived') = (arrived IS NOT NULL)", name="arrived_state"),
        sa.CheckConstraint("(state = 'on_the_way') = (ended_at IS NULL)", name="ended_at"),
        sa.Index(
            "ix_stock_transfers_on_the_way",
            "to_office_id",
            sqlite_where=sa.text("state = 'on_the_way'"),
            postgresql_where=sa.text("state = 'on_the_way'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    from_office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"), index=True)
    to_office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"), index=True)
    pack_id: Mapped[int] = mapped_column(sa.ForeignKey("sticker_packs.id"))
    quantity: Mapped[int]
    arrived: Mapped[int | None]
    state: Mapped[str] = mapped_column(sa.String(10), default="on_the_way")
    note: Mapped[str] = mapped_column(sa.String(200), default="")
    sent_by: Mapped[str] = mapped_column(sa.String(254))
    sent_at: Mapped[datetime]
    ended_by: Mapped[str | None] = mapped_column(sa.String(254))
    ended_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(sa.String(200), default="")  # of a difference, or why it was not taken

    from_office: Mapped[Office] = relationship(foreign_keys=from_office_id, lazy="joined")
    to_office: Mapped[Office] = relationship(foreign_keys=to_office_id, lazy="joined")
    pack: Mapped[StickerPack] = relationship(lazy="joined")


class StockSheet(Base):
    """A shift was closed: every pack of the office counted by one person at one moment."""

    __tablename__ = "stock_sheets"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"), index=True)
    closed_by: Mapped[str] = mapped_column(sa.String(254))
    closed_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(sa.String(200), default="")

    office: Mapped[Office] = relationship()
    lines: Mapped[list["StockSheetLine"]] = relationship(order_by="StockSheetLine.pack_id")


class StockSheetLine(Base):
    __tablename__ = "stock_sheet_lines"
    __table_args__ = (
        sa.CheckConstraint("expected >= 0", name="expected"),
        sa.CheckConstraint("counted >= 0", name="counted"),
    )

    sheet_id: Mapped[int] = mapped_column(sa.ForeignKey("stock_sheets.id"), primary_key=True, autoincrement=False)
    pack_id: Mapped[int] = mapped_column(sa.ForeignKey("sticker_packs.id"), primary_key=True, autoincrement=False)
    expected: Mapped[int]
    counted: Mapped[int]
    reason: Mapped[str] = mapped_column(sa.String(200), default="")

    pack: Mapped[StickerPack] = relationship(lazy="joined")


class StockMovement(Base):
    """`delta` packs more or fewer, after which the level was `level`.

    What may happen once, happens once: a redemption is handed over and taken back once, a transfer is sent, arrives or
    returns once. `redemption_id` names a row of a table that stands above this room.
    """

    __tablename__ = "stock_movements"
    __table_args__ = (
        sa.CheckConstraint(_in("kind", KINDS), name="kind"),
        sa.CheckConstraint("level >= 0 AND level - delta >= 0", name="level"),
        sa.CheckConstraint("delta <> 0 OR kind = 'counted'", name="delta"),
        sa.CheckConstraint("delta > 0 OR kind NOT IN ('received', 'arrived', 'returned', 'taken_back')", name="comes"),
        sa.CheckConstraint("delta < 0 OR kind NOT IN ('sent', 'handed_over', 'damaged')", name="goes"),
        sa.CheckConstraint(f"({_in('kind', OF_A_TRANSFER)}) = (transfer_id IS NOT NULL)", name="transfer"),
        sa.CheckConstraint(f"({_in('kind', OF_A_REDEMPTION)}) = (redemption_id IS NOT NULL)", name="redemption"),
        sa.CheckConstraint("sheet_id IS NULL OR kind = 'counted'", name="sheet"),
        sa.UniqueConstraint("redemption_id", "kind"),
        sa.UniqueConstraint("transfer_id", "kind"),
        sa.UniqueConstraint("sheet_id", "pack_id"),
        sa.Index("ix_stock_movements_office_id_pack_id", "office_id", "pack_id", "id"),
        sa.Index(
            "ix_stock_movements_differences",
            "id",
            sqlite_where=sa.text("kind IN ('variance', 'damaged', 'counted') AND delta <> 0"),
            postgresql_where=sa.text("kind IN ('variance', 'damaged', 'counted') AND delta <> 0"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"))
    pack_id: Mapped[int] = mapped_column(sa.ForeignKey("sticker_packs.id"))
    kind: Mapped[str] = mapped_column(sa.String(12))
    delta: Mapped[int]
    level: Mapped[int]
    note: Mapped[str] = mapped_column(sa.String(200))  # the reason, or the document it came with
    actor: Mapped[str] = mapped_column(sa.String(254))
    at: Mapped[datetime]
    redemption_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    transfer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("stock_transfers.id"))
    sheet_id: Mapped[int | None] = mapped_column(sa.ForeignKey("stock_sheets.id"))

    office: Mapped[Office] = relationship()
    pack: Mapped[StickerPack] = relationship()
    transfer: Mapped[StockTransfer | None] = relationship()


class StockAlert(Base):
    """A level fell to its mark. One is open for each level at most; `told_at` once its e-mails are in the outbox."""

    __tablename__ = "stock_alerts"
    __table_args__ = (
        sa.ForeignKeyConstraint(["office_id", "pack_id"], ["stock_levels.office_id", "stock_levels.pack_id"]),
        sa.Index(
            "uq_stock_alerts_open",
            "office_id",
            "pack_id",
            unique=True,
            sqlite_where=sa.text("cleared_at IS NULL"),
            postgresql_where=sa.text("cleared_at IS NULL"),
        ),
        sa.Index(
            "ix_stock_alerts_untold",
            "raised_at",
            sqlite_where=sa.text("told_at IS NULL"),
            postgresql_where=sa.text("told_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    office_id: Mapped[int] = mapped_column(BigKey)
    pack_id: Mapped[int] = mapped_column(BigKey)
    quantity: Mapped[int]
    raised_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    cleared_at: Mapped[datetime | None]


class StockLetter(Base):
    """One e-mail about one alert to one member of staff; the outbox names this row."""

    __tablename__ = "stock_letters"
    __table_args__ = (sa.UniqueConstraint("alert_id", "member_id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    alert_id: Mapped[int] = mapped_column(sa.ForeignKey("stock_alerts.id"))
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))


class StockForm(Base):
    """A form or a request that was taken: the same one sent again changes nothing. The key is a hash of what tells it
    from others, such as its nonce and content."""

    __tablename__ = "stock_forms"

    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(index=True)
