"""The demonstration campaign, from the campaign's own papers. Made once; never touches what is there."""

from datetime import UTC, datetime

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.i18n import Localized
from donations.models import Campaign
from ledger.models import Fund
from stickers.models import StickerPack, StickerRule

SLUG = "bullying-free-internet"


def seed_demo(now: datetime) -> bool:
    """Whether it was made now."""
    exists = db.session.scalar(sa.select(Campaign.id).where(Campaign.slug == SLUG))
    if exists is not None:
        return False
    with unit_of_work() as session:
        fund = Fund(code="specialists", name=Localized(ru="Обучение специалистов"), currency="BYN")
        session.add(fund)
        session.flush()
        campaign = Campaign(
            slug=SLUG,
            title=Localized(ru="Интернет без травли", en="Bullying-free internet", be="Інтэрнэт без цкавання"),
            lead=Localized(ru="…"),
            designation=Localized(
                ru="обучение специалистов, которые помогают детям, пострадавшим от кибербуллинга",
                en="training specialists in treatment of cyberbullying victims",
                be="навучанне спецыялістаў, якія дапамагаюць дзецям, што пацярпелі ад кібербулінгу",
            ),
            uses=[],
            partners="МТС × ЮНИСЕФ",
            fund_id=fund.id,
            currency="BYN",
            goal_minor=5_000_000,
            suggested_minor=[1000, 2500, 5000, 10000],
            min_minor=500,
            max_minor=50000,
            opens_at=datetime(2021, 2, 9, tzinfo=UTC),
        )
        pack = StickerPack(
            code="kind-words",
            name=Localized(ru="Добрые слова"),
            description=Localized(ru="…"),
            picture="kind-words.svg",
        )
        session.add_all([campaign, pack])
        session.flush()
        session.add(StickerRule(campaign_id=campaign.id, pack_id=pack.id, from_minor=1000))
    return True
