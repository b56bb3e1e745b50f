"""Settlement lines of money that is no gift of ours: what the provider holds of it, against what stands in suspense."""

from dataclasses import dataclass

import sqlalchemy as sa

from core.db import db
from core.money import Money
from donations.books import stray_source
from finance.models import SettlementLine
from ledger import accounts
from ledger.models import Account, Posting
from ledger.services import Line, Source, find_entry, transfer
from payments.base import SettlementKind

OF_REFUNDS = (SettlementKind.REFUND, SettlementKind.REFUND_FAILURE)
OF_DISPUTES = (SettlementKind.DISPUTE, SettlementKind.DISPUTE_REVERSAL)
PREFIX = "stray_"  # of the kind of such an entry: it is taken back when the payment turns out to be ours
ASIDE = "aside_"  # the same for a line that a person has put aside


@dataclass(frozen=True, slots=True)
class Stray:
    """What stands in suspense for the fact behind a line, as the line moves it: above zero for money that came."""

    gross: Money


def stray_behind(row: SettlementLine) -> Stray | None:
    """None when nothing stands in suspense for it."""
    source = _source(row)
    entry_id = None if source is None else find_entry(source)
    if entry_id is None:
        return None
    query = (
        sa.select(Posting.currency, Posting.debit_minor + Posting.credit_minor)
        .join(Account, Account.id == Posting.account_id)
        .where(Posting.entry_id == entry_id, Account.kind == "receivable")
    )
    currency, amount = db.session.execute(query).one()
    taken = row.kind in (SettlementKind.REFUND, SettlementKind.DISPUTE)
    return Stray(Money(-amount if taken else amount, currency))


def _source(row: SettlementLine) -> Source | None:
    if row.kind == SettlementKind.CHARGE and row.payment_ref:
        return stray_source("payment", row.provider, row.payment_ref)
    if row.kind in OF_REFUNDS and row.refund_ref:
        return stray_source("refund", row.provider, row.refund_ref)
    if row.kind in OF_DISPUTES:
        return stray_source("dispute", row.provider, row.ref)
    return None


def stray_lines(row: SettlementLine, stray: Stray) -> list[Line]:
    """The settled net on the provider's side; the fee is taken from what stands in suspense, and from no fund."""
    net, currency = Money(row.net_minor, row.currency), stray.gross.currency
    fee = Money(row.fee_minor, row.currency).at_ratio(stray.gross, Money(row.amount_minor, row.currency))
    receivable = accounts.stray_receivable(row.provider, currency)
    return [
        *transfer(accounts.provider_balance(row.provider, row.currency), accounts.conversion(row.currency), net),
        *transfer(accounts.conversion(currency), receivable, stray.gross - fee),
        *transfer(accounts.suspense(currency), receivable, fee),
    ]


def aside_lines(row: SettlementLine) -> list[Line]:
    """A line that nothing is known of: its net in suspense, in the settlement's currency."""
    provider_account = accounts.provider_balance(row.provider, row.currency)
    return transfer(provider_account, accounts.suspense(row.currency), Money(row.net_minor, row.currency))
