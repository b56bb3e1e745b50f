"""Everything of one gift for finance, and the search for it. Reads only; the donor's person is not among them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import joinedload, selectinload

from core.db import db
from core.money import BadAmount, parse_amount
from donations.models import DONATION_STATUSES, Campaign, Dispute, Donation, Payment, Receipt, Refund
from finance import errors
from finance.filters import DayInvalid, RangeInvalid
from finance.forms import read_day, start_of
from finance.models import SettlementLine
from ledger.models import Account, JournalEntry, Posting
from offices.links import read_code
from offices.models import Office, Placement

PAGE_SIZE = 50

_RECEIPT = re.compile(r"(\d{4})-(\d{1,9})", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What finance looks for. Texts are as typed; days are of the books' zone, both included."""

    text: str = ""  # receipt number, donation number or a reference of the provider
    amount: str = ""
    first: date | None = None
    last: date | None = None
    office: str = ""
    placement: str = ""
    status: str = ""
    before: int | None = None  # the page after the donation of this id


def wanted(asked: Mapping[str, str]) -> Wanted:
    """Raises `DayInvalid`, `RangeInvalid`, `AmountInvalid`."""
    plain = {name: asked.get(name, "").strip() for name in ("text", "amount", "office", "placement", "status")}
    days = {name: read_day(asked[name], name) if asked.get(name, "").strip() else None for name in ("first", "last")}
    first, last = days["first"], days["last"]
    if first and last and first > last:
        raise RangeInvalid(field="last")
    if last and last.year > 9000:
        raise DayInvalid(field="last")
    if plain["status"] not in DONATION_STATUSES:
        plain["status"] = ""
    before = asked.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 18 else None
    return Wanted(**plain, first=first, last=last, before=number)


@dataclass(frozen=True, slots=True)
class Found:
    gifts: list[Donation]
    next: int | None  # `before` of the next page


def search(sought: Wanted) -> Found:
    """The newest first. Raises `AmountInvalid`."""
    query = sa.select(Donation).options(joinedload(Donation.receipt)).order_by(Donation.id.desc())
    if sought.text:
        query = query.where(Donation.id.in_(_named(sought.text)))
    if sought.amount:
        query = query.where(_of_amount(sought.amount))
    if sought.first:
        query = query.where(Donation.created_at >= start_of(sought.first))
    if sought.last:
        query = query.where(Donation.created_at < start_of(sought.last + timedelta(days=1)))
    if sought.office:
        codes = sa.select(Placement.code).join(Office).where(Office.code == sought.office.upper())
        query = query.where(Donation.placement.in_(codes))
    if sought.placement:
        query = query.where(Donation.placement == (read_code(sought.placement) or ""))
    if sought.status:
        query = query.where(Donation.status == sought.status)
    if sought.before is not None:
        query = query.where(Donation.id < sought.before)
    gifts = list(db.session.scalars(query.limit(PAGE_SIZE + 1)))
    more = len(gifts) > PAGE_SIZE
    return Found(gifts[:PAGE_SIZE], gifts[PAGE_SIZE - 1].id if more else None)


def _of_amount(text: str) -> sa.ColumnElement[bool]:
    """In whatever currency a donation is."""
    options = []
    for currency in db.session.scalars(sa.select(Campaign.currency).distinct()):
        try:
            amount = parse_amount(text, currency)
        except BadAmount:
            continue
        options.append(sa.and_(Donation.currency == currency, Donation.amount_minor == amount.minor))
    if not options:
        raise errors.AmountInvalid(field="amount")
    return sa.or_(*options)


def _named(text: str) -> list[int]:
    """Ids of donations that go by this receipt number, number or reference."""
    if receipt := _RECEIPT.fullmatch(text):
        query = sa.select(Receipt.donation_id).where(Receipt.year == int(receipt[1]), Receipt.number == int(receipt[2]))
        return list(db.session.scalars(query))
    if _UUID.fullmatch(text.lower()):
        return _by_number(text.lower())
    return _by_reference(text[:255]) if text.isprintable() else []


