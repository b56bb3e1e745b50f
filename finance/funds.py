"""Which fund a page acts on: the one that the address or the form names, and which others there are."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.db import db
from core.errors import NotFound
from donations.queries import campaign_by_slug, front_campaign
from ledger.models import Fund
from ledger.queries import FundTotals, fund_totals


class UnknownFund(NotFound):
    code = "unknown_fund"
    text = _l("There is no such fund.")


def all_funds() -> list[Fund]:
    """That of the campaign at the front first, then by code."""
    front = front_campaign().fund_id
    return sorted(db.session.scalars(sa.select(Fund)), key=lambda fund: (fund.id != front, fund.code))


def with_totals() -> list[tuple[Fund, FundTotals]]:
    return [(fund, fund_totals(fund)) for fund in all_funds()]


def asked_for(values: Mapping[str, str], among: Sequence[Fund]) -> Fund | None:
    """The one of these that is named by its code (`fund`) or by a campaign (`campaign`); None when none is named.

    Raises `UnknownFund`, `UnknownCampaign`.
    """
    if slug := values.get("campaign"):
        return _one_of(among, campaign_by_slug(slug).fund.code)
    return _one_of(among, code) if (code := values.get("fund")) else None


def _one_of(among: Sequence[Fund], code: str) -> Fund:
    found = next((fund for fund in among if fund.code == code), None)
    if found is None:
        raise UnknownFund(field="fund")
    return found


def to_spend_from(values: Mapping[str, str], known: Sequence[tuple[Fund, FundTotals]]) -> tuple[Fund, FundTotals]:
    """The fund that is named; else the first that has something to spend. Raises what `asked_for` raises."""
    named = asked_for(values, [fund for fund, _ in known])
    if named is not None:
        return next(each for each in known if each[0] is named)
    return next((each for each in known if each[1].available > 0), known[0])
