"""Books against facts: what would be posted now for each thing that happened, against what stands in the ledger.

What should stand is made by the functions that post it, from the rows of the fact as they are; accounts, amounts, days
and gifts are compared (`finance.standing`). So a row or an entry that somebody has edited, deleted, added or moved is
named. All of it is read in batches from one look at the database, so memory stays as it is.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from core.db import db
from core.money import Money
from donations.books import ACTIVE_REFUNDS
from donations.models import Campaign, Dispute, DisputeMovement, Donation, Payment, Refund
from finance.bank.matching import posted_by
from finance.bank.models import BankMatch
from finance.disbursements import through_bank
from finance.exports.snapshot import snapshot
from finance.findings import Finding
from finance.forms import start_of
from finance.matching_gifts import gift_findings
from finance.matching_lines import line_findings
from finance.matching_statements import statement_findings
from finance.matching_strays import stray_findings
from finance.models import SettlementLine, SponsorPayment
from finance.overspent import overspent_findings
from finance.standing import MOST, Books, Fact, objects, paged, standing_of, without_fact
from finance.suspense import suspense_findings
from ledger import accounts
from ledger.models import Disbursement, Fund, JournalEntry
from ledger.services import transfer


def entry_findings(now: datetime) -> list[Finding]:
    """Everything that does not stand in the books as its fact says. Reads one state of the database; ends the
    session's transaction before and after."""
    with snapshot():
        books = Books()
        return [finding for look in LOOKS for finding in look(books)]


def _gifts(books: Books) -> Iterator[Finding]:
    return books.compare("payment", _payments())


def _payments() -> Iterator[Fact]:
    funds = {fund.id: fund for fund in db.session.scalars(sa.select(Fund))}
    query = (
        sa.select(
            Payment.id,
            Payment.public_id,
            Payment.donation_id,
            Payment.provider,
            Payment.amount_minor,
            Payment.currency,
            Payment.succeeded_at,
            Campaign.fund_id,
        )
        .join(Donation, Donation.id == Payment.donation_id)
        .join(Campaign, Campaign.id == Donation.campaign_id)
        .where(Payment.state == "succeeded")
    )
    for row in paged(query, Payment.id):
        fund, amount = funds[row.fund_id], Money(row.amount_minor, row.currency)
        lines = transfer(accounts.receivable(row.provider, fund), accounts.of_fund(fund, "gift"), amount)
        yield Fact(row.public_id, lines, row.succeeded_at, row.donation_id, exact=False)


def _refunds(books: Books) -> Iterator[Finding]:
    return books.compare("refund", _given_back())


def _given_back() -> Iterator[Fact]:
    """Refunds that move money; those that failed or are only wanted have nothing left in the books."""
    funds = {fund.id: fund for fund in db.session.scalars(sa.select(Fund))}
    query = (
        sa.select(
            Refund.id,
            Refund.public_id,
            Refund.provider,
            Refund.amount_minor,
            Refund.currency,
            Refund.state,
            Refund.created_at,
            Refund.ended_at,
            Payment.donation_id,
            Campaign.fund_id,
        )
        .join(Payment, Payment.id == Refund.payment_id)
        .join(Donation, Donation.id == Payment.donation_id)
        .join(Campaign, Campaign.id == Donation.campaign_id)
        .where(Payment.state == "succeeded")
    )
    for row in paged(query, Refund.id):
        fund, amount = funds[row.fund_id], Money(row.amount_minor, row.currency)
        moves = row.state in ACTIVE_REFUNDS
        debit, credit = accounts.of_fund(fund, "refund"), accounts.receivable(row.provider, fund)
        lines = transfer(debit, credit, amount) if moves else []
        yield Fact(row.public_id, lines, row.created_at, row.donation_id, row.ended_at, exact=False)


def _disputes(books: Books) -> Iterator[Finding]:
    return books.compare("dispute", _taken())


def _taken() -> Iterator[Fact]:
    """Withdrawals, the first ones of a dispute given back by its reinstatements."""
    whole = selectinload(Dispute.payment).selectinload(Payment.donation).selectinload(Donation.campaign)
    query = sa.select(Dispute).join(Payment, Payment.id == Dispute.payment_id).where(Payment.state == "succeeded")
    query = query.options(whole, selectinload(Dispute.movements))
    for dispute in objects(query, Dispute):
        fund, donation_id = dispute.payment.donation.campaign.fund, dispute.payment.donation_id
        receivable, amount = accounts.receivable(dispute.provider, fund), Money(dispute.amount_minor, dispute.currency)
        withdrawn = [movement for movement in dispute.movements if movement.withdrawn]
        given_back = [movement for movement in dispute.movements if not movement.withdrawn]
        for number, movement in enumerate(withdrawn):
            lines = transfer(accounts.of_fund(fund, "dispute"), receivable, amount)
            day = movement.occurred_at
            if number < len(given_back):
                back = given_back[number].occurred_at
                yield Fact(movement.settlement_ref, [], day, donation_id, back)
            else:
                yield Fact(movement.settlement_ref, lines, day, donation_id)


