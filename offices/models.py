"""Tables of offices, placements and print runs."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.i18n import Localized, LocalizedText
from core.ids import new_public_id

MEDIA = (
    "office_poster",
    "counter_card",
    "window",
    "billboard",
    "metro",
    "lift",
    "taxi",
    "sms",
    "blogger",
    "article",
    "other",
)
PLACEMENT_STATES = ("active", "retired", "replaced")
BATCH_STATES = ("queued", "running", "done", "failed", "cancelled")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Office(Base):
    __tablename__ = "offices"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(20), unique=True)
    name: Mapped[Localized] = mapped_column(LocalizedText)
    address: Mapped[Localized] = mapped_column(LocalizedText)
    region: Mapped[str] = mapped_column(sa.String(60), index=True)
    active: Mapped[bool] = mapped_column(default=True)
    posters: Mapped[int] = mapped_column(default=0, server_default=sa.text("0"))  # the last number given to a poster


class OfficeStaff(Base):
    """Which members of staff belong to which office."""

    __tablename__ = "office_staff"

    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"), primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"), primary_key=True, index=True)


class PrintBatch(Base):
    """A print run; `total` and `done` count pages. A worker holds it until `lease_until`.

    `finished_at` is when it was done for the first time, or cancelled: from then on its posters may hang on walls.
    """

    __tablename__ = "print_batches"
    __table_args__ = (
        sa.CheckConstraint(_one_of("state", BATCH_STATES), name="state"),
        sa.CheckConstraint("copies > 0", name="copies"),
        sa.CheckConstraint("0 <= done AND done <= total", name="progress"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaigns.id"))
    format: Mapped[str] = mapped_column(sa.String(10))
    language: Mapped[str] = mapped_column(sa.String(2))
    copies: Mapped[int]
    packaging: Mapped[str] = mapped_column(sa.String(10), default="pdf")  # pdf, or zip with a PDF for each office
    selection: Mapped[dict[str, Any]] = mapped_column(sa.JSON)  # what was asked for, as asked; what posters say
    state: Mapped[str] = mapped_column(sa.String(10), default="queued")
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(sa.String(200))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None] = mapped_column(index=True)  # null once it ended
    created_by: Mapped[str] = mapped_column(sa.String(80), default="")

    placements: Mapped[list["Placement"]] = relationship(back_populates="batch", order_by="Placement.id")


class PrintBatchOffice(Base):
    """An office of a print run, as its posters name it: they stay the same when the office moves."""

    __tablename__ = "print_batch_offices"

    batch_id: Mapped[int] = mapped_column(sa.ForeignKey("print_batches.id"), primary_key=True)
    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"), primary_key=True, index=True)
    line: Mapped[str] = mapped_column(sa.String(400))


class Placement(Base):
    """`code` is what the short link carries, upper case; `number` counts the placements of a batch.

    `poster_number` is printed on the poster and tells it from others of its office, whatever run they came from.
    """

    __tablename__ = "placements"
    __table_args__ = (
        sa.CheckConstraint(_one_of("medium", MEDIA), name="medium"),
        sa.CheckConstraint(_one_of("state", PLACEMENT_STATES), name="state"),
        sa.CheckConstraint("(state = 'replaced') = (replaced_by_id IS NOT NULL)", name="replaced_by"),
        sa.CheckConstraint("scans >= 0", name="scans"),
        sa.UniqueConstraint("batch_id", "number"),
        sa.Index("uq_placements_office_id_poster_number", "office_id", "poster_number", unique=True),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(12), unique=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaigns.id"), index=True)
    medium: Mapped[str] = mapped_column(sa.String(20))
    office_id: Mapped[int | None] = mapped_column(sa.ForeignKey("offices.id"), index=True)
    language: Mapped[str] = mapped_column(sa.String(2))
    label: Mapped[str] = mapped_column(sa.String(120), default="")
    batch_id: Mapped[int | None] = mapped_column(sa.ForeignKey("print_batches.id"))
    number: Mapped[int | None]
    poster_number: Mapped[int | None]
    state: Mapped[str] = mapped_column(sa.String(10), default="active")
    replaced_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("placements.id"))
    created_at: Mapped[datetime]
    scans: Mapped[int] = mapped_column(sa.BigInteger, default=0)

    office: Mapped[Office | None] = relationship()
    batch: Mapped[PrintBatch | None] = relationship(back_populates="placements")
