"""Reads of the counter. Nothing of the donor is among them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from core.clock import local_day
from core.db import UtcDateTime, db
from core.i18n import Localized, LocalizedText
from offices import belonging
from offices.queries import campaign_id
from staff.access import Actor
from stickers.counter.errors import UnknownRedemption
from stickers.models import PassedOn, Redemption, RedemptionCode, StickerPack
from stickers.stock.models import StockLevel

# Gifts and campaigns are a room above this one: here only what tells where a code comes from.
donations = sa.table("donations", sa.column("id"), sa.column("token"), sa.column("campaign_id"))
campaigns = sa.table(
    "campaigns", sa.column("id"), sa.column("title", LocalizedText), sa.column("collect_until", UtcDateTime)
)


@dataclass(frozen=True)
class Found:
    """A code that was given out, and its campaign: until when it hands packs over (None: no end)."""

    code: RedemptionCode
    campaign_id: int
    campaign_title: Localized
    collect_until: datetime | None


def find_code(code: str) -> Found | None:
    """As it is stored now, whatever was read before."""
    query = (
        sa.select(RedemptionCode, campaigns.c.id, campaigns.c.title, campaigns.c.collect_until)
        .join(donations, donations.c.id == RedemptionCode.donation_id)
        .join(campaigns, campaigns.c.id == donations.c.campaign_id)
        .where(RedemptionCode.code == code)
        .options(joinedload(RedemptionCode.redemption))
        .execution_options(populate_existing=True)
    )
    row = db.session.execute(query).first()
    return None if row is None else Found(*row)


def codes_behind(token: str) -> list[str]:
    """The codes of packs to hand over on the page of this address, a donation's or a friend's; none without a page."""
    of_donation = sa.select(donations.c.id).where(donations.c.token == token)
    of_friend = sa.select(PassedOn.code_id).where(PassedOn.token == token)
    theirs = sa.and_(RedemptionCode.donation_id.in_(of_donation), RedemptionCode.id.not_in(sa.select(PassedOn.code_id)))
    query = (
        sa.select(RedemptionCode.code)
        .join(StickerPack, StickerPack.id == RedemptionCode.pack_id)
        .where(sa.or_(theirs, RedemptionCode.id.in_(of_friend)), StickerPack.kind == "physical")
        .where(RedemptionCode.status != "replaced")
        .order_by(RedemptionCode.ordinal)
    )
    return list(db.session.scalars(query))


def stock_of(office_id: int, pack_id: int) -> int | None:
    """How many packs the office has; None when it never had any."""
    return db.session.scalar(sa.select(StockLevel.quantity).filter_by(office_id=office_id, pack_id=pack_id))


def is_kept_here(found: Found, office_id: int) -> bool:
    """The packs of the console's campaign are kept everywhere, those of another where there were some already."""
    return found.campaign_id == campaign_id(None) or stock_of(office_id, found.code.pack_id) is not None


def redemption_by_nonce(member_id: int, nonce: str) -> Redemption | None:
    query = sa.select(Redemption).filter_by(member_id=member_id, nonce=nonce)
    return db.session.scalar(query.execution_options(populate_existing=True))


def redemption_by_id(public_id: str) -> Redemption | None:
    query = sa.select(Redemption).filter_by(public_id=public_id)
    return db.session.scalar(query.execution_options(populate_existing=True))


def redemption_for(actor: Actor, public_id: str) -> Redemption:
    """One of an office that the member works for. Raises `UnknownRedemption`, `NotYourOffice`."""
    redemption = redemption_by_id(public_id)
    if redemption is None:
        raise UnknownRedemption
    belonging.require_office(actor, redemption.office_id)
    return redemption


def handed_over_by(member_id: int, office_id: int, since: datetime) -> list[Redemption]:
    """What this member handed over at this office, newest first; undone ones too."""
    query = sa.select(Redemption).where(
        Redemption.member_id == member_id, Redemption.office_id == office_id, Redemption.redeemed_at >= since
    )
    return list(db.session.scalars(query.order_by(Redemption.redeemed_at.desc(), Redemption.id.desc())))


def start_of_day(now: datetime, zone: str) -> datetime:
    return datetime.combine(local_day(now, zone), time.min, ZoneInfo(zone))


def sums_by_pack(history: Iterable[Redemption]) -> list[tuple[StickerPack, int]]:
    """How many packs of each design stay handed over."""
    sums = Counter(each.code.pack for each in history if each.undone_at is None)
    return sorted(sums.items(), key=lambda pair: pair[0].code)
