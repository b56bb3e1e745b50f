"""The sponsor who bears the fees: what it owes a fund, and what it has paid.

Each settlement books its fee as a debt of the sponsor (`finance.services`); what the sponsor pays goes to the bank.
Services flush; edges commit.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from core.db import db, rows_changed
from core.i18n import format_money
from core.money import Money
from donations.models import Campaign
from finance import errors
from finance.disbursements import through_bank
from finance.forms import start_of
from finance.models import SponsorPayment
from ledger import accounts
from ledger.models import Account, Fund, JournalEntry, Posting
from ledger.periods import Month
from ledger.services import Source, post_entry, reverse_entry
from staff import audit
from staff.access import Actor


@dataclass(frozen=True, slots=True)
class Debt:
    """Fees that the sponsor of a fund bears, in minor units of the fund's currency."""

    fund: Fund
    charged: int
    paid: int

    @property
    def owed(self) -> int:
        """Below zero: the sponsor has paid in advance."""
        return self.charged - self.paid

    def money(self, minor: int) -> Money:
        return Money(minor, self.fund.currency)


@dataclass(slots=True)
class DebtOfMonth:
    month: str
    charged: int = 0
    paid: int = 0
    owed: int = 0  # at the end of the month


def debts(*, as_of: datetime | None = None) -> list[Debt]:
    """A debt for each fund whose fees a sponsor bears or has borne, by what was recorded up to `as_of`."""
    funds = {fund.id: fund for fund in db.session.scalars(sa.select(Fund))}
    query = _postings(sa.func.coalesce(Account.fund_id, 0), as_of)
    rows: dict[int, tuple[int, int]] = {}
    for fund_id, is_payment, net in db.session.execute(query):
        charged, paid = rows.get(fund_id, (0, 0))
        rows[fund_id] = (charged, paid - int(net)) if is_payment else (charged + int(net), paid)
    for fund_id in db.session.scalars(sa.select(Campaign.fund_id).where(Campaign.fees_borne_by == "sponsor")):
        rows.setdefault(fund_id, (0, 0))
    found = [Debt(funds[fund_id], *amounts) for fund_id, amounts in rows.items()]
    return sorted(found, key=lambda debt: debt.fund.code)


def _postings(key: Any, as_of: datetime | None) -> sa.Select[Any]:
    """(key, whether the sponsor paid, debits less credits) of all sponsor accounts."""
    is_payment = sa.case((JournalEntry.source_type == "sponsor", 1), else_=0)
    query = (
        sa.select(key, is_payment, sa.func.sum(Posting.debit_minor - Posting.credit_minor))
        .select_from(Posting)
        .join(Account, sa.and_(Account.id == Posting.account_id, Account.kind == "sponsor"))
        .join(JournalEntry, JournalEntry.id == Posting.entry_id)
        .group_by(sa.literal_column("1"), sa.literal_column("2"))
    )
    return query if as_of is None else query.where(JournalEntry.recorded_at <= as_of)


def by_month(fund: Fund, *, as_of: datetime | None = None) -> list[DebtOfMonth]:
    """The debt month by month (of the ledger's zone), the oldest first."""
    months = _months_of(fund)
    if not months:
        return []
    number = sa.case(*((JournalEntry.occurred_at < month.ends_at, index) for index, month in enumerate(months)))
    rows = [DebtOfMonth(str(month)) for month in months]
    for index, is_payment, net in db.session.execute(_postings(number, as_of).where(Account.fund_id == fund.id)):
        if is_payment:
            rows[index].paid -= int(net)
        else:
            rows[index].charged += int(net)
    owed = 0
    for row in rows:
        owed += row.charged - row.paid
        row.owed = owed
    return rows


