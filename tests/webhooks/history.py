"""A real history: what the provider has to tell of a dozen and a half donations, recorded once, told in any order.

The donations are made in the application, so their rows and the provider's metadata agree; then the rows are kept, the
provider's clock runs through weeks of payments, refunds, disputes and payouts, and nothing is delivered. Each telling
begins from the kept rows.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from flask import Flask

from app import create_app
from core.clock import from_unix, utcnow
from core.db import db, unit_of_work
from core.models import OutboxMessage
from core.money import Money
from donations.jobs import request_due_refunds
from donations.models import Dispute, Donation, Payment, Receipt, Refund
from donations.services import pay_again
from donations.views import addresses
from finance.findings import Finding
from finance.jobs import post_lines
from finance.matching_facts import entry_findings
from finance.models import PayoutRecord, SettlementLine
from ledger.models import JournalEntry, LedgerException, Posting
from ledger.queries import balances
from ops.demo import seed_demo
from payments.base import PaymentProvider, ProviderEvent
from payments.registry import get_provider
from sandbox.server import SandboxServer
from sandbox.settings import DEFAULT_EVENTS
from stickers.models import RedemptionCode
from tests import databases
from tests.house import House
from webhooks import services
from webhooks.api import apply_or_hand_over
from webhooks.models import InboxEvent

HOUR, DAY = 3600, 24 * 3600
PAID_CASES = ("plain", "declined_first", "refunded_in_parts", "refund_pending", "refunded", "refund_failed")
DISPUTE_CASES = ("dispute_won", "dispute_lost", "inquiry", "inquiry_escalated", "refunded_then_disputed")
OTHER_CASES = ("delayed", "delayed_failed", "expired", "untouched", "twice", "ours_refunded", "other_amount")
CASES = (*PAID_CASES, *DISPUTE_CASES, *OTHER_CASES)
AMOUNTS = {"delayed": 50000}
WITH_EMAIL = ("plain", "refunded", "delayed")


class Remembering:
    """The provider, asked once for each thing: its history is over, so its answers are always the same."""

    def __init__(self, provider: PaymentProvider) -> None:
        self._provider = provider
        self.read_settlement = cache(provider.read_settlement)
        self.list_refunds = cache(provider.list_refunds)
        self.read_payout = cache(provider.read_payout)
        self._lines = cache(lambda **asked: list(provider.list_settlements(**asked)))

    def list_settlements(self, **asked: Any) -> Iterator[Any]:
        return iter(self._lines(**asked))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


class History:
    """`events` in the order in which they happened; `restore` forgets all that was told, `tell` tells an event."""

    def __init__(self, app: Flask, sandbox: SandboxServer, database_url: str, directory: Path) -> None:
        self.app = app
        self.sandbox = sandbox
        self.house = House(app, sandbox)
        self.kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
        self._database = rows_kept(database_url, directory)
        self.given = {case: self.house.give(AMOUNTS.get(case, 2500), **_donor(case)) for case in CASES}
        self._second_page()
        self._refund_asked_for()
        self._other_amount()
        db.session.remove()
        self._database.keep()
        self._happen()
        self.events = self._recorded()
        app.extensions["payments"]["stripe"] = Remembering(get_provider("stripe"))

    # Before anything is told

    def _second_page(self) -> None:
        """An attempt that ended for us while its page is open: the donor can pay there and on the new page too."""
        [first] = self.house.payments(self.given["twice"])
        with unit_of_work() as session:
            session.execute(sa.update(Payment).where(Payment.id == first.id).values(state="failed", next_ask_at=None))
        url = pay_again(first.donation_id, addresses(), utcnow())
        self.second_page = {"checkout_url": url}

    def _refund_asked_for(self) -> None:
        """A refund of ours that the provider was asked for, its answer lost."""
        [payment] = self.house.payments(self.given["ours_refunded"])
        with unit_of_work() as session:
            refund = Refund(
                payment_id=payment.id,
                provider="stripe",
                origin="finance",
                amount_minor=900,
                currency="BYN",
                state="requested",
                created_at=utcnow(),
                next_try_at=utcnow() + timedelta(days=365),
            )
            session.add(refund)
        self.our_refund = refund.public_id

    def _other_amount(self) -> None:
        [payment] = self.house.payments(self.given["other_amount"])
        with unit_of_work() as session:
            session.execute(sa.update(Payment).where(Payment.id == payment.id).values(amount_minor=2600))

    # What happens at the provider

    def _happen(self) -> None:
        house, drills, clock = self.house, self.sandbox.drills, self.sandbox.clock
        page = {case: donation["checkout_url"].rpartition("/")[2] for case, donation in self.given.items()}
        paid = {*PAID_CASES, *DISPUTE_CASES, "twice", "ours_refunded", "other_amount"}
        house.pay(self.given["declined_first"], "decline")
        for case in ("delayed", "delayed_failed"):
            house.pay(self.given[case], "delay")
        for case in CASES:
            clock.advance(60)
            if case in paid:
                house.pay(self.given[case])
        house.pay(self.second_page)
        stray = self.house.stranger_pays()
        drills.expire(page["expired"])
        clock.advance(DAY)
        drills.payout()
        drills.finish_delayed(page["delayed"])
        drills.finish_delayed(page["delayed_failed"], "failure")
        for case, amount in (("refunded_in_parts", 700), ("refunded_in_parts", 300), ("refund_pending", 500)):
            drills.refund(page[case], amount, "pending" if case == "refund_pending" else "succeeded")
        waiting = drills.refund(page["refunded_in_parts"], 200, "requires_action")["id"]
        drills.refund(page["refunded"])
        failing = drills.refund(page["refund_failed"])["id"]
        drills.refund(page["refunded_then_disputed"], 500)
        drills.refund(page["other_amount"], 400)
        stray_refund = drills.refund(stray, 1000)["id"]
        [ours] = house.payments(self.given["ours_refunded"])
        intent = self.sandbox.account.store.get(page["ours_refunded"])["payment_intent"]
        get_provider("stripe").create_refund(
            our_ref=self.our_refund, payment_ref=intent, amount=Money(900, "BYN"), reason=""
        )
        assert ours.public_id
        clock.advance(DAY)
        won = drills.dispute(page["dispute_won"])["id"]
        lost = drills.dispute(page["dispute_lost"])["id"]
        question = drills.dispute(page["inquiry"], inquiry=True)["id"]
        escalated = drills.dispute(page["inquiry_escalated"], inquiry=True)["id"]
        after_refund = drills.dispute(page["refunded_then_disputed"], 2000)["id"]
        clock.advance(20 * DAY)
        drills.escalate_inquiry(escalated)
        drills.cancel_refund(waiting)
        drills.payout()
        drills.win_dispute(won)
        drills.lose_dispute(lost)
        drills.close_inquiry(question)
        drills.review_dispute(escalated)
        drills.win_dispute(escalated)
        drills.lose_dispute(after_refund)
        clock.advance(20 * DAY)
        drills.fail_refund(failing)
        drills.fail_refund(stray_refund)
        drills.fail_payout(drills.payout()["id"])
        drills.payout()

    def _recorded(self) -> list[ProviderEvent]:
        """All events, with those that the service itself causes (it gives a second payment back) when it is told."""
        for case in ("plain", "refunded", "dispute_won"):
            for event in self.sandbox.events(self.given[case]["checkout_url"].rpartition("/")[2])[-2:]:
                self.sandbox.drills.forge(event["id"])  # the same fact under two ids
        told = 0
        while len(events := self._verified()) > told:
            told = len(events)
            self.restore()
            self.tell(events)
            self.finish()
        return events

    def _verified(self) -> list[ProviderEvent]:
        provider, now = get_provider("stripe"), from_unix(self.sandbox.clock.timestamp())
        signed = (self.sandbox.signed(event) for event in self.sandbox.events() if event["type"] in DEFAULT_EVENTS)
        return [provider.verify(body, headers, now=now) for body, headers in signed]

    # Telling

    def restore(self) -> None:
        db.session.remove()
        self.app.extensions["jobs"].queue.flush()
        self._database.restore()

    def tell(self, events: Sequence[ProviderEvent]) -> None:
        for event in events:
            db.session.remove()
            event_id = services.store_event(event, utcnow())
            if event_id is not None:
                apply_or_hand_over(event_id)

    def finish(self) -> None:
        """Let the workers run until nothing is left to do, however long that takes."""
        later = utcnow()
        for _ in range(services.MAX_ATTEMPTS):
            self.house.work()
            later += timedelta(hours=7)
            request_due_refunds(later)
            services.apply_due(later)
            post_lines(later)
            self.house.work()
            if not self.house.count(InboxEvent, InboxEvent.processed_at.is_(None)):
                return

    def replay(self, events: Sequence[ProviderEvent]) -> None:
        """As `flask webhooks replay` does."""
        for event in events:
            key = db.session.scalar(sa.select(InboxEvent.id).where(InboxEvent.event_id == event.event_id))
            db.session.rollback()
            now = utcnow()
            if key is not None and services.revive(key, now, again=True) and services.claim(key, now):
                services.apply_held(key, now)

    def close(self) -> None:
        self._database.close()

    # What all orders must agree on

    def outcome(self) -> dict[str, Any]:
        db.session.remove()
        names = {donation["id"]: case for case, donation in self.given.items()}
        numbers = _rows(sa.select(Receipt.year, Receipt.number))
        return {
            "donations": {names[row.public_id]: _donation(row) for row in db.session.scalars(sa.select(Donation))},
            "receipt numbers": numbers,
            "e-mails": _rows(sa.select(OutboxMessage.template, OutboxMessage.subject_id)),
            "balances": {code: amount for code, amount in balances().items() if amount},
            "exceptions": sorted(
                f"{row.kind} {row.source_type} {row.source_id} {row.amount_minor} {row.currency}"
                for row in db.session.scalars(sa.select(LedgerException).where(LedgerException.resolved_at.is_(None)))
            ),
            "settlement lines": {
                row.ref: (row.kind, row.net_minor, row.payout_ref, row.posted_at is not None)
                for row in db.session.scalars(sa.select(SettlementLine))
            },
            "payouts": {row.ref: (row.state, row.amount_minor) for row in db.session.scalars(sa.select(PayoutRecord))},
            "not applied": sorted(
                f"{row.type} {row.last_error}"
                for row in db.session.scalars(sa.select(InboxEvent).where(InboxEvent.processed_at.is_(None)))
            ),
            "entries that do not add up": self.unbalanced(),
            "entries that are not their facts'": sorted(f"{each.key} {each.details}" for each in self.wrong()),
        }

    def wrong(self) -> list[Finding]:
        found = entry_findings(utcnow())
        db.session.remove()
        return found

    def unbalanced(self) -> int:
        query = (
            sa.select(JournalEntry.id)
            .outerjoin(Posting, Posting.entry_id == JournalEntry.id)
            .group_by(JournalEntry.id, Posting.currency)
            .having(sa.func.coalesce(sa.func.sum(Posting.debit_minor - Posting.credit_minor), 1) != 0)
        )
        return len(db.session.execute(query).all())


def differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Where two outcomes differ, for people who read a failure."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted({*found, *expected})
        return [line for key in keys for line in differences(found.get(key), expected.get(key), f"{path}/{key}")]
    return [] if found == expected else [f"{path}: {found} instead of {expected}"]


def _rows(query: sa.Select[Any, Any]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in db.session.execute(query))


def _donor(case: str) -> dict[str, Any]:
    return {"donor": {"email": f"{case.replace('_', '-')}@example.org"}} if case in WITH_EMAIL else {}


def _donation(row: Donation) -> dict[str, Any]:
    codes = db.session.scalars(
        sa.select(RedemptionCode).where(RedemptionCode.donation_id == row.id).order_by(RedemptionCode.ordinal)
    )
    return {
        "status": row.status,
        "paid_at": row.paid_at,
        "payments": [
            (each.state, each.review, each.checkout_ref, each.payment_ref, each.charge_ref, each.succeeded_at)
            for each in row.payments
        ],
        "refunds": sorted(_refund(each) for payment in row.payments for each in payment.refunds),
        "disputes": sorted(_dispute(each) for payment in row.payments for each in payment.disputes),
        "codes": [(code.ordinal, code.pack.code, code.status) for code in codes],
        "receipt": None if row.receipt is None else (row.receipt.year, row.receipt.voided_at is not None),
    }


def _refund(refund: Refund) -> tuple[Any, ...]:
    made_at = refund.created_at if refund.origin == "provider" else None  # ours is made when we notice the surplus
    return (str(refund.refund_ref), refund.origin, refund.state, refund.amount_minor, made_at, refund.ended_at)


def _dispute(dispute: Dispute) -> tuple[Any, ...]:
    lines = sorted((movement.settlement_ref, movement.withdrawn) for movement in dispute.movements)
    return (dispute.dispute_ref, dispute.state, dispute.amount_minor, lines)


# Keeping rows and bringing them back


class _SQLite:
    def __init__(self, path: Path, directory: Path) -> None:
        self._path, self._kept = path, directory / "kept.sqlite3"

    def keep(self) -> None:
        self._copy(self._path, self._kept)

    def restore(self) -> None:
        self._copy(self._kept, self._path)

    def close(self) -> None:
        pass

    def _copy(self, source: Path, target: Path) -> None:
        origin, copy = sqlite3.connect(source), sqlite3.connect(target)
        origin.backup(copy)
        origin.close()
        copy.close()


class _PostgreSQL:
    """The rows stand in a schema of their own meanwhile. The ledger's triggers are told to look away."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("SET session_replication_role = replica")
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        self._tables = [name for (name,) in self._connection.execute(query)]

    def keep(self) -> None:
        self._connection.execute("CREATE SCHEMA kept")
        for table in self._tables:
            self._connection.execute(f"CREATE TABLE kept.{table} AS TABLE public.{table}")

    def restore(self) -> None:
        with self._connection.transaction():
            self._connection.execute(f"TRUNCATE {', '.join(self._tables)}")
            for table in self._tables:
                self._connection.execute(f"INSERT INTO public.{table} SELECT * FROM kept.{table}")

    def close(self) -> None:
        self._connection.close()


