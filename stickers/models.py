"""Tables of packs, rules and codes."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.i18n import Localized, LocalizedText
from core.ids import new_public_id, new_token
from offices.models import Office
from stickers import codes

CODE_STATUSES = ("issued", "held", "voided", "redeemed", "replaced")
CODE_STANDINGS = ("issued", "held", "voided")  # what the donation's money says of its codes


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class StickerPack(Base):
    __tablename__ = "sticker_packs"
    __table_args__ = (sa.CheckConstraint("kind IN ('physical', 'digital')", name="kind"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[Localized] = mapped_column(LocalizedText)
    description: Mapped[Localized] = mapped_column(LocalizedText)
    kind: Mapped[str] = mapped_column(sa.String(10), default="physical")
    # Files that came with the package lie below stickers/static/packs and stickers/downloads; see `stickers.files`.
    picture: Mapped[str] = mapped_column(sa.String(120))
    download: Mapped[str | None] = mapped_column(sa.String(120))  # of a digital pack
    retired_at: Mapped[datetime | None]  # no new rule gives it


class StickerRule(Base):
    """A donation to the campaign of at least `from_minor` earns `quantity` codes for the pack.

    Of several rules for one pack the highest that is reached counts: one pack from 10 BYN, two from 30.
    """

    __tablename__ = "sticker_rules"
    __table_args__ = (
        sa.UniqueConstraint("campaign_id", "pack_id", "from_minor"),
        sa.CheckConstraint("quantity > 0", name="quantity"),
        sa.CheckConstraint("from_minor > 0", name="from_minor"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaigns.id"))
    pack_id: Mapped[int] = mapped_column(sa.ForeignKey("sticker_packs.id"))
    from_minor: Mapped[int] = mapped_column(sa.BigInteger)
    quantity: Mapped[int] = mapped_column(default=1)

    pack: Mapped[StickerPack] = relationship(lazy="joined")


class RedemptionCode(Base):
    """`ordinal` counts the codes of one donation: with its uniqueness they can be issued only once.

    `standing` is what the donation's money says of the code, also while the pack is handed over: a redeemed code stays
    redeemed when money goes back, and when the hand-over is undone the code becomes what it would be without it.
    """

    __tablename__ = "redemption_codes"
    __table_args__ = (
        sa.UniqueConstraint("donation_id", "ordinal"),
        sa.CheckConstraint(_one_of("status", CODE_STATUSES), name="status"),
        sa.CheckConstraint(_one_of("standing", CODE_STANDINGS), name="standing"),
        sa.CheckConstraint("status IN ('redeemed', 'replaced') OR status = standing", name="status_standing"),
        sa.CheckConstraint("(status = 'redeemed') = (redeemed_at IS NOT NULL)", name="redeemed_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    donation_id: Mapped[int] = mapped_column(sa.ForeignKey("donations.id"))
    ordinal: Mapped[int]
    pack_id: Mapped[int] = mapped_column(sa.ForeignKey("sticker_packs.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(codes.LENGTH), unique=True)
    status: Mapped[str] = mapped_column(sa.String(10), default="issued")
    standing: Mapped[str] = mapped_column(sa.String(10), default="issued")
    issued_at: Mapped[datetime]
    redeemed_at: Mapped[datetime | None]

    pack: Mapped[StickerPack] = relationship(lazy="joined")
    redemption: Mapped["Redemption | None"] = relationship(
        primaryjoin="and_(RedemptionCode.id == Redemption.code_id, Redemption.undone_at.is_(None))", viewonly=True
    )

    @property
    def shown(self) -> str:
        return codes.show(self.code)


class Redemption(Base):
    """A pack handed over for a code, at one office by one member of staff; undone when it came back within minutes.

    `nonce` names the press of the button (or the request of a machine): the same one again is the same redemption.
    """

    __tablename__ = "redemptions"
    __table_args__ = (
        sa.UniqueConstraint("member_id", "nonce"),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by_id IS NULL)", name="undone_by"),
        sa.CheckConstraint("(undone_at IS NULL) = (undo_reason = '')", name="undo_reason"),
        sa.Index(
            "uq_redemptions_standing",
            "code_id",
            unique=True,
            sqlite_where=sa.text("undone_at IS NULL"),
            postgresql_where=sa.text("undone_at IS NULL"),
        ),
        sa.Index("ix_redemptions_office_id_redeemed_at", "office_id", "redeemed_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(36), unique=True, default=new_public_id)
    code_id: Mapped[int] = mapped_column(sa.ForeignKey("redemption_codes.id"), index=True)
    office_id: Mapped[int] = mapped_column(sa.ForeignKey("offices.id"))
    member_id: Mapped[int] = mapped_column(sa.ForeignKey("staff_members.id"))
    nonce: Mapped[str] = mapped_column(sa.String(255))
    redeemed_at: Mapped[datetime] = mapped_column(index=True)
    undone_at: Mapped[datetime | None]
    undone_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff_members.id"))
    undo_reason: Mapped[str] = mapped_column(sa.String(200), default="")

    code: Mapped[RedemptionCode] = relationship(lazy="joined")
    office: Mapped[Office] = relationship(lazy="joined")


class PassedOn(Base):
    """A code that its holder gave to a friend: the old one is dead, the new one has an address of its own."""

    __tablename__ = "passed_on_codes"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    token: Mapped[str] = mapped_column(sa.String(40), unique=True, default=new_token)
    old_code_id: Mapped[int] = mapped_column(sa.ForeignKey("redemption_codes.id"), unique=True)
    code_id: Mapped[int] = mapped_column(sa.ForeignKey("redemption_codes.id"), unique=True)
    passed_at: Mapped[datetime]

    code: Mapped[RedemptionCode] = relationship(foreign_keys=code_id, lazy="joined")
