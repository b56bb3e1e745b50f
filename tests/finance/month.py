"""March 2026 with the sandbox: gifts, refunds, disputes, payouts, spending, and what the bank wrote of it."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import create_app
from core.clock import local_day, utcnow
from core.db import db, unit_of_work
from core.money import Money
from finance import disbursements
from finance.bank import services as bank
from finance.bank.mapping import Mapping
from finance.disbursements import Spending
from finance.reconciliation import Reconciled, reconcile
from ledger.models import Fund, LedgerException
from ledger.periods import ZONE
from ops.demo import seed_demo
from sandbox.server import SandboxServer
from tests import databases
from tests.finance.books import BY, person
from tests.finance.story import Story
from tests.house import House
from tests.webhooks.history import rows_kept

MAPPING = Mapping(
    day="Date",
    amount="Amount",
    reference="Text",
    day_format="%Y-%m-%d",
    decimal=".",
    opening="Opening",
    closing="Closing",
)
BankLine = tuple[date, int, str]  # day, cents, text
GIFTS = (2500, 5000, 1000, 20_000, 700, 12_345, 50_000, 3333)


class March(Story):
    """Lived through once; `restore` brings back its end, in our database and at the provider."""

    def __init__(self, house: House, url: str, directory: Path) -> None:
        super().__init__(house)
        self.directory = directory
        self._live()
        with unit_of_work():
            bank.make_account("EUR", "Bank", "EUR", MAPPING, now=self.now, **BY)
        self.lines = self.statement_lines()
        db.session.remove()
        self._rows = rows_kept(url, directory)
        self._rows.keep()
        store = house.sandbox.account.store
        self._objects = [tuple(row) for row in store.rows("SELECT * FROM objects ORDER BY seq")]

    def _live(self) -> None:
        self.on(1, month=3)
        drills = self.sandbox.drills
        for day in range(1, 29):
            self.on(day, month=3)
            for number in range(3):
                self.give(f"{day}-{number}", GIFTS[(day * 3 + number) % len(GIFTS)])
            if day % 5 == 2:
                drills.refund(self.pages[f"{day - 1}-0"], 300)
            if day % 7 == 0:
                self.tell()
                paid = drills.payout()["id"]
                if day == 14:
                    self.tell()
                    drills.fail_payout(paid)
            self._dispute(day)
            self.tell()
        self.on(29, month=3)
        self._spend_on_training()
        self.on(8, month=4)

    def _dispute(self, day: int) -> None:
        drills = self.sandbox.drills
        match day:
            case 4:
                self.refunded = drills.refund(self.pages["3-1"])["id"]
            case 6:
                drills.fail_refund(self.refunded)
            case 9:
                self.won = drills.dispute(self.pages["8-0"])["id"]
                self.lost = drills.dispute(self.pages["8-1"])["id"]
            case 20:
                drills.win_dispute(self.won)
                drills.lose_dispute(self.lost)

    def _spend_on_training(self) -> None:
        anna, boris = person("anna"), person("boris")
        with unit_of_work() as session:
            fund = session.scalars(sa.select(Fund)).one()
            spending = Spending(date(2026, 3, 29), Money(8000, "BYN"), Money(2300, "EUR"), "Training", "Act 9", 4)
            made = disbursements.propose(fund, spending, str(uuid.uuid4()), anna, self.now)
            number = made.public_id
        with unit_of_work():
            disbursements.approve(disbursements.find(number), boris, self.now)
        db.session.remove()

    # The bank

    def statement_lines(self) -> list[BankLine]:
        """What the bank writes: payouts as they arrive, what was spent."""
        store = self.sandbox.account.store
        lines = [
            (local_day(datetime.fromtimestamp(payout["arrival_date"], UTC), ZONE), payout["amount"], "STRIPE PAYOUT")
            for payout in store.find("payout")
            if payout["status"] == "paid"
        ]
        return [*lines, (date(2026, 3, 30), -2300, "Act 9")]

    def bring(self, lines: list[BankLine], name: str = "march.csv", opening: int = 0) -> None:
        rows = "".join(f"{day},{cents / 100:.2f},{text}\n" for day, cents, text in lines)
        balance = opening + sum(cents for _day, cents, _text in lines)
        text = f"Opening,{opening / 100:.2f},\nDate,Amount,Text\n{rows}Closing,{balance / 100:.2f},\n"
        with unit_of_work():
            bank.import_statement(bank.account_by_code("EUR"), text.encode(), name, now=self.now, **BY)
        db.session.remove()

    # Looking

    def reconcile(self) -> Reconciled:
        db.session.remove()
        done = reconcile(self.now)
        db.session.remove()
        return done

    def found(self) -> set[str]:
        """Kinds of what stands open."""
        return {row.kind for row in self.open()}

    def open(self) -> list[LedgerException]:
        db.session.rollback()
        db.session.expire_all()
        return list(db.session.scalars(sa.select(LedgerException).where(LedgerException.resolved_at.is_(None))))

    def restore(self) -> None:
        db.session.remove()
        self.house.app.extensions["jobs"].queue.flush()
        self._rows.restore()
        store = self.sandbox.account.store
        with store.write():
            store.run("DELETE FROM objects")
            for row in self._objects:
                store.run("INSERT INTO objects (seq, id, kind, created, body, hidden) VALUES (?, ?, ?, ?, ?, ?)", row)
        self._told = {event["id"] for event in self.sandbox.events()}  # of tests before this one, too
        self.on(8, month=4)

    def edit(self, object_id: str, **values: Any) -> None:
        """Change what the provider says."""
        store = self.sandbox.account.store
        found = store.get(object_id)
        assert found is not None
        with store.write():
            store.save({**found, **values})

    def close(self) -> None:
        self._rows.close()


@contextmanager
def lived(kind: str, template: Path, directory: Path, server_url: str) -> Iterator[March]:
    if kind == "sqlite":
        with _on(databases.copy_sqlite(template, directory / "month.sqlite3"), directory) as march:
            yield march
        return
    with databases.postgresql_database(server_url) as url:
        databases.migrate(url, directory)
        with _on(url, directory) as march:
            yield march


@contextmanager
def _on(url: str, directory: Path) -> Iterator[March]:
    with SandboxServer(webhook_url="http://127.0.0.1:9/webhooks/stripe", auto_deliver=False, txn_delay=0) as sandbox:
        app = create_app(databases.settings(url, directory, STRIPE_API_BASE=sandbox.url, PUBLIC_URL="http://give.test"))
        with app.app_context():
            sandbox.clock.offset = datetime(2026, 3, 1, 9, tzinfo=UTC).timestamp() - time.time()
            seed_demo(utcnow())
            db.session.remove()
            march = None
            try:
                march = March(House(app, sandbox), url, directory)
                yield march
            finally:
                if march:
                    march.close()
                db.session.remove()
                for engine in db.engines.values():
                    engine.dispose()
