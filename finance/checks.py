"""The self-check: what must be true of the books at any moment, each rule by a name. A failure is never normal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import sqlalchemy as sa

from core.db import db
from donations.models import RECEIVED, Donation, Payment
from finance import closing, summaries
from finance.findings import OF_ENTRIES, Finding, show
from finance.matching_facts import entry_findings
from finance.matching_provider import provider_findings
from finance.models import SettlementLine
from ledger.models import AccountingPeriod, Disbursement, JournalEntry, LedgerException, Posting
from ledger.queries import fund_totals
from staff import audit
from stickers.models import RedemptionCode
from stickers.services import rules_of

EXAMPLES = 10
LONG = timedelta(days=3)  # a settlement line that waits for longer is not explained
IN_FLIGHT = timedelta(seconds=60)  # transactions end within 30: what was available is known to that precision


@dataclass(frozen=True, slots=True)
class Result:
    """How many things break the rule, and the first of them."""

    name: str
    failures: int
    examples: tuple[str, ...]


Check = Callable[[datetime], Iterator[str]]


def entries_balanced(now: datetime) -> Iterator[str]:
    query = (
        sa.select(JournalEntry.id)
        .outerjoin(Posting, Posting.entry_id == JournalEntry.id)
        .group_by(JournalEntry.id, Posting.currency)
        .having(sa.func.coalesce(sa.func.sum(Posting.debit_minor - Posting.credit_minor), 1) != 0)
    )
    yield from (f"entry {entry_id}" for entry_id in db.session.scalars(query))


def totals_equal_postings(now: datetime) -> Iterator[str]:
    yield from (f"sums of {name}" for name in summaries.check(now))


def facts_have_entries(now: datetime) -> Iterator[str]:
    """Whatever happened is booked once: on its accounts, with its amounts, on its day; nothing else is."""
    for finding in (*entry_findings(now), *provider_findings(now)):
        if finding.kind in OF_ENTRIES:
            yield f"{finding.kind}: {finding.source_type} {finding.source_id}"


def paid_donations_are_booked(now: datetime) -> Iterator[str]:
    gift = sa.exists().where(
        JournalEntry.donation_id == Donation.id, JournalEntry.source_type == "payment", JournalEntry.kind == "gift"
    )
    query = sa.select(Donation.public_id).where(Donation.status.in_(RECEIVED), ~gift)
    yield from (f"donation {number}" for number in db.session.scalars(query))


def spending_within_available(now: datetime) -> Iterator[str]:
    """No payment to a programme was above what its fund had, from what was recorded by the moment of approval."""
    approved = sa.select(Disbursement).where(Disbursement.state == "approved", Disbursement.reverses_id.is_(None))
    for spent in db.session.scalars(approved.order_by(Disbursement.id)):
        if spent.decided_at is None or spent.available_minor is None:
            continue
        before = spent.decided_at - timedelta(microseconds=1)
        moments = (before, spent.decided_at - IN_FLIGHT)
        known = max(fund_totals(spent.fund, as_of=moment).available for moment in moments)
        if spent.amount_minor > min(known, spent.available_minor):
            yield f"payment {spent.public_id}"


def codes_match_payments(now: datetime) -> Iterator[str]:
    """Nobody holds a code without a payment, no code of a gift is missing, and gifts that earn codes have them."""
    paid = sa.exists().where(Payment.donation_id == RedemptionCode.donation_id, Payment.state == "succeeded")
    unpaid = sa.select(RedemptionCode.donation_id).where(RedemptionCode.status != "voided", ~paid).distinct()
    yield from _of_donations("a code without a payment", unpaid)
    gaps = (
        sa.select(RedemptionCode.donation_id)
        .group_by(RedemptionCode.donation_id)
        .having(sa.func.count() != sa.func.max(RedemptionCode.ordinal))
    )
    yield from _of_donations("a code is missing", gaps)
    alive = RedemptionCode.status.in_(("issued", "held"))
    back = sa.select(RedemptionCode.donation_id).join(Donation, Donation.id == RedemptionCode.donation_id)
    yield from _of_donations(
        "a code of a gift that went back", back.where(alive, Donation.status == "refunded").distinct()
    )
    yield from _of_donations("no code for a gift that earns one", _without_codes())


def _without_codes() -> sa.Select[int]:
    """Gifts of an amount that has a rule, without a code, though an earlier and smaller one got its codes."""
    has_code = sa.exists().where(RedemptionCode.donation_id == Donation.id)
    campaigns = db.session.scalars(sa.select(Donation.campaign_id).distinct()).all()
    reached = [
        sa.and_(Donation.campaign_id == campaign_id, Donation.amount_minor >= rules[0].from_minor)
        for campaign_id in campaigns
        if (rules := rules_of(campaign_id))
    ]
    earlier = sa.orm.aliased(Donation)
    others = sa.exists().where(
        RedemptionCode.donation_id == earlier.id,
        earlier.campaign_id == Donation.campaign_id,
        earlier.amount_minor <= Donation.amount_minor,
        earlier.paid_at <= Donation.paid_at,
    )
    earns = sa.or_(sa.false(), *reached)
    return sa.select(Donation.id).where(Donation.status.in_(RECEIVED), earns, ~has_code, others)


def _of_donations(what: str, ids: sa.Select[int]) -> Iterator[str]:
    query = sa.select(Donation.public_id).where(Donation.id.in_(ids)).order_by(Donation.id)
    yield from (f"{what}: donation {number}" for number in db.session.scalars(query))


def settlements_explained(now: datetime) -> Iterator[str]:
    waiting = sa.select(SettlementLine.ref).where(
        SettlementLine.posted_at.is_(None), SettlementLine.created_at < now - LONG
    )
    yield from (f"line {ref} waits" for ref in db.session.scalars(waiting))
    unexplained = sa.select(LedgerException.source_id).where(
        LedgerException.kind == "unexplained_settlement",
        LedgerException.resolved_at.is_(None),
        LedgerException.opened_at < now - LONG,
    )
    yield from (f"line {ref} in suspense" for ref in db.session.scalars(unexplained))


def closed_months_unchanged(now: datetime) -> Iterator[str]:
    """Sheets of closed months are as they were signed, and their months have the entries that they count."""
    query = sa.select(AccountingPeriod).where(AccountingPeriod.reopened_at.is_(None)).order_by(AccountingPeriod.month)
    for period in db.session.scalars(query):
        if closing.hash_of(period.sheet) != period.sheet_hash:
            yield f"the sheet of {period.month} was changed"
        within = sa.and_(JournalEntry.occurred_at >= period.starts_at, JournalEntry.occurred_at < period.ends_at)
        there = db.session.scalar(sa.select(sa.func.count()).select_from(JournalEntry).where(within)) or 0
        if there != period.sheet["entries"]:
            yield f"{period.month} has {there} entries, its sheet {period.sheet['entries']}"
        yield from (
            f"{period.month}: {code} moved otherwise than its sheet says" for code in closing.turnover_changed(period)
        )


def audit_chain_whole(now: datetime) -> Iterator[str]:
    yield from (f"entry {fault.number} {fault.what}" for fault in audit.verify()[1])


CHECKS: tuple[Check, ...] = (
    entries_balanced,
    totals_equal_postings,
    paid_donations_are_booked,
    facts_have_entries,
    spending_within_available,
    codes_match_payments,
    settlements_explained,
    closed_months_unchanged,
    audit_chain_whole,
)


def run_checks(now: datetime) -> list[Result]:
    """Every check, in a fixed order. Reads only, but for the sums' own record of what differs."""
    results = []
    for check in CHECKS:
        found = check(now)
        examples = tuple(islice(found, EXAMPLES))
        results.append(Result(check.__name__, len(examples) + sum(1 for _ in found), examples))
        db.session.rollback()
    return results


def show_results(results: list[Result], now: datetime) -> None:
    """Put what fails into the queue of finance, and take out what is right again. Inside a unit of work."""
    failing = [
        Finding("check_failed", "check", each.name, details={"count": each.failures, "examples": list(each.examples)})
        for each in results
        if each.failures
    ]
    show(failing, now, ("check_failed",))
