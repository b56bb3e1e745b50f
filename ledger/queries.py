"""Balances and totals: sums of postings, nothing else."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.db import db
from core.money import Money
from ledger.models import Account, Disbursement, Fund, JournalEntry, Posting
from ledger.sums import fund_sums


def balance(code: str) -> int:
    """Debits less credits of one account in minor units of its currency; 0 for an account never posted to."""
    query = (
        sa.select(sa.func.coalesce(sa.func.sum(Posting.debit_minor - Posting.credit_minor), 0))
        .join(Account, Account.id == Posting.account_id)
        .where(Account.code == code)
    )
    return int(db.session.scalar(query) or 0)


def balances() -> dict[str, int]:
    """Debits less credits of every account that was posted to, by code."""
    query = (
        sa.select(Account.code, sa.func.sum(Posting.debit_minor - Posting.credit_minor))
        .join(Posting, Posting.account_id == Account.id)
        .group_by(Account.code)
        .order_by(Account.code)
    )
    return {code: int(total) for code, total in db.session.execute(query)}


@dataclass(frozen=True, slots=True)
class FundTotals:
    """What a fund's postings add up to, in minor units of its currency: zero or more, but for `fx` and `unsettled`."""

    currency: str
    raised: int
    refunded: int
    disputed: int
    fees: int
    fx: int
    spent: int
    unsettled: int  # gross amounts, less refunds and disputes, whose fee the provider has not told yet

    @property
    def earmarked(self) -> int:
        return self.raised - self.refunded - self.disputed - self.fees + self.fx

    @property
    def fees_pending(self) -> int:
        """The part of what is earmarked whose fee is not known; a refund told before its line is none."""
        return max(0, self.unsettled)

    @property
    def available(self) -> int:
        return self.earmarked - self.fees_pending - self.spent

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)


def fund_totals(fund: Fund, *, as_of: datetime | None = None) -> FundTotals:
    """Totals of what was recorded up to `as_of` (all, by default)."""
    return fund_totals_and_parts(fund, as_of=as_of)[0]


@dataclass(frozen=True, slots=True)
class CampaignPart:
    """What the gifts of one campaign did to its fund; `fx` and `spent` are zero, for they are of no gift."""

    totals: FundTotals
    gifts: int  # donations; who paid twice counts once


def fund_totals_and_parts(fund: Fund, *, as_of: datetime | None = None) -> tuple[FundTotals, dict[int, CampaignPart]]:
    """Totals, and the part of each campaign that has any by its id; the part of 0 is what no gift is behind."""
    credits: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    gifts: defaultdict[int, int] = defaultdict(int)
    for row in fund_sums(fund.id, as_of):
        credits[row.campaign_id][row.kind] += int(row.credit)
        gifts[row.campaign_id] += int(row.gifts)
    whole: defaultdict[str, int] = defaultdict(int)
    for credit in credits.values():
        for kind, amount in credit.items():
            whole[kind] += amount
    parts = {key: CampaignPart(totals_of_kinds(fund.currency, credit), gifts[key]) for key, credit in credits.items()}
    return totals_of_kinds(fund.currency, whole), parts


def totals_of_kinds(currency: str, credit: Mapping[str, int]) -> FundTotals:
    """Totals from credits less debits of a fund's accounts by their kind."""
    return FundTotals(
        currency=currency,
        raised=credit.get("gift", 0),
        refunded=-credit.get("refund", 0),
        disputed=-credit.get("dispute", 0),
        fees=-credit.get("fee", 0),
        fx=credit.get("fx", 0),
        spent=-credit.get("spent", 0),
        unsettled=-credit.get("receivable", 0),
    )


def specialists_trained(fund: Fund, *, as_of: datetime | None = None) -> int:
    """How many specialists the money was spent on: of payments to programmes that are posted and did not come back."""
    sign = sa.case((JournalEntry.reverses_id.is_(None), 1), else_=-1)
    query = (
        sa.select(sa.func.coalesce(sa.func.sum(sign * Disbursement.specialists), 0))
        .join(JournalEntry, JournalEntry.source_id == Disbursement.public_id)
        .where(Disbursement.fund_id == fund.id, JournalEntry.source_type == "disbursement")
    )
    if as_of is not None:
        query = query.where(JournalEntry.recorded_at <= as_of)
    return int(db.session.scalar(query) or 0)