def _by_number(number: str) -> list[int]:
    queries = (
        sa.select(Donation.id).where(Donation.public_id == number),
        sa.select(Payment.donation_id).where(Payment.public_id == number),
        sa.select(Payment.donation_id).join(Refund).where(Refund.public_id == number),
    )
    return [found for query in queries for found in db.session.scalars(query)]


def _by_reference(reference: str) -> list[int]:
    """What a provider calls its checkout, payment, charge, refund, dispute or settlement line."""
    providers = list(db.session.scalars(sa.select(Payment.provider).distinct()))
    payment = sa.select(Payment.donation_id)
    line = sa.select(SettlementLine.payment_ref).where(
        SettlementLine.provider.in_(providers), SettlementLine.ref == reference
    )
    queries = (
        payment.where(Payment.provider.in_(providers), Payment.checkout_ref == reference),
        payment.where(Payment.provider.in_(providers), Payment.payment_ref == reference),
        payment.where(Payment.charge_ref == reference),
        payment.join(Refund).where(Refund.provider.in_(providers), Refund.refund_ref == reference),
        payment.join(Dispute).where(Dispute.provider.in_(providers), Dispute.dispute_ref == reference),
        payment.where(Payment.provider.in_(providers), Payment.payment_ref.in_(line)),
    )
    return sorted({found for query in queries for found in db.session.scalars(query)})


def gift(public_id: str) -> Donation:
    """Raises `UnknownGift`."""
    query = (
        sa.select(Donation)
        .where(Donation.public_id == public_id)
        .options(
            selectinload(Donation.payments).selectinload(Payment.refunds),
            selectinload(Donation.payments).selectinload(Payment.disputes),
        )
    )
    found = db.session.scalar(query) if public_id.isascii() else None
    if found is None:
        raise errors.UnknownGift
    return found


@dataclass(frozen=True, slots=True)
class Line:
    account: str
    currency: str
    debit: int
    credit: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a gift with its postings, debits first."""

    entry: JournalEntry
    lines: list[Line]


def entries_of(donation: Donation) -> list[Entry]:
    """What the books say of it, in the order in which it was recorded."""
    query = sa.select(JournalEntry).where(JournalEntry.donation_id == donation.id)
    entries = list(db.session.scalars(query.order_by(JournalEntry.recorded_at, JournalEntry.id)))
    rows = db.session.execute(
        sa.select(Posting.entry_id, Account.code, Posting.currency, Posting.debit_minor, Posting.credit_minor)
        .join(Account, Account.id == Posting.account_id)
        .where(Posting.entry_id.in_([entry.id for entry in entries]))
        .order_by(Posting.id)
    )
    lines: dict[Any, list[Line]] = {}
    for entry_id, account, currency, debit, credit in rows:
        lines.setdefault(entry_id, []).append(Line(account, currency, debit, credit))
    return [Entry(entry, sorted(lines.get(entry.id, []), key=lambda line: not line.debit)) for entry in entries]


def lines_of(donation: Donation) -> list[SettlementLine]:
    """Lines of the provider's account about its payments."""
    refs = [payment.payment_ref for payment in donation.payments if payment.payment_ref]
    query = sa.select(SettlementLine).where(SettlementLine.payment_ref.in_(refs))
    return list(db.session.scalars(query.order_by(SettlementLine.created_at, SettlementLine.id)))


def place_of(donation: Donation) -> Placement | None:
    """The link that led to it, with its office."""
    if donation.placement is None:
        return None
    query = sa.select(Placement).where(Placement.code == donation.placement)
    return db.session.scalar(query.options(joinedload(Placement.office)))


def happened(entry: JournalEntry) -> datetime:
    """The true moment of an entry, also of one that came too late for its month."""
    return entry.happened_at or entry.occurred_at
