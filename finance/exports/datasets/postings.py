"""Postings: every debit and credit with the entry that it belongs to. What all totals are sums of."""

from dataclasses import replace

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.db import db
from donations.models import Campaign, Donation
from finance.exports.columns import Column, Query
from finance.exports.datasets.base import Dataset
from finance.exports.datasets.conditions import as_text, asks_for_gifts, days_of_entries, of_gifts, with_places
from finance.exports.words import ACCOUNT_KINDS, ENTRY_KINDS, SOURCES
from finance.filters import NOBODY, Filters
from ledger.models import Account, Fund, JournalEntry, Posting

COLUMNS = (
    Column("entry", "code", _l("Entry")),
    Column("report_day", "day", _l("Report day")),
    Column("occurred_at", "moment", _l("Occurred")),
    Column("recorded_at", "moment", _l("Recorded")),
    Column("late_for", "code", _l("Late for the month")),
    Column("source_type", "code", _l("Source"), words=SOURCES),
    Column("source", "text", _l("Id of the source")),
    Column("kind", "code", _l("What happened"), words=ENTRY_KINDS),
    Column("account", "code", _l("Account")),
    Column("account_kind", "code", _l("Kind of account"), words=ACCOUNT_KINDS),
    Column("fund", "code", _l("Fund")),
    Column("currency", "code", _l("Currency")),
    Column("debit", "money", _l("Debit"), "currency"),
    Column("credit", "money", _l("Credit"), "currency"),
    Column("donation", "code", _l("Donation")),
    Column("reverses", "code", _l("Reverses the entry")),
)

_FundOfAccount = sa.orm.aliased(Fund, name="fund_of_account")


def _chosen(filters: Filters, query: Query) -> Query:
    in_range = days_of_entries(filters).within(JournalEntry.occurred_at, filters)
    query = (
        query.select_from(Posting)
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .join(Account, Account.id == Posting.account_id)
        .outerjoin(_FundOfAccount, _FundOfAccount.id == Account.fund_id)
        .where(JournalEntry.recorded_at <= filters.as_of, *in_range)
    )
    if filters.currency:
        query = query.where(Posting.currency == filters.currency)
    if filters.provider:
        query = query.where(_of_provider(filters.provider))
    if asks_for_gifts(filters):
        return query.where(_of_these_gifts(filters))
    if filters.campaign or filters.fund:
        query = query.where(sa.or_(_of_these_gifts(filters), _of_no_gift(filters)))
    return query


def _of_these_gifts(filters: Filters) -> sa.ColumnElement[bool]:
    if NOBODY in filters.values.values():
        return JournalEntry.donation_id.is_(None)
    gifts = with_places(sa.select(Donation.id)).where(*of_gifts(replace(filters, currency=None)))
    return JournalEntry.donation_id.in_(gifts)


def _of_no_gift(filters: Filters) -> sa.ColumnElement[bool]:
    """An entry that names no gift, on an account of the fund: money spent, differences of exchange."""
    ours: list[sa.ColumnElement[bool]] = [JournalEntry.donation_id.is_(None)]
    if filters.fund:
        ours.append(_FundOfAccount.code == filters.fund)
    if filters.campaign:
        ours.append(Account.fund_id.in_(sa.select(Campaign.fund_id).where(Campaign.slug == filters.campaign)))
    return sa.and_(*ours)


def _of_provider(provider: str) -> sa.ColumnElement[bool]:
    """Entries that touch what this provider owes or holds; or that touch no provider at all."""
    kinds = ("receivable", "provider", "transit")
    of = sa.select(Account.id).where(Account.kind.in_(kinds))
    if provider == NOBODY:
        return Posting.entry_id.not_in(sa.select(Posting.entry_id).where(Posting.account_id.in_(of)))
    named = sa.or_(*(Account.code.startswith(f"{kind}:{provider}:", autoescape=True) for kind in kinds))
    return Posting.entry_id.in_(sa.select(Posting.entry_id).where(Posting.account_id.in_(of.where(named))))


def query(filters: Filters, names: bool) -> Query:
    rows = sa.select(
        Posting.id.label("key"),
        as_text(Posting.entry_id),
        days_of_entries(filters).of(JournalEntry.occurred_at),
        sa.func.coalesce(JournalEntry.happened_at, JournalEntry.occurred_at),
        JournalEntry.recorded_at,
        JournalEntry.late_for,
        JournalEntry.source_type,
        JournalEntry.source_id,
        JournalEntry.kind,
        Account.code,
        Account.kind,
        _FundOfAccount.code,
        Posting.currency,
        Posting.debit_minor,
        Posting.credit_minor,
        sa.select(Donation.public_id).where(Donation.id == JournalEntry.donation_id).scalar_subquery(),
        as_text(JournalEntry.reverses_id),
    )
    return _chosen(filters, rows).order_by(Posting.id)


def control(filters: Filters) -> tuple[int, dict[str, dict[str, int]]]:
    sums = sa.func.sum(Posting.debit_minor), sa.func.sum(Posting.credit_minor)
    totals = _chosen(filters, sa.select(Posting.currency, sa.func.count(), *sums)).group_by(Posting.currency)
    found = db.session.execute(totals).all()
    by_currency = {row[0]: {"debit": int(row[2]), "credit": int(row[3])} for row in found}
    return sum(row[1] for row in found), by_currency


DATASET = Dataset("postings", _l("Postings"), COLUMNS, query, control=control)
