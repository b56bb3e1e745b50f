"""The rules of campaigns: made, changed, put at the front. Services flush; edges commit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _

from core.db import db
from core.paging import Page, page_of
from donations import queries
from donations.backoffice.errors import FundTaken, SlugTaken
from donations.backoffice.reading import Read, fields_of, read
from donations.models import Campaign, Donation
from ledger.models import Fund
from staff import audit
from staff.access import Actor
from staff.editing import FormRefused, record_change, refused_as, require_unchanged
from stickers.services import rules_of


def campaigns_page(wanted: Mapping[str, str], number: int) -> Page[Campaign]:
    """The newest first; `wanted` may have `q`, a part of the address or of a title in any language."""
    query = sa.select(Campaign).order_by(Campaign.id.desc())
    if sought := wanted.get("q", "").strip()[:120]:
        ids = [
            row.id
            for row in db.session.execute(sa.select(Campaign.id, Campaign.slug, Campaign.title))
            if any(sought.casefold() in text.casefold() for text in (row.slug, *row.title.values()))
        ]
        query = query.where(Campaign.id.in_(ids))
    return page_of(query, number)


def funds() -> list[Fund]:
    return list(db.session.scalars(sa.select(Fund).order_by(Fund.code)))


def held(slug: str) -> Campaign:
    """The campaign, read anew and held until the unit of work ends. Raises `UnknownCampaign`."""
    found = queries.campaign_by_slug(slug)
    query = sa.select(Campaign).where(Campaign.id == found.id).with_for_update(of=Campaign)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def is_given_to(campaign: Campaign) -> bool:
    """Whether anybody has begun to give: from then on its address, fund, currency and zone stay."""
    return db.session.scalar(sa.select(Donation.id).where(Donation.campaign_id == campaign.id).limit(1)) is not None


def make(form: Mapping[str, str], actor: Actor, now: datetime) -> Campaign:
    """Raises `FormRefused`, `SlugTaken`, `FundTaken`."""
    said = read(form)
    campaign = Campaign(**said.columns, fund=_fund(said))
    with refused_as(SlugTaken(field="slug")):
        db.session.add(campaign)
    after = fields_of(campaign)
    audit.record(actor.email, "campaign.made", _subject(campaign), after=after, now=now, address=actor.address)
    return campaign


def change(slug: str, form: Mapping[str, str], actor: Actor, now: datetime) -> Campaign:
    """Raises `UnknownCampaign`, `EditedMeanwhile`, `FormRefused`, `SlugTaken`, `FundTaken`."""
    campaign = held(slug)
    before = fields_of(campaign)
    require_unchanged(form, before)
    said = read(form)
    _require_fixed(campaign, said)
    columns = {**said.columns, "fund_id": _fund(said).id}
    with refused_as(SlugTaken(field="slug")):
        for name, value in columns.items():
            setattr(campaign, name, value)
    db.session.refresh(campaign)
    record_change(actor, "campaign.changed", f"campaign:{slug}", before, fields_of(campaign), now)
    return campaign


def _require_fixed(campaign: Campaign, said: Read) -> None:
    """Raises `FormRefused` for a change of what is promised or booked already."""
    errors: dict[str, list[str]] = {}
    kept = ("slug", "currency", "zone")  # days of reports are those of the zone
    new = {**{name: said.columns[name] for name in kept}, "fund": said.fund}
    old = {**{name: getattr(campaign, name) for name in kept}, "fund": campaign.fund.code}
    changed = [name for name in new if new[name] != old[name]]
    if changed and is_given_to(campaign):
        errors = {name: [_("People have given already: this stays as it is.")] for name in changed}
    elif "currency" in changed and rules_of(campaign.id):
        errors["currency"] = [
            _("The amounts of its packs are in %(old)s: remove those rules first.", old=campaign.currency)
        ]
    if errors:
        raise FormRefused(errors=errors)


def _fund(said: Read) -> Fund:
    """The fund that the form chose or described. Raises `FundTaken`, `FormRefused`."""
    currency = said.columns["currency"]
    if said.new_fund:
        code, name = said.new_fund
        fund = Fund(code=code, name=name, currency=currency)
        with refused_as(FundTaken(field="fund_code")):
            db.session.add(fund)
        return fund
    found = db.session.scalar(sa.select(Fund).where(Fund.code == said.fund))
    if found is None:
        raise FormRefused(errors={"fund": [_("Please choose one of the list.")]})
    if found.currency != currency:
        raise FormRefused(errors={"fund": [_("This fund is kept in %(currency)s.", currency=found.currency)]})
    return found


def put_at_front(slug: str, actor: Actor, now: datetime) -> None:
    """Let `/` show it, and posters and links be made for it unless another one is chosen. Raises `UnknownCampaign`."""
    old, new = queries.front_campaign().slug, held(slug)
    new.front_since = now
    record_change(actor, "campaign.put_at_front", _subject(new), {"front": old}, {"front": slug}, now)


def _subject(campaign: Campaign) -> str:
    return f"campaign:{campaign.slug}"


def described(campaign: Campaign, now: datetime) -> str:
    """planned, open or over."""
    if campaign.opens_at and now < campaign.opens_at:
        return "planned"
    return "over" if campaign.closes_at and now >= campaign.closes_at else "open"


def overview(now: datetime) -> dict[str, Any]:
    """For the front page of the console: how many campaigns are open, and which one stands at the front."""
    every = list(db.session.scalars(sa.select(Campaign)))
    front = queries.front_campaign() if every else None
    return {"front": front, "open": sum(described(each, now) == "open" for each in every), "all": len(every)}
