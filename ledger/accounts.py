"""The chart of accounts: which account a posting belongs to, by what it is for."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from core.db import db, insert_if_absent
from ledger.models import Account, Fund


@dataclass(frozen=True, slots=True)
class AccountRef:
    """Names an account; the row is made when it is first posted to."""

    code: str
    kind: str
    currency: str
    fund_id: int | None = None


def of_fund(fund: Fund, kind: str) -> AccountRef:
    """gift, refund, dispute, fee, fx or spent of a fund."""
    return AccountRef(f"fund:{fund.code}:{kind}", kind, fund.currency, fund.id)


def receivable(provider: str, fund: Fund) -> AccountRef:
    return AccountRef(f"receivable:{provider}:{fund.code}", "receivable", fund.currency, fund.id)


def stray_receivable(provider: str, currency: str) -> AccountRef:
    """Charged by the provider, but for no fund that we know."""
    return AccountRef(f"receivable:{provider}:-:{currency}", "receivable", currency)


def provider_balance(provider: str, currency: str) -> AccountRef:
    return AccountRef(f"provider:{provider}:{currency}", "provider", currency)


def conversion(currency: str) -> AccountRef:
    return AccountRef(f"conversion:{currency}", "conversion", currency)


def transit(provider: str, currency: str) -> AccountRef:
    return AccountRef(f"transit:{provider}:{currency}", "transit", currency)


def bank(currency: str) -> AccountRef:
    """Our money at banks in one currency, as far as it is booked: below zero while bank lines are not imported yet."""
    return AccountRef(f"bank:{currency}", "bank", currency)


def suspense(currency: str) -> AccountRef:
    return AccountRef(f"suspense:{currency}", "suspense", currency)


def sponsor(fund: Fund) -> AccountRef:
    """What the sponsor who bears a fund's fees owes it."""
    return AccountRef(f"sponsor:{fund.code}", "sponsor", fund.currency, fund.id)


def account_ids(refs: Iterable[AccountRef]) -> dict[str, int]:
    """Row ids by code, making the rows that are missing."""
    wanted = {ref.code: ref for ref in refs}
    query = sa.select(Account.code, Account.id).where(Account.code.in_(wanted))
    found = _ids(query)
    if missing := [wanted[code] for code in sorted(wanted.keys() - found.keys())]:
        for ref in missing:
            insert_if_absent(Account, code=ref.code, kind=ref.kind, currency=ref.currency, fund_id=ref.fund_id)
        found = _ids(query)
    return found


def _ids(query: sa.Select[str, int]) -> dict[str, int]:
    return {row.code: row.id for row in db.session.execute(query)}
