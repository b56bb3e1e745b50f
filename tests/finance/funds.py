"""More campaigns and funds than the one that every house has."""

from typing import Any

import sqlalchemy as sa

from core.db import unit_of_work
from core.i18n import Localized
from donations.models import Campaign
from ledger.models import Fund


def campaign(slug: str, fund: str = "specialists", name: str = "", **differs: Any) -> None:
    """A campaign like the one that is there, for this fund, which is made when there is none."""
    with unit_of_work() as session:
        like = session.scalars(sa.select(Campaign).order_by(Campaign.id)).first()
        assert like is not None
        to = session.scalar(sa.select(Fund).where(Fund.code == fund))
        to = to or Fund(code=fund, name=Localized(ru=name or fund), currency=like.currency)
        own = {"id", "slug", "title", "fund_id", "front_since", *differs}
        columns = {column.key: getattr(like, column.key) for column in sa.inspect(Campaign).columns}
        kept = {name: value for name, value in columns.items() if name not in own}
        session.add(Campaign(**kept, slug=slug, title=Localized(ru=slug), fund=to, **differs))
