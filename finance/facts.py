"""What each entry did to a fund, and which gift, place and day it belongs to: the one reading of postings for reports.

Summaries add these rows up ahead of time, totals add up those that no summary has yet, lists show them.
Dimensions are those of the donation behind the entry and never change: the code of its link and what that link is,
the donation's language, and the provider on whose account the entry stands.
"""

from typing import Any

import sqlalchemy as sa

from core.days import local_day, text_part
from core.db import db
from donations.models import Campaign, Donation
from finance.filters import DEFAULT_ZONE, DIRECT, ELSEWHERE, NOBODY, Filters
from ledger.models import Account, Fund, JournalEntry, Posting
from ledger.sums import NO_GIFT, by_value, gifts_counted
from offices.models import Office, Placement

# Credits less debits of the fund's accounts are what it gained; these figures are shown as what was lost or is owed.
SIGNS = {
    "gross": ("gift", 1),
    "refunds": ("refund", -1),
    "disputes": ("dispute", -1),
    "fees": ("fee", -1),
    "sponsored": ("sponsor", -1),
    "fx": ("fx", 1),
    "spent": ("spent", -1),
    "unsettled": ("receivable", -1),
}


def _word(text: str) -> sa.ColumnElement[str]:
    """A constant of ours in the statement itself: PostgreSQL takes equal parameters for different ones."""
    return sa.literal_column(f"'{text}'")


def amounts() -> dict[str, sa.ColumnElement[int]]:
    """Figures of the postings in a group; those of the sponsor only where a gift's fee is meant, not its payment."""
    gain = Posting.credit_minor - Posting.debit_minor
    found: dict[str, sa.ColumnElement[int]] = {}
    for name, (kind, sign) in SIGNS.items():
        is_kind = Account.kind == _word(kind)
        if name == "sponsored":
            is_kind = sa.and_(is_kind, JournalEntry.donation_id.is_not(None))
        found[name] = sa.func.sum(sa.case((is_kind, gain * sa.literal_column(str(sign))), else_=0))
    return found


def entries(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """A row for each entry that touched a fund's accounts (and each fund): its moments, figures and provider.

    `where` bounds the moment of recording, and may speak of JournalEntry, Posting and Account besides.
    """
    code = sa.case((Account.kind == _word("receivable"), text_part(Account.code)))
    return (
        sa.select(
            JournalEntry.id.label("entry_id"),
            Account.fund_id.label("fund_id"),
            JournalEntry.donation_id.label("donation_id"),
            JournalEntry.occurred_at.label("occurred_at"),
            JournalEntry.recorded_at.label("recorded_at"),
            sa.func.coalesce(sa.func.max(code), _word(NOBODY)).label("provider"),
            gifts_counted().label("gifts"),
            *(amount.label(name) for name, amount in amounts().items()),
        )
        .select_from(JournalEntry)
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, Account.id == by_value(Posting.account_id))
        .where(by_value(Account.fund_id).is_not(None), *where)
        .group_by(JournalEntry.id, Account.fund_id)
    )


def dimensions(donation_id: Any) -> dict[str, sa.ColumnElement[Any]]:
    """Keys of a row whose donation, link and office are joined (`joined`)."""
    nobody = donation_id.is_(None)
    no_link = (Placement.id.is_(None), _word(DIRECT))
    return {
        "placement": sa.case((nobody, _word(NOBODY)), no_link, else_=Placement.code),
        "office": sa.case((nobody, _word(NOBODY)), no_link, (Office.id.is_(None), _word(ELSEWHERE)), else_=Office.code),
        "medium": sa.case((nobody, _word(NOBODY)), no_link, else_=Placement.medium),
        "language": sa.func.coalesce(Donation.locale, _word(NOBODY)),
    }


def joined(query: sa.Select[Any], donation_id: Any) -> sa.Select[Any]:
    """Join what the donation of each row brings along."""
    return (
        query.outerjoin(Donation, Donation.id == donation_id)
        .outerjoin(Campaign, Campaign.id == Donation.campaign_id)
        .outerjoin(Placement, Placement.code == Donation.placement)
        .outerjoin(Office, Office.id == Placement.office_id)
    )


def report_day(moment: Any, zone: Any = Campaign.zone) -> sa.ColumnElement[Any]:
    """The day that a moment counts for, in totals and exports alike: of the zone of the gift's campaign, which stays
    once anybody gave. What no gift is behind (`zone` is null: money spent, payouts) has the zone of the books."""
    return local_day(moment, sa.func.coalesce(zone, _word(DEFAULT_ZONE)))


def day_in(moment: Any, zone: str) -> sa.ColumnElement[Any]:
    """The same where all rows have one zone."""
    return local_day(moment, _word(zone))


def zones_of_gifts(filters: Filters) -> tuple[str, ...]:
    """The zones that the gifts of these filters have their days in."""
    query = sa.select(Campaign.zone).distinct()
    if filters.campaign:
        query = query.where(Campaign.slug == filters.campaign)
    if filters.fund:
        query = query.join(Fund, Fund.id == Campaign.fund_id).where(Fund.code == filters.fund)
    return tuple(sorted(db.session.scalars(query))) or (DEFAULT_ZONE,)


def zones_of(filters: Filters) -> tuple[str, ...]:
    """The zones that entries have their days in: that of the books, too, unless gifts alone are asked for."""
    found = set(zones_of_gifts(filters))
    values = filters.values
    only_gifts = NOBODY not in values.values() and set(values) - {"provider", "currency"}
    return tuple(sorted(found if only_gifts else found | {DEFAULT_ZONE}))


def facts(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """`entries` with their days and dimensions."""
    found = entries(*where).cte("entry_figures")
    figures = [found.c[name] for name in ("gifts", *SIGNS)]
    query = sa.select(
        found.c.entry_id,
        found.c.donation_id,
        report_day(found.c.occurred_at).label("occurred_on"),
        local_day(found.c.recorded_at, _word("UTC")).label("recorded_on"),
        found.c.fund_id,
        sa.func.coalesce(Donation.campaign_id, sa.literal_column(str(NO_GIFT))).label("campaign_id"),
        *(key.label(name) for name, key in dimensions(found.c.donation_id).items()),
        found.c.provider,
        *figures,
    ).select_from(found)
    return joined(query, found.c.donation_id)
