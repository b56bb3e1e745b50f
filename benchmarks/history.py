"""Years of gifts in a database within minutes, for measuring: `fill(app, donations)`.

Rows are those that the services write (a gift and its settlement each, some refunds and disputes, receipts, donors),
the same for the same number whenever it is asked for, but written in bulk: PostgreSQL by COPY in the role of
replication, SQLite with many rows a statement, both with the ledger's triggers aside. What the triggers would have
refused is looked for at the end instead.
"""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import sqlalchemy as sa
from flask import Flask

import ledger.triggers
from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import Localized
from donations.models import Campaign
from ledger import accounts
from offices.models import MEDIA, Office, Placement
from ops.demo import seed_demo

YEARS = 3
OFFICES = 200
PLACEMENTS = 20_000
REGIONS = ("Минск", "Брестская", "Витебская", "Гомельская", "Гродненская", "Минская", "Могилёвская")
AMOUNTS = (500, 1000, 1000, 2500, 2500, 2500, 5000, 10_000, 1234, 50_000)
NAMES = ("Алеся Каваль", "Иван Петров", '=HYPERLINK("http://x")', "+375 29 123-45-67", "Ян «Ян» Зьміцер; сын", "O'Neil")
REFUND_EACH, DISPUTE_EACH, AT_ONCE = 37, 401, 5_000

COLUMNS = {
    "donors": "id name email created_at",
    "donations": "id public_id token campaign_id donor_id anonymous amount_minor currency status version locale "
    "channel placement created_at paid_at idempotency_scope idempotency_key request_hash",
    "payments": "id public_id donation_id provider amount_minor currency state created_at expires_at checkout_ref "
    "payment_ref charge_ref succeeded_at asks",
    "receipts": "id donation_id year number issued_at",
    "refunds": "id public_id payment_id provider refund_ref origin amount_minor currency state reason created_at tries",
    "postings": "id entry_id account_id currency debit_minor credit_minor",
    "journal_entries": "id source_type source_id kind occurred_at recorded_at donation_id",
}
Rows = dict[str, list[tuple[Any, ...]]]


