"""Statements of our banks: read as the bank writes them, imported whole or not at all, matched where it is sure."""

import io
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from core.db import db, unit_of_work
from core.errors import DomainError
from core.money import Money
from donations.models import Campaign
from finance.bank import errors, matching, services
from finance.bank.mapping import Mapping, read_mapping
from finance.bank.models import BankLine, BankMatch, BankStatement
from finance.bank.reading import StatementRefused, read_statement
from finance.models import PayoutRecord
from ledger import accounts
from ledger.queries import balances
from ledger.services import Source, post_entry, transfer
from staff.models import AuditEntry
from tests.finance.books import BY, LATER, approve, gift, moment, person, proposed
from tests.house import House
from tests.staff.console import Browser, make_member

MINSK = Mapping(
    day="Дата",
    credit="Кредит",
    debit="Дебет",
    reference="Назначение",
    counterparty="Корреспондент",
    opening="Входящий остаток",
    closing="Исходящий остаток",
    skipped="Итого",
)
HEAD = "Выписка по счету;;;;\nВходящий остаток;;;;100,00\nДата;Дебет;Кредит;Назначение;Корреспондент\n"
TAIL = "Итого;40,00;25,00;;\nИсходящий остаток;;;;85,00\n"
PAYOUT_LINE = "23.02.2026;;25,00;STRIPE PAYOUT;Stripe\n"
SPENT_LINE = "24.02.2026;40,00;;Оплата по акту;ЧУП Школа\n"
WHOLE = (HEAD + PAYOUT_LINE + SPENT_LINE + TAIL).encode("cp1251")


def codes(data: bytes, mapping: Mapping = MINSK, currency: str = "EUR") -> list[tuple[int, str]]:
    found = read_statement(data, mapping, currency, date(2026, 1, 1), date(2026, 3, 1))
    return [(fault.line, fault.code) for fault in found.faults]


