"""What gifts to a campaign earn: from which amount, which pack, how many. Changes hold for gifts paid later."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from flask_babel import gettext as _

from core.db import db, insert_if_absent, rows_changed
from core.i18n import format_money
from donations.backoffice.campaigns import held
from donations.backoffice.errors import UnknownRule
from donations.models import Campaign
from staff import audit
from staff.access import Actor
from staff.editing import Typed, amount_field
from stickers.backoffice.packs import packs_in_use
from stickers.models import StickerRule

MOST_PACKS = 10  # of one design for one gift


def add(slug: str, form: Mapping[str, str], actor: Actor, now: datetime) -> None:
    """Raises `UnknownCampaign`, `FormRefused`."""
    campaign, typed = held(slug), Typed(form)
    packs = {pack.code: pack.id for pack in packs_in_use(lock=True)}
    from_minor = typed.amount("from", campaign.currency)
    if from_minor and from_minor > campaign.max_minor:
        largest = format_money(campaign.money(campaign.max_minor))
        typed.refuse("from", _("Nobody can give as much: the largest donation is %(limit)s.", limit=largest))
    pack = typed.choice("pack", packs)
    quantity = typed.number("quantity", 1, MOST_PACKS)
    typed.finish()
    values = {"campaign_id": campaign.id, "pack_id": packs[pack], "from_minor": from_minor, "quantity": quantity}
    if not insert_if_absent(StickerRule, **values):
        typed.stop("from", _("There is a rule for this pack and amount already: remove it first."))
    after = {"from": amount_field(from_minor or 0, campaign.currency), "pack": pack, "quantity": quantity}
    audit.record(actor.email, "rule.added", f"campaign:{slug}", after=after, now=now, address=actor.address)


def remove(slug: str, rule_id: int, actor: Actor, now: datetime) -> None:
    """Raises `UnknownCampaign`, `UnknownRule`."""
    campaign = held(slug)
    before = _described(campaign, rule_id)
    if rows_changed(db.session.execute(sa.delete(StickerRule).where(StickerRule.id == rule_id))) != 1:
        raise UnknownRule
    audit.record(actor.email, "rule.removed", f"campaign:{slug}", before=before, now=now, address=actor.address)


def _described(campaign: Campaign, rule_id: int) -> dict[str, object]:
    rule = db.session.get(StickerRule, rule_id)
    if rule is None or rule.campaign_id != campaign.id:
        raise UnknownRule
    amount = amount_field(rule.from_minor, campaign.currency)
    return {"from": amount, "pack": rule.pack.code, "quantity": rule.quantity}
