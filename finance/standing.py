"""What stands in the books for a fact, against what should: the comparison that all kinds of facts share.

A fact's entries are all of its source: what was posted, what takes it back, what corrected it. Together they have to
come to the fact's lines; each that stands has to stand on the fact's day and be of its gift; each that takes another
one back has to be its mirror image.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from core.db import db
from core.money import Money
from finance.findings import Finding
from ledger import periods
from ledger.corrections import moved_by_lines
from ledger.models import Account, JournalEntry, Posting
from ledger.services import Line

BATCH = 1000
MOST = 5000  # findings of one kind of fact: who has more has one fault, and a comparison has to end
# One success is told of at moments seconds apart, and the first of them counts, also when it is told last.
SAME_MOMENT = timedelta(hours=1)
# Which account is named first when several differ.
FIRST = ("receivable:", "provider:", "bank:", "transit:", "suspense:", "fund:", "sponsor:", "conversion:")
CORRECTED_BY_ACT = ("payment", "refund", "settlement")

Each = TypeVar("Each")


@dataclass(frozen=True, slots=True)
class Fact:
    """What has to stand for one thing that happened. Without lines nothing has to; `day` is compared when known.

    `exact`: on that very moment, not one that is told of with seconds between. `back`: when it was taken back.
    `gift_known`: an entry has to be of `donation_id`.
    """

    source_id: str
    lines: Sequence[Line] = ()
    day: datetime | None = None
    donation_id: int | None = None
    back: datetime | None = None
    exact: bool = True
    gift_known: bool = True


@dataclass(slots=True)
class Entry:
    id: uuid.UUID
    kind: str
    occurred_at: datetime
    happened_at: datetime | None
    late_for: str | None
    recorded_at: datetime
    donation_id: int | None
    reverses_id: uuid.UUID | None
    moved: dict[str, int] = field(default_factory=dict)  # debits less credits by account

    @property
    def moment(self) -> datetime:
        """When it truly happened."""
        return self.happened_at or self.occurred_at


class Books:
    """Reads entries in batches. Codes of accounts are few, and read once."""

    def __init__(self) -> None:
        rows = db.session.execute(sa.select(Account.id, Account.code, Account.currency)).all()
        self.codes = {row.id: row.code for row in rows}
        self.currencies = {row.code: row.currency for row in rows}

    def entries_of(self, source_type: str, ids: Sequence[str]) -> Mapping[str, list[Entry]]:
        """All entries of these facts, in the order in which they were recorded."""
        of_facts = sa.and_(JournalEntry.source_type == source_type, JournalEntry.source_id.in_(ids))
        query = sa.select(
            JournalEntry.source_id,
            JournalEntry.id,
            JournalEntry.kind,
            JournalEntry.occurred_at,
            JournalEntry.happened_at,
            JournalEntry.late_for,
            JournalEntry.recorded_at,
            JournalEntry.donation_id,
            JournalEntry.reverses_id,
        ).where(of_facts)
        found: defaultdict[str, list[Entry]] = defaultdict(list)
        by_id: dict[uuid.UUID, Entry] = {}
        for row in db.session.execute(query):
            entry = Entry(*row[1:])
            by_id[entry.id] = entry
            found[row[0]].append(entry)
        moved = sa.select(Posting.entry_id, Posting.account_id, Posting.debit_minor - Posting.credit_minor)
        moved = moved.join(JournalEntry, JournalEntry.id == Posting.entry_id).where(of_facts)
        codes = self.codes
        for entry_id, account_id, amount in db.session.execute(moved):
            mine, code = by_id[entry_id].moved, codes[account_id]
            mine[code] = mine.get(code, 0) + amount
        for entries in found.values():
            if len(entries) > 1:
                entries.sort(key=lambda entry: (entry.recorded_at, entry.id))
        return found

    def compare(self, source_type: str, facts: Iterable[Fact]) -> Iterator[Finding]:
        """What stands wrong for these facts, at most `MOST` of them."""
        return islice(self._compare_all(source_type, facts), MOST)

    def _compare_all(self, source_type: str, facts: Iterable[Fact]) -> Iterator[Finding]:
        for batch in batched(facts, BATCH):
            entries = self.entries_of(source_type, [fact.source_id for fact in batch])
            for fact in batch:
                yield from self.compare_one(source_type, fact, entries.get(fact.source_id, []))

    def compare_one(self, source_type: str, fact: Fact, entries: Sequence[Entry]) -> Iterator[Finding]:
        expected = moved_by_lines(fact.lines)
        if len(entries) == 1 and entries[0].moved == expected and _is_plain(entries[0], fact):
            return  # as nearly all are
        standing = standing_of(entries)
        booked = moved_together(standing)
        if booked != expected or (expected and not standing):
            yield self._wrong(source_type, fact, expected, booked, standing)
        else:
            yield from self._misplaced(source_type, fact, standing)
        yield from self._reversals(source_type, fact, entries)

    def _wrong(
        self,
        source_type: str,
        fact: Fact,
        expected: dict[str, int],
        booked: dict[str, int],
        standing: Sequence[Entry],
    ) -> Finding:
        code = _first_that_differs(expected, booked)
        should, stands = expected.get(code, 0), booked.get(code, 0)
        if source_type == "refund":
            should, stands = -should, -stands
        currency = self.currencies.get(code) or next(line.account.currency for line in fact.lines)
        if not standing:
            return Finding("missing_entry", source_type, fact.source_id, Money(should, currency), fact.donation_id)
        if not expected and source_type not in CORRECTED_BY_ACT:
            return without_fact(standing[-1], source_type, fact.source_id, Money(abs(stands), currency))
        details: dict[str, Any] = {"booked": stands, "expected": should, "account": code}
        details["entry"] = " + ".join(entry.kind for entry in standing)
        off = Money(stands - should, currency)
        return Finding("wrong_amount", source_type, fact.source_id, off, fact.donation_id, details)

    def _misplaced(self, source_type: str, fact: Fact, standing: Sequence[Entry]) -> Iterator[Finding]:
        """On another day than its fact, or said to be of another gift."""
        for entry in standing:
            told = {"entry": f"{source_type} {fact.source_id} {entry.kind}"}
            if fact.day is not None and not _is_when(entry, fact.day, fact.exact):
                told |= {"booked_on": entry.moment.isoformat(), "expected_on": fact.day.isoformat()}
            elif not _is_late_as_it_says(entry):
                told |= {"booked_on": entry.occurred_at.isoformat(), "late_for": entry.late_for or ""}
            elif fact.gift_known and entry.donation_id != fact.donation_id:
                told |= {"gift": str(entry.donation_id), "expected_gift": str(fact.donation_id)}
            else:
                continue
            yield Finding("wrong_amount", "entry", str(entry.id), self.size(entry), fact.donation_id, told)

    def _reversals(self, source_type: str, fact: Fact, entries: Sequence[Entry]) -> Iterator[Finding]:
        originals = {entry.id: entry for entry in entries}
        for entry in entries:
            if entry.reverses_id is None:
                continue
            original = originals.get(entry.reverses_id)
            told = {"entry": f"{source_type} {fact.source_id} {entry.kind}"}
            if original is None:
                told["takes_back"] = str(entry.reverses_id)
            elif moved_together([entry, original]):
                told["takes_back"] = original.kind
            elif entry.donation_id != original.donation_id:
                told |= {"gift": str(entry.donation_id), "expected_gift": str(original.donation_id)}
            elif not _is_back_when(entry, original, fact.back):
                told |= {"booked_on": entry.moment.isoformat(), "expected_on": str(fact.back)}
            else:
                continue
            yield Finding("wrong_amount", "entry", str(entry.id), self.size(entry), fact.donation_id, told)

    def size(self, entry: Entry) -> Money | None:
        """The largest of its movements."""
        code, amount = max(entry.moved.items(), key=lambda one: (one[1], one[0]), default=("", 0))
        return Money(abs(amount), self.currencies[code]) if code else None


def batched(items: Iterable[Each], size: int) -> Iterator[list[Each]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def standing_of(entries: Sequence[Entry]) -> list[Entry]:
    """Those that take nothing back and were not taken back themselves."""
    taken_back = {entry.reverses_id for entry in entries}
    return [entry for entry in entries if entry.reverses_id is None and entry.id not in taken_back]


def moved_together(entries: Sequence[Entry]) -> dict[str, int]:
    """Debits less credits of entries by account; accounts that move only."""
    moved: dict[str, int] = {}
    for entry in entries:
        for code, amount in entry.moved.items():
            moved[code] = moved.get(code, 0) + amount
    return {code: amount for code, amount in moved.items() if amount}


def without_fact(entry: Entry, source_type: str, source_id: str, amount: Money | None) -> Finding:
    """An entry for which nothing happened."""
    details = {"entry": f"{source_type} {source_id} {entry.kind}"}
    return Finding("doubled_row", "entry", str(entry.id), amount, entry.donation_id, details)


def _first_that_differs(expected: dict[str, int], booked: dict[str, int]) -> str:
    def rank(code: str) -> tuple[int, bool, str]:
        place = next((number for number, start in enumerate(FIRST) if code.startswith(start)), len(FIRST))
        return place, code not in expected, code

    return min((code for code in {*expected, *booked} if expected.get(code) != booked.get(code)), key=rank)


def _is_plain(entry: Entry, fact: Fact) -> bool:
    """An entry that stands in its own month, on its fact's day and of its gift, and takes nothing back."""
    if entry.reverses_id is not None or entry.happened_at is not None or entry.late_for is not None:
        return False
    day = fact.day is None or entry.occurred_at == fact.day
    return day and (not fact.gift_known or entry.donation_id == fact.donation_id)


