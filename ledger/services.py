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
BY_CORRECTION = "books corrected: "  # and why: what is found again after that is something new
CORRECTED = "_corrected"  # after the kind of an entry: it stands in the place of one that was taken back
NO_LONGER = "no longer so: "  # before what a person has explained, once that has gone
LONGEST_RESOLUTION = 200


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


def _write(entry: dict[str, Any], postings: list[dict[str, Any]], not_before: datetime | None = None) -> bool:
    """Whether it was written; `not_before` is where the entry stands that it takes back."""
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
    return _write(_late(entry, not_before), postings, not_before)


def _late(entry: dict[str, Any], not_before: datetime | None) -> dict[str, Any]:
    """The entry in the earliest open month, with a link back; in its own month if that was reopened meanwhile."""
    happened: datetime = entry.get("happened_at") or entry["occurred_at"]
    moment = max(filter(None, (periods.open_from(), not_before, happened)))
    return _moved(entry, happened, moment)


def _moved(entry: dict[str, Any], happened: datetime, moment: datetime) -> dict[str, Any]:
    """The entry at `moment`; in a later month than that in which it happened it says so."""
    if moment <= happened or periods.month_of(moment) == periods.month_of(happened):
        return {**entry, "occurred_at": moment, "happened_at": None, "late_for": None}
    return {**entry, "occurred_at": moment, "happened_at": happened, "late_for": periods.month_of(happened)}


def find_entry(source: Source) -> uuid.UUID | None:
    return db.session.scalar(
        sa.select(JournalEntry.id).where(
            JournalEntry.source_type == source.type,
            JournalEntry.source_id == source.id,
            JournalEntry.kind == source.kind,
        )
    )


def is_standing() -> sa.ColumnElement[bool]:
    """Whether an entry takes nothing back and was not taken back itself."""
    reversal = sa.orm.aliased(JournalEntry)
    return sa.and_(JournalEntry.reverses_id.is_(None), ~sa.exists().where(reversal.reverses_id == JournalEntry.id))


def of_source(source: Source) -> sa.ColumnElement[bool]:
    """Whether an entry is of this source: the first one, or what corrected it (`ledger.corrections`)."""
    kind = sa.or_(
        JournalEntry.kind == source.kind, JournalEntry.kind.startswith(source.kind + CORRECTED, autoescape=True)
    )
    return sa.and_(JournalEntry.source_type == source.type, JournalEntry.source_id == source.id, kind)


def find_standing(source: Source) -> uuid.UUID | None:
    """The entry that stands for this source now."""
    query = sa.select(JournalEntry.id).where(of_source(source), is_standing())
    return db.session.scalar(query.order_by(JournalEntry.recorded_at.desc(), JournalEntry.id.desc()).limit(1))


def reverse_entry(original: Source, kind: str, *, occurred_at: datetime, recorded_at: datetime) -> bool:
    """Take back what stands for `original` with an entry of the same source and another `kind` that names it.

    It never stands before the entry that it takes back: an entry that is late for a month which was opened again is
    taken back where it stands, so that both are in the same sheet. False when there is nothing to reverse or it was
    reversed before.
    """
    source = Source(original.type, original.id, kind)
    entry_id = find_standing(original)
    if entry_id is None or find_entry(source) is not None:
        return False
    return reverse_this(entry_id, source, occurred_at=occurred_at, recorded_at=recorded_at)


def reverse_this(entry_id: uuid.UUID, source: Source, *, occurred_at: datetime, recorded_at: datetime) -> bool:
    """Take this entry back by one of `source`, not before it; False when that was posted before."""
    taken_back = db.session.get_one(JournalEntry, entry_id)
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
        "kind": source.kind,
        "occurred_at": occurred_at,
        "recorded_at": recorded_at,
        "reverses_id": entry_id,
        "donation_id": taken_back.donation_id,
    }
    not_before = taken_back.occurred_at
    return _write(_moved(entry, occurred_at, max(occurred_at, not_before)), postings, not_before)


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

    What a person resolved stays resolved while it is so; what went away (`close_exception`), or with a correction of
    the books, is open again.
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
    anew = {"resolved_at": None, "resolution": None, "resolved_by": None, "opened_at": now}
    return new or _set_resolved(kind, source_type, source_id, is_gone(), **anew)


def close_exception(kind: str, source_type: str, source_id: str, *, now: datetime) -> bool:
    """What was to be looked at has gone away by itself; whether it was open. What was explained of it ends with it."""
    _set_resolved(kind, source_type, source_id, is_settled(), resolution=ended())
    standing = LedgerException.resolution.is_(None)
    return _set_resolved(kind, source_type, source_id, standing, resolved_at=now, resolution=BY_ITSELF)


def is_gone() -> sa.ColumnElement[bool]:
    """Whether it was resolved because it was no longer true, or is no longer: found again, it is open again."""
    began = (LedgerException.resolution.startswith(text, autoescape=True) for text in (BY_CORRECTION, NO_LONGER))
    return sa.or_(LedgerException.resolution == BY_ITSELF, *began)


def is_settled() -> sa.ColumnElement[bool]:
    """Whether a person has resolved it, and it was so ever since."""
    return sa.and_(LedgerException.resolved_by.is_not(None), ~is_gone())


def ended() -> sa.ColumnElement[str]:
    """Its resolution once it has gone: what was found again after that is something new."""
    return sa.func.substr(sa.literal(NO_LONGER).concat(LedgerException.resolution), 1, LONGEST_RESOLUTION)


def _set_resolved(kind: str, source_type: str, source_id: str, present: sa.ColumnElement[bool], **values: Any) -> bool:
    result = db.session.execute(
        sa.update(LedgerException)
        .where(
            LedgerException.kind == kind,
            LedgerException.source_type == source_type,
            LedgerException.source_id == source_id,
            present,
        )
        .values(**values)
    )
    return rows_changed(result) == 1
