"""Sums for reports, made by the worker from postings (see `finance.summaries`)."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base

KEYS = (
    "rollup",
    "grain",
    "occurred_on",
    "recorded_on",
    "fund_id",
    "campaign_id",
    "placement",
    "office",
    "medium",
    "language",
    "provider",
)
FIGURES = ("gifts", "gross", "refunds", "disputes", "fees", "sponsored", "fx", "spent", "unsettled")


class ReportSum(Base):
    """Figures of one combination of keys. Amounts in minor units of the fund's currency.

    `rollup` says which of the last five keys are kept apart; the others are empty. `grain` says what the two days
    stand for: `day`, `month` (its first day), or `ever` (`ledger.sums.EVER`). `occurred_on` is in the campaign's zone,
    `recorded_on` in UTC. `campaign_id` is 0 for what no gift is behind.
    """

    __tablename__ = "report_sums"
    __table_args__ = ({"sqlite_with_rowid": False},)

    rollup: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    grain: Mapped[str] = mapped_column(sa.String(5), primary_key=True)
    occurred_on: Mapped[date] = mapped_column(primary_key=True)
    recorded_on: Mapped[date] = mapped_column(primary_key=True)
    fund_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    campaign_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    placement: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    office: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    medium: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    language: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    gifts: Mapped[int] = mapped_column(sa.BigInteger)
    gross: Mapped[int] = mapped_column(sa.BigInteger)
    refunds: Mapped[int] = mapped_column(sa.BigInteger)
    disputes: Mapped[int] = mapped_column(sa.BigInteger)
    fees: Mapped[int] = mapped_column(sa.BigInteger)
    sponsored: Mapped[int] = mapped_column(sa.BigInteger)
    fx: Mapped[int] = mapped_column(sa.BigInteger)
    spent: Mapped[int] = mapped_column(sa.BigInteger)
    unsettled: Mapped[int] = mapped_column(sa.BigInteger)
