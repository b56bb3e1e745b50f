"""Lines of the provider against their entries: each posts what it is about, at its own rate, with its fee.

What a line is about is looked up for a whole batch; the postings are made by the functions that post one line.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa

from core.db import db
from core.money import Money
from donations.models import Campaign, Dispute, Donation, Payment, Refund
from finance.errors import NoRate
from finance.exceptions import charged_lines
from finance.findings import Finding
from finance.models import SettlementLine
from finance.services import PAYOUT_KINDS, is_only_fee, settled_lines
from finance.standing import BATCH, MOST, Books, Entry, Fact, batched, paged, standing_of
from finance.strays import ASIDE, PREFIX, aside_lines, stray_behind, stray_lines
from ledger import accounts
from ledger.models import Fund, JournalEntry
from ledger.services import Line, transfer
from payments.base import SettlementKind
from staff.models import AuditEntry

OF_REFUNDS = (SettlementKind.REFUND, SettlementKind.REFUND_FAILURE)
OF_DISPUTES = (SettlementKind.FEE, SettlementKind.DISPUTE, SettlementKind.DISPUTE_REVERSAL)
TAKEN = (SettlementKind.REFUND, SettlementKind.DISPUTE)
FIGURES = ("amount_minor", "fee_minor", "net_minor", "exchange_rate", "created_at", "posted_at")
COLUMNS = ("provider", "ref", "kind", "currency", *FIGURES, "payment_ref", "refund_ref", "dispute_ref")

Named = tuple[str, str]  # provider and reference


@dataclass(frozen=True, slots=True)
class _Paid:
    """A payment as the functions that post see one."""

    amount: Money
    state: str
    donation_id: int
    campaign_id: int
    payment_ref: str | None


@dataclass(slots=True)
class _Known:
    """What the lines of a batch are about, by what they name."""

    payments: dict[Named, _Paid]
    refunds: dict[Named, tuple[_Paid, Money]]
    disputes: dict[Named, tuple[_Paid, Money]]
    charges: dict[Named, tuple[Money, Money]]  # of payments: (given, settled)


def line_findings(books: Books) -> Iterator[Finding]:
    found = 0
    bearers = _Bearers()
    query = sa.select(SettlementLine.id, *(getattr(SettlementLine, name) for name in COLUMNS))
    for rows in batched(paged(query, SettlementLine.id), BATCH):
        entries = books.entries_of("settlement", [row.ref for row in rows])
        known = _known(rows)
        for row in rows:
            mine = entries.get(row.ref, [])
            for finding in books.compare_one("settlement", _fact(row, known, mine, bearers), mine):
                yield finding
                found += 1
        if found > MOST:
            return
    yield from _charged_to_funds(books)


def _fact(row: Any, known: _Known, entries: Sequence[Entry], bearers: "_Bearers") -> Fact:
    """What should stand for a line. What a person has put aside, or what stands in suspense with its payment, is
    right there until its payment is known."""
    if row.posted_at is None:
        return Fact(row.ref)
    standing = standing_of(entries)
    line = cast(SettlementLine, row)
    if any(entry.kind.startswith(ASIDE) for entry in standing):
        return Fact(row.ref, aside_lines(line), row.created_at)
    if any(entry.kind.startswith(PREFIX) for entry in standing):
        stray = stray_behind(line)
        return Fact(row.ref, stray_lines(line, stray) if stray else [], row.created_at)
    net, provider_account = Money(row.net_minor, row.currency), accounts.provider_balance(row.provider, row.currency)
    if row.kind in PAYOUT_KINDS:
        lines = transfer(accounts.transit(row.provider, row.currency), provider_account, -net)
        return Fact(row.ref, lines, row.created_at)
    origin = _origin(row, known)
    if origin is None:
        names_nothing = not (row.payment_ref or row.refund_ref or row.dispute_ref)
        if row.kind == SettlementKind.OTHER or (is_only_fee(line) and names_nothing):
            return Fact(row.ref, transfer(provider_account, accounts.suspense(row.currency), net), row.created_at)
        # Posted, and nothing is known of it: whatever stands there has lost what it was for.
        return Fact(row.ref)
    paid, gross = origin
    ratio = known.charges.get((row.provider, paid.payment_ref or ""))
    made = settled_lines(line, bearers.payment(paid, entries), gross, ratio)
    return Fact(row.ref, made or [], row.created_at, paid.donation_id)


def _origin(row: Any, known: _Known) -> tuple[_Paid, Money] | None:
    """The payment that a line is about, and its gross amount in the fund's currency, with its sign."""
    if row.kind in OF_REFUNDS:
        found = known.refunds.get((row.provider, row.refund_ref))
    elif row.kind in OF_DISPUTES and row.dispute_ref:
        found = known.disputes.get((row.provider, row.dispute_ref))
    elif row.kind in (SettlementKind.CHARGE, SettlementKind.FEE):
        paid = known.payments.get((row.provider, row.payment_ref))
        found = (paid, paid.amount) if paid and paid.state == "succeeded" else None
    else:
        found = None
    if found is None:
        return None
    return found[0], -found[1] if row.kind in TAKEN else found[1]


