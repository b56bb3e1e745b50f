"""What posters say of a campaign."""

import sqlalchemy as sa
from flask import Flask

from core.db import db
from donations.models import Campaign
from offices.printing.texts import PosterText, register_campaigns


def _find(slug: str) -> int | None:
    return db.session.scalar(sa.select(Campaign.id).where(Campaign.slug == slug))


def _text(campaign_id: int, locale: str) -> PosterText:
    campaign = db.session.get_one(Campaign, campaign_id)
    helpline = next((each for each in campaign.resources if each.kind == "helpline" and each.label), None)
    return PosterText(
        title=campaign.title.in_locale(locale),
        lead=campaign.lead.in_locale(locale),
        designation=campaign.designation.in_locale(locale),
        partners=campaign.partners.in_locale(locale) if campaign.partners else "",
        helpline_title=helpline.title.in_locale(locale) if helpline else "",
        helpline=helpline.label if helpline else "",
    )


def init_app(app: Flask) -> None:
    register_campaigns(app, find=_find, text=_text)
