"""A month at the provider and the bank agrees with the books to the cent; whatever is wrong is found and named."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from donations.models import Payment
from donations.state import apply_refund_fact
from finance import exceptions
from finance.bank import services as bank
from finance.checks import run_checks
from finance.fetching import fetch
from finance.models import PayoutRecord, PayoutState, SettlementLine
from finance.run_models import SettlementMark
from ledger import accounts
from ledger.models import Fund
from ledger.services import Source, post_entry, transfer
from payments.base import ProviderDown, RefundFact, RefundState
from payments.registry import get_provider
from tests.finance.books import BY, person
from tests.finance.month import MAPPING, March, lived


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived_through(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[March]:
    directory = tmp_path_factory.mktemp("month")
    with lived(request.param, sqlite_template, directory, os.environ["TEST_DATABASE_URL"]) as march:
        yield march


@pytest.fixture
def march(lived_through: March) -> March:
    lived_through.restore()
    return lived_through


def test_a_month_reconciles_to_nothing_open(march: March) -> None:
    march.bring(march.lines)
    done = march.reconcile()
    assert (done.problems, done.found) == ([], {})
    assert done.fetched.lines > 90
    found = march.house.balances()
    assert found.get("transit:stripe:EUR", 0) == 0
    assert found["bank:EUR"] == sum(cents for _day, cents, _text in march.lines)
    assert {result.name: result.failures for result in run_checks(march.now) if result.failures} == {}


# Faults, each planted into the month that agrees


def missing_event(march: March) -> None:
    march.on(30, month=3)
    march.give("never told", 4000)
    march.on(8, month=4)


def doubled_line(march: March) -> None:
    line = _line("charge")
    values = {column.name: getattr(line, column.name) for column in SettlementLine.__table__.columns}
    with unit_of_work() as session:
        session.execute(sa.insert(SettlementLine), [{**values, "id": 100_000, "ref": "txn_again"}])


def doubled_entry(march: March) -> None:
    with unit_of_work() as session:
        fund = session.scalars(sa.select(Fund)).one()
        gift = transfer(accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift"), Money(700, "BYN"))
        source = Source("payment", "00000000-0000-4000-8000-000000000000", "gift")
        post_entry(source, gift, occurred_at=march.now, recorded_at=march.now)


def wrong_amount_of_a_gift(march: March) -> None:
    _set(Payment, Payment.state == "succeeded", amount_minor=Payment.amount_minor + 100)


def wrong_net_of_a_line(march: March) -> None:
    _set(SettlementLine, SettlementLine.kind == "charge", net_minor=SettlementLine.net_minor + 5)


def edited_rate(march: March) -> None:
    _set(SettlementLine, SettlementLine.kind == "charge", exchange_rate="0.5")


def fee_changed(march: March) -> None:
    line = _line("charge")
    march.edit(line.ref, fee=line.fee_minor + 7, net=line.net_minor - 7)


def payout_short(march: March) -> None:
    payout = db.session.scalars(sa.select(PayoutRecord).where(PayoutRecord.state == "paid")).first()
    db.session.rollback()
    assert payout is not None
    march.edit(payout.ref, amount=payout.amount_minor - 50)


def refund_not_at_provider(march: March) -> None:
    payment = db.session.scalars(sa.select(Payment).where(Payment.state == "succeeded").order_by(Payment.id)).first()
    assert payment is not None
    early = march.now - timedelta(days=6)
    amount = Money(100, "BYN")
    fact = RefundFact("re_nobody", str(payment.payment_ref), RefundState.SUCCEEDED, amount, early)
    with unit_of_work():
        apply_refund_fact("stripe", fact, march.now)


def unknown_charge(march: March) -> None:
    march.money_that_belongs_to_nobody()
    march.on(8, month=4)


def edited_balance(march: March) -> None:
    """A line of long ago that nobody has told us, at the provider."""
    line = _line("charge")
    store = march.sandbox.account.store
    found = store.get(line.ref)
    assert found is not None
    early = int(datetime(2025, 12, 1, tzinfo=UTC).timestamp())
    with store.write():
        store.insert({**found, "id": "txn_of_long_ago", "created": early, "available_on": early})


def _line(kind: str) -> SettlementLine:
    query = sa.select(SettlementLine).where(SettlementLine.kind == kind).order_by(SettlementLine.id)
    line = db.session.scalars(query).first()
    db.session.rollback()
    assert line is not None
    return line


def _set(model: Any, where: Any, **values: Any) -> None:
    """Edit the first such row behind the service's back."""
    with unit_of_work() as session:
        first = session.scalar(sa.select(sa.func.min(model.id)).where(where))
        session.execute(sa.update(model).where(model.id == first).values(**values))


