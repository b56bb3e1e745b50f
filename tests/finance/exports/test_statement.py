"""The month statement: each figure against plain SQL, and what it says of a month that is not final."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pypdf
import pytest
import sqlalchemy as sa

from core.db import db, unit_of_work
from finance import closing
from finance.bank import matching
from finance.exports.datasets.statement import MOVEMENTS
from ledger.models import AccountingPeriod
from ledger.periods import Month
from tests.finance.books import BY, fund, person
from tests.finance.exports.conftest import made
from tests.finance.month import March, lived

AFTER = datetime(2026, 4, 20, 12, tzinfo=UTC)
MARCH: dict[str, Any] = {"first": "2026-03-01", "last": "2026-03-31", "locale": "en"}
APRIL: dict[str, Any] = {"first": "2026-04-01", "last": "2026-04-30", "locale": "en"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def march(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[March]:
    """March with its refunds, a failed one, disputes lost and won, payouts, a failed one, and what the bank wrote."""
    directory = tmp_path_factory.mktemp("month")
    with lived(request.param, sqlite_template, directory, os.environ["TEST_DATABASE_URL"]) as lived_through:
        lived_through.bring([*lived_through.lines, (date(2026, 3, 30), 777, "nobody knows")])
        lived_through.reconcile()
        with unit_of_work():
            line = next(each for each in matching.waiting_lines() if each.reference == "nobody knows")
            matching.post_to_suspense(line, "asked the bank", person("anna"), lived_through.now)
        db.session.remove()
        yield lived_through


def rows(path: Path, now: datetime = AFTER, **order: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    file, _manifest = made(path, now, dataset="statement", format="jsonl", **order)
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    db.session.remove()
    return {(row["part"], row["name"], row["currency"]): row for row in found}


def pdf(path: Path, now: datetime = AFTER, **order: Any) -> str:
    file, _manifest = made(path, now, dataset="statement", format="pdf", **order)
    db.session.remove()
    return " ".join("".join(page.extract_text() for page in pypdf.PdfReader(file).pages).split())


def net(account: str, entries: str = "1 = 1") -> int:
    """Debits less credits of an account in March, of the entries that `entries` chooses, in plain SQL."""
    query = f"""SELECT SUM(p.debit_minor - p.credit_minor) FROM postings p
                JOIN accounts a ON a.id = p.account_id JOIN journal_entries e ON e.id = p.entry_id
                LEFT JOIN journal_entries r ON r.id = e.reverses_id
                WHERE a.code = :account AND e.occurred_at >= :since AND e.occurred_at < :until AND ({entries})"""
    on_sqlite = db.session.get_bind().dialect.name == "sqlite"
    zone = "" if on_sqlite else "+00"
    values = {"since": f"2026-02-28 21:00:00.000000{zone}", "until": f"2026-03-31 21:00:00.000000{zone}"}
    found = int(db.session.scalar(sa.text(query), {"account": account, **values}) or 0)
    db.session.rollback()
    return found


def settled(*kinds: str) -> str:
    return f"e.source_type = 'settlement' AND e.kind IN ({', '.join(repr(kind) for kind in kinds)})".replace('"', "'")


def is_of(*types: str) -> str:
    return " OR ".join(f"e.source_type = '{name}'" for name in types)


def test_every_figure_is_what_plain_sql_says(march: March, tmp_path: Path) -> None:
    found = rows(tmp_path, **MARCH)
    expected: dict[tuple[str, str, str], dict[str, int]] = {
        ("fund", "specialists", "BYN"): {
            "received": -net("fund:specialists:gift"),
            "refunded": -net("fund:specialists:refund"),
            "disputed": -net("fund:specialists:dispute"),
            "fees": -net("fund:specialists:fee"),
            "spent": -net("fund:specialists:spent"),
        },
        ("receivable", "stripe:specialists", "BYN"): {
            "received": net("receivable:stripe:specialists", is_of("payment")),
            "refunded": net("receivable:stripe:specialists", is_of("refund")),
            "disputed": net("receivable:stripe:specialists", is_of("dispute")),
            "settled": net("receivable:stripe:specialists", is_of("settlement")),
        },
        ("provider", "stripe", "EUR"): {
            "settled": net("provider:stripe:EUR", settled("charge")),
            "refunded": net("provider:stripe:EUR", settled("refund", "refund_failure")),
            "disputed": net("provider:stripe:EUR", settled("dispute", "dispute_reversal")),
            "fees": net("provider:stripe:EUR", settled("fee")),
            "payouts": net("provider:stripe:EUR", settled("payout")),
            "payouts_failed": net("provider:stripe:EUR", settled("payout_failure")),
        },
        ("transit", "stripe", "EUR"): {
            "payouts": net("transit:stripe:EUR", settled("payout")),
            "payouts_failed": net("transit:stripe:EUR", settled("payout_failure")),
            "arrived": net("transit:stripe:EUR", is_of("bank_match")),
        },
        ("bank", "bank:EUR", "EUR"): {
            "arrived": net("bank:EUR", "e.source_type = 'bank_match' AND e.kind = 'payout'"),
            "spent": net("bank:EUR", is_of("disbursement")),
            "other": 777,
        },
        ("suspense", "suspense:EUR", "EUR"): {"other": 777},
    }
    for key, figures in expected.items():
        shown = {name: found[key][f"{name}_minor"] for name in MOVEMENTS if found[key][f"{name}_minor"]}
        assert shown == {name: amount for name, amount in figures.items() if amount}, key
    accounts = {"provider": "provider:stripe:EUR", "transit": "transit:stripe:EUR", "bank": "bank:EUR"}
    for (part, _name, _currency), row in found.items():
        if part in accounts:
            assert row["closing_minor"] == net(accounts[part]), part


def test_the_month_had_all_that_can_be_told_wrongly(march: March, tmp_path: Path) -> None:
    """The figures above are of a history with each kind of movement, and these are told apart."""
    found = rows(tmp_path, **MARCH)
    provider, transit = found["provider", "stripe", "EUR"], found["transit", "stripe", "EUR"]
    assert provider["payouts_minor"] == -transit["payouts_minor"] < 0
    assert provider["payouts_failed_minor"] == -transit["payouts_failed_minor"] > 0
    arrived = sum(cents for _day, cents, text in march.lines if text == "STRIPE PAYOUT" and _day < date(2026, 4, 1))
    assert -transit["arrived_minor"] == arrived
    receivable = found["receivable", "stripe:specialists", "BYN"]
    assert receivable["received_minor"] == _plain("SELECT SUM(amount_minor) FROM payments WHERE state = 'succeeded'")
    kept = "SELECT -SUM(amount_minor) FROM refunds WHERE state NOT IN ('failed', 'canceled')"
    assert receivable["refunded_minor"] == _plain(kept)
    lost = "SELECT -SUM(amount_minor) FROM disputes WHERE state = 'lost'"
    assert receivable["disputed_minor"] == _plain(lost)
    assert _plain("SELECT COUNT(*) FROM refunds WHERE state = 'failed'") == 1


def _plain(query: str) -> int:
    found = int(db.session.scalar(sa.text(query)) or 0)
    db.session.rollback()
    return found


def test_columns_add_up_in_every_row_and_parts_balance(march: March, tmp_path: Path) -> None:
    balance: defaultdict[str, int] = defaultdict(int)
    for key, row in rows(tmp_path, **MARCH).items():
        movements = sum(row[f"{name}_minor"] for name in MOVEMENTS)
        assert movements == row["change_minor"], key
        assert row["opening_minor"] + movements == row["closing_minor"], key
        balance[key[2]] += row["payouts_minor"] + row["payouts_failed_minor"]
    assert set(balance.values()) == {0}, "what one place paid out has come to another"


def test_the_fund_is_called_by_its_name_in_the_language_of_the_file(march: March, tmp_path: Path) -> None:
    names = dict(fund().name)
    db.session.rollback()
    for language in ("ru", "be", "en"):
        row = rows(tmp_path, **{**MARCH, "locale": language})["fund", "specialists", "BYN"]
        assert row["title"] == names.get(language, names["ru"])


def test_a_month_that_is_not_over_says_so_and_has_no_place_to_sign(march: March, tmp_path: Path) -> None:
    during = datetime(2026, 3, 20, 12, tzinfo=UTC)
    assert {row["state"] for row in rows(tmp_path, during, **MARCH).values()} == {"not_over"}
    text = pdf(tmp_path, during, **MARCH)
    assert "The month is not over" in text
    assert "Approved by" not in text
    assert "The month is not over" in pdf(tmp_path, datetime(2026, 2, 2, tzinfo=UTC), **APRIL), "even without a figure"


def test_a_month_that_is_over_and_not_closed_says_so(march: March, tmp_path: Path) -> None:
    found = rows(tmp_path, **MARCH)
    assert {(row["state"], row["sheet_hash"]) for row in found.values()} == {("open", None)}
    text = pdf(tmp_path, **MARCH)
    assert "not closed yet" in text
    assert "Approved by" not in text
    russian, _manifest = made(tmp_path, AFTER, dataset="statement", format="csv-ru", **MARCH)
    assert "not closed yet" in russian.read_text(encoding="utf-8-sig")


def test_a_closed_month_names_its_closing_until_it_is_reopened(march: March, tmp_path: Path) -> None:
    with unit_of_work():
        period = closing.close_month(Month(2026, 3), now=AFTER, reason="told to the bank", **BY)
        proof = period.sheet_hash, period.audit_number, period.audit_hash
    db.session.remove()
    later = AFTER + timedelta(hours=1)
    found = rows(tmp_path, later, **MARCH)
    assert {(row["sheet_hash"], row["audit_number"], row["audit_hash"]) for row in found.values()} == {proof}
    assert {row["state"] for row in found.values()} == {"closed"}
    month = made(tmp_path, later, dataset="statement", format="csv", **MARCH)[1]["month"]
    assert (month["state"], month["sheet_hash"], month["audit_number"], month["audit_hash"]) == ("closed", *proof)
    text = pdf(tmp_path, later, **MARCH)
    assert "Approved by" in text
    assert proof[0] in text
    assert proof[2] in text
    assert "not closed yet" in pdf(tmp_path, AFTER, **MARCH), "as of the minute before"
    assert {row["state"] for row in rows(tmp_path, later, **APRIL).values()} == {"not_over"}
    with unit_of_work():
        closing.reopen_month(Month(2026, 3), "a line was missing", now=later, **BY)
    assert "not closed yet" in pdf(tmp_path, later + timedelta(hours=1), **MARCH)
    assert proof[0] in pdf(tmp_path, later, **{**MARCH, "as_of": (later - timedelta(minutes=2)).isoformat()})
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AccountingPeriod)) == 1
    db.session.rollback()
