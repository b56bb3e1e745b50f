"""Must hold after any crash: nothing lost, nothing twice, the ledger balanced.

Two web processes and a worker are killed with SIGKILL at random moments while the provider delivers thousands of
events to both of them. Run it alone with `make drill`.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from app import create_app
from core.clock import utcnow
from core.db import db
from core.models import OutboxMessage
from donations.models import Donation, Payment, Receipt, Refund
from ledger.models import JournalEntry, LedgerException, Posting
from ledger.queries import balances
from ops.demo import SLUG, seed_demo
from sandbox import overview
from sandbox.server import SandboxServer
from sandbox.settings import DEFAULT_EVENTS
from stickers.models import RedemptionCode
from tests import databases
from tests.drills.processes import Service, free_port, wait_until
from webhooks.models import InboxEvent

DONATIONS = 420
LEAST_EVENTS = 2000
KILL_EVERY = 150  # deliveries
PATIENCE_SECONDS = 240
SEED = 20210209

pytestmark = pytest.mark.drill


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[tuple[Service, SandboxServer, dict[str, Any]]]:
    sandbox_port = free_port()
    environ = {
        "APP_ENV": "development",
        "DATABASE_URL": database_url,
        "INSTANCE_DIR": str(tmp_path),
        "STRIPE_API_BASE": f"http://127.0.0.1:{sandbox_port}",
        "PUBLIC_URL": "http://give.test",
    }
    service = Service(environ, tmp_path)
    retries = (0.2, 0.5, 1.0) + (2.0,) * 60
    with SandboxServer(
        str(tmp_path / "sandbox.sqlite3"), port=sandbox_port, txn_delay=0.2, retry_schedule=retries, workers=4
    ) as sandbox:
        for url in service.urls:
            sandbox.add_webhook(f"{url}/webhooks/stripe")
        settings = databases.settings(database_url, tmp_path, STRIPE_API_BASE=sandbox.url)
        app = create_app(settings)
        with app.app_context():
            seed_demo(utcnow())
            service.start()
            try:
                yield service, sandbox, settings
            finally:
                service.stop()
                db.session.remove()
                for engine in db.engines.values():
                    engine.dispose()


def give(service: Service, number: int) -> dict[str, Any]:
    """One donation by a stubborn client: the same key until there is an answer, at whichever process lives."""
    body = {"campaign": SLUG, "amount": 1000 + number, "currency": "BYN", "donor": {"email": f"d{number}@example.org"}}
    answer: list[dict[str, Any]] = []

    def attempt() -> bool:
        for url in service.urls:
            try:
                response = requests.post(
                    f"{url}/api/v1/donations", json=body, headers={"Idempotency-Key": f"drill-{number}"}, timeout=30
                )
            except requests.RequestException:
                continue
            if response.status_code == 201:
                answer.append(response.json())
                return True
        return False

    wait_until(attempt, PATIENCE_SECONDS, f"donation {number} is taken")
    return answer[0]


def play(sandbox: SandboxServer, donations: list[dict[str, Any]]) -> None:
    """What donors and banks do, a different fate for each seventh; all decided by the donation's number."""
    drills = sandbox.drills
    for number, donation in enumerate(donations):
        session = donation["checkout_url"].rstrip("/").rsplit("/", 1)[-1]
        match number % 7:
            case 0 | 1:
                drills.pay([session])
            case 2:
                drills.pay([session], "delay")
                drills.finish_delayed(session)
            case 3:
                drills.pay([session])
                drills.refund(session, amount=300)
                drills.refund(session, amount=200)
            case 4:
                drills.pay([session])
                refund = drills.refund(session)
                if number % 2:
                    drills.fail_refund(refund["id"])
            case 5:
                drills.pay([session])
                dispute = drills.dispute(session)
                drills.win_dispute(dispute["id"]) if number % 2 else drills.lose_dispute(dispute["id"])
            case _:
                drills.pay([session], "decline")
                drills.expire(session)


def expected_status(number: int) -> str:
    match number % 7:
        case 0 | 1 | 2:
            return "paid"
        case 3:
            return "partially_refunded"
        case 4:
            return "paid" if number % 2 else "refunded"
        case 5:
            return "paid" if number % 2 else "disputed"
        case _:
            return "expired"


def expected_codes(number: int) -> str | None:
    status = expected_status(number)
    return {"expired": None, "refunded": "voided", "disputed": "voided"}.get(status, "issued")


