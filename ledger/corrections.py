"""Corrections: entries that make the books say what a fact says. Nothing is changed; all that was booked stays visible.

What stands wrong is taken back, and what should stand is booked anew: `gift`, `gift_taken_back`, `gift_corrected`,
and once more `gift_taken_back_2`, `gift_corrected_2`. Both stand where the wrong entry stood; when its month is closed
by now they stand in the open one and say which month they are late for.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa

from core.db import db
from ledger.models import Account, JournalEntry, Posting
from ledger.services import (
    CORRECTED,
    Line,
    Source,
    UnbalancedEntry,
    is_standing,
    of_source,
    post_entry,
    reverse_this,
)

TAKEN_BACK = "_taken_back"

_MENDED = re.compile(f"({CORRECTED}|{TAKEN_BACK})(?:_([0-9]+))?$", re.ASCII)


def plain_kind(kind: str) -> str:
    """The kind of what an entry corrects, or takes back as a correction does; any other kind as it is."""
    return _MENDED.sub("", kind)


def standing_entries(source_type: str, source_id: str) -> list[JournalEntry]:
    """All entries of a fact that count: neither reversals nor reversed."""
    of_fact = sa.and_(JournalEntry.source_type == source_type, JournalEntry.source_id == source_id)
    query = sa.select(JournalEntry).where(of_fact, is_standing())
    return list(db.session.scalars(query.order_by(JournalEntry.recorded_at, JournalEntry.id)))


def moved_by(entries: Iterable[JournalEntry]) -> dict[str, int]:
    """Debits less credits by the code of the account, of all these entries together; accounts that move only."""
    query = (
        sa.select(Account.code, sa.func.sum(Posting.debit_minor - Posting.credit_minor))
        .join(Posting, Posting.account_id == Account.id)
        .where(Posting.entry_id.in_([entry.id for entry in entries]))
        .group_by(Account.code)
    )
    return {code: int(moved) for code, moved in db.session.execute(query) if moved}


def take_back(entry: JournalEntry, now: datetime) -> bool:
    """Reverse an entry that should not stand; False when it was taken back before.

    Raises `UnbalancedEntry` for one that somebody has changed in the database: no entry can mend that.
    """
    if not _is_whole(entry):
        raise UnbalancedEntry(str(entry.id))
    if db.session.scalar(sa.select(JournalEntry.id).where(JournalEntry.reverses_id == entry.id)) is not None:
        return False
    mended = _MENDED.search(entry.kind)
    times = int(mended[2] or 1) + 1 if mended else 1
    kind = plain_kind(entry.kind) + TAKEN_BACK + _number(times)
    happened = entry.happened_at or entry.occurred_at
    source = Source(entry.source_type, entry.source_id, kind)
    return reverse_this(entry.id, source, occurred_at=happened, recorded_at=now)


def book_again(
    source: Source,
    lines: Sequence[Line],
    *,
    occurred_at: datetime,
    recorded_at: datetime,
    donation_id: int | None = None,
) -> bool:
    """Post as `post_entry` does, also when what was posted of this source was taken back; False while it stands."""
    before = list(db.session.scalars(sa.select(is_standing()).where(of_source(source))))
    if any(before):
        return False
    if before:
        source = Source(source.type, source.id, source.kind + CORRECTED + _number(len(before)))
    return post_entry(source, lines, occurred_at=occurred_at, recorded_at=recorded_at, donation_id=donation_id)


def rebook(
    source: Source,
    lines: Sequence[Line],
    *,
    occurred_at: datetime,
    recorded_at: datetime,
    donation_id: int | None = None,
) -> bool:
    """Make all entries of a fact together come to these lines (none: to nothing); False when they did already.

    Raises `UnbalancedEntry` as `take_back` does.
    """
    standing = standing_entries(source.type, source.id)
    if moved_by(standing) == moved_by_lines(lines):
        return False
    for entry in standing:
        take_back(entry, recorded_at)
    if lines:
        book_again(source, lines, occurred_at=occurred_at, recorded_at=recorded_at, donation_id=donation_id)
    return True


def moved_by_lines(lines: Sequence[Line]) -> dict[str, int]:
    """The same of lines that are to be posted."""
    moved: Counter[str] = Counter()
    for line in lines:
        moved[line.account.code] += line.debit - line.credit
    return {code: amount for code, amount in moved.items() if amount}


def _is_whole(entry: JournalEntry) -> bool:
    query = (
        sa.select(sa.func.sum(Posting.debit_minor - Posting.credit_minor))
        .where(Posting.entry_id == entry.id)
        .group_by(Posting.currency)
    )
    found = list(db.session.scalars(query))
    return bool(found) and not any(found)


def _number(times: int) -> str:
    return f"_{times}" if times > 1 else ""