def _known(rows: Sequence[Any]) -> _Known:
    payment_refs = {row.payment_ref for row in rows if row.payment_ref}
    refund_refs = {row.refund_ref for row in rows if row.refund_ref}
    dispute_refs = {row.dispute_ref for row in rows if row.dispute_ref}
    providers = {row.provider for row in rows}  # references are found by their provider
    paid = (
        Payment.amount_minor,
        Payment.currency,
        Payment.state,
        Payment.donation_id,
        Donation.campaign_id,
        Payment.payment_ref,
    )
    payments = sa.select(Payment.provider, Payment.payment_ref.label("name"), *paid).select_from(Payment)
    payments = payments.join(Donation, Donation.id == Payment.donation_id).where(
        Payment.provider.in_(providers), Payment.payment_ref.in_(payment_refs)
    )
    known = _Known({}, {}, {}, {})
    for row in db.session.execute(payments) if payment_refs else ():
        known.payments[row.provider, row.name] = _paid(row)
    for model, refs, into in (
        (Refund, refund_refs, known.refunds),
        (Dispute, dispute_refs, known.disputes),
    ):
        name = Refund.refund_ref if model is Refund else Dispute.dispute_ref
        query = (
            sa.select(model.provider, name.label("name"), model.amount_minor.label("of_minor"))
            .add_columns(model.currency.label("of_currency"), *paid)
            .join(Payment, Payment.id == model.payment_id)
            .join(Donation, Donation.id == Payment.donation_id)
            .where(model.provider.in_(providers), name.in_(refs))
        )
        for row in db.session.execute(query) if refs else ():
            into[row.provider, row.name] = _paid(row), Money(row.of_minor, row.of_currency)
    _add_charges(rows, known)
    return known


def _paid(row: Any) -> _Paid:
    amount = Money(row.amount_minor, row.currency)
    return _Paid(amount, row.state, row.donation_id, row.campaign_id, row.payment_ref)


def _add_charges(rows: Sequence[Any], known: _Known) -> None:
    """At what ratio the payments were settled whose fees stand on lines of their own."""
    alone = [row for row in rows if is_only_fee(cast(SettlementLine, row))]
    paid = {(row.provider, origin[0].payment_ref): origin[0] for row in alone if (origin := _origin(row, known))}
    if not paid:
        return
    query = sa.select(SettlementLine).where(
        SettlementLine.kind == SettlementKind.CHARGE.value,
        SettlementLine.amount_minor != 0,
        SettlementLine.payment_ref.in_([ref for _provider, ref in paid if ref]),
    )
    for charge in db.session.scalars(query.order_by(SettlementLine.id.desc())):
        named = (charge.provider, charge.payment_ref or "")
        if named in paid:
            known.charges[named] = paid[named].amount, Money(charge.amount_minor, charge.currency)


class _Bearers:
    """Who bore the fees of a campaign when, as the audit log has its changes."""

    def __init__(self) -> None:
        self._campaigns = {each.id: each for each in db.session.scalars(sa.select(Campaign))}
        self._changes: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
        query = sa.select(AuditEntry).where(AuditEntry.action == "campaign.changed").order_by(AuditEntry.number)
        for entry in db.session.scalars(query):
            if before := (entry.before or {}).get("fees_borne_by"):
                self._changes[entry.subject].append((entry.at, before))
        self._seen: dict[tuple[int, str], Any] = {}

    def payment(self, paid: _Paid, entries: Sequence[Entry]) -> Payment:
        """The payment with its campaign as it was when its line was booked first."""
        campaign = self._campaigns[paid.campaign_id]
        booked = min((entry.recorded_at for entry in entries if _is_of_fund(entry)), default=None)
        bearer = campaign.fees_borne_by
        if booked is not None:
            later = (before for at, before in self._changes[f"campaign:{campaign.slug}"] if at > booked)
            bearer = next(later, bearer)
        if (found := self._seen.get((campaign.id, bearer))) is None:
            then = SimpleNamespace(fund=campaign.fund, fees_borne_by=bearer)
            found = self._seen[campaign.id, bearer] = SimpleNamespace(donation=SimpleNamespace(campaign=then))
        return cast(Payment, found)


def _is_of_fund(entry: Entry) -> bool:
    return entry.reverses_id is None and not entry.kind.startswith((ASIDE, PREFIX))


def _charged_to_funds(books: Books) -> Iterator[Finding]:
    """What the provider took without naming anything, and a person has charged to a fund: as the audit log says."""
    query = sa.select(AuditEntry).where(AuditEntry.action == "exception.charged_to_fund").order_by(AuditEntry.number)
    fund_of = {
        entry.subject.rpartition("exception:unexplained_settlement:")[2]: entry for entry in db.session.scalars(query)
    }
    booked = sa.select(JournalEntry.source_id).where(JournalEntry.source_type == "settlement_fee")
    refs = sorted({*fund_of, *db.session.scalars(booked)})
    for batch in batched(refs, BATCH):
        entries = books.entries_of("settlement_fee", batch)
        rows = db.session.scalars(sa.select(SettlementLine).where(SettlementLine.ref.in_(batch)))
        for row in list(rows):
            mine = entries.get(row.ref, [])
            if mine and not standing_of(mine):
                continue  # taken back with a correction of its line
            if lines := _charged(row, mine, fund_of.get(row.ref)):
                yield from books.compare_one("settlement_fee", Fact(row.ref, lines, row.created_at), mine)


def _charged(row: SettlementLine, entries: Sequence[Entry], act: AuditEntry | None) -> list[Line]:
    code = str((act.after or {}).get("fund")) if act else _fund_of(entries)
    fund = db.session.scalar(sa.select(Fund).where(Fund.code == code))
    known_at = entries[-1].recorded_at if entries else act.at if act else row.created_at
    if fund is None:
        return []
    try:
        return charged_lines(row, fund, known_at)
    except NoRate:
        return []


def _fund_of(entries: Sequence[Entry]) -> str:
    codes = (code for entry in entries for code in entry.moved if code.startswith("fund:"))
    return next(codes, "").partition(":")[2].rpartition(":")[0]