class TestReading:
    def test_a_statement_as_a_bank_writes_it_in_cp1251(self) -> None:
        found = read_statement(WHOLE, MINSK, "EUR")
        assert found.faults == []
        assert (found.encoding, found.separator) == ("cp1251", ";")
        assert (found.opening, found.closing) == (Money(10_000, "EUR"), Money(8_500, "EUR"))
        assert [(each.day, each.amount.minor, each.reference, each.counterparty) for each in found.movements] == [
            (date(2026, 2, 23), 2_500, "STRIPE PAYOUT", "Stripe"),
            (date(2026, 2, 24), -4_000, "Оплата по акту", "ЧУП Школа"),
        ]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251"])
    def test_any_usual_encoding_reads_the_same(self, encoding: str) -> None:
        found = read_statement(WHOLE.decode("cp1251").encode(encoding), MINSK, "EUR")
        assert found.movements == read_statement(WHOLE, MINSK, "EUR").movements

    def test_a_file_cut_off_anywhere_after_its_table_began_is_noticed(self) -> None:
        start = len(HEAD.encode("cp1251"))
        for length in range(start, len(WHOLE) - len("85,00\n")):
            assert codes(WHOLE[:length]), f"cut after {length} bytes"

    def test_a_line_that_is_missing_in_the_middle_is_noticed_by_the_balances(self) -> None:
        assert codes((HEAD + PAYOUT_LINE + TAIL).encode()) == [(0, "balance_differs")]

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("31.02.2026;;25,00;x;y\n", "day_invalid"),
            ("2026-02-23;;25,00;x;y\n", "day_invalid"),
            ("23.02.2026;;25,OO;x;y\n", "amount_invalid"),
            ("23.02.2026;;25,001;x;y\n", "amount_invalid"),
            ("23.02.2026;;;x;y\n", "amount_missing"),
            ("23.02.2026;1,00;1,00;x;y\n", "both_amounts"),
            ("23.02.2026;;25,00\n", "cells_missing"),
            ("23.02.2026;;25;00;x;y\n", "cells_extra"),
            ("23.02.2019;;25,00;x;y\n", "day_too_early"),
            ("23.02.0001;;25,00;x;y\n", "day_too_early"),
            ("23.02.2062;;25,00;x;y\n", "day_to_come"),
        ],
    )
    def test_every_bad_line_is_named_and_the_good_ones_do_not_hide_it(self, line: str, code: str) -> None:
        assert codes((HEAD + line + SPENT_LINE + line + TAIL).encode()) == [(4, code), (6, code)]

    def test_the_statement_of_another_bank_has_other_columns(self) -> None:
        assert codes(b"Date,Amount\n2026-02-23,1.00\n") == [(0, "header_missing")]

    @pytest.mark.parametrize("data", [b"", b"\n\n", HEAD.encode()])
    def test_a_file_without_movements_is_refused(self, data: bytes) -> None:
        assert codes(data)

    def test_bytes_that_are_no_text_are_refused(self) -> None:
        assert codes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xfe\xfd") != []

    def test_empty_cells_at_the_end_do_no_harm_unless_the_separator_may_be_a_decimal_mark(self) -> None:
        assert codes((HEAD + PAYOUT_LINE.replace("\n", ";;\n") + TAIL.replace("85,00", "125,00")).encode()) == []
        mapping = Mapping("Day", credit="In", debit="Out", reference="For", day_format="%Y-%m-%d", decimal=",")
        assert codes(b"Day,In,Out,For\n2026-02-23,1200,50,x,\n", mapping) == [(2, "cells_extra")]

    def test_a_heading_that_stands_twice_is_refused_when_it_is_mapped(self) -> None:
        doubled = HEAD.replace("Кредит;", "Кредит;Дебет;")
        assert codes((doubled + "Исходящий остаток;;;;100,00\n").encode()) == [(3, "column_doubled")]
        other = HEAD.replace("Корреспондент", "Корреспондент;УНП;УНП")
        assert codes((other + PAYOUT_LINE[:-1] + ";1;2\n" + "Исходящий остаток;;;;125,00\n").encode()) == []

    def test_a_quiet_day_is_a_statement_with_two_equal_balances(self) -> None:
        quiet = HEAD.replace("по счету", "за 24.02.2026") + "Исходящий остаток;;;;{}\n"
        found = read_statement(quiet.format("100,00").encode(), MINSK, "EUR")
        assert (found.faults, found.movements, found.days) == ([], [], [date(2026, 2, 24)])
        assert codes(quiet.format("99,00").encode()) == [(0, "quiet_differs")]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16"])
    def test_a_file_cut_within_a_letter_is_cut_off(self, encoding: str) -> None:
        text = WHOLE.decode("cp1251").encode(encoding)
        whole = text.rindex("Исх".encode("utf-16-le" if encoding == "utf-16" else encoding))
        cut = text[: whole + 1]
        assert [code for _line, code in codes(cut)] == ["cut_off"]

    @pytest.mark.parametrize(
        "written", ["25,00 р.", "25,00 руб.", "25,00 BYN", "25,00р", "BYN 25,00", "25,00 Br", "25,00 бел. руб."]
    )
    def test_the_accounts_own_currency_may_stand_beside_an_amount(self, written: str) -> None:
        mapping = Mapping("D", amount="A")
        [line] = read_statement(f"D;A\n23.02.2026;-{written}\n".encode(), mapping, "BYN").movements
        assert line.amount == Money(-2500, "BYN")
        assert codes(f"D;A\n23.02.2026;{written}\n".encode(), mapping, "USD") == [(2, "amount_invalid")]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"amount": "Amount"}, "day"),
        ({"day": "Day", "amount": "day"}, "day"),
        ({"day": "Day", "amount": "A", "begins": "28.02.2026"}, "begins"),
        ({"day": "Day"}, "amount"),
        ({"day": "Day", "credit": "In"}, "amount"),
        ({"day": "Day", "amount": "A", "credit": "In", "debit": "Out"}, "amount"),
        ({"day": "Day", "amount": "A", "day_format": "%H"}, "day_format"),
        ({"day": "Day", "amount": "A", "decimal": ";"}, "decimal"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_at_its_field(typed: dict[str, str], field: str) -> None:
    with pytest.raises(DomainError) as refusal:
        read_mapping(typed)
    assert refusal.value.field == field


# In the books


@pytest.fixture
def account(books: Flask) -> str:
    """A settled gift whose money was paid out: 25.00 EUR are on their way to the bank."""
    gift(10_000, "one", moment(9), settled=True)
    payout("po_1", 2_500)
    with unit_of_work():
        services.make_account("EUR", "Bank", "EUR", MINSK, now=LATER, **BY)
    db.session.remove()
    return "EUR"


def payout(ref: str, minor: int, day: int = 22) -> None:
    with unit_of_work() as session:
        when = moment(day)
        values = {"currency": "EUR", "amount_minor": minor, "state": "paid", "created_at": when, "arrives_at": when}
        session.add(PayoutRecord(provider="stripe", ref=ref, **values))
        lines = transfer(
            accounts.transit("stripe", "EUR"), accounts.provider_balance("stripe", "EUR"), Money(minor, "EUR")
        )
        post_entry(Source("settlement", f"txn_{ref}", "payout"), lines, occurred_at=when, recorded_at=when)
    db.session.remove()


def bring(data: bytes, name: str = "february.csv") -> tuple[int, int]:
    """Import; lines of the file and how many were new."""
    with unit_of_work():
        kept = services.import_statement(services.account_by_code("EUR"), data, name, now=LATER, **BY)
        answer = kept.lines, kept.new_lines
    db.session.remove()
    return answer


def count(model: type) -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def books_of(*names: str) -> list[int]:
    db.session.rollback()
    found = balances()
    return [found.get(name, 0) for name in names]


def matched() -> dict[str, str]:
    """Reference of the line: what it is taken for."""
    db.session.rollback()
    db.session.expire_all()
    lines = db.session.scalars(sa.select(BankLine))
    return {line.reference: f"{line.match.kind} {line.match.ref}".strip() for line in lines if line.match}


def test_a_payout_that_arrived_is_found_and_posted_and_an_unknown_line_waits(account: str) -> None:
    assert bring(WHOLE) == (2, 2)
    assert matched() == {"STRIPE PAYOUT": "payout stripe:po_1"}
    assert books_of("transit:stripe:EUR", "bank:EUR", "suspense:EUR") == [0, 2_500, 0]
    assert [line.reference for line in matching.waiting_lines()] == ["Оплата по акту"]


def test_an_approved_payment_is_matched_without_a_second_posting(account: str) -> None:
    number = proposed(8_000, person("anna"), bank=Money(4_000, "EUR"))
    approve(number, person("boris"))
    before = books_of("fund:specialists:spent", "bank:EUR")
    bring(WHOLE)
    assert matched()["Оплата по акту"] == f"disbursement {number}"
    assert books_of("fund:specialists:spent", "bank:EUR") == [before[0], before[1] + 2_500]


def test_the_same_file_twice_and_overlapping_files_bring_no_line_twice(account: str) -> None:
    bring(WHOLE)
    with pytest.raises(errors.ImportedBefore):
        bring(WHOLE, "again.csv")
    longer = HEAD.encode() + (PAYOUT_LINE + SPENT_LINE + "25.02.2026;;1,00;New;\n").encode()
    assert bring(longer + "Исходящий остаток;;;;86,00\n".encode()) == (3, 1)
    assert count(BankLine) == 3
    assert books_of("transit:stripe:EUR", "bank:EUR") == [0, 2_500]


def test_two_lines_that_say_the_same_are_two_movements_and_stay_two(account: str) -> None:
    twice = HEAD + PAYOUT_LINE * 2 + "Исходящий остаток;;;;150,00\n"
    assert bring(twice.encode()) == (2, 2)
    thrice = HEAD + PAYOUT_LINE * 3 + "Исходящий остаток;;;;175,00\n"
    assert bring(thrice.encode()) == (3, 1)


def test_two_lines_that_could_both_be_the_payout_wait_for_a_person(account: str) -> None:
    bring((HEAD + PAYOUT_LINE * 2 + "Исходящий остаток;;;;150,00\n").encode())
    assert matched() == {}
    assert books_of("transit:stripe:EUR", "bank:EUR") == [2_500, 0]


def test_two_payouts_that_could_both_be_the_line_wait_unless_it_names_one(account: str) -> None:
    payout("po_2", 2_500)
    bring((HEAD + PAYOUT_LINE + "Исходящий остаток;;;;125,00\n").encode())
    assert matched() == {}
    bring((HEAD + "24.02.2026;;25,00;Payout po_2;\n" + "Исходящий остаток;;;;125,00\n").encode(), "2.csv")
    assert matched() == {"Payout po_2": "payout stripe:po_2", "STRIPE PAYOUT": "payout stripe:po_1"}


def test_a_file_with_one_bad_line_changes_nothing(account: str) -> None:
    with pytest.raises(StatementRefused):
        bring((HEAD + PAYOUT_LINE + "31.02.2026;;1,00;x;y\n" + TAIL).encode())
    db.session.remove()
    assert (count(BankStatement), count(BankLine), count(BankMatch)) == (0, 0, 0)


def test_a_payout_that_arrived_short_is_matched_by_a_person_and_the_rest_stands_in_suspense(account: str) -> None:
    bring((HEAD + "23.02.2026;;24,00;SHORT;\n" + "Исходящий остаток;;;;124,00\n").encode())
    assert matched() == {}
    anna = person("anna")
    with unit_of_work():
        line = matching.waiting_lines()[0]
        matching.match_by_hand(line, "payout", "stripe:po_1", "the bank kept 1 EUR", anna, LATER)
    assert books_of("transit:stripe:EUR", "bank:EUR", "suspense:EUR") == [0, 2_400, 100]
    with unit_of_work():
        matching.take_back(matching.line_by_public_id(line_id("SHORT")), "wrong payout", anna, LATER)
    assert books_of("transit:stripe:EUR", "bank:EUR", "suspense:EUR") == [2_500, 0, 0]
    with unit_of_work():
        matching.match_by_hand(matching.waiting_lines()[0], "payout", "stripe:po_1", "it was it", anna, LATER)
    assert books_of("transit:stripe:EUR", "bank:EUR", "suspense:EUR") == [0, 2_400, 100]


def test_what_was_taken_back_is_never_matched_by_itself_again_but_a_person_still_may(account: str) -> None:
    bring(WHOLE)
    anna, number = person("anna"), line_id("STRIPE PAYOUT")
    with unit_of_work():
        matching.take_back(matching.line_by_public_id(number), "this was the wrong payout", anna, LATER)
    with unit_of_work():
        assert matching.match_lines(LATER) == 0
    assert (matched(), books_of("transit:stripe:EUR", "bank:EUR")) == ({}, [2_500, 0])
    bring((HEAD + "24.02.2026;;25,00;Another;\n" + "Исходящий остаток;;;;125,00\n").encode(), "2.csv")
    assert matched() == {"Another": "payout stripe:po_1"}
    with unit_of_work():
        matching.take_back(matching.line_by_public_id(line_id("Another")), "the first one it was", anna, LATER)
    with unit_of_work():
        matching.match_by_hand(matching.line_by_public_id(number), "payout", "stripe:po_1", "asked", anna, LATER)
    assert (matched(), books_of("transit:stripe:EUR")) == ({"STRIPE PAYOUT": "payout stripe:po_1"}, [0])


def line_id(reference: str) -> str:
    query = sa.select(BankLine.public_id).where(BankLine.reference == reference)
    return db.session.scalars(query).one()


def test_money_that_nobody_knows_goes_to_suspense_once_and_comes_back(account: str) -> None:
    bring((HEAD + "23.02.2026;;7,00;UNKNOWN;\n" + "Исходящий остаток;;;;107,00\n").encode())
    anna = person("anna")
    with unit_of_work():
        matching.post_to_suspense(matching.waiting_lines()[0], "asked the bank", anna, LATER)
    assert books_of("bank:EUR", "suspense:EUR") == [700, -700]
    with pytest.raises(errors.LineTaken), unit_of_work():
        matching.post_to_suspense(matching.line_by_public_id(line_id("UNKNOWN")), "again", anna, LATER)
    with unit_of_work():
        matching.take_back(matching.line_by_public_id(line_id("UNKNOWN")), "found out", anna, LATER)
    assert books_of("bank:EUR", "suspense:EUR") == [0, 0]
    with pytest.raises(errors.NotMatched), unit_of_work():
        matching.take_back(matching.line_by_public_id(line_id("UNKNOWN")), "again", anna, LATER)


def test_a_line_of_before_days_were_looked_at_is_refused_and_never_an_error(account: str) -> None:
    bring(WHOLE)
    anna, number = person("anna"), line_id("Оплата по акту")
    for day in (date(1, 1, 1), date(2062, 1, 1)):
        with unit_of_work() as session:
            session.execute(sa.update(BankLine).where(BankLine.public_id == number).values(day=day))
        with pytest.raises(errors.DayImpossible), unit_of_work():
            matching.post_to_suspense(matching.line_by_public_id(number), "asked the bank", anna, LATER)


def test_days_begin_with_the_campaign_or_where_the_mapping_says(house: House) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(Campaign).values(opens_at=moment(23)))
    with unit_of_work():
        account = services.make_account("EUR", "", "EUR", MINSK, now=LATER, **BY)
        assert services.possible_days(account, LATER) == (date(2026, 2, 23), date(2026, 4, 21))
        account.mapping = {**account.mapping, "begins": "2025-12-31"}
        assert services.possible_days(account, LATER)[0] == date(2025, 12, 31)