def _is_when(entry: Entry, day: datetime, exact: bool) -> bool:
    return entry.moment == day if exact else abs(entry.moment - day) <= SAME_MOMENT


def _is_late_as_it_says(entry: Entry) -> bool:
    """What came too late stands on the first moment of a month, and says which month it belongs to."""
    if entry.happened_at is None:
        return entry.late_for is None
    begins = periods.Month.at(entry.occurred_at).starts_at == entry.occurred_at
    return begins and entry.late_for == periods.month_of(entry.happened_at)


def _is_back_when(entry: Entry, original: Entry, back: datetime | None) -> bool:
    """A correction stands where the wrong entry stood; what a late entry takes back depends on what is closed."""
    if back is None or original.happened_at is not None or original.moment == entry.moment:
        return True
    return _is_when(entry, back, exact=False)


# Reading


def paged(query: Any, key: Any) -> Iterator[Any]:
    """The rows of a query that has `key` as its first column, page by page along it."""
    last = 0
    while rows := db.session.execute(query.where(key > last).order_by(key).limit(BATCH)).all():
        yield from rows
        last = rows[-1][0]


def objects(query: Any, model: Any) -> Iterator[Any]:
    """The same for whole objects; a session forgets those that nobody holds."""
    last = 0
    while found := list(db.session.scalars(query.where(model.id > last).order_by(model.id).limit(BATCH))):
        last = found[-1].id
        yield from found