class History:
    """Gifts 0 … `donations` - 1, spread evenly over the years before `until`."""

    def __init__(self, donations: int, until: datetime, campaign: Campaign, codes: list[str], ids: dict[str, int]):
        self.donations, self.until, self.campaign, self.codes, self.ids = donations, until, campaign, codes, ids
        self.start, self.span = until - timedelta(days=365 * YEARS), timedelta(days=365 * YEARS)
        self.zone = ZoneInfo(campaign.zone)
        self.receipts: dict[int, int] = {}
        self.entries = self.postings = 0

    def parts(self) -> Iterator[Rows]:
        for begin in range(0, self.donations, AT_ONCE):
            rows: Rows = {table: [] for table in COLUMNS}
            for number in range(begin, min(begin + AT_ONCE, self.donations)):
                self._gift(rows, number)
            yield rows

    def _gift(self, rows: Rows, number: int) -> None:
        moment = self.start + self.span * (number / self.donations)
        donation, amount = number + 1, AMOUNTS[number * 7919 % len(AMOUNTS)]
        made, paid = _text(moment - timedelta(seconds=50)), _text(moment)
        refunded = number % REFUND_EACH == 5 and moment + timedelta(days=3) < self.until
        disputed = number % DISPUTE_EACH == 7 and moment + timedelta(days=20) < self.until
        status = "disputed" if disputed else "partially_refunded" if refunded else "paid"
        code = None if number % 4 == 0 else self.codes[number * 104_729 % len(self.codes)]
        donor = donation if number % 2 else None
        if donor:
            rows["donors"].append((donor, NAMES[number // 2 % len(NAMES)], f"donor{number}@example.org", made))
        about = (amount, self.campaign.currency, status, 1, ("ru", "ru", "be", "en")[number * 31 % 4], "page", code)
        key = (f"bench-{number}", "0" * 64)
        rows["donations"].append(
            (donation, _id(1, donation), f"t{number}", self.campaign.id, donor, "0", *about, made, paid, "page", *key)
        )
        refs = (f"cs_{number}", f"pi_{number}", f"ch_{number}", paid, 0)
        money = (amount, self.campaign.currency)
        rows["payments"].append(
            (donation, _id(2, donation), donation, "stripe", *money, "succeeded", made, paid, *refs)
        )
        self._receipt(rows, donation, moment)
        later = timedelta(seconds=3)
        self._entry(
            rows, "payment", _id(2, donation), "gift", moment, later, donation, [("receivable", "gift", amount)]
        )
        self._settlement(rows, number, donation, amount, moment)
        if refunded:
            self._refund(rows, donation, amount // 2, moment + timedelta(days=3))
        if disputed:
            when, lines = moment + timedelta(days=20), [("dispute", "receivable", amount)]
            self._entry(rows, "dispute", f"txn_d{number}", "withdrawn", when, later, donation, lines)

    def _receipt(self, rows: Rows, donation: int, moment: datetime) -> None:
        year = moment.astimezone(self.zone).year
        self.receipts[year] = self.receipts.get(year, 0) + 1
        rows["receipts"].append((donation, donation, year, self.receipts[year], _text(moment)))

    def _refund(self, rows: Rows, donation: int, amount: int, when: datetime) -> None:
        rest = ("stripe", f"re_{donation}", "provider", amount, self.campaign.currency, "succeeded", "", _text(when), 0)
        rows["refunds"].append((donation, _id(3, donation), donation, *rest))
        lines = [("refund", "receivable", amount)]
        self._entry(rows, "refund", _id(3, donation), "refund", when, timedelta(seconds=3), donation, lines)

    def _settlement(self, rows: Rows, number: int, donation: int, amount: int, moment: datetime) -> None:
        """Six postings, as `finance.services` makes them: 0.294 EUR a rouble, a fee of 2.9 per cent and 0.10 EUR."""
        gross = amount * 294 // 1000
        fee = gross * 29 // 1000 + 10
        ours = fee * 1000 // 294
        lines = [
            ("provider", "conversion:EUR", gross - fee),
            ("conversion", "receivable", amount - ours),
            ("fee", "receivable", ours),
        ]
        when, later = moment + timedelta(seconds=1), timedelta(seconds=40)
        self._entry(rows, "settlement", f"txn_{number}", "charge", when, later, donation, lines)

    def _entry(
        self,
        rows: Rows,
        source: str,
        source_id: str,
        kind: str,
        when: datetime,
        later: timedelta,
        donation: int,
        lines: list[tuple[str, str, int]],
    ) -> None:
        self.entries += 1
        entry = _id(9, self.entries)
        for debit, credit, amount in lines:
            currency = "EUR" if debit == "provider" else self.campaign.currency
            for account, sides in ((debit, (amount, 0)), (credit, (0, amount))):
                self.postings += 1
                rows["postings"].append((self.postings, entry, self.ids[account], currency, *sides))
        rows["journal_entries"].append((entry, source, source_id, kind, _text(when), _text(when + later), donation))


def _id(kind: int, number: int) -> str:
    """A UUID that grows with the number, as our own do. Those of donations stand as 36 characters."""
    digits = f"{kind:08x}00007000a000{number:012x}"
    return digits if kind == 9 else f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def fill(app: Flask, donations: int, *, until: datetime | None = None, placements: int = PLACEMENTS) -> float:
    """Fill a migrated, empty database; seconds it took. The context of `app` is open. Raises when books are not even.

    The last gift is made just before `until`, a minute ago by default, and booked within 41 seconds.
    """
    begun = time.perf_counter()
    seed_demo(utcnow())
    history = History(donations, until or utcnow() - timedelta(minutes=1), *_world(placements))
    if db.engine.dialect.name == "postgresql":
        _fill_postgresql(history)
    else:
        _fill_sqlite(history)
    _look_for_faults(history)
    return time.perf_counter() - begun


def _world(placements: int) -> tuple[Campaign, list[str], dict[str, int]]:
    """The campaign, codes of its links, and accounts by the names used above."""
    with unit_of_work() as session:
        campaign = session.scalars(sa.select(Campaign)).one()
        fund = campaign.fund
        names = {"receivable": accounts.receivable("stripe", fund), "conversion": accounts.conversion(fund.currency)}
        names |= {"provider": accounts.provider_balance("stripe", "EUR"), "conversion:EUR": accounts.conversion("EUR")}
        names |= {kind: accounts.of_fund(fund, kind) for kind in ("gift", "refund", "dispute", "fee")}
        found = accounts.account_ids(names.values())
        made = utcnow()
        offices = [
            {"code": f"B-{n:03}", "name": Localized(ru=f"Салон {n}"), "address": Localized(ru="ул. Мира"),
             "region": REGIONS[n % len(REGIONS)], "active": True}
            for n in range(OFFICES)
        ]  # fmt: skip
        session.execute(sa.insert(Office), offices)
        office_ids = list(session.scalars(sa.select(Office.id).order_by(Office.id)))
        codes = [f"B{n:07}" for n in range(placements)]
        links = [
            {"code": code, "campaign_id": campaign.id, "medium": MEDIA[n % len(MEDIA)], "language": "ru",
             "office_id": office_ids[n % OFFICES] if MEDIA[n % len(MEDIA)] in MEDIA[:3] else None, "created_at": made}
            for n, code in enumerate(codes)
        ]  # fmt: skip
        session.execute(sa.insert(Placement), links)
    return campaign, codes, {name: found[ref.code] for name, ref in names.items()}


def _fill_postgresql(history: History) -> None:
    """COPY; the role of replication leaves triggers and foreign keys aside."""
    with db.engine.connect() as pooled:
        connection: Any = pooled.connection.driver_connection
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET TIME ZONE 'UTC'")
        for rows in history.parts():
            _each(rows, lambda table, part: _copy(connection, table, part))
        for table in ("donors", "donations", "payments", "receipts", "refunds", "postings"):
            connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
        _counters(history, lambda sql, values: connection.execute(sql.replace("?", "%s"), values))
        connection.execute("SET session_replication_role = origin")
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
        connection.autocommit = False


def _copy(connection: psycopg.Connection[Any], table: str, rows: list[tuple[Any, ...]]) -> None:
    names = ", ".join(COLUMNS[table].split())
    with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        copy.write("".join("\t".join("\\N" if cell is None else str(cell) for cell in row) + "\n" for row in rows))


def _fill_sqlite(history: History) -> None:
    with db.engine.connect() as connection:
        ledger.triggers.remove(connection)
        connection.commit()
    path = db.engine.url.database
    db.session.remove()
    db.engine.dispose()
    raw = sqlite3.connect(str(path), isolation_level=None)
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("PRAGMA cache_size = -400000")
    for rows in history.parts():
        raw.execute("BEGIN")
        _each(rows, lambda table, part: raw.executemany(_insert(table), part))
        raw.execute("COMMIT")
    _counters(history, raw.execute)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    with db.engine.connect() as connection:
        ledger.triggers.install(connection)
        connection.commit()


def _insert(table: str) -> str:
    names = COLUMNS[table].split()
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def _each(rows: Rows, write: Callable[[str, list[tuple[Any, ...]]], object]) -> None:
    for table, part in rows.items():
        if part:
            write(table, part)


def _counters(history: History, execute: Callable[[str, tuple[int, int]], object]) -> None:
    for year, last in history.receipts.items():
        execute("INSERT INTO receipt_counters (year, last) VALUES (?, ?)", (year, last))


def _look_for_faults(history: History) -> None:
    """What triggers and foreign keys would have refused. Raises `SystemExit`."""
    faults = {
        "entries that are not even": "SELECT count(*) FROM (SELECT entry_id FROM postings GROUP BY entry_id, currency "
        "HAVING sum(debit_minor) <> sum(credit_minor)) AS uneven",
        "postings of no entry": "SELECT count(*) FROM postings p LEFT JOIN journal_entries e ON e.id = p.entry_id "
        "WHERE e.id IS NULL",
        "entries of no donation": "SELECT count(*) FROM journal_entries e LEFT JOIN donations d "
        "ON d.id = e.donation_id WHERE d.id IS NULL",
        "gifts that are missing": f"SELECT {history.donations} - count(*) FROM donations",
    }
    for name, query in faults.items():
        if count := db.session.scalar(sa.text(query)):
            raise SystemExit(f"{count} {name}")
    db.session.rollback()


def main(database_url: str, donations: int) -> None:
    """`python -m benchmarks.history DATABASE_URL NUMBER` fills an empty database."""
    import tempfile
    from pathlib import Path

    from app import create_app
    from tests import databases

    with tempfile.TemporaryDirectory() as directory:
        databases.migrate(database_url, Path(directory))
        app = create_app(databases.settings(database_url, Path(directory)))
        with app.app_context():
            print(f"{donations:,} donations in {fill(app, donations):.1f} s")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2].replace("_", "")))
