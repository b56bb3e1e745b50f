"""Money spent on the purpose of a fund: one member proposes, another one approves, and only then it is posted.

Never more than is available at that moment: approvals of one fund stand in line for the fund's row. Money that came
back is a disbursement of its own that reverses the other one, with two people as well. Services flush; edges commit.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from core.db import db
from core.i18n import format_money
from core.money import Money
from finance import errors
from finance.attachments import Attachment
from finance.decisions import decide
from finance.forms import start_of
from ledger import accounts
from ledger.accounts import AccountRef
from ledger.models import Disbursement, Fund
from ledger.queries import fund_totals
from ledger.services import Line, Source, post_entry, reverse_entry, transfer
from staff import audit
from staff.access import Actor

MOST_SPECIALISTS = 100_000


@dataclass(frozen=True, slots=True)
class Spending:
    """What is proposed. `bank` is what leaves our bank account, in its currency: the rate is the ratio of the two."""

    spent_on: date
    amount: Money
    bank: Money
    beneficiary: str
    document: str
    specialists: int
    note: str = ""
    attachment: Attachment | None = None


def propose(fund: Fund, spending: Spending, key: str, actor: Actor, now: datetime) -> Disbursement:
    """Put a payment before somebody else; the same key again is the same proposal. Raises `NotAvailable`."""
    _lock(fund)
    if known := db.session.scalar(sa.select(Disbursement).where(Disbursement.public_id == key)):
        return known
    _require_available(fund, spending.amount)
    proposal = Disbursement(
        public_id=key,
        fund=fund,
        spent_on=spending.spent_on,
        amount_minor=spending.amount.minor,
        currency=spending.amount.currency,
        bank_minor=spending.bank.minor,
        bank_currency=spending.bank.currency,
        beneficiary=spending.beneficiary,
        document=spending.document,
        specialists=spending.specialists,
        note=spending.note,
        attachment=spending.attachment.kept if spending.attachment else None,
        attachment_name=spending.attachment.name if spending.attachment else None,
        state="proposed",
        proposed_by_id=actor.id,
        proposed_at=now,
        decision_note="",
    )
    db.session.add(proposal)
    db.session.flush()
    _record("disbursement.proposed", proposal, actor, now, after=_described(proposal))
    return proposal


def propose_return(
    spent: Disbursement, came_on: date, note: str, key: str, actor: Actor, now: datetime
) -> Disbursement:
    """The money of a payment came back, all of it. Raises `NotToReverse`, `CameBackTooEarly`."""
    _lock(spent.fund)
    if known := db.session.scalar(sa.select(Disbursement).where(Disbursement.public_id == key)):
        return known
    under_way = sa.select(Disbursement.id).where(
        Disbursement.reverses_id == spent.id, Disbursement.state.in_(("proposed", "approved"))
    )
    if spent.state != "approved" or spent.reverses_id is not None or db.session.scalar(under_way) is not None:
        raise errors.NotToReverse
    if came_on < spent.spent_on:
        raise errors.CameBackTooEarly(field="came_on")
    copied = ("fund_id", "amount_minor", "currency", "bank_minor", "bank_currency", "beneficiary", "document")
    proposal = Disbursement(
        public_id=key,
        spent_on=came_on,
        note=note,
        specialists=spent.specialists,
        state="proposed",
        proposed_by_id=actor.id,
        proposed_at=now,
        decision_note="",
        reverses=spent,
        **{name: getattr(spent, name) for name in copied},
    )
    db.session.add(proposal)
    db.session.flush()
    _record("disbursement.return_proposed", proposal, actor, now, after=_described(proposal))
    return proposal


def approve(proposal: Disbursement, actor: Actor, now: datetime) -> Disbursement:
    """Post it. Raises `SamePerson`, `NotAvailable`, `Decided`."""
    if proposal.proposed_by_id == actor.id:
        raise errors.SamePerson
    _lock(proposal.fund)
    available = None if proposal.reverses_id else _require_available(proposal.fund, proposal.amount)
    decide(proposal, "approved", actor, now, available_minor=available)
    occurred_at = start_of(proposal.spent_on)
    if proposal.reverses is not None:
        reverse_entry(source_of(proposal.reverses), "returned", occurred_at=occurred_at, recorded_at=now)
    else:
        spent = accounts.of_fund(proposal.fund, "spent")
        lines = through_bank(spent, accounts.bank(proposal.bank_currency), proposal.amount, proposal.bank_amount)
        post_entry(source_of(proposal), lines, occurred_at=occurred_at, recorded_at=now)
    after = {"state": "approved", "available": available}
    _record("disbursement.approved", proposal, actor, now, before={"state": "proposed"}, after=after)
    return proposal


def reject(proposal: Disbursement, reason: str, actor: Actor, now: datetime) -> Disbursement:
    """Raises `SamePerson`, `Decided`."""
    if proposal.proposed_by_id == actor.id:
        raise errors.SamePerson
    decide(proposal, "rejected", actor, now, decision_note=reason)
    after = {"state": "rejected", "reason": reason}
    _record("disbursement.rejected", proposal, actor, now, before={"state": "proposed"}, after=after)
    return proposal


def withdraw(proposal: Disbursement, actor: Actor, now: datetime) -> Disbursement:
    """Raises `NotYours`, `Decided`."""
    if proposal.proposed_by_id != actor.id:
        raise errors.NotYours
    decide(proposal, "withdrawn", actor, now)
    states = {"before": {"state": "proposed"}, "after": {"state": "withdrawn"}}
    _record("disbursement.withdrawn", proposal, actor, now, **states)
    return proposal


def source_of(disbursement: Disbursement) -> Source:
    return Source("disbursement", disbursement.public_id, "spent")


def through_bank(debit: AccountRef, bank: AccountRef, amount: Money, bank_amount: Money) -> list[Line]:
    """`debit` grows by an amount that leaves the bank: at once, or through conversion when its currency is another."""
    if amount.currency == bank_amount.currency:
        return transfer(debit, bank, amount)
    return [
        *transfer(debit, accounts.conversion(amount.currency), amount),
        *transfer(accounts.conversion(bank_amount.currency), bank, bank_amount),
    ]


def find(public_id: str) -> Disbursement:
    """Raises `UnknownDisbursement`."""
    found = db.session.scalar(sa.select(Disbursement).where(Disbursement.public_id == public_id))
    if found is None:
        raise errors.UnknownDisbursement
    return found


def newest(limit: int = 200) -> list[Disbursement]:
    """What waits for a decision first, then by day."""
    waiting = sa.case((Disbursement.state == "proposed", 0), else_=1)
    query = sa.select(Disbursement).order_by(waiting, Disbursement.spent_on.desc(), Disbursement.id.desc())
    return list(db.session.scalars(query.limit(limit)))


def return_of(spent: Disbursement) -> Disbursement | None:
    """The return of its money that is proposed or done."""
    query = sa.select(Disbursement).where(Disbursement.reverses_id == spent.id)
    return db.session.scalar(query.where(Disbursement.state.in_(("proposed", "approved"))))


def _lock(fund: Fund) -> None:
    """Stand in line for the fund: whoever comes second sees what the first one spent."""
    db.session.execute(sa.update(Fund).where(Fund.id == fund.id).values(currency=Fund.currency))


def _require_available(fund: Fund, amount: Money) -> int:
    available = fund_totals(fund).available
    if amount.minor > available:
        left = format_money(Money(max(0, available), fund.currency))
        raise errors.NotAvailable(field="amount", available=left, amount=format_money(amount))
    return available


def _described(proposal: Disbursement) -> dict[str, Any]:
    names = ("spent_on", "amount_minor", "currency", "bank_minor", "bank_currency", "beneficiary", "document")
    return {name: getattr(proposal, name) for name in (*names, "specialists", "attachment")}


def _record(action: str, proposal: Disbursement, actor: Actor, now: datetime, **states: Any) -> None:
    subject = f"disbursement:{proposal.public_id}"
    audit.record(actor.email, action, subject, now=now, address=actor.address, **states)