def test_a_payment_to_a_programme_is_never_matched_with_another_amount(account: str) -> None:
    number = proposed(8_000, person("anna"), bank=Money(4_000, "EUR"))
    approve(number, person("boris"))
    bring((HEAD + "24.02.2026;41,00;;x;\n" + "Исходящий остаток;;;;59,00\n").encode())
    with pytest.raises(errors.AmountsDiffer), unit_of_work():
        matching.match_by_hand(matching.waiting_lines()[0], "disbursement", number, "why", person("anna"), LATER)
    assert count(BankMatch) == 0


def test_the_database_keeps_a_line_and_a_payout_from_being_matched_twice(account: str) -> None:
    bring(WHOLE)
    match = db.session.scalars(sa.select(BankMatch)).one()
    copy = {"kind": "payout", "reason": "", "undo_reason": "", "matched_by": "x", "matched_at": datetime.now(UTC)}
    other = db.session.scalars(sa.select(BankLine.id).where(BankLine.id != match.line_id)).one()
    for line, ref in ((match.line_id, "stripe:po_9"), (other, match.ref)):
        with pytest.raises(IntegrityError), unit_of_work() as session:
            session.add(BankMatch(line_id=line, ref=ref, **copy))
        db.session.remove()
    assert count(BankMatch) == 1