FAULTS: list[tuple[Callable[[March], None], set[str]]] = [
    (missing_event, {"missing_event"}),
    (doubled_line, {"doubled_row", "line_not_at_provider", "missing_entry", "payout_short"}),
    (doubled_entry, {"doubled_row"}),
    (wrong_amount_of_a_gift, {"wrong_amount"}),
    (wrong_net_of_a_line, {"wrong_amount", "fee_changed", "payout_short"}),
    (edited_rate, {"wrong_amount"}),
    (fee_changed, {"fee_changed", "balance_differs"}),
    (payout_short, {"payout_short"}),
    (refund_not_at_provider, {"refund_not_at_provider"}),
    (unknown_charge, {"unknown_payment"}),
    (edited_balance, {"balance_differs"}),
]


@pytest.mark.parametrize(("plant", "kinds"), FAULTS, ids=[plant.__name__ for plant, _kinds in FAULTS])
def test_a_planted_fault_is_found_and_named(march: March, plant: Callable[[March], None], kinds: set[str]) -> None:
    march.bring(march.lines)
    plant(march)
    march.reconcile()
    assert march.found() == kinds


def test_a_bank_line_that_is_missing_is_told_as_the_payout_that_did_not_arrive(march: March) -> None:
    march.bring([*march.lines[1:]], opening=march.lines[0][1])
    march.reconcile()
    assert march.found() == {"payout_unmatched", "bank_balance_differs"}
    march.bring([march.lines[0]], "the rest.csv")
    march.reconcile()
    assert march.found() == set()


def test_a_bank_line_that_stands_there_twice_is_never_booked_twice(march: March) -> None:
    march.bring([*march.lines, march.lines[0]])
    march.reconcile()
    assert march.found() == {"bank_line_doubled", "payout_unmatched"}
    assert march.house.balances()["transit:stripe:EUR"] == march.lines[0][1]


def test_a_payout_that_arrives_short_waits_for_a_person(march: March) -> None:
    day, cents, text = march.lines[0]
    march.bring([(day, cents - 100, text), *march.lines[1:]])
    march.reconcile()
    assert march.found() == {"bank_line_unknown", "payout_unmatched"}


def test_spending_that_the_bank_does_not_show_is_missed_once_its_statement_is_here(march: March) -> None:
    march.bring([*march.lines[:-1]])
    march.reconcile()
    assert march.found() == set()
    had = sum(cents for _day, cents, _text in march.lines[:-1])
    march.on(20, month=4)
    march.bring([(march.now.date(), 500, "Interest")], "april.csv", had)
    march.reconcile()
    assert march.found() == {"spending_not_at_bank", "bank_line_unknown"}


def test_a_statement_that_is_missing_is_told_with_its_days_and_what_is_unexplained(march: March) -> None:
    march.bring(march.lines)
    had = sum(cents for _day, cents, _text in march.lines)
    march.on(20, month=4)
    march.bring([(march.now.date(), 500, "Interest")], "april.csv", had + 46_413)
    march.reconcile()
    told = {row.kind: (row.amount_minor, row.currency) for row in march.open()}
    line = ("bank_line_unknown", (500, "EUR"))
    assert told == dict([("statement_gap", (46_413, "EUR")), ("bank_balance_differs", (46_413, "EUR")), line])
    [gap] = [row for row in march.open() if row.kind == "statement_gap"]
    assert (gap.details["from"], gap.details["to"]) == ("2026-03-31", "2026-04-19")
    with unit_of_work():
        for row in march.open():
            if row.kind == "bank_line_unknown":
                exceptions.explain(exceptions.find(row.id), "interest", person("anna"), march.now)
    march.reconcile()
    assert march.found() == {"statement_gap", "bank_balance_differs"}, "explaining a line hides no difference"
    march.bring([(datetime(2026, 4, 9, tzinfo=UTC).date(), 46_413, "Found")], "between.csv", had)
    march.reconcile()
    assert march.found() == {"bank_line_unknown"}