def rows_kept(url: str, directory: Path) -> _SQLite | _PostgreSQL:
    if url.startswith("sqlite"):
        return _SQLite(Path(url.removeprefix("sqlite:///")), directory)
    return _PostgreSQL(url)


@contextmanager
def recorded(kind: str, template: Path, directory: Path) -> Iterator[History]:
    """A history over an empty database of that kind, with the application's context open."""
    if kind == "sqlite":
        with _history(databases.copy_sqlite(template, directory / "history.sqlite3"), directory) as history:
            yield history
        return
    with databases.postgresql_database(os.environ["TEST_DATABASE_URL"]) as url:
        databases.migrate(url, directory)
        with _history(url, directory) as history:
            yield history


@contextmanager
def _history(url: str, directory: Path) -> Iterator[History]:
    with SandboxServer(webhook_url="http://127.0.0.1:9/webhooks/stripe", auto_deliver=False, txn_delay=0) as sandbox:
        settings = databases.settings(url, directory, STRIPE_API_BASE=sandbox.url, PUBLIC_URL="http://give.test")
        app = create_app(settings)
        with app.app_context():
            seed_demo(utcnow())
            db.session.remove()
            history = None
            try:
                history = History(app, sandbox, url, directory)
                yield history
            finally:
                if history:
                    history.close()
                db.session.remove()
                for engine in db.engines.values():
                    engine.dispose()
