"""Tables of packs, rules and codes."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base, BigKey
from core.i18n import Localized, LocalizedText
from stickers import codes

CODE_STATUSES = ("issued", "held", "voided", "redeemed", "replaced")


class StickerPack(Base):
    __tablename__ = "sticker_packs"
    __table_args__ = (sa.CheckConstraint("kind IN ('physical', 'digital')", name="kind"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[Localized] = mapped_column(LocalizedText)
    description: Mapped[Localized] = mapped_column(LocalizedText)
    kind: Mapped[str] = mapped_column(sa.String(10), default="physical")
    picture: Mapped[str] = mapped_column(sa.String(120))  # file below stickers/static/packs
    download: Mapped[str | None] = mapped_column(sa.String(120))  # below stickers/downloads, of a digital pack


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
    """`ordinal` counts the codes of one donation: with its uniqueness they can be issued only once."""

    __tablename__ = "redemption_codes"
    __table_args__ = (
        sa.UniqueConstraint("donation_id", "ordinal"),
        sa.CheckConstraint(f"status IN ({', '.join(repr(status) for status in CODE_STATUSES)})", name="status"),
        sa.CheckConstraint("(status = 'redeemed') = (redeemed_at IS NOT NULL)", name="redeemed_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    donation_id: Mapped[int] = mapped_column(sa.ForeignKey("donations.id"))
    ordinal: Mapped[int]
    pack_id: Mapped[int] = mapped_column(sa.ForeignKey("sticker_packs.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(codes.LENGTH), unique=True)
    status: Mapped[str] = mapped_column(sa.String(10), default="issued")
    issued_at: Mapped[datetime]
    redeemed_at: Mapped[datetime | None]

    pack: Mapped[StickerPack] = relationship(lazy="joined")

    @property
    def shown(self) -> str:
        return codes.show(self.code)
