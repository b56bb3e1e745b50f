"""A closed month takes no more postings; what comes late stands in the open one; the last one can be reopened."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from core.db import db, unit_of_work
from core.money import Money
from finance import closing, errors
from ledger import accounts, periods, triggers
from ledger.models import AccountingPeriod, JournalEntry, Posting
from ledger.periods import Month
from ledger.queries import balances, fund_totals
from ledger.services import Source, post_entry, reverse_entry, transfer
from staff import audit
from tests.finance.books import BY, FEBRUARY, LATER, MARCH, close, entry, fund, gift, moment, reopen, undone
from tests.ledger.test_constraints import attacker, new_id, wait_until_somebody_waits_for_a_lock

pytestmark = pytest.mark.usefixtures("books")
FIRST_OF_MARCH = datetime(2026, 2, 28, 21, tzinfo=UTC)  # midnight in Minsk


# Months


def test_a_month_ends_at_midnight_of_the_zone() -> None:
    assert FEBRUARY.ends_at == FIRST_OF_MARCH == MARCH.starts_at
    assert periods.month_of(FIRST_OF_MARCH - timedelta(microseconds=1)) == "2026-02"
    assert periods.month_of(FIRST_OF_MARCH) == "2026-03"
    assert Month(2026, 12).next == Month(2027, 1)


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-00", "26-02", "2026-2", "２０２６-02", "1999-12", "9999-12"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(errors.MonthInvalid):
        closing.read_month(text)


# Closing


def test_the_sheet_says_what_the_month_came_to() -> None:
    gift(2500, "a", moment(9), settled=True)
    gift(1000, "b", moment(10))
    gift(700, "c", moment(2, month=3))
    sheet = close(FEBRUARY)
    rows = {row["code"]: (row["opening"], row["debit"], row["credit"], row["balance"]) for row in sheet["accounts"]}
    assert rows == {
        "conversion:BYN": (0, 2500, 0, 2500),
        "conversion:EUR": (0, 0, 625, -625),
        "fund:specialists:gift": (0, 0, 3500, -3500),
        "provider:stripe:EUR": (0, 625, 0, 625),
        "receivable:stripe:specialists": (0, 3500, 2500, 1000),
    }
    assert (sheet["entries"], sheet["postings"], sheet["late_entries"]) == (3, 8, 0)
    assert sheet["totals"] == {"BYN": {"debit": 6000, "credit": 6000}, "EUR": {"debit": 625, "credit": 625}}
    assert [(each["raised"], each["earmarked"], each["available"]) for each in sheet["funds"]] == [(3500, 3500, 2500)]
    next_sheet = close(MARCH)
    receivable = next(row for row in next_sheet["accounts"] if row["code"] == "receivable:stripe:specialists")
    assert (receivable["opening"], receivable["balance"]) == (1000, 1700)
    assert {row["code"]: row["balance"] for row in next_sheet["accounts"]} == balances()


def test_the_sheet_stands_in_the_audit_log_with_the_head_before_it() -> None:
    gift(2500, "a", moment(9))
    before = audit.head()
    close(FEBRUARY)
    [period] = closing.closings()
    assert (period.audit_number, period.audit_hash) == (before.number, before.hash)
    _, faults = audit.verify()
    assert faults == []
    said = db.session.execute(sa.text("SELECT action, subject, after FROM audit_log")).all()[-1]
    assert (said[0], said[1]) == ("period.closed", "period:2026-02")
    assert period.sheet_hash in str(said[2])


def test_months_are_closed_in_order_once_they_are_over() -> None:
    with pytest.raises(errors.NothingToClose), undone():
        close(FEBRUARY)
    gift(2500, "a", moment(9))
    with pytest.raises(errors.MonthNotNext), undone():
        close(MARCH)
    with pytest.raises(errors.MonthNotNext), undone():
        close(Month(2026, 1))  # before the first entry there is nothing
    with pytest.raises(errors.MonthNotOver), undone():
        close(FEBRUARY, FIRST_OF_MARCH - timedelta(microseconds=1))
    close(FEBRUARY, FIRST_OF_MARCH)
    with pytest.raises(errors.MonthNotNext), undone():
        close(FEBRUARY)
    close(MARCH)  # a month without a gift
    assert periods.next_to_close() == Month(2026, 4)


# Late postings


def test_what_comes_late_stands_on_the_first_moment_of_the_open_month_with_a_link_back() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    assert gift(1000, "late", moment(27), recorded_at=moment(3, month=3))
    late = entry("late")
    assert (late.occurred_at, late.happened_at, late.late_for) == (FIRST_OF_MARCH, moment(27), "2026-02")
    assert closing.late_entries("2026-02")[0].id == late.id
    assert fund_totals(fund()).raised == 3500


def test_what_is_late_for_several_closed_months_stands_in_the_one_that_is_open() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    close(MARCH)
    gift(1000, "late", moment(9, month=1))
    late = entry("late")
    assert (late.occurred_at, late.late_for) == (MARCH.ends_at, "2026-01")


def test_a_late_source_told_again_is_found_and_posted_once() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    assert gift(1000, "late", moment(27))
    assert not gift(1000, "late", moment(27))
    close(MARCH)
    assert not gift(1000, "late", moment(27))
    assert not gift(2500, "a", moment(9))  # posted in its own month, before that was closed
    assert balances()["fund:specialists:gift"] == -3500


def test_a_reversal_of_a_closed_month_stands_in_the_open_one_and_names_what_it_reverses() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    with unit_of_work():
        assert reverse_entry(Source("payment", "a", "gift"), "taken_back", occurred_at=moment(20), recorded_at=LATER)
    back = entry("a", "taken_back")
    assert (back.reverses_id, back.late_for, back.happened_at) == (entry("a").id, "2026-02", moment(20))
    assert set(balances().values()) == {0}


def test_an_entry_of_the_last_moment_is_late_and_one_of_the_next_is_not() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    gift(1, "last", FIRST_OF_MARCH - timedelta(microseconds=1))
    gift(2, "first", FIRST_OF_MARCH)
    assert entry("last").late_for == "2026-02"
    assert entry("first").late_for is None


# Reopening


def test_a_reopened_month_takes_postings_again_and_what_was_late_stays() -> None:
    gift(2500, "a", moment(9))
    first = close(FEBRUARY)
    gift(1000, "late", moment(27))
    reopen(FEBRUARY)
    gift(500, "now in time", moment(28))
    assert entry("now in time").late_for is None
    assert entry("late").occurred_at == FIRST_OF_MARCH
    second = close(FEBRUARY)
    assert second["funds"][0]["raised"] == first["funds"][0]["raised"] + 500
    assert [(each.month, each.reopened_at is None) for each in closing.closings()] == [
        ("2026-02", True),
        ("2026-02", False),
    ]


def test_what_was_late_is_taken_back_where_it_stands_and_never_before() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    gift(1000, "late", moment(27))
    reopen(FEBRUARY)
    with unit_of_work():
        reverse_entry(Source("payment", "late", "gift"), "taken_back", occurred_at=moment(27), recorded_at=LATER)
    back = entry("late", "taken_back")
    assert (back.occurred_at, back.happened_at, back.late_for) == (FIRST_OF_MARCH, moment(27), "2026-02")
    assert close(FEBRUARY)["funds"][0]["raised"] == 2500
    assert close(MARCH)["funds"][0]["raised"] == 2500


def test_what_was_late_and_is_closed_by_now_is_taken_back_in_the_open_month() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    gift(1000, "late", moment(27))
    close(MARCH)
    with unit_of_work():
        reverse_entry(Source("payment", "late", "gift"), "taken_back", occurred_at=moment(27), recorded_at=LATER)
    assert (entry("late", "taken_back").occurred_at, entry("late", "taken_back").late_for) == (MARCH.ends_at, "2026-02")


def test_only_the_month_closed_last_is_reopened_and_only_for_a_reason() -> None:
    gift(2500, "a", moment(9))
    with pytest.raises(errors.UnknownMonth), undone():
        reopen(FEBRUARY)
    close(FEBRUARY)
    close(MARCH)
    with pytest.raises(errors.MonthNotLastClosed), undone():
        reopen(FEBRUARY)
    with pytest.raises(errors.ReasonMissing), undone():
        reopen(MARCH, "  ")
    reopen(MARCH)
    reopen(FEBRUARY)
    with pytest.raises(errors.UnknownMonth), undone():
        reopen(FEBRUARY)
    assert periods.open_from() is None


def test_reopening_is_in_the_audit_log_with_who_and_why() -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    reopen(FEBRUARY, "  a bank  line was missing ")
    [period] = closing.closings()
    assert (period.reopened_by, period.reopen_reason) == (BY["actor"], "a bank line was missing")
    said = db.session.execute(sa.text("SELECT actor, action, after FROM audit_log ORDER BY number")).all()[-1]
    assert (said[0], said[1]) == (BY["actor"], "period.reopened")
    assert "a bank line was missing" in str(said[2])


# What conversion leaves over


def spend_euros(ref: str, roubles: int, euros: int, when: datetime) -> None:
    with unit_of_work():
        lines = [
            *transfer(accounts.of_fund(fund(), "spent"), accounts.conversion("BYN"), Money(roubles, "BYN")),
            *transfer(accounts.conversion("EUR"), accounts.bank("EUR"), Money(euros, "EUR")),
        ]
        post_entry(Source("disbursement", ref, "spent"), lines, occurred_at=when, recorded_at=when)
    db.session.remove()


def fx() -> int:
    db.session.rollback()
    return fund_totals(fund()).fx


def test_what_foreign_money_fetched_more_than_it_had_cost_is_gained_at_the_close() -> None:
    gift(4000, "a", moment(9), settled=True)  # 10.00 EUR at a cost of 40.00
    spend_euros("d", 2100, 500, moment(20))  # half of them for 21.00 instead of 20.00
    sheet = close(FEBRUARY)
    assert fx() == 100
    assert sheet["positions"] == [{"fund": "specialists", "currency": "EUR", "held": 500, "cost": 2000}]
    assert balances()["conversion:BYN"] == 2000
    residue = db.session.scalars(sa.select(JournalEntry).where(JournalEntry.source_type == "fx_residue")).one()
    assert residue.occurred_at == FIRST_OF_MARCH - timedelta(microseconds=1)


def test_the_next_month_begins_with_what_is_held_at_its_cost() -> None:
    gift(4000, "a", moment(9), settled=True)
    close(FEBRUARY)
    assert fx() == 0
    spend_euros("d", 3900, 1000, moment(9, month=3))
    close(MARCH)
    assert fx() == -100
    assert balances()["conversion:BYN"] == balances()["conversion:EUR"] == 0


def test_a_month_closed_again_books_only_what_has_changed() -> None:
    gift(4000, "a", moment(9), settled=True)
    spend_euros("d", 2100, 500, moment(20))
    close(FEBRUARY)
    reopen(FEBRUARY)
    spend_euros("e", 1950, 500, moment(21))
    close(FEBRUARY)
    assert fx() == 50
    assert balances()["conversion:BYN"] == balances()["conversion:EUR"] == 0
    reopen(FEBRUARY)
    entries = db.session.scalar(sa.select(sa.func.count()).select_from(JournalEntry))
    close(FEBRUARY)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(JournalEntry)) == entries


# Past all of our code


ENTRY = (
    "INSERT INTO journal_entries (id, source_type, source_id, kind, occurred_at, recorded_at)"
    " VALUES (:id, 'attack', :source, 'attack', :moment, '2026-03-05 00:00:00.000000')"
)


@pytest.mark.parametrize(
    "when", ["2026-02-10 12:00:00.000000", "2026-02-28 20:59:59.999999", "2025-12-31 00:00:00.000000"]
)
def test_an_entry_in_a_closed_month_by_plain_sql_is_refused(when: str) -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    with attacker() as sql, pytest.raises(IntegrityError, match=triggers.CLOSED):
        entry_id = new_id()
        sql.posting(entry_id, "receivable:stripe:specialists", 100, 0)
        sql.posting(entry_id, "fund:specialists:gift", 0, 100)
        sql.run(ENTRY, id=entry_id, source=entry_id, moment=when)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("when", ["2026-02-10T12:00:00", "2026-2-9", "", "9999", 1.5, b"2026"])
def test_a_moment_that_does_not_sort_is_refused(when: object) -> None:
    gift(2500, "a", moment(9))
    with attacker() as sql, pytest.raises(IntegrityError):
        entry_id = new_id()
        sql.posting(entry_id, "receivable:stripe:specialists", 100, 0)
        sql.posting(entry_id, "fund:specialists:gift", 0, 100)
        sql.run(ENTRY, id=entry_id, source=entry_id, moment=when)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM accounting_periods",
        "UPDATE accounting_periods SET ends_at = starts_at",
        "UPDATE accounting_periods SET month = '2026-01'",
        "UPDATE accounting_periods SET sheet_hash = ''",
        "UPDATE accounting_periods SET reopened_at = closed_at",
        "UPDATE accounting_periods SET closed_by = 'somebody else'",
    ],
)
def test_a_closing_is_never_changed_but_reopened_with_who_and_why(statement: str) -> None:
    gift(2500, "a", moment(9))
    close(FEBRUARY)
    with attacker() as sql, pytest.raises(IntegrityError):
        sql.run(statement)


def test_a_link_back_belongs_to_a_true_moment_before() -> None:
    gift(2500, "a", moment(9))
    for columns in ("late_for", "happened_at"):
        with attacker() as sql, pytest.raises(IntegrityError):
            entry_id = new_id()
            sql.posting(entry_id, "receivable:stripe:specialists", 100, 0)
            sql.posting(entry_id, "fund:specialists:gift", 0, 100)
            statement = ENTRY.replace("recorded_at)", f"recorded_at, {columns})").replace(
                "'2026-03-05 00:00:00.000000')", "'2026-03-05 00:00:00.000000', :more)"
            )
            more = "2026-02" if columns == "late_for" else "2026-02-01 00:00:00.000000"
            sql.run(statement, id=entry_id, source=entry_id, moment="2026-03-05 00:00:00.000000", more=more)


# At once


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("posts", [True, False])
def test_closing_waits_for_who_is_posting_into_the_month(books: Flask, posts: bool) -> None:
    gift(2500, "a", moment(9))
    sheets: list[dict[str, object]] = []

    def close_it() -> None:
        with books.app_context():
            sheets.append(close(FEBRUARY))

    thread = threading.Thread(target=close_it)
    with attacker() as poster:
        entry_id = new_id()
        poster.posting(entry_id, "receivable:stripe:specialists", 100, 0)
        poster.posting(entry_id, "fund:specialists:gift", 0, 100)
        poster.run(ENTRY, id=entry_id, source=entry_id, moment="2026-02-28 20:00:00.000000")
        thread.start()
        wait_until_somebody_waits_for_a_lock()
        poster.connection.commit() if posts else poster.connection.rollback()
        thread.join(timeout=20)
    assert [sheet["entries"] for sheet in sheets] == [2 if posts else 1]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_posts_while_the_month_is_being_closed_waits_and_is_late(books: Flask) -> None:
    gift(2500, "a", moment(9))

    def post_it() -> None:
        with books.app_context():
            gift(1000, "meanwhile", moment(27))

    thread = threading.Thread(target=post_it)
    with unit_of_work():
        closing.close_month(FEBRUARY, now=LATER, **BY)
        thread.start()
        wait_until_somebody_waits_for_a_lock()
    thread.join(timeout=20)
    assert entry("meanwhile").late_for == "2026-02"
    [period] = closing.closings()
    assert period.sheet["entries"] == 1


def test_many_post_while_the_month_is_closed_and_each_is_in_the_sheet_or_late(books: Flask) -> None:
    gift(2500, "a", moment(9))
    barrier = threading.Barrier(5)

    def post(number: int) -> None:
        with books.app_context():
            barrier.wait()
            for count in range(6):
                gift(10, f"{number}-{count}", moment(27))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    sheet = close(FEBRUARY)
    for thread in threads:
        thread.join(timeout=60)
    db.session.rollback()
    within = JournalEntry.occurred_at < FEBRUARY.ends_at
    in_month = db.session.scalar(sa.select(sa.func.count()).select_from(JournalEntry).where(within))
    late = db.session.scalar(
        sa.select(sa.func.count()).select_from(JournalEntry).where(JournalEntry.late_for == "2026-02")
    )
    assert sheet["entries"] == in_month
    assert (in_month or 0) + (late or 0) == 25
    query = sa.select(sa.func.sum(Posting.credit_minor)).join(JournalEntry).where(within)
    assert db.session.scalar(query) == sheet["totals"]["BYN"]["credit"]


def test_two_who_close_one_month_close_it_once(books: Flask) -> None:
    gift(2500, "a", moment(9))
    refusals: list[Exception] = []
    barrier = threading.Barrier(2)

    def close_it() -> None:
        with books.app_context():
            barrier.wait()
            try:
                close(FEBRUARY)
            except errors.MonthNotNext as refusal:
                refusals.append(refusal)

    threads = [threading.Thread(target=close_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(refusals) == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AccountingPeriod)) == 1
