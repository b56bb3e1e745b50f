"""The inbox: store a verified event once, apply it once, and keep at it until it is applied."""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from core.db import db, insert_if_absent, rows_changed, unit_of_work
from core.errors import DomainError
from donations.state import PaymentUnknown, apply_dispute_fact, apply_payment_fact, apply_refund_fact
from finance.fetching import record_lines
from finance.models import SettlementLine
from finance.payouts import record_payout
from finance.services import post_named_lines
from ledger.services import close_exception, open_exception
from payments.base import (
    DisputeFact,
    Fact,
    PaymentFact,
    PaymentProvider,
    Payout,
    ProviderEvent,
    ProviderRead,
    RefundFact,
    Settlement,
)
from payments.registry import get_provider
from webhooks.models import InboxEvent

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)  # applying takes milliseconds, reading before it at most a few seconds
LONGEST_PAUSE = timedelta(hours=6)
MAX_ATTEMPTS = 24  # about four days
AROUND = timedelta(minutes=10)  # lines that are read together with one


def pause_after(attempts: int) -> timedelta:
    """5 s, 10 s, 20 s … 6 h."""
    return min(timedelta(seconds=5 * 2 ** min(attempts, 16)), LONGEST_PAUSE)


@dataclass
class Reading:
    """What a worker has read from the provider for one event, before the transaction that applies it."""

    settlements: list[Settlement] = field(default_factory=list)
    named: list[str] = field(default_factory=list)  # references of lines that the event is about
    refunds: list[RefundFact] = field(default_factory=list)
    payouts: list[tuple[Payout, list[Settlement]]] = field(default_factory=list)


def store_event(event: ProviderEvent, now: datetime) -> int | None:
    """Put a verified event into the inbox; its id, or None when it was there before. Commits.

    The caller holds it for `LEASE`: nobody else applies it until then.
    """
    with unit_of_work() as session:
        new = insert_if_absent(
            InboxEvent,
            provider=event.provider,
            event_id=event.event_id,
            type=event.type,
            occurred_at=event.occurred_at,
            received_at=now,
            payload=dict(event.payload),
            next_attempt_at=now + LEASE,
            attempts=0,
        )
        if not new:
            return None
        return session.scalars(
            sa.select(InboxEvent.id).where(InboxEvent.provider == event.provider, InboxEvent.event_id == event.event_id)
        ).one()


def claim(event_id: int, now: datetime) -> bool:
    """Take an event that is due; False when somebody else has it or it is done. Commits."""
    with unit_of_work() as session:
        claimed = session.execute(
            sa.update(InboxEvent)
            .where(InboxEvent.id == event_id, InboxEvent.processed_at.is_(None), InboxEvent.next_attempt_at <= now)
            .values(next_attempt_at=now + LEASE)
        )
        return rows_changed(claimed) == 1


def release(event_id: int, now: datetime) -> None:
    """Give an event that we hold to whoever comes next: it needs a worker. Commits."""
    with unit_of_work() as session:
        session.execute(
            sa.update(InboxEvent)
            .where(InboxEvent.id == event_id, InboxEvent.processed_at.is_(None))
            .values(next_attempt_at=now)
        )


def facts_of(event: InboxEvent) -> Sequence[Fact]:
    return get_provider(event.provider).facts(event.payload)


def needs_reading(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, ProviderRead) for fact in facts)


def apply_held(event_id: int, now: datetime) -> bool:
    """Apply an event that the caller holds; whether it is applied. Never raises for what the event says:
    a failure is kept on the row, with the time of the next try."""
    event = db.session.get_one(InboxEvent, event_id)
    failed_before = event.last_error is not None
    try:
        facts = facts_of(event)
        if needs_reading(facts):
            # What the event itself says does not wait for what must be read; saying it twice changes nothing.
            with unit_of_work():
                apply_facts(event.provider, facts, now)
        reading = read_from_provider(get_provider(event.provider), facts, event.occurred_at)
        _record_early(event.provider, reading, now)
        with unit_of_work() as session:
            done = session.execute(
                sa.update(InboxEvent)
                .where(InboxEvent.id == event_id, InboxEvent.processed_at.is_(None))
                .values(
                    processed_at=now,
                    next_attempt_at=None,
                    waiting_for=None,
                    last_error=None,
                    dead_at=None,
                    attempts=InboxEvent.attempts + 1,
                )
            )
            if rows_changed(done) == 1:
                if failed_before:
                    close_exception("dead_event", "event", event.event_id, now=now)
                apply_facts(event.provider, [*facts, *reading.refunds], now)
                _record(event.provider, reading, now)
    except PaymentUnknown as unknown:
        _postpone(event_id, now, error="payment unknown", waiting_for=unknown.payment_ref)
        return False
    except Exception as error:  # noqa: BLE001 - kept on the row, logged below, tried again
        # Type, code and place only: messages of drivers and providers can hold personal data.
        code = error.code if isinstance(error, DomainError) else ""
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("event %s of %s: %s %s\n%s", event_id, event.provider, type(error).__name__, code, where)
        _postpone(event_id, now, error=f"{type(error).__name__} {code}".strip())
        return False
    return True


