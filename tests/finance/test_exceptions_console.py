"""The queue in the console and the self-check: each act resolves what it says, is audited, and a failure is loud."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_babel import force_locale

from core.clock import utcnow
from core.db import db, unit_of_work
from core.models import OutboxMessage
from core.money import Money
from core.outbox import deliver_due
from donations.models import Payment
from finance import runs
from finance.checks import CHECKS, run_checks
from finance.exception_kinds import KINDS, kind_of
from finance.findings import COMPARED, Finding, show
from finance.jobs import look_at_unposted_lines
from finance.models import SettlementLine
from finance.run_models import FinanceRun, RunAlert, StrayRefund
from finance.stray_refunds import ask_for_due
from ledger import accounts
from ledger.models import Fund, LedgerException
from ledger.services import Source, open_exception, post_entry, transfer
from payments.base import ProviderRefused
from payments.registry import get_provider
from stickers.models import RedemptionCode
from tests.console.conftest import acts
from tests.house import House
from tests.staff.console import Browser, make_member
from tests.webhooks.test_traps import altered, events, tell
from webhooks.models import InboxEvent

NIGHT = datetime(2026, 4, 8, 3, tzinfo=UTC)  # six in the morning in Minsk


def put(kind: str, source_id: str = "x", source_type: str = "thing", amount: Money | None = None) -> int:
    with unit_of_work():
        open_exception(kind, source_type, source_id, now=utcnow(), amount=amount)
    return number(kind)


def number(kind: str) -> int:
    db.session.rollback()
    return db.session.scalars(sa.select(LedgerException.id).where(LedgerException.kind == kind)).one()


def row(kind: str) -> LedgerException:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(LedgerException).where(LedgerException.kind == kind)).one()


# The page


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_others_than_finance_are_refused(at_desk: Callable[..., Browser]) -> None:
    exception = put("doubled_row")
    browser = at_desk("office", "office")
    assert browser.get("/staff/exceptions").status_code == 403
    assert browser.get("/staff/exceptions.csv").status_code == 403
    assert browser.post(f"/staff/exceptions/{exception}/explain", {"reason": "x"}).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_kind_has_a_page_with_its_guess(at_desk: Callable[..., Browser]) -> None:
    browser = at_desk("anna")
    for kind in (*KINDS, "something_new"):
        page = browser.get(f"/staff/exceptions/{put(kind, amount=Money(123, 'EUR'))}")
        assert page.status_code == 200, kind
        with force_locale("en"):
            assert str(kind_of(kind).guess) in unescape(page.text)
        assert ("Mark as explained" in page.text) == kind_of(kind).explainable
    assert browser.get("/staff/exceptions").text.count("<tr>") == len(KINDS) + 2


def test_kinds_that_are_compared_all_have_a_guess() -> None:
    assert set(COMPARED) <= set(KINDS)


def test_an_explanation_closes_it_names_who_and_comes_back_with_another_amount(
    at_desk: Callable[..., Browser],
) -> None:
    def found(cents: int) -> None:
        with unit_of_work():
            show([Finding("balance_differs", "account", "provider:stripe:EUR", Money(cents, "EUR"))], utcnow())

    found(500)
    browser = at_desk("anna")
    page = f"/staff/exceptions/{number('balance_differs')}"
    browser.get(page)
    assert browser.post(f"{page}/explain", {"reason": ""}).status_code == 422
    assert browser.post(f"{page}/explain", {"reason": "was there before us"}).status_code == 303
    assert (row("balance_differs").resolved_by, row("balance_differs").resolution) == (
        "anna@example.org",
        "was there before us",
    )
    assert acts() == [("anna@example.org", "exception.explained", "exception:balance_differs:provider:stripe:EUR")]
    assert "was there before us" in browser.get("/staff/exceptions?state=closed").text
    found(500)
    assert row("balance_differs").resolved_at is not None
    found(700)
    assert (row("balance_differs").resolved_at, row("balance_differs").amount_minor) == (None, 700)
    with unit_of_work():
        show([], utcnow())
    assert row("balance_differs").resolved_by is None
    assert row("balance_differs").resolved_at is not None


def test_the_file_has_every_row_of_the_filter(at_desk: Callable[..., Browser]) -> None:
    put("doubled_row", "=1+1")
    put("payout_short", "po", amount=Money(150, "EUR"))
    browser = at_desk("anna")
    text = browser.get("/staff/exceptions.csv").get_data(as_text=True)
    assert len(text.strip().splitlines()) == 3
    assert "'=1+1" in text
    assert browser.get("/staff/exceptions.csv?kind=payout_short").text.count("1.50") == 1
    assert "doubled_row" not in browser.get("/staff/exceptions.csv?kind=payout_short").text


# Acts


def stray(house: House) -> dict[str, str]:
    """A paid donation of which only the charge is told, without our number: it stands in suspense."""
    donation = house.give(2500)
    house.pay(donation)
    [charged] = events(house, "payment_intent.succeeded")
    assert house.post_event(altered(charged, metadata={})) == 200
    assert house.balances()["suspense:BYN"] == -2500
    return donation


def test_a_payment_in_suspense_is_linked_to_its_donation(house: House, at_desk: Callable[..., Browser]) -> None:
    donation = stray(house)
    browser, page = at_desk("anna"), f"/staff/exceptions/{number('unknown_payment')}"
    browser.get(page)
    refused = browser.post(f"{page}/link", {"donation": "nothing", "reason": "asked the donor"})
    assert (refused.status_code, "There is no donation" in refused.text) == (422, True)
    sent = browser.post(f"{page}/link", {"donation": donation["id"], "reason": "asked the donor"})
    assert sent.status_code == 303
    assert house.row(donation).status == "paid"
    assert house.balances()["fund:specialists:gift"] == -2500
    assert "suspense:BYN" not in house.balances()
    assert row("unknown_payment").resolved_by == "anna@example.org"
    assert [action for _who, action, _what in acts()] == ["exception.linked"]


def test_a_payment_in_suspense_is_given_back_once(house: House, at_desk: Callable[..., Browser]) -> None:
    stray(house)
    browser, page = at_desk("anna"), f"/staff/exceptions/{number('unknown_payment')}"
    browser.get(page)
    assert browser.post(f"{page}/refund", {"reason": "not for us"}).status_code == 303
    ask_for_due(utcnow())
    ask_for_due(utcnow() + timedelta(hours=1))
    refund = db.session.scalars(sa.select(StrayRefund)).one()
    assert (refund.state, refund.amount_minor) == ("done", 2500)
    assert len(house.sandbox.account.store.find("refund")) == 1
    assert "suspense:BYN" not in house.balances()
    assert row("unknown_payment").resolution == "given back: not for us"
    browser.get(page)
    assert browser.post(f"{page}/refund", {"reason": "again"}).status_code == 409


def test_a_refund_that_the_provider_refused_says_why_and_when_and_is_ordered_again(
    house: House, at_desk: Callable[..., Browser]
) -> None:
    stray(house)
    browser, page = at_desk("anna"), f"/staff/exceptions/{number('unknown_payment')}"
    browser.get(page)
    browser.post(f"{page}/refund", {"reason": "not for us"})
    db.session.rollback()
    with patch.object(type(get_provider("stripe")), "create_refund", side_effect=ProviderRefused("charge_disputed")):
        ask_for_due(utcnow())
    db.session.expire_all()
    refused = db.session.scalars(sa.select(StrayRefund)).one()
    assert (refused.state, refused.refused_at is not None) == ("refused", True)
    told = browser.get(page).text
    assert "The provider refused the refund" in told
    assert refused.failure_code
    assert refused.failure_code in told
    assert browser.post(f"{page}/refund", {"reason": "once more"}).status_code == 303
    assert "The provider refused the refund" not in browser.get(page).text
    db.session.rollback()
    ask_for_due(utcnow())
    db.session.expire_all()
    states = db.session.scalars(sa.select(StrayRefund.state).order_by(StrayRefund.id)).all()
    assert list(states) == ["refused", "done"]
    assert row("unknown_payment").resolution == "given back: once more"


def test_above_the_limit_another_person_approves(app: Flask, house: House, at_desk: Callable[..., Browser]) -> None:
    app.config["REFUND_ALONE_UP_TO"] = 1000
    stray(house)
    anna, boris = at_desk("anna"), at_desk("boris")
    page = f"/staff/exceptions/{number('unknown_payment')}"
    anna.get(page)
    assert anna.post(f"{page}/refund", {"reason": "not for us"}).status_code == 303
    ask_for_due(utcnow())
    assert house.sandbox.account.store.find("refund") == []
    anna.get(page)
    assert anna.post(f"{page}/approve").status_code == 409
    boris.get(page)
    assert boris.post(f"{page}/approve").status_code == 303
    ask_for_due(utcnow())
    assert len(house.sandbox.account.store.find("refund")) == 1


def test_a_fee_that_names_nothing_is_charged_to_a_fund(house: House, at_desk: Callable[..., Browser]) -> None:
    house.given()
    line = db.session.scalars(sa.select(SettlementLine)).one()
    values = {column.name: getattr(line, column.name) for column in SettlementLine.__table__.columns}
    values |= {"id": 1000, "ref": "txn_fee", "kind": "fee", "amount_minor": -147, "net_minor": -147, "fee_minor": 0}
    with unit_of_work() as session:
        session.execute(sa.insert(SettlementLine), [{**values, "payment_ref": None, "posted_at": None}])
    before = house.balances()
    look_at_unposted_lines(utcnow())
    browser, page = at_desk("anna"), f"/staff/exceptions/{number('unexplained_settlement')}"
    browser.get(page)
    assert browser.post(f"{page}/fee", {"fund": "specialists", "reason": "monthly fee"}).status_code == 303
    after = house.balances()
    # 1.47 EUR at 25.00 BYN for 7.35 EUR
    assert after["fund:specialists:fee"] == before["fund:specialists:fee"] + 500
    assert "suspense:EUR" not in after
    assert row("unexplained_settlement").resolution == "monthly fee"


def test_a_dead_event_is_tried_again_from_the_queue(house: House, at_desk: Callable[..., Browser]) -> None:
    donation = house.give()
    house.pay(donation)
    tell(house, "checkout.session.completed")
    with unit_of_work() as session:
        event = session.scalars(sa.select(InboxEvent)).first()
        event.processed_at, event.dead_at, event.last_error = None, utcnow(), "x"
        open_exception("dead_event", "event", event.event_id, now=utcnow())
    browser, page = at_desk("anna"), f"/staff/exceptions/{number('dead_event')}"
    browser.get(page)
    assert browser.post(f"{page}/retry").status_code == 303
    assert row("dead_event").resolved_at is not None
    assert house.count(InboxEvent, InboxEvent.processed_at.is_(None)) == 0


# Self-check


def spoil(house: House) -> None:
    """A code of a gift is gone."""
    house.given(5000)
    with unit_of_work() as session:
        session.execute(sa.delete(RedemptionCode).where(RedemptionCode.ordinal == 1))


def test_a_check_that_begins_to_fail_is_told_once_to_finance_and_shown(
    house: House, at_desk: Callable[..., Browser]
) -> None:
    browser = at_desk("anna")
    make_member("root@example.org", "admin")
    make_member("counter@example.org", "office")
    spoil(house)
    for day in (0, 1):
        runs.ask_by_calendar(NIGHT + timedelta(days=day))
        runs.ask_by_calendar(NIGHT + timedelta(days=day, hours=1))
        assert runs.run_due(NIGHT + timedelta(days=day, hours=2)) == 2
    assert house.count(FinanceRun) == 4
    assert house.count(RunAlert) == 2
    assert house.count(OutboxMessage, OutboxMessage.template == "check_failed") == 2
    deliver_due()
    sent = sa.select(OutboxMessage.outcome).where(OutboxMessage.template == "check_failed")
    assert set(db.session.scalars(sent)) == {"sent"}
    assert row("check_failed").source_id == "codes_match_payments"
    assert "1 check of the books fails" in browser.get("/staff").text
    assert "campaign_check_failures 1.0" in house.client.get("/metrics").text


def test_the_button_asks_a_worker_and_one_run_is_enough(house: House, at_desk: Callable[..., Browser]) -> None:
    browser = at_desk("anna")
    browser.get("/staff/exceptions")
    for _time in range(2):
        assert browser.post("/staff/exceptions/run", {"kind": "check"}).status_code == 303
    house.work()
    run = db.session.scalars(sa.select(FinanceRun)).one()
    assert (run.asked_by, run.failures) == ("anna@example.org", 0)
    assert [each["name"] for each in run.results] == [check.__name__ for check in CHECKS]


def test_a_run_whose_worker_was_killed_is_taken_by_the_next(house: House) -> None:
    with unit_of_work():
        run_id = runs.begin("check", "anna", NIGHT).id
    assert runs.run_due(NIGHT + timedelta(seconds=59)) == 0
    assert runs.run_due(NIGHT + runs.LEASE) == 1
    db.session.expire_all()
    assert db.session.get_one(FinanceRun, run_id).finished_at is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_fails_loudly_and_names_each_check(app: Flask, house: House) -> None:
    runner = app.test_cli_runner()
    good = runner.invoke(args=["finance", "check"])
    assert (good.exit_code, good.output.count("ok ")) == (0, len(CHECKS))
    spoil(house)
    bad = runner.invoke(args=["finance", "check"])
    assert bad.exit_code == 1
    assert "FAILS      1  codes_match_payments" in bad.output
    assert runner.invoke(args=["finance", "fetch"]).output.startswith("stripe: 1 lines")


def failing() -> set[str]:
    db.session.rollback()
    return {result.name for result in run_checks(utcnow()) if result.failures}


def test_a_gift_whose_code_nobody_earned_is_found(house: House) -> None:
    donation = house.given(5000)
    assert failing() == set()
    with unit_of_work() as session:
        session.execute(sa.update(Payment).values(state="failed", succeeded_at=None))
    assert {"codes_match_payments", "facts_have_entries"} <= failing()
    assert house.row(donation)


# What is explained, what stands in suspense, what is overspent


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_was_explained_is_opened_again_from_its_page(at_desk: Callable[..., Browser]) -> None:
    page = f"/staff/exceptions/{put('bank_line_unknown')}"
    browser = at_desk("anna")
    browser.get(page)
    assert browser.post(f"{page}/explain", {"reason": "interest"}).status_code == 303
    assert "Open it again" in browser.get(page).text
    browser.post(f"{page}/reopen", {"reason": "it is not"})
    assert row("bank_line_unknown").resolved_at is None
    assert "Open it again" not in browser.get(page).text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sums_are_not_made_anew_while_entries_are_wrong(at_desk: Callable[..., Browser]) -> None:
    page = f"/staff/exceptions/{put('summary_differs')}"
    browser = at_desk("anna")
    assert "rebuild-summaries" in browser.get(page).text
    put("wrong_amount")
    text = browser.get(page).text
    assert "1 finding says that entries are wrong" in text
    assert "rebuild-summaries" not in text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_suspense_has_a_page_thing_by_thing(house: House, at_desk: Callable[..., Browser]) -> None:
    browser = at_desk("anna")
    assert "Nothing stands in suspense." in browser.get("/staff/suspense").text
    house.stranger_pays()
    house.deliver()
    house.work()
    text = browser.get("/staff/suspense").text
    assert f'href="/staff/exceptions/{number("unknown_payment")}"' in text
    assert "What stands in suspense" in browser.get("/staff/exceptions").text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_overspent_fund_is_told_in_words_on_the_first_page(app: Flask, at_desk: Callable[..., Browser]) -> None:
    with unit_of_work() as session:
        fund = session.scalars(sa.select(Fund)).first()
        assert fund is not None
        lines = transfer(accounts.of_fund(fund, "refund"), accounts.conversion(fund.currency), Money(10_000, "BYN"))
        post_entry(Source("refund", "r", "refund"), lines, occurred_at=utcnow(), recorded_at=utcnow())
    text = at_desk("anna").get("/staff").text
    assert "too much was spent" in text
    assert "can be spent now" not in text
