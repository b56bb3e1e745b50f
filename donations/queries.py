"""Reads for pages, API and reports."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from core.db import db
from donations import errors
from donations.models import Campaign, Donation, Payment, Refund
from ledger.models import Fund
from ledger.queries import CampaignPart, FundTotals, fund_totals_and_parts, specialists_trained, totals_of_kinds


def campaign_by_slug(slug: str) -> Campaign:
    """Raises `UnknownCampaign`."""
    campaign = db.session.scalar(sa.select(Campaign).where(Campaign.slug == slug))
    if campaign is None:
        raise errors.UnknownCampaign
    return campaign


def front_campaign() -> Campaign:
    """The campaign that `/` shows: the one chosen last, else the first. Raises `UnknownCampaign` without any."""
    chosen_last = Campaign.front_since.is_(None), Campaign.front_since.desc(), Campaign.id
    campaign = db.session.scalar(sa.select(Campaign).order_by(*chosen_last).limit(1))
    if campaign is None:
        raise errors.UnknownCampaign
    return campaign


def donation_by_token(token: str) -> Donation:
    """Raises `UnknownDonation`."""
    query = sa.select(Donation).where(Donation.token == token).options(selectinload(Donation.payments))
    donation = db.session.scalar(query) if token.isascii() else None
    if donation is None:
        raise errors.UnknownDonation
    return donation


def donation_by_key(scope: str, key: str) -> Donation | None:
    query = sa.select(Donation).where(Donation.idempotency_scope == scope, Donation.idempotency_key == key)
    return db.session.scalar(query)


@dataclass(frozen=True, slots=True)
class CampaignTotals:
    """Public totals; amounts in minor units of the campaign's currency.

    `own` is what this campaign's gifts came to, `fund` what all campaigns of its fund came to. What is spent, who was
    trained and what is available is of the fund: of a campaign only where it has the fund for itself (not `shared`),
    and then `own` is `fund`.
    """

    goal: int
    donations: int
    own: FundTotals
    fund: FundTotals
    shared: bool
    specialists_trained: int
    as_of: datetime

    @property
    def percent(self) -> int:
        """How full the thermometer is: 0 to 100, by what is earmarked."""
        return max(0, min(100, self.own.earmarked * 100 // self.goal)) if self.goal else 0


def campaign_totals(campaign: Campaign, now: datetime) -> CampaignTotals:
    totals, parts = fund_totals_and_parts(campaign.fund)
    part = parts.get(campaign.id) or CampaignPart(totals_of_kinds(totals.currency, {}), 0)
    shared = is_shared(campaign.fund)
    return CampaignTotals(
        goal=campaign.goal_minor,
        donations=part.gifts,
        own=part.totals if shared else totals,
        fund=totals,
        shared=shared,
        specialists_trained=specialists_trained(campaign.fund),
        as_of=now,
    )


def is_shared(fund: Fund) -> bool:
    """Whether more than one campaign gives to it."""
    campaigns = sa.select(sa.func.count(Campaign.id)).where(Campaign.fund_id == fund.id)
    return int(db.session.scalar(campaigns) or 0) > 1


def started_since(campaign: Campaign, moment: datetime) -> int:
    """How many gifts were started, paid or not."""
    query = sa.select(sa.func.count(Donation.id))
    return int(db.session.scalar(query.where(Donation.campaign_id == campaign.id, Donation.created_at >= moment)) or 0)


def open_payments(now: datetime, limit: int = 50) -> list[int]:
    """Ids of payments whose provider is to be asked now."""
    query = sa.select(Payment.id).where(Payment.next_ask_at <= now).order_by(Payment.next_ask_at).limit(limit)
    return list(db.session.scalars(query))


def requested_refunds(now: datetime, limit: int = 50) -> list[int]:
    """Ids of refunds that a provider is to be asked for now."""
    query = sa.select(Refund.id).where(Refund.next_try_at <= now).order_by(Refund.next_try_at).limit(limit)
    return list(db.session.scalars(query))