def read_from_provider(provider: PaymentProvider, facts: Sequence[Fact], occurred_at: datetime) -> Reading:
    """Read all that the facts advise to read. No transaction is open meanwhile."""
    reading = Reading()
    for fact in facts:
        match fact:
            case ProviderRead(what="settlement"):
                reading.named.append(fact.ref)
            case ProviderRead(what="refunds"):
                db.session.rollback()
                reading.refunds += provider.list_refunds(fact.ref)
            case ProviderRead(what="payout"):
                db.session.rollback()
                payout = provider.read_payout(fact.ref)
                reading.payouts.append((payout, list(provider.list_settlements(payout_ref=fact.ref))))
    reading.settlements = _read_lines(provider, reading.named, occurred_at)
    return reading


def _read_lines(provider: PaymentProvider, named: Sequence[str], occurred_at: datetime) -> list[Settlement]:
    """Lines that are named and not here yet, with all that were made around that time: the events of a rush of gifts
    find theirs here, and a thousand gifts are not a thousand calls."""
    here = sa.select(SettlementLine.ref).where(SettlementLine.provider == provider.name, SettlementLine.ref.in_(named))
    missing = set(named) - set(db.session.scalars(here)) if named else set()
    db.session.rollback()
    if not missing:
        return []
    found = list(provider.list_settlements(since=occurred_at - AROUND, until=occurred_at + AROUND))
    missing -= {line.ref for line in found}
    return found + [provider.read_settlement(ref) for ref in sorted(missing)]


def apply_facts(provider: str, facts: Sequence[Fact], now: datetime) -> None:
    for fact in facts:
        match fact:
            case PaymentFact():
                apply_payment_fact(provider, fact, now)
            case RefundFact():
                apply_refund_fact(provider, fact, now)
            case DisputeFact():
                apply_dispute_fact(provider, fact, now)
            case ProviderRead():
                continue  # read before, recorded after


def _record_early(provider: str, reading: Reading, now: datetime) -> None:
    """Lines may be thousands, and SQLite has one writer: they are recorded batch by batch, each once, so that the
    transaction that applies the event finds them there and is short."""
    lines = [line for _, lines in reading.payouts for line in lines]
    record_lines(provider, [*lines, *reading.settlements], now)


def _record(provider: str, reading: Reading, now: datetime) -> None:
    post_named_lines(provider, reading.named, now)
    for payout, lines in reading.payouts:
        record_payout(provider, payout, lines, now)


def _postpone(event_id: int, now: datetime, *, error: str, waiting_for: str | None = None) -> None:
    db.session.rollback()
    with unit_of_work() as session:
        event = session.get_one(InboxEvent, event_id)
        attempts = event.attempts + 1
        dead = attempts >= MAX_ATTEMPTS
        # Somebody else may have applied it while we were at it: then nothing is to be done about it.
        postponed = session.execute(
            sa.update(InboxEvent)
            .where(InboxEvent.id == event_id, InboxEvent.processed_at.is_(None))
            .values(
                attempts=attempts,
                last_error=error[:300],
                waiting_for=waiting_for,
                next_attempt_at=None if dead else now + pause_after(attempts),
                dead_at=now if dead else None,
            )
        )
        if dead and rows_changed(postponed) == 1:
            details = {"type": event.type, "error": error}
            open_exception("dead_event", "event", event.event_id, now=now, details=details, since=event.occurred_at)


def due_events(now: datetime, limit: int = 200) -> list[int]:
    query = (
        sa.select(InboxEvent.id)
        .where(InboxEvent.next_attempt_at <= now)
        .order_by(InboxEvent.next_attempt_at, InboxEvent.id)
        .limit(limit)
    )
    ids = list(db.session.scalars(query))
    db.session.rollback()
    return ids


def apply_due(now: datetime) -> int:
    """Apply all events that are due; how many were applied."""
    return sum(claim(event_id, now) and apply_held(event_id, now) for event_id in due_events(now))


def wake(provider: str, payment_ref: str, now: datetime) -> list[int]:
    """Make events that waited for this payment due; their ids. Commits."""
    waiting = sa.and_(InboxEvent.provider == provider, InboxEvent.waiting_for == payment_ref)
    with unit_of_work() as session:
        ids = list(session.scalars(sa.select(InboxEvent.id).where(waiting, InboxEvent.processed_at.is_(None))))
        if ids:
            session.execute(sa.update(InboxEvent).where(InboxEvent.id.in_(ids)).values(next_attempt_at=now))
        return ids


def revive(event_id: int, now: datetime, *, again: bool = False) -> bool:
    """Make an event due now, also a dead one; `again` also one that was applied (it changes nothing twice). Commits."""
    values: Mapping[str, object] = {"next_attempt_at": now, "dead_at": None, "attempts": 0}
    query = sa.update(InboxEvent).where(InboxEvent.id == event_id)
    if again:
        values = {**values, "processed_at": None}
    else:
        query = query.where(InboxEvent.processed_at.is_(None))
    with unit_of_work() as session:
        return rows_changed(session.execute(query.values(**values))) == 1