def _spending(books: Books) -> Iterator[Finding]:
    yield from books.compare("disbursement", _spent())
    yield from _changed_returns()


def _spent() -> Iterator[Fact]:
    returned = sa.orm.aliased(Disbursement)
    query = sa.select(Disbursement, returned.spent_on).outerjoin(
        returned, sa.and_(returned.reverses_id == Disbursement.id, returned.state == "approved")
    )
    for spent, came_back_on in db.session.execute(query.where(Disbursement.reverses_id.is_(None))):
        account, bank = accounts.of_fund(spent.fund, "spent"), accounts.bank(spent.bank_currency)
        stands = spent.state == "approved" and came_back_on is None
        lines = through_bank(account, bank, spent.amount, spent.bank_amount) if stands else []
        back = start_of(came_back_on) if came_back_on else None
        yield Fact(spent.public_id, lines, start_of(spent.spent_on), None, back)


def _changed_returns() -> Iterator[Finding]:
    """Money that came back is what was spent: the return has the amounts of its payment."""
    spent, returned = Disbursement, sa.orm.aliased(Disbursement)
    columns = ("amount_minor", "currency", "bank_minor", "bank_currency", "fund_id")
    differs = sa.or_(*(getattr(spent, name) != getattr(returned, name) for name in columns))
    query = sa.select(returned, spent).join(spent, spent.id == returned.reverses_id).where(differs)
    for back, paid in db.session.execute(query):
        details = {"booked": paid.amount_minor, "expected": back.amount_minor}
        yield Finding("wrong_amount", "disbursement", back.public_id, back.amount, None, details)


def _sponsors(books: Books) -> Iterator[Finding]:
    return books.compare("sponsor", _paid_by_sponsors())


def _paid_by_sponsors() -> Iterator[Fact]:
    for paid in db.session.scalars(sa.select(SponsorPayment)):
        account, bank = accounts.sponsor(paid.fund), accounts.bank(paid.bank_currency)
        stands = paid.taken_back_at is None
        lines = through_bank(account, bank, -paid.amount, -paid.bank_amount) if stands else []
        yield Fact(paid.public_id, lines, start_of(paid.paid_on), None, paid.taken_back_at)


def _bank(books: Books) -> Iterator[Finding]:
    return books.compare("bank_match", _matched())


def _matched() -> Iterator[Fact]:
    for match in objects(sa.select(BankMatch), BankMatch):
        lines = posted_by(match) if match.undone_at is None else []
        yield Fact(match.public_id, lines, start_of(match.line.day))


# Entries that no fact is behind


def _without_facts(books: Books) -> Iterator[Finding]:
    """Entries that stand for something we have no row of: it did not happen, or happened once.

    Taken back, they are gone.
    """
    came = Payment.state == "succeeded"
    taken = sa.select(DisputeMovement.settlement_ref).join(Dispute, Dispute.id == DisputeMovement.dispute_id)
    refunded = sa.select(_text(Refund.public_id)).join(Payment, Payment.id == Refund.payment_id)
    facts: dict[str, sa.Select[Any]] = {
        "payment": sa.select(_text(Payment.public_id)).where(came),
        "refund": refunded.where(came),
        "dispute": taken.join(Payment, Payment.id == Dispute.payment_id).where(came, DisputeMovement.withdrawn),
        "settlement": sa.select(SettlementLine.ref),
        "settlement_fee": sa.select(SettlementLine.ref),
        "disbursement": sa.select(_text(Disbursement.public_id)).where(Disbursement.reverses_id.is_(None)),
        "sponsor": sa.select(_text(SponsorPayment.public_id)),
        "bank_match": sa.select(_text(BankMatch.public_id)),
    }
    entry = sa.select(JournalEntry.source_type, JournalEntry.source_id).distinct()
    for what, numbers in facts.items():
        # Joined from outside: SQLite then makes an index for it, where it would read all facts again for each entry.
        fact = numbers.subquery()
        [number] = fact.c
        lonely = entry.outerjoin(fact, number == JournalEntry.source_id)
        yield from _lonely(books, lonely.where(JournalEntry.source_type == what, number.is_(None)))
    known = (*facts, "stray_payment", "stray_refund", "stray_dispute", "fx_residue")
    yield from _lonely(books, entry.where(JournalEntry.source_type.not_in(known)))


def _text(column: Any) -> Any:
    return sa.type_coerce(column, sa.String)


def _lonely(books: Books, sources: Any) -> Iterator[Finding]:
    for source_type, source_id in db.session.execute(sources.limit(MOST)).all():
        for entry in standing_of(books.entries_of(source_type, [source_id])[source_id]):
            yield without_fact(entry, source_type, source_id, books.size(entry))


LOOKS: tuple[Callable[[Books], Iterator[Finding]], ...] = (
    _gifts,
    _refunds,
    _disputes,
    line_findings,
    _spending,
    _sponsors,
    _bank,
    stray_findings,
    _without_facts,
    gift_findings,
    statement_findings,
    suspense_findings,
    overspent_findings,
)
