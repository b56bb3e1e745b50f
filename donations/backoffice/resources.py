"""Resources of a campaign: help and materials, in an order of its own."""

import re
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from flask_babel import gettext as _

from core.db import db
from donations.backoffice.campaigns import held
from donations.backoffice.errors import UnknownResource
from donations.models import RESOURCE_KINDS, Campaign, CampaignResource
from staff import audit
from staff.access import Actor
from staff.editing import Typed, localized_fields, record_change, require_unchanged

TITLE_LIMIT, TEXT_LIMIT, LABEL_LIMIT, TARGET_LIMIT = 120, 400, 80, 300
HTTPS = re.compile(r"https://[^\s/?#@\\<>\"']+\.[^\s/?#@\\<>\"']+(?:[/?#][^\s\\<>\"]*)?", re.IGNORECASE)
TEL = re.compile(r"tel:\+?[0-9]{2,15}")
MAILTO = re.compile(r"mailto:[^\s@<>?&\"'\\]+@[^\s@<>?&\"'\\]+\.[^\s@<>?&\"'\\]+")


def of(campaign: Campaign) -> list[CampaignResource]:
    query = sa.select(CampaignResource).where(CampaignResource.campaign_id == campaign.id)
    return list(db.session.scalars(query.order_by(CampaignResource.position)))


def find(campaign: Campaign, resource_id: int) -> CampaignResource:
    """Raises `UnknownResource`."""
    found = db.session.get(CampaignResource, resource_id, populate_existing=True)
    if found is None or found.campaign_id != campaign.id:
        raise UnknownResource
    return found


def fields_of(resource: CampaignResource) -> dict[str, str]:
    fields = {"kind": resource.kind, "label": resource.label, "target": resource.target}
    return fields | localized_fields("title", resource.title) | localized_fields("text", resource.text)


def _read(form: Mapping[str, str]) -> dict[str, object]:
    """Raises `FormRefused`."""
    typed = Typed(form)
    columns: dict[str, object] = {
        "kind": typed.choice("kind", RESOURCE_KINDS),
        "title": typed.localized("title", TITLE_LIMIT),
        "text": typed.localized("text", TEXT_LIMIT),
        "label": typed.text("label", LABEL_LIMIT),
        "target": typed.text("target", TARGET_LIMIT),
    }
    if columns["target"] and not is_safe(str(columns["target"])):
        typed.refuse("target", _("An address begins with https://, tel: or mailto:, without spaces."))
    typed.finish()
    return columns


def is_safe(target: str) -> bool:
    """Whether it leads where its text says: nothing that a browser would run, no user name that hides the host."""
    return any(pattern.fullmatch(target) for pattern in (HTTPS, TEL, MAILTO))


def make(slug: str, form: Mapping[str, str], actor: Actor, now: datetime) -> CampaignResource:
    """At the end of the list. Raises `UnknownCampaign`, `FormRefused`."""
    campaign, columns = held(slug), _read(form)
    resource = CampaignResource(campaign_id=campaign.id, position=_last(campaign) + 1, **columns)
    db.session.add(resource)
    db.session.flush()
    after = fields_of(resource)
    audit.record(actor.email, "resource.made", f"campaign:{slug}", after=after, now=now, address=actor.address)
    return resource


def _last(campaign: Campaign) -> int:
    query = sa.select(sa.func.max(CampaignResource.position)).where(CampaignResource.campaign_id == campaign.id)
    return db.session.scalar(query) or 0


def change(slug: str, resource_id: int, form: Mapping[str, str], actor: Actor, now: datetime) -> None:
    """Raises `UnknownCampaign`, `UnknownResource`, `EditedMeanwhile`, `FormRefused`."""
    resource = find(held(slug), resource_id)
    before = fields_of(resource)
    require_unchanged(form, before)
    for name, value in _read(form).items():
        setattr(resource, name, value)
    db.session.flush()
    record_change(actor, "resource.changed", f"campaign:{slug}", before, fields_of(resource), now)


def remove(slug: str, resource_id: int, actor: Actor, now: datetime) -> None:
    """Raises `UnknownCampaign`, `UnknownResource`."""
    resource = find(held(slug), resource_id)
    before = fields_of(resource)
    db.session.delete(resource)
    db.session.flush()
    audit.record(actor.email, "resource.removed", f"campaign:{slug}", before=before, now=now, address=actor.address)


def move(slug: str, resource_id: int, *, up: bool, actor: Actor, now: datetime) -> None:
    """Change places with the one above or below; at the end of the list nothing happens. Raises as `remove` does."""
    campaign = held(slug)
    resource, order = find(campaign, resource_id), of(campaign)
    place = order.index(resource)
    other_place = place - 1 if up else place + 1
    if not 0 <= other_place < len(order):
        return
    other = order[other_place]
    before = [each.title["ru"] for each in order]
    mine, theirs = resource.position, other.position
    # A position is one resource's at a time: the way leads over one that nobody has.
    for row, position in ((resource, _last(campaign) + 1), (other, mine), (resource, theirs)):
        row.position = position
        db.session.flush()
    after = [each.title["ru"] for each in of(campaign)]
    record_change(actor, "resource.moved", f"campaign:{slug}", {"order": before}, {"order": after}, now)
