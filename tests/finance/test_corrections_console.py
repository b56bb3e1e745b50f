"""Corrections of the books in the console and by command: each says what it will do, is done once, and is audited."""

from collections.abc import Callable
from html import unescape

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.money import Money
from finance.findings import show
from finance.matching_facts import entry_findings
from ledger import accounts
from ledger.models import Fund
from ledger.services import Source, open_exception, post_entry, transfer
from staff.audit import COMMAND_LINE
from tests.console.conftest import acts
from tests.finance.test_exceptions_console import number, put, row
from tests.house import House
from tests.staff.console import Browser


def compare() -> None:
    found = entry_findings(utcnow())
    with unit_of_work():
        show(found, utcnow())
    db.session.remove()


def booked_twice() -> int:
    """The number of the matter of an entry for which nothing happened."""
    with unit_of_work() as session:
        fund = session.scalars(sa.select(Fund)).one()
        gift = transfer(accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift"), Money(700, "BYN"))
        source = Source("payment", "00000000-0000-4000-8000-000000000000", "gift")
        post_entry(source, gift, occurred_at=utcnow(), recorded_at=utcnow())
    compare()
    return number("doubled_row")


def test_an_entry_for_which_nothing_happened_is_taken_back_once(house: House, at_desk: Callable[..., Browser]) -> None:
    browser, page = at_desk("anna"), f"/staff/exceptions/{booked_twice()}"
    assert "Take the entry back" in browser.get(page).text
    assert browser.post(f"{page}/correct", {"reason": ""}).status_code == 422
    assert browser.post(f"{page}/correct", {"reason": "nobody gave it"}).status_code == 303
    assert house.balances() == {}
    assert row("doubled_row").resolution == "books corrected: nobody gave it"
    assert [action for _who, action, _what in acts()] == ["books.entry_back"]
    browser.get(page)
    assert browser.post(f"{page}/correct", {"reason": "again"}).status_code == 409
    compare()
    assert row("doubled_row").resolved_at is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_pages_of_corrections_say_what_will_be_done(house: House, at_desk: Callable[..., Browser]) -> None:
    browser = at_desk("anna")
    told = {"amount": 735, "fee": 50, "net": 685, "currency": "EUR", "rate": "0.294"}
    with unit_of_work():
        open_exception("fee_changed", "settlement", "txn_1", now=utcnow(), details=told)
        for kind in ("line_not_at_provider", "missing_entry", "wrong_amount"):
            open_exception(kind, "settlement", "txn_1", now=utcnow())
    for kind, words in (
        ("fee_changed", ("Take the provider's figures", "6.85")),
        ("line_not_at_provider", ("Take the line out",)),
        ("missing_entry", ("Book it",)),
        ("wrong_amount", ("Correct the entry",)),
    ):
        page = unescape(browser.get(f"/staff/exceptions/{number(kind)}").text)
        assert all(word in page for word in words), kind


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_lists_what_is_open_and_resolves_it_by_the_same_acts(app: Flask, house: House) -> None:
    run = app.test_cli_runner()
    assert run.invoke(args=["finance", "exceptions"]).output == "nothing is open\n"
    twice, short = str(booked_twice()), str(put("payout_short", "po", amount=Money(150, "EUR")))
    listed = run.invoke(args=["finance", "exceptions"]).output
    assert "7.00 BYN  doubled_row" in listed
    assert "[correct explain]" in listed
    assert "1.50 EUR  payout_short" in listed
    wrong = run.invoke(args=["finance", "resolve", short, "--act", "correct", "--reason", "x"])
    assert (wrong.exit_code, "No entry would resolve this" in wrong.output) == (1, True)
    assert run.invoke(args=["finance", "resolve", short, "--act", "explain", "--reason", " "]).exit_code == 1
    done = run.invoke(args=["finance", "resolve", twice, "--act", "correct", "--reason", "nobody gave it"])
    assert done.output.endswith("resolved\n")
    again = run.invoke(args=["finance", "resolve", twice, "--act", "correct", "--reason", "again"])
    assert (again.exit_code, "resolved meanwhile" in again.output) == (1, True)
    assert run.invoke(args=["finance", "resolve", short, "--act", "explain", "--reason", "asked them"]).exit_code == 0
    assert house.balances() == {}
    assert [(who, action) for who, action, _what in acts()] == [
        (COMMAND_LINE, "books.entry_back"),
        (COMMAND_LINE, "exception.explained"),
    ]
    assert "asked them" in run.invoke(args=["finance", "exceptions", "--closed"]).output