# At the console


@pytest.fixture
def desk(account: str, books: Flask) -> Browser:
    browser = Browser(books)
    make_member("finance2@example.org", "finance")
    browser.get("/staff/login?lang=en")
    browser.sign_in("finance2@example.org")
    return browser


def upload(desk: Browser, data: bytes, act: str) -> str:
    desk.get("/staff/bank/EUR")
    body = {"file": (io.BytesIO(data), "february.csv"), "act": act}
    answer = desk.post("/staff/bank/EUR", body, content_type="multipart/form-data", follow_redirects=True)
    return answer.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestConsole:
    def test_an_account_is_set_up_a_file_checked_imported_and_a_line_explained(self, desk: Browser) -> None:
        page = upload(desk, WHOLE, "check")
        assert "Every line is good" in page
        assert [text in page for text in ("STRIPE PAYOUT", "Оплата по акту", "ЧУП Школа")] == [True] * 3
        assert count(BankLine) == 0
        page = upload(desk, WHOLE, "import")
        assert "Imported: 2 new lines of 2." in page
        page = desk.get("/staff/bank").text
        waiting = re.findall(r'href="(/staff/bank/lines/[^"]+)"', page)
        assert len(waiting) == 1
        assert "What is this line?" not in desk.get(waiting[0]).text, "nothing in the books waits for money out"
        answer = desk.post(f"{waiting[0]}/suspense", {"reason": ""})
        assert (answer.status_code, "Please fill this in." in answer.text) == (422, True)
        assert desk.post(f"{waiting[0]}/suspense", {"reason": "asked the bank"}).status_code == 303
        assert "None: every line of every statement is matched." in desk.get("/staff/bank").text
        acts = db.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.number)).all()
        assert acts[-2:] == ["bank.imported", "bank_line.to_suspense"]

    def test_a_bad_file_names_its_lines(self, desk: Browser) -> None:
        for act in ("check", "import"):
            page = upload(desk, (HEAD + "31.02.2026;;1,00;x;y\n" + TAIL).encode(), act)
            assert "31.02.2026 is no day as this bank writes it." in page
        assert count(BankLine) == 0

    def test_a_mapping_is_typed_refused_at_its_field_and_kept(self, desk: Browser) -> None:
        desk.get("/staff/bank/new")
        typed = {"code": "BYN", "name": "Минск", "currency": "byn", "day": "", "amount": "Сумма", "decimal": ","}
        answer = desk.post("/staff/bank/new", {**typed, "day_format": "%d.%m.%Y"})
        assert answer.status_code == 422
        assert 'value="Сумма"' in answer.text
        answer = desk.post("/staff/bank/new", {**typed, "day": "Дата", "day_format": "%d.%m.%Y"})
        assert answer.headers["Location"] == "/staff/bank/BYN"
        assert 'value="Сумма"' in desk.get("/staff/bank/BYN/mapping").text

    def test_others_than_finance_are_refused(self, account: str, books: Flask) -> None:
        make_member("clerk@example.org", "office")
        clerk = Browser(books)
        clerk.sign_in("clerk@example.org")
        for path in ("/staff/bank", "/staff/bank/EUR", "/staff/bank/new", "/staff/bank/EUR/mapping"):
            assert clerk.get(path).status_code == 403


def test_the_command_checks_and_imports(account: str, books: Flask, tmp_path: Path) -> None:
    file = tmp_path / "february.csv"
    file.write_bytes(WHOLE)
    path = str(file)
    run = books.test_cli_runner()
    told = run.invoke(args=["finance", "bank", "import", "EUR", path, "--dry-run"])
    assert told.output == (
        "2026-02-23  25.00 EUR  STRIPE PAYOUT  Stripe\n"
        "2026-02-24  -40.00 EUR  Оплата по акту  ЧУП Школа\n"
        "every line is good: 2 lines, 2 of them new; nothing was imported\n"
    )
    told = run.invoke(args=["finance", "bank", "import", "EUR", path])
    assert told.output == "imported 2 new lines of 2\n1 lines wait for a person\n"
    assert run.invoke(args=["finance", "bank", "import", "EUR", path]).exit_code == 1
    assert run.invoke(args=["finance", "bank", "import", "NONE", path]).exit_code == 1
    assert count(BankLine) == 2
