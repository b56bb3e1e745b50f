"""Posting: entries that balance, each source once, corrections by reversal."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.db import db, insert_if_absent, rows_changed
from core.ids import new_entry_id
from core.money import Money
from ledger import periods
from ledger.accounts import AccountRef, account_ids
from ledger.models import JournalEntry, LedgerException, Posting
from ledger.triggers import CLOSED

BY_ITSELF = "went away by itself"


class UnbalancedEntry(ValueError):
    """Debits and credits differ in some currency, or there is nothing to post."""


@dataclass(frozen=True, slots=True)
class Source:
    """The fact behind an entry: its type, its id, and which of its effects is posted (`kind`)."""

    type: str
    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    account: AccountRef
    debit: int
    credit: int

    def __post_init__(self) -> None:
        if type(self.debit) is not int or type(self.credit) is not int:
            raise TypeError("amounts are whole minor units")
        if min(self.debit, self.credit) < 0 or (self.debit > 0) == (self.credit > 0):
            raise UnbalancedEntry("a posting is one debit or one credit, more than zero")


def transfer(debit: AccountRef, credit: AccountRef, amount: Money) -> list[Line]:
    """Debit one account, credit the other. A negative amount goes the other way round; zero is no line at all."""
    if {debit.currency, credit.currency} != {amount.currency}:
        raise UnbalancedEntry(f"{amount.currency} posted to {debit.code} and {credit.code}")
    if not amount:
        return []
    if amount.minor < 0:
        debit, credit, amount = credit, debit, -amount
    return [Line(debit, amount.minor, 0), Line(credit, 0, amount.minor)]


def post_entry(
    source: Source,
    lines: Sequence[Line],
    *,
    occurred_at: datetime,
    recorded_at: datetime,
    donation_id: int | None = None,
    reverses_id: uuid.UUID | None = None,
) -> bool:
    """Post one entry; False when this source was posted before, and then nothing changes.

    Amounts are minor units of each account's currency. What occurred in a closed month is posted to the first moment
    of the open one and keeps its true moment (`happened_at`, `late_for`). Raises `UnbalancedEntry` unless debits equal
    credits in every currency. Flushes, never commits.
    """
    _require_balance(lines)
    if find_entry(source) is not None:
        return False
    ids = account_ids(line.account for line in lines)
    entry_id = new_entry_id()
    postings = [
        {
            "entry_id": entry_id,
            "account_id": ids[line.account.code],
            "currency": line.account.currency,
            "debit_minor": line.debit,
            "credit_minor": line.credit,
        }
        for line in lines
    ]
    entry = {
        "id": entry_id,
        "source_type": source.type,
        "source_id": source.id,
        "kind": source.kind,
        "occurred_at": occurred_at,
        "recorded_at": recorded_at,
        "donation_id": donation_id,
        "reverses_id": reverses_id,
    }
    return _write(entry, postings)


def _require_balance(lines: Sequence[Line]) -> None:
    balance: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        balance[line.account.currency] += line.debit - line.credit
    if not lines or any(balance.values()):
        raise UnbalancedEntry(", ".join(f"{amount} {currency}" for currency, amount in balance.items()) or "empty")


def _write(entry: dict[str, Any], postings: list[dict[str, Any]]) -> bool:
    savepoint = db.session.begin_nested()
    try:
        db.session.execute(sa.insert(Posting), postings)
        db.session.execute(sa.insert(JournalEntry).values(**entry))
    except IntegrityError as refusal:
        savepoint.rollback()
        # Another transaction posted the same source while we were at it.
        if find_entry(Source(entry["source_type"], entry["source_id"], entry["kind"])) is not None:
            return False
        if CLOSED not in str(refusal.orig):  # a real fault
            raise
    else:
        savepoint.commit()
        return True
    # The database says that the month is closed: nobody has to look before each entry, and none slips in between.
    return _write(_late(entry), postings)


def _late(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry in the earliest open month, with a link back; in its own month if that was reopened meanwhile."""
    happened: datetime = entry.get("happened_at") or entry["occurred_at"]
    opened = periods.open_from()
    if opened is None or opened <= happened:
        return {**entry, "occurred_at": happened, "happened_at": None, "late_for": None}
    return {**entry, "occurred_at": opened, "happened_at": happened, "late_for": periods.month_of(happened)}


def find_entry(source: Source) -> uuid.UUID | None:
    return db.session.scalar(
        sa.select(JournalEntry.id).where(
            JournalEntry.source_type == source.type,
            JournalEntry.source_id == source.id,
            JournalEntry.kind == source.kind,
        )
    )


def reverse_entry(original: Source, kind: str, *, occurred_at: datetime, recorded_at: datetime) -> bool:
    """Take `original` back with an entry of the same source and another `kind` that names what it reverses.

    False when there is nothing to reverse or it was reversed before.
    """
    entry_id = find_entry(original)
    if entry_id is None:
        return False
    source = Source(original.type, original.id, kind)
    reversed_before = sa.select(JournalEntry.id).where(JournalEntry.reverses_id == entry_id)
    if find_entry(source) is not None or db.session.scalar(reversed_before) is not None:
        return False
    query = sa.select(Posting).where(Posting.entry_id == entry_id).order_by(Posting.id)
    new_id = new_entry_id()
    postings = [
        {
            "entry_id": new_id,
            "account_id": posting.account_id,
            "currency": posting.currency,
            "debit_minor": posting.credit_minor,
            "credit_minor": posting.debit_minor,
        }
        for posting in db.session.scalars(query)
    ]
    entry = {
        "id": new_id,
        "source_type": source.type,
        "source_id": source.id,
        "kind": kind,
        "occurred_at": occurred_at,
        "recorded_at": recorded_at,
        "reverses_id": entry_id,
        "donation_id": db.session.scalar(sa.select(JournalEntry.donation_id).where(JournalEntry.id == entry_id)),
    }
    return _write(entry, postings)


def open_exception(
    kind: str,
    source_type: str,
    source_id: str,
    *,
    now: datetime,
    amount: Money | None = None,
    donation_id: int | None = None,
    details: dict[str, Any] | None = None,
    since: datetime | None = None,
) -> bool:
    """Put something into the queue that finance looks at; once for each (kind, source).

    `since` is when its money moved; without it, it is as old as it is known.

    What a person resolved stays resolved; what went away by itself (`close_exception`) is open again.
    """
    new = insert_if_absent(
        LedgerException,
        kind=kind,
        source_type=source_type,
        source_id=source_id,
        amount_minor=None if amount is None else amount.minor,
        currency=None if amount is None else amount.currency,
        donation_id=donation_id,
        details=details or {},
        since=min(since or now, now),
        opened_at=now,
    )
    return new or _set_resolved(kind, source_type, source_id, BY_ITSELF, resolved_at=None, resolution=None)


def close_exception(kind: str, source_type: str, source_id: str, *, now: datetime) -> bool:
    """What was to be looked at has gone away by itself; whether it was open."""
    return _set_resolved(kind, source_type, source_id, None, resolved_at=now, resolution=BY_ITSELF)


def _set_resolved(kind: str, source_type: str, source_id: str, present: str | None, **values: Any) -> bool:
    result = db.session.execute(
        sa.update(LedgerException)
        .where(
            LedgerException.kind == kind,
            LedgerException.source_type == source_type,
            LedgerException.source_id == source_id,
            LedgerException.resolution == present,
        )
        .values(**values)
    )
    return rows_changed(result) == 1