def _months_of(fund: Fund) -> list[Month]:
    """From the first to the last month in which something was posted to the sponsor."""
    query = (
        sa.select(sa.func.min(JournalEntry.occurred_at), sa.func.max(JournalEntry.occurred_at))
        .join(Posting, Posting.entry_id == JournalEntry.id)
        .join(Account, sa.and_(Account.id == Posting.account_id, Account.kind == "sponsor"))
        .where(Account.fund_id == fund.id)
    )
    first, last = db.session.execute(query).one()
    months = [Month.at(first)] if first else []
    while months and months[-1] < Month.at(last):
        months.append(months[-1].next)
    return months


def record_payment(
    fund: Fund,
    paid_on: date,
    amount: Money,
    bank: Money,
    document: str,
    key: str,
    actor: Actor,
    now: datetime,
    *,
    knows: bool = False,
) -> SponsorPayment:
    """Book what the sponsor has paid: bank / sponsor, through conversion when the bank's currency is another.

    `knows`: that it is more than the sponsor owes. The same form sent twice is one payment. Raises `MoreThanOwed`.
    """
    db.session.execute(sa.update(Fund).where(Fund.id == fund.id).values(currency=Fund.currency))  # one after the other
    if known := db.session.scalar(sa.select(SponsorPayment).where(SponsorPayment.form_key == key)):
        return known
    owed = owed_by_sponsor(fund)
    in_advance = amount > owed
    if in_advance and not knows:
        raise errors.MoreThanOwed(field="knows", owed=format_money(max(owed, Money(0, fund.currency))))
    payment = SponsorPayment(
        form_key=key,
        fund=fund,
        paid_on=paid_on,
        amount_minor=amount.minor,
        currency=amount.currency,
        bank_minor=bank.minor,
        bank_currency=bank.currency,
        document=document,
        recorded_by=actor.email,
        recorded_at=now,
    )
    db.session.add(payment)
    db.session.flush()
    lines = through_bank(accounts.sponsor(fund), accounts.bank(bank.currency), -amount, -bank)
    post_entry(_source(payment), lines, occurred_at=start_of(paid_on), recorded_at=now)
    after = {"amount_minor": amount.minor, "currency": amount.currency, "document": document, "paid_on": paid_on}
    if in_advance:
        after["more_than_owed_minor"] = owed.minor
    _record("sponsor.paid", payment, actor, now, after=after)
    return payment


def owed_by_sponsor(fund: Fund) -> Money:
    """What the sponsor of this fund owes now; below zero: it has paid in advance."""
    minor = next((debt.owed for debt in debts() if debt.fund.id == fund.id), 0)
    return Money(minor, fund.currency)


def take_back(payment: SponsorPayment, actor: Actor, now: datetime) -> None:
    """A payment that was recorded by mistake: reversed, once. Raises `Decided`."""
    taken = db.session.execute(
        sa.update(SponsorPayment)
        .where(SponsorPayment.id == payment.id, SponsorPayment.taken_back_at.is_(None))
        .values(taken_back_at=now, taken_back_by=actor.email)
    )
    if rows_changed(taken) != 1:
        raise errors.Decided
    reverse_entry(_source(payment), "taken_back", occurred_at=now, recorded_at=now)
    _record("sponsor.taken_back", payment, actor, now)


def find(public_id: str) -> SponsorPayment:
    """Raises `UnknownSponsorPayment`."""
    found = db.session.scalar(sa.select(SponsorPayment).where(SponsorPayment.public_id == public_id))
    if found is None:
        raise errors.UnknownSponsorPayment
    return found


def payments() -> list[SponsorPayment]:
    """The newest first."""
    return list(db.session.scalars(sa.select(SponsorPayment).order_by(SponsorPayment.id.desc())))


def _source(payment: SponsorPayment) -> Source:
    return Source("sponsor", payment.public_id, "paid")


def _record(action: str, payment: SponsorPayment, actor: Actor, now: datetime, **states: Any) -> None:
    subject = f"sponsor_payment:{payment.public_id}"
    audit.record(actor.email, action, subject, now=now, address=actor.address, **states)