def test_an_entry_of_the_bank_that_nothing_explains_is_a_difference(march: March) -> None:
    march.bring(march.lines)
    with unit_of_work():
        lines = transfer(accounts.bank("EUR"), accounts.suspense("EUR"), Money(77, "EUR"))
        post_entry(Source("bank_match", "nobody", "payout"), lines, occurred_at=march.now, recorded_at=march.now)
    march.reconcile()
    [row] = march.open()
    assert (row.kind, row.source_id, row.amount_minor) == ("bank_balance_differs", "EUR", -77)


def test_two_accounts_of_one_currency_are_each_compared_with_their_own_lines(march: March) -> None:
    march.bring(march.lines)
    with unit_of_work():
        bank.make_account("EUR-2", "Savings", "EUR", MAPPING, now=march.now, **BY)
        text = "Opening,10.00,\nDate,Amount,Text\nClosing,10.00,\n"
        bank.import_statement(bank.account_by_code("EUR-2"), text.encode(), "2.csv", now=march.now, **BY)
    march.reconcile()
    [row] = march.open()
    assert (row.kind, row.source_id, row.amount_minor) == ("bank_balance_differs", "EUR-2", 1000)


# Fetching


class Dying:
    """The provider, until it stops answering after so many lists."""

    def __init__(self, provider: Any, lists: int) -> None:
        self._provider, self._left = provider, lists

    def list_settlements(self, **options: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ProviderDown
        return self._provider.list_settlements(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


def forget_lines() -> None:
    """As if no settlement had ever been told: no line, no payout, none of their entries."""
    with unit_of_work() as session:
        session.execute(sa.delete(PayoutState))
        session.execute(sa.delete(PayoutRecord))
        session.execute(sa.delete(SettlementLine))


def test_a_fetch_that_is_killed_goes_on_where_it_was(march: March) -> None:
    provider = get_provider("stripe")
    whole = march.house.balances()
    forget_lines()
    with pytest.raises(ProviderDown):
        fetch(Dying(provider, 10), march.now)
    through = db.session.scalars(sa.select(SettlementMark.through)).one()
    some = march.house.count(SettlementLine)
    assert some > 0
    done = fetch(provider, march.now)
    assert march.house.count(SettlementLine) == done.new + some
    assert db.session.scalars(sa.select(SettlementMark.through)).one() == march.now > through
    assert march.house.count(PayoutRecord) == 4
    assert march.house.balances() == whole


def test_lines_are_asked_for_in_bulk_and_once_more_is_no_change(march: March) -> None:
    fetch(get_provider("stripe"), march.now)
    lines, asked = march.house.count(SettlementLine), len(march.sandbox.requests())
    again = fetch(get_provider("stripe"), march.now)
    assert (again.new, march.house.count(SettlementLine)) == (0, lines)
    assert len(march.sandbox.requests()) - asked <= 10


def test_a_provider_that_does_not_answer_hides_nothing_and_is_told(march: March) -> None:
    edited_balance(march)
    march.reconcile()
    assert "balance_differs" in march.found()
    march.sandbox.drills.fault("error", path="/v1/balance")
    try:
        done = march.reconcile()
    finally:
        march.sandbox.drills.clear_faults()
    assert done.problems == ["stripe: provider_unavailable"]
    assert "balance_differs" in march.found()


def test_money_that_belongs_to_nobody_is_settled_and_moves_to_its_gift_when_that_is_known(march: March) -> None:
    march.bring(march.lines)
    march.on(30, month=3)
    march.give("told late", 4000)
    march.on(8, month=4)
    march.reconcile()
    [row] = march.open()
    with unit_of_work():
        exceptions.put_aside(exceptions.find(row.id), "asked the provider", person("anna"), march.now)
    march.reconcile()
    assert march.found() == set()
    before = march.house.balances()
    assert before["suspense:EUR"] < 0
    march.tell()
    march.house.work()
    march.reconcile()
    assert march.found() == set()
    after = march.house.balances()
    assert "suspense:EUR" not in after
    assert after["fund:specialists:gift"] == before["fund:specialists:gift"] - 4000
    assert after["provider:stripe:EUR"] == before["provider:stripe:EUR"]
