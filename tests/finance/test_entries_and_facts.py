"""Every entry is compared with its fact: whatever somebody edits, deletes, adds or moves in the database is named."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from finance import exceptions
from finance.bank import matching
from finance.bank.models import BankLine
from finance.checks import run_checks
from finance.matching_facts import entry_findings
from finance.suspense import suspense
from ledger import triggers
from ledger.periods import Month
from tests.finance.books import close, person
from tests.finance.month import March, lived

Found = set[tuple[str, str]]  # kind, and what it is told of


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived_through(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[March]:
    directory = tmp_path_factory.mktemp("facts")
    with lived(request.param, sqlite_template, directory, os.environ["TEST_DATABASE_URL"]) as march:
        march.bring(march.lines)
        march.money_that_belongs_to_nobody()
        march.on(8, month=4)
        march.reconcile()
        march._rows.keep() if request.param == "sqlite" else _keep_again(march)
        yield march


def _keep_again(march: March) -> None:
    march._rows._connection.execute("DROP SCHEMA kept CASCADE")
    march._rows.keep()


@pytest.fixture
def march(lived_through: March) -> March:
    db.session.remove()
    lived_through._rows.restore()
    return lived_through


def edit(*statements: str) -> None:
    """Change the database behind the back of its rules, as somebody with a console of it could."""
    with unit_of_work() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        else:
            for name in (*triggers.SQLITE, *triggers.SQLITE_PERIODS):
                session.execute(sa.text(f"DROP TRIGGER IF EXISTS {name}"))
        for statement in statements:
            assert session.execute(sa.text(statement)).rowcount > 0, statement
    db.session.remove()


def found() -> Found:
    named = {(each.kind, each.source_type) for each in entry_findings(utcnow())}
    db.session.remove()
    return named


def entries(source_type: str, kind: str = "%", most: int = 1) -> str:
    """Ids of the first entries of a source type that were not taken back."""
    return (
        f"(SELECT e.id FROM journal_entries e WHERE e.source_type = '{source_type}' AND e.kind LIKE '{kind}'"
        f" AND NOT EXISTS (SELECT 1 FROM journal_entries r WHERE r.reverses_id = e.id) ORDER BY e.id LIMIT {most})"
    )


def account(code: str) -> str:
    return f"(SELECT id FROM accounts WHERE code = '{code}')"


def halved(source_type: str, kind: str = "%") -> str:
    return (
        "UPDATE postings SET debit_minor = debit_minor / 2, credit_minor = credit_minor / 2"
        f" WHERE entry_id IN {entries(source_type, kind)}"
    )


def deleted(source_type: str, kind: str = "%") -> tuple[str, ...]:
    return (
        f"DELETE FROM journal_entries WHERE id IN {entries(source_type, kind)}",
        "DELETE FROM postings WHERE entry_id NOT IN (SELECT id FROM journal_entries)",
    )


@dataclass(frozen=True)
class Planted:
    statements: tuple[str, ...]
    found: Found


WRONG, GONE = "wrong_amount", ("doubled_row", "entry")
PLANTED = {
    "gift on the fund's account of refunds": Planted(
        (
            f"UPDATE postings SET account_id = {account('fund:specialists:refund')} WHERE account_id ="
            f" {account('fund:specialists:gift')} AND entry_id IN {entries('payment')}",
        ),
        {(WRONG, "payment")},
    ),
    "gift moved to September": Planted(
        (f"UPDATE journal_entries SET occurred_at = '2025-09-05 10:00:00.000000' WHERE id IN {entries('payment')}",),
        {(WRONG, "entry")},
    ),
    "gift of another donation": Planted(
        (
            "UPDATE journal_entries SET donation_id = (SELECT max(id) FROM donations)"
            f" WHERE id IN {entries('settlement', 'charge')}",
        ),
        {(WRONG, "entry")},
    ),
    "a rouble off a settlement's fee": Planted(
        (
            f"UPDATE postings SET debit_minor = debit_minor - 1 WHERE account_id = {account('fund:specialists:fee')}"
            f" AND entry_id IN {entries('settlement', 'charge')}",
        ),
        {(WRONG, "settlement")},
    ),
    "fee borne by somebody else": Planted(
        (
            f"UPDATE postings SET account_id = {account('fund:specialists:refund')} WHERE account_id ="
            f" {account('fund:specialists:fee')} AND entry_id IN {entries('settlement', 'charge')}",
        ),
        {(WRONG, "settlement")},
    ),
    "settlement deleted": Planted(deleted("settlement", "charge"), {("missing_entry", "settlement")}),
    "one posting deleted": Planted(
        (
            f"DELETE FROM postings WHERE account_id = {account('fund:specialists:gift')}"
            f" AND entry_id IN {entries('payment')}",
        ),
        {(WRONG, "payment")},
    ),
    "refund halved": Planted((halved("refund", "refund"),), {(WRONG, "refund")}),
    "refund that failed and stands": Planted(
        (
            "UPDATE refunds SET state = 'failed', ended_at = created_at WHERE id ="
            " (SELECT min(id) FROM refunds WHERE state = 'succeeded')",
        ),
        {(WRONG, "refund"), ("wrong_state", "donation")},
    ),
    "reversal of another amount": Planted((halved("refund", "refund_failed"),), {(WRONG, "entry")}),
    "dispute halved": Planted((halved("dispute", "withdrawn"),), {(WRONG, "dispute")}),
    "payout halved": Planted((halved("settlement", "payout"),), {(WRONG, "settlement")}),
    "bank match halved": Planted((halved("bank_match"),), {(WRONG, "bank_match")}),
    "spending halved": Planted((halved("disbursement"),), {(WRONG, "disbursement")}),
    "spending deleted": Planted(deleted("disbursement"), {("missing_entry", "disbursement")}),
    "spending's row doubled": Planted(
        ("UPDATE disbursements SET amount_minor = amount_minor * 2, bank_minor = bank_minor * 2",),
        {(WRONG, "disbursement"), (WRONG, "bank_match")},
    ),
    "bank line edited": Planted(
        ("UPDATE bank_lines SET amount_minor = amount_minor - 100 WHERE id = (SELECT min(id) FROM bank_lines)",),
        {(WRONG, "bank_line"), (WRONG, "bank_match"), (WRONG, "bank_statement")},
    ),
    "donation said to be unpaid": Planted(
        ("UPDATE donations SET status = 'pending' WHERE id = (SELECT min(donation_id) FROM payments)",),
        {("wrong_state", "donation")},
    ),
    "donation of more than was paid": Planted(
        ("UPDATE donations SET amount_minor = amount_minor + 70000 WHERE id = (SELECT min(id) FROM donations)",),
        {(WRONG, "donation")},
    ),
    "stray payment halved": Planted((halved("stray_payment"),), {(WRONG, "stray_payment"), (WRONG, "settlement")}),
    "suspense for nothing": Planted(
        (f"UPDATE journal_entries SET source_type = 'by_hand' WHERE id IN {entries('stray_payment')}",),
        {GONE, ("suspense_differs", "account"), (WRONG, "settlement")},
    ),
}


def test_books_that_nobody_has_touched_are_what_their_facts_say(march: March) -> None:
    assert found() == set()


@pytest.mark.parametrize("name", PLANTED)
def test_what_somebody_changed_is_named(march: March, name: str) -> None:
    edit(*PLANTED[name].statements)
    assert found() == PLANTED[name].found


def test_what_was_changed_is_found_by_both_and_sums_are_not_made_anew_of_it(march: March) -> None:
    edit(halved("settlement", "charge"))
    march.reconcile()
    assert "wrong_amount" in march.found()
    failing = {result.name: result.failures for result in run_checks(march.now) if result.failures}
    assert failing["facts_have_entries"] == 1
    refused = march.house.app.test_cli_runner().invoke(args=["finance", "rebuild-summaries"])
    assert refused.exit_code == 1
    assert "1 entries are not what they should be" in refused.output


def test_a_posting_of_a_closed_month_that_was_changed_is_told_by_its_sheet(march: March) -> None:
    close(Month(2026, 3), march.now)
    edit(halved("fx_residue"))
    failing = {result.name: result.examples for result in run_checks(march.now) if result.failures}
    assert "2026-03: fund:specialists:fx moved otherwise than its sheet says" in failing["closed_months_unchanged"]


# What stands in suspense


def stands() -> list[tuple[str, str, bool]]:
    db.session.rollback()
    db.session.expire_all()
    held = suspense()
    assert held.differences == {}
    return [(item.what, f"{item.amount.major} {item.amount.currency}", item.explained) for item in held.items]


def test_suspense_is_the_sum_of_its_things_and_each_leads_to_its_exception(march: March) -> None:
    march.bring([(march.now.date(), 1234, "Nobody knows")], "april.csv")
    with unit_of_work() as session:
        line = session.scalars(sa.select(BankLine).where(BankLine.reference == "Nobody knows")).one()
        matching.post_to_suspense(line, "asked the bank", person("anna"), march.now)
    [payment, bank_line] = stands()
    assert payment[0] == "payment"
    assert bank_line == ("bank_line", "12.34 EUR", False)
    assert suspense().items[0].exception.kind == "unknown_payment"
    totals = {currency: minor for currency, minor in suspense().totals.items() if minor}
    booked = {code: -minor for code, minor in march.house.balances().items() if code.startswith("suspense:")}
    assert booked == {f"suspense:{currency}": minor for currency, minor in totals.items()}
    told = march.house.app.test_cli_runner().invoke(args=["finance", "suspense"])
    assert told.exit_code == 0
    assert "12.34" in told.output
    assert [row["ref"] for row in close(Month(2026, 3), march.now)["suspense"]] == [suspense().items[0].ref]


def test_what_is_explained_stays_in_suspense_and_can_be_opened_again(march: March) -> None:
    anna = person("anna")
    db.session.rollback()
    [number] = [row.id for row in march.open() if row.kind == "unknown_payment"]
    with unit_of_work():
        exceptions.explain(exceptions.find(number), "a sister campaign's money", anna, march.now)
    [(what, _amount, explained)] = stands()
    assert (what, explained) == ("payment", True)
    assert march.found() == set()
    with unit_of_work():
        exceptions.reopen(exceptions.find(number), "it is not theirs", anna, march.now)
    assert [row.id for row in march.open()] == [number]
    assert stands()[0][2] is False
