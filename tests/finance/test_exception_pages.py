"""How a matter is told: since its money moved, in words and money, with what the provider calls it; and its acts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from core.money import Money
from donations.models import Payment
from finance import runs
from finance.checks import Result, show_results
from finance.exception_kinds import AGAIN, CHECK, KINDS
from finance.findings import Finding, show
from finance.models import SettlementLine
from finance.run_models import FinanceRun, SettlementMark
from ledger.models import LedgerException
from tests.house import House
from tests.staff.console import Browser

Desk = Callable[..., Browser]
OLD = timedelta(days=40)


def find(*findings: Finding) -> int:
    """Put them into the queue as a comparison of now; the number of the last."""
    with unit_of_work():
        show(findings, utcnow())
    return db.session.scalars(sa.select(LedgerException.id).order_by(LedgerException.id.desc())).first() or 0


def reread() -> None:
    db.session.rollback()
    db.session.expire_all()


@dataclass(frozen=True)
class Gift:
    public_id: str
    payment_ref: str | None
    amount: Money


@pytest.fixture
def old_gift(house: House) -> Gift:
    """A gift of forty days ago, settled that day; the provider was read until now."""
    house.given(2500)
    now = utcnow()
    with unit_of_work() as session:
        session.execute(sa.update(Payment).values(succeeded_at=now - OLD))
        session.execute(sa.update(SettlementLine).values(created_at=now - OLD))
        session.execute(sa.delete(SettlementMark))
        session.add(SettlementMark(provider="stripe", through=now))
    payment = db.session.scalars(sa.select(Payment)).one()
    return Gift(payment.public_id, payment.payment_ref, payment.amount)


def test_a_matter_is_as_old_as_its_money_and_was_found_today(old_gift: Gift, at_desk: Desk) -> None:
    number = find(Finding("missing_settlement", "payment", old_gift.public_id, old_gift.amount))
    browser = at_desk("anna")
    for page in ("/staff/exceptions?older=30", f"/staff/exceptions/{number}"):
        assert "40 days" in browser.get(page).text, page
    assert "<dt>Found</dt>" in browser.get(f"/staff/exceptions/{number}").text
    reread()
    row = db.session.get_one(LedgerException, number)
    assert utcnow() - row.opened_at < timedelta(minutes=5)
    cells = dict(zip(*(line.split(",") for line in csv_lines(browser)), strict=True))
    assert (cells["since"][:10], cells["opened_at"][:10]) == (str(row.since.date()), str(row.opened_at.date()))


def csv_lines(browser: Browser) -> list[str]:
    return browser.get("/staff/exceptions.csv").get_data(as_text=True).lstrip("\ufeff").strip().splitlines()


def test_what_moved_long_ago_and_is_known_by_its_own_finding_stands_first(house: House) -> None:
    now = utcnow()
    find(
        Finding("payout_short", "payout", "stripe:po_1", since=now - timedelta(days=2)),
        Finding("bank_line_unknown", "thing", "x", since=now - timedelta(days=9)),
        Finding("balance_differs", "account", "provider:stripe:EUR"),
    )
    reread()
    ordered = db.session.scalars(sa.select(LedgerException.kind).order_by(LedgerException.since))
    assert list(ordered) == ["bank_line_unknown", "payout_short", "balance_differs"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_details_are_told_in_words_and_money_with_the_providers_references(
    old_gift: Gift, house: House, at_desk: Desk
) -> None:
    ref = db.session.scalars(sa.select(SettlementLine.ref)).one()
    facts: dict[str, Any] = {"booked": 831, "expected": 836, "day": "2026-10-30", "statements": None, "new_thing": 7}
    entry = {"entry": f"settlement {ref} charge", "examples": ["one", "two"]}
    browser = at_desk("anna")
    number = find(Finding("wrong_amount", "settlement", ref, Money(-5, "EUR"), None, {**facts, **entry}))
    text = unescape(browser.get(f"/staff/exceptions/{number}").text)
    for label, said in (
        ("Booked", "€8.31"),
        ("It should be", "€8.36"),
        ("Day", "October 30, 2026"),
        ("Statements are here up to", "none yet"),
        ("new_thing", "7"),
        ("Entry", f"Settlement of the payment: {ref}"),
        ("For example", "one; two"),
        ("Payment at the provider", f"<code>{old_gift.payment_ref}</code>"),
    ):
        assert f'<dt>{label}</dt><dd class="break">{said}</dd>' in text
    assert f"Line of the provider: <code>{ref}</code>" in text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", ["payment", "refund", "dispute", "entry", "payout", "settlement", "unheard_of"])
def test_what_has_no_row_any_more_is_shown_all_the_same(house: House, at_desk: Desk, what: str) -> None:
    gone = "00000000-0000-4000-8000-000000000000"
    number = find(Finding("doubled_row", what, gone, details={"currency": "EUR", "net": 5, "odd": {"a": [1]}}))
    text = at_desk("anna").get(f"/staff/exceptions/{number}").text
    assert gone in text
    assert "a: 1" in text


# Acts that can resolve what they stand on


def test_a_failing_check_is_checked_again(house: House, at_desk: Desk) -> None:
    with unit_of_work():
        show_results([Result("codes_match_payments", 1, ("x",))], utcnow())
    browser = at_desk("anna")
    [number] = db.session.scalars(sa.select(LedgerException.id))
    page = f"/staff/exceptions/{number}"
    text = browser.get(page).text
    assert ("Check again</button>" in text, "Fetch" in text) == (True, False)
    assert "Codes for stickers match payments" in text
    assert browser.post(f"{page}/again").status_code == 303
    house.work()
    reread()
    assert db.session.get_one(LedgerException, number).resolved_at is not None
    assert db.session.scalars(sa.select(FinanceRun.kind)).all() == ["check"]


def test_an_old_line_that_is_gone_here_is_fetched_again_from_its_day(
    old_gift: Gift, house: House, at_desk: Desk
) -> None:
    line = db.session.scalars(sa.select(SettlementLine)).one()
    store = house.sandbox.account.store
    ref = line.ref
    kept = store.get(ref)
    assert kept is not None
    with store.write():
        store.save({**kept, "created": int(line.created_at.timestamp())})
    with unit_of_work() as session:
        session.execute(sa.delete(SettlementLine))
    browser = at_desk("anna")
    number = find(Finding("missing_settlement", "payment", old_gift.public_id, old_gift.amount))
    page = f"/staff/exceptions/{number}"
    assert "Fetch again from " in browser.get(page).text
    day = (utcnow() - OLD - timedelta(days=1)).date()
    assert browser.post(f"{page}/again", {"since": day.isoformat()}).status_code == 303
    assert "It is being done." in browser.get(page).text
    house.work()
    reread()
    assert db.session.scalars(sa.select(SettlementLine.ref)).one() == ref
    assert db.session.get_one(LedgerException, number).resolved_at is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_balance_is_fetched_again_from_any_day_that_has_been(house: House, at_desk: Desk) -> None:
    browser = at_desk("anna")
    page = f"/staff/exceptions/{find(Finding('balance_differs', 'account', 'provider:stripe:EUR', Money(5, 'EUR')))}"
    assert 'type="date"' in browser.get(page).text
    for wrong in ("2126-01-01", "1026-01-01", "yesterday"):
        assert browser.post(f"{page}/again", {"since": wrong}).status_code == 422, wrong
    assert browser.post(f"{page}/again", {"since": "2025-12-01"}).status_code == 303
    reread()
    run = db.session.scalars(sa.select(FinanceRun)).one()
    assert run.read_from is not None
    assert run.read_from.isoformat() == "2025-11-30T21:00:00+00:00"


def test_one_waiting_run_reads_from_the_earliest_day_that_is_asked_for(house: House) -> None:
    now = utcnow()
    for days in (5, 50, None, 20):
        with unit_of_work():
            runs.ask("reconcile", "anna", now, now - timedelta(days=days) if days else None)
    db.session.rollback()
    assert db.session.scalars(sa.select(FinanceRun.read_from)).one() == now - timedelta(days=50)


def test_only_what_a_comparison_closes_offers_one() -> None:
    offered = {name for name, kind in KINDS.items() if AGAIN in kind.acts}
    assert not offered & {"refund_mismatch", "dispute_mismatch", "check_failed", "summary_differs"}
    assert {name for name, kind in KINDS.items() if CHECK in kind.acts} == {"check_failed", "summary_differs"}
    assert "doubled_row" in offered


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_card_stands_first_when_something_is_open(house: House, at_desk: Desk) -> None:
    browser = at_desk("anna")
    assert "Does it agree?</h2>" not in browser.get("/staff").text
    find(Finding("payout_short", "payout", "stripe:po_1"))
    titles = browser.get("/staff").text.partition('<div class="cards">')[2]
    assert titles.index("<h2>") == titles.index("<h2>Does it agree?</h2>")