def test_nothing_is_lost_and_nothing_is_twice_when_processes_are_killed(
    service: tuple[Service, SandboxServer, dict[str, Any]], tmp_path: Path
) -> None:
    processes, sandbox, _ = service
    chance = random.Random(SEED)
    done = threading.Event()
    killer = threading.Thread(target=keep_killing, args=(processes, sandbox, chance, done), daemon=True)
    killer.start()
    try:
        with ThreadPoolExecutor(6) as donors:
            donations = list(donors.map(lambda number: give(processes, number), range(DONATIONS)))
        play(sandbox, donations)
        wait_until(lambda: all_delivered(sandbox), PATIENCE_SECONDS, "all events are delivered")
    finally:
        done.set()
        killer.join()
    wait_until(all_worked_off, PATIENCE_SECONDS, "inbox, outbox and refunds are empty")
    processes.stop()

    events = [event for event in sandbox.events() if event["type"] in DEFAULT_EVENTS]
    assert len(events) >= LEAST_EVENTS
    assert all(count >= 2 for count in processes.kills.values()), processes.kills
    check_donations(donations)
    check_inbox(events)
    check_letters(tmp_path)
    check_books(sandbox)


def keep_killing(processes: Service, sandbox: SandboxServer, chance: random.Random, done: threading.Event) -> None:
    """One kill for every so many requests and deliveries that came through since the last one, until `done`."""
    seen = progress(sandbox)
    while not done.wait(0.05):
        if progress(sandbox) - seen >= chance.randint(KILL_EVERY // 3, KILL_EVERY):
            processes.kill_one(chance)
            seen = progress(sandbox)


def progress(sandbox: SandboxServer) -> int:
    return int(sandbox.state()["deliveries"]["delivered"]) + len(sandbox.requests())


def all_delivered(sandbox: SandboxServer) -> bool:
    state = sandbox.state()
    assert state["deliveries"]["failed"] == 0, "the provider gave up on an event"
    paid = (each for each in sandbox_payments(sandbox) if each["payment_status"] == "paid")
    settled = all(each["balance_transaction"] for each in paid)
    return bool(settled and state["deliveries"]["pending"] == 0)


def count(condition: sa.ColumnElement[bool]) -> int:
    db.session.rollback()
    return int(db.session.scalar(sa.select(sa.func.count()).where(condition)) or 0)


def all_worked_off() -> bool:
    waiting = (InboxEvent.processed_at.is_(None), OutboxMessage.done_at.is_(None), Refund.state == "requested")
    return not any(count(condition) for condition in waiting)


def check_donations(donations: list[dict[str, Any]]) -> None:
    rows = {row.token: row for row in db.session.scalars(sa.select(Donation))}
    assert len(rows) == len(donations) == len({donation["token"] for donation in donations})
    assert count(Payment.id > 0) == len(donations)
    wrong = {
        number: rows[donation["token"]].status
        for number, donation in enumerate(donations)
        if rows[donation["token"]].status != expected_status(number)
    }
    assert wrong == {}
    codes: dict[int, list[str]] = {}
    for code in db.session.scalars(sa.select(RedemptionCode)):
        codes.setdefault(code.donation_id, []).append(code.status)
    for number, donation in enumerate(donations):
        expected = [] if (status := expected_codes(number)) is None else [status]
        assert codes.get(rows[donation["token"]].id, []) == expected, (number, expected_status(number))


def check_inbox(events: list[dict[str, Any]]) -> None:
    stored = list(db.session.scalars(sa.select(InboxEvent.event_id)))
    assert Counter(stored) == Counter({event["id"]: 1 for event in events})
    assert count(InboxEvent.dead_at.is_not(None)) == 0
    assert count(LedgerException.id > 0) == 0


def check_letters(instance: Path) -> None:
    paid = count(Donation.paid_at.is_not(None))
    numbers = sorted(db.session.scalars(sa.select(Receipt.number)))
    assert numbers == list(range(1, paid + 1))
    letters = list(db.session.scalars(sa.select(OutboxMessage)))
    assert len(letters) == paid
    assert {letter.outcome for letter in letters} == {"sent"}
    assert len(list((instance / "mail").glob("*.eml"))) == paid


def check_books(sandbox: SandboxServer) -> None:
    """The books against the provider's own account of the same events."""
    unbalanced = (
        sa.select(Posting.entry_id)
        .group_by(Posting.entry_id, Posting.currency)
        .having(sa.func.sum(Posting.debit_minor) != sa.func.sum(Posting.credit_minor))
    )
    assert db.session.scalars(unbalanced).all() == []
    payments = [each for each in sandbox_payments(sandbox) if each["payment_status"] == "paid"]
    refunded = sum(refund["amount"] for each in payments for refund in each["refunds"] if refund["status"] != "failed")
    lost = sum(dispute["amount"] for each in payments for dispute in each["disputes"] if dispute["status"] == "lost")
    books = balances()
    assert books["fund:specialists:gift"] == -sum(each["amount"] for each in payments)
    assert books["fund:specialists:refund"] == refunded
    assert books["fund:specialists:dispute"] == lost
    assert books["receivable:stripe:specialists"] == 0
    provider = sandbox.state()["balance"]
    assert books["provider:stripe:EUR"] == sum(line["amount"] for line in provider["pending"] + provider["available"])
    assert count(JournalEntry.source_type == "payment") == len(payments)


def sandbox_payments(sandbox: SandboxServer) -> list[dict[str, Any]]:
    return overview.payments(sandbox.account, DONATIONS * 2)
