"""Three-way match: our books, the provider's account, the bank. What does not agree is shown; nothing is forced."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from finance.bank.matching import match_lines
from finance.fetching import Fetched, fetch, read_doubtful
from finance.findings import COMPARED, Finding, show
from finance.jobs import look_at_unposted_lines, replace_lines
from finance.matching_bank import bank_findings
from finance.matching_facts import entry_findings
from finance.matching_provider import provider_findings
from finance.models import SettlementLine
from finance.run_state import keep_readings
from ledger.models import Account, LedgerException, Posting
from payments.base import PaymentProvider, ProviderDown, ProviderRefused
from payments.registry import all_providers

log = logging.getLogger(__name__)

DEEPER = timedelta(days=35)  # how far is read again when the balances differ
READINGS = 3


@dataclass
class Reconciled:
    """What a reconciliation did; `found` counts what stands open by kind, `problems` names what could not be done."""

    fetched: Fetched = field(default_factory=Fetched)
    matched: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def reconcile(now: datetime, since: datetime | None = None) -> Reconciled:
    """Fetch, post, match and compare; the queue of finance says what was found. Commits.

    A provider that does not answer is a problem of this run and hides nothing that was found without it.
    """
    done = Reconciled()
    balances: list[Finding] = []
    unread: list[str] = []
    for provider in all_providers():
        try:
            balances += _read(provider, now, since, done)
        except (ProviderDown, ProviderRefused) as error:
            log.warning("reconciliation: %s cannot be read: %s", provider.name, error.code)
            done.problems.append(f"{provider.name}: {error.code}")
            unread.append(provider.name)
    look_at_unposted_lines(now)
    replace_lines(now)
    with unit_of_work():
        done.matched = match_lines(now)
    # It reads everything: before rows are held that others wait for.
    entries = entry_findings(now)
    with unit_of_work():
        # Without the provider's answer nothing is known of its balance: what was found before stays.
        kinds = [kind for kind in COMPARED if kind != "balance_differs" or not unread]
        show([*provider_findings(now), *bank_findings(now), *entries, *balances], now, kinds)
    for provider in all_providers():
        if provider.name not in unread:
            _look_again(provider, now, done)
    faulty = {problem.partition(":")[0] for problem in done.problems}
    keep_readings([each.name for each in all_providers() if each.name not in faulty], now)
    done.found = open_by_kind()
    return done


def _look_again(provider: PaymentProvider, now: datetime, done: Reconciled) -> None:
    """What the provider says of the lines that do not agree, however old they are."""
    try:
        read_doubtful(provider, now)
    except (ProviderDown, ProviderRefused) as error:
        log.warning("reconciliation: lines of %s cannot be read again: %s", provider.name, error.code)
        done.problems.append(f"{provider.name}: {error.code}")


def _read(provider: PaymentProvider, now: datetime, since: datetime | None, done: Reconciled) -> list[Finding]:
    """Fetch, and compare the balances; where they differ, what was read before is read again, further back."""
    _fetch(provider, now, since, done)
    found = _balance_findings(provider, now, done)
    if found and since is None:
        _fetch(provider, now, now - DEEPER, done)
        found = _balance_findings(provider, now, done)
    return found


def _fetch(provider: PaymentProvider, now: datetime, since: datetime | None, done: Reconciled) -> None:
    fetched = fetch(provider, now, since)
    done.fetched.lines += fetched.lines
    done.fetched.new += fetched.new
    done.fetched.payouts += fetched.payouts


def _balance_findings(provider: PaymentProvider, now: datetime, done: Reconciled) -> list[Finding]:
    """Where the provider's balance is not what our books say, together with lines that only wait to be booked."""
    for _reading in range(READINGS):
        before = provider.read_balance()
        _fetch(provider, now, now, done)
        ours = _ours(provider.name)
        if provider.read_balance() == before:
            break
    else:
        done.problems.append(f"{provider.name}: its balance does not stand still")
        return []
    found = []
    for currency in sorted({*before, *ours}):
        theirs = before.get(currency, Money(0, currency))
        if off := theirs - ours.get(currency, Money(0, currency)):
            details = {"provider": theirs.minor, "books": (theirs - off).minor}
            found.append(
                Finding("balance_differs", "account", f"provider:{provider.name}:{currency}", off, None, details)
            )
    return found


def _ours(provider: str) -> dict[str, Money]:
    posted = (
        sa.select(Account.currency, sa.func.sum(Posting.debit_minor - Posting.credit_minor))
        .join(Posting, Posting.account_id == Account.id)
        .where(Account.kind == "provider", Account.code.startswith(f"provider:{provider}:"))
        .group_by(Account.currency)
    )
    waiting = (
        sa.select(SettlementLine.currency, sa.func.sum(SettlementLine.net_minor))
        .where(SettlementLine.provider == provider, SettlementLine.posted_at.is_(None))
        .group_by(SettlementLine.currency)
    )
    sums: Counter[str] = Counter()
    for query in (posted, waiting):
        for currency, minor in db.session.execute(query):
            sums[currency] += int(minor)
    db.session.rollback()
    return {currency: Money(minor, currency) for currency, minor in sums.items()}


def open_by_kind() -> dict[str, int]:
    query = sa.select(LedgerException.kind, sa.func.count()).where(LedgerException.resolved_at.is_(None))
    return {row[0]: row[1] for row in db.session.execute(query.group_by(LedgerException.kind))}
