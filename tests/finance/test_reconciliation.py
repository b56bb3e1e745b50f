"""A month at the provider and the bank agrees with the books to the cent; whatever is wrong is found and named."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from donations.models import Campaign, Donation, Payment
from finance import errors, exceptions
from finance.bank import services as bank
from finance.checks import run_checks
from finance.corrections import act_of, correct
from finance.exceptions import explain, put_aside
from finance.fetching import fetch
from finance.findings import show
from finance.matching_facts import entry_findings
from finance.matching_provider import provider_findings
from finance.models import PayoutRecord, PayoutState, SettlementChange, SettlementLine
from finance.run_models import SettlementMark
from ledger import accounts
from ledger.models import Fund, JournalEntry, LedgerException
from ledger.periods import Month
from ledger.queries import fund_totals_and_parts
from ledger.services import Source, post_entry, transfer
from payments.base import ProviderDown
from payments.registry import get_provider
from staff.access import Actor
from staff.models import AuditEntry
from tests.finance import faults
from tests.finance.books import BY, close, person
from tests.finance.faults import line_of
from tests.finance.month import MAPPING, March, lived

Act = Callable[[LedgerException, str, Actor, datetime], object]
Plant = Callable[[March], None]


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


FOUND: list[tuple[Plant, set[str]]] = [
    (faults.missing_event, {"missing_event"}),
    (faults.doubled_line, {"doubled_row", "line_not_at_provider", "missing_entry", "payout_short"}),
    (faults.doubled_entry, {"doubled_row"}),
    (faults.wrong_amount_of_a_gift, {"wrong_amount"}),
    (faults.wrong_net_of_a_line, {"wrong_amount", "fee_changed", "payout_short"}),
    (faults.edited_rate, {"wrong_amount", "line_differs"}),
    (faults.fee_changed, {"fee_changed", "balance_differs"}),
    (faults.payout_short, {"payout_short"}),
    (faults.refund_not_at_provider, {"refund_not_at_provider"}),
    (faults.unknown_charge, {"unknown_payment"}),
    (faults.edited_balance, {"balance_differs"}),
]


@pytest.mark.parametrize(("plant", "kinds"), FOUND, ids=[plant.__name__ for plant, _kinds in FOUND])
def test_a_planted_fault_is_found_and_named(march: March, plant: Plant, kinds: set[str]) -> None:
    march.bring(march.lines)
    plant(march)
    march.reconcile()
    assert march.found() == kinds


# Faults planted together, and which of what is found is resolved by which act; the others go with them.
RESOLVED: dict[str, tuple[list[Plant], dict[str, Act], set[str]]] = {
    "entries": (
        [
            faults.doubled_entry,
            faults.refund_booked_twice,
            faults.line_booked_twice,
            faults.gift_booked_wrong,
            faults.unbooked_gift,
            faults.unbooked_line,
        ],
        {"doubled_row": correct, "wrong_amount": correct, "missing_entry": correct},
        {"balance_differs"},
    ),
    "lines": (
        [faults.doubled_line, faults.edited_rate, faults.fee_changed, faults.missing_event, faults.payout_short],
        {"line_not_at_provider": correct, "line_differs": correct, "fee_changed": correct, "missing_event": put_aside},
        {"doubled_row", "missing_entry", "wrong_amount", "balance_differs", "payout_short"},
    ),
    "records": (
        [faults.wrong_amount_of_a_gift, faults.wrong_net_of_a_line, faults.refund_not_at_provider],
        {"wrong_amount": correct, "fee_changed": correct, "refund_not_at_provider": explain},
        {"payout_short"},
    ),
}


@pytest.mark.parametrize("group", RESOLVED)
def test_planted_faults_are_resolved_by_their_acts_and_nothing_stays_open(march: March, group: str) -> None:
    plants, acts, with_them = RESOLVED[group]
    march.bring(march.lines)
    for plant in plants:
        plant(march)
    march.reconcile()
    assert march.found() == {*acts, *with_them}
    resolve(march, acts)
    march.reconcile()
    if faults.payout_short in plants:  # what only the provider can put right is explained
        assert march.found() == {"payout_short"}
        resolve(march, {"payout_short": explain})
    assert march.found() == set()
    assert [result.name for result in run_checks(march.now) if result.failures] == []


def resolve(march: March, acts: dict[str, Act]) -> None:
    """Do to each open matter what its kind asks for; twice is once."""
    anna = person("anna")
    for number, kind in [(row.id, row.kind) for row in march.open()]:
        if kind not in acts or (acts[kind] is correct and act_of(exceptions.find(number)) is None):
            continue
        db.session.rollback()
        with unit_of_work():
            acts[kind](exceptions.find(number), "looked at the provider", anna, march.now)
        before = march.house.balances()
        with pytest.raises(errors.Resolved), unit_of_work():
            acts[kind](exceptions.find(number), "once more", anna, march.now)
        assert march.house.balances() == before


def look(march: March) -> None:
    """Fetch the last days and compare with the provider: less than all of it."""
    fetch(get_provider("stripe"), march.now, datetime(2026, 3, 30, tzinfo=UTC))
    of_entries = entry_findings(march.now)
    with unit_of_work():
        found = [*of_entries, *provider_findings(march.now)]
        show(found, march.now, ("missing_entry", "wrong_amount", "doubled_row"))
    db.session.remove()


def test_a_correction_leaves_what_was_there_and_says_who_and_why(march: March) -> None:
    faults.gift_booked_wrong(march)
    look(march)
    resolve(march, {"wrong_amount": correct})
    db.session.rollback()
    payment = db.session.scalars(sa.select(Payment).order_by(Payment.id.desc())).first()
    assert payment is not None
    query = sa.select(JournalEntry).where(JournalEntry.source_id == payment.public_id)
    entries = {entry.kind: entry for entry in db.session.scalars(query)}
    assert set(entries) == {"gift", "gift_taken_back", "gift_corrected"}
    assert entries["gift_taken_back"].reverses_id == entries["gift"].id
    assert entries["gift_corrected"].donation_id == payment.donation_id
    fund = db.session.scalars(sa.select(Fund)).one()
    gifts = db.session.scalar(sa.select(sa.func.count()).select_from(Donation).where(Donation.paid_at.is_not(None)))
    assert sum(part.gifts for part in fund_totals_and_parts(fund)[1].values()) == gifts
    noted = db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "books.rebook")).one()
    assert noted.actor == "anna@example.org"
    assert noted.before == {"receivable:stripe:specialists": 3900, "fund:specialists:gift": -3900}
    assert noted.after["reason"] == "looked at the provider"
    assert noted.after["fund:specialists:gift"] == -4000


def test_a_fee_that_changes_again_is_found_again_and_a_closed_month_is_corrected_in_the_open_one(march: March) -> None:
    faults.fee_changed(march)
    look(march)
    resolve(march, {"fee_changed": correct})
    ref = line_of("charge", newest=True).ref
    db.session.remove()
    close(Month(2026, 3), march.now)
    line = line_of("charge", newest=True)
    fee = line.fee_minor
    march.edit(ref, fee=fee + 5, net=line.net_minor - 5)
    look(march)
    assert march.found() == {"fee_changed"}
    resolve(march, {"fee_changed": correct})
    look(march)
    assert march.found() == set()
    query = sa.select(JournalEntry).where(JournalEntry.source_id == ref).order_by(JournalEntry.recorded_at)
    late = {entry.kind: entry.late_for for entry in db.session.scalars(query)}
    assert late == {
        "charge": None,
        "charge_taken_back": None,
        "charge_corrected": None,
        "charge_taken_back_2": "2026-03",
        "charge_corrected_2": "2026-03",
    }
    assert [result.name for result in run_checks(march.now) if result.failures] == []
    said = db.session.scalars(sa.select(SettlementChange.fee_minor).order_by(SettlementChange.id)).all()
    assert said == [fee - 7, fee]


def test_two_people_at_once_correct_once(march: March) -> None:
    faults.fee_changed(march)
    look(march)
    [number] = [row.id for row in march.open() if row.kind == "fee_changed"]
    people = [person("anna"), person("boris")]
    db.session.remove()
    app, answers = march.house.app, []

    def press(actor: Actor) -> None:
        with app.app_context():
            try:
                with unit_of_work():
                    correct(exceptions.find(number), "looked", actor, march.now)
                answers.append("done")
            except errors.Resolved:
                answers.append("resolved")
            finally:
                db.session.remove()

    threads = [threading.Thread(target=press, args=(actor,)) for actor in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["done", "resolved"]
    kinds = sa.select(JournalEntry.kind).where(JournalEntry.source_id == line_of("charge", newest=True).ref)
    assert sorted(db.session.scalars(kinds)) == ["charge", "charge_corrected", "charge_taken_back"]


def test_whoever_bore_the_fee_of_a_line_bears_it_after_its_correction(march: March) -> None:
    faults.fee_changed(march)
    look(march)
    before = march.house.balances()
    with unit_of_work() as session:
        session.execute(sa.update(Campaign).values(fees_borne_by="sponsor"))
    resolve(march, {"fee_changed": correct})
    after = march.house.balances()
    assert "sponsor:specialists" not in after
    assert after["fund:specialists:fee"] > before["fund:specialists:fee"]
    assert after["provider:stripe:EUR"] == before["provider:stripe:EUR"] - 7


def test_a_line_that_the_provider_does_not_list_is_never_booked_and_comes_back_when_it_does(march: March) -> None:
    faults.doubled_line(march)
    march.reconcile()
    with pytest.raises(errors.LineNotListed), unit_of_work():
        row = next(row for row in march.open() if row.kind == "missing_entry")
        correct(exceptions.find(row.id), "it is missing", person("anna"), march.now)
    db.session.remove()
    resolve(march, {"line_not_at_provider": correct})
    line = db.session.scalars(sa.select(SettlementLine).where(SettlementLine.ref == "txn_again")).one()
    assert (line.kind, line.net_minor, line.payment_ref, line.payout_ref) == ("void", 0, None, None)


def test_a_record_that_neither_the_entry_nor_the_provider_bears_out_is_left_to_a_person(march: March) -> None:
    faults.gift_booked_wrong(march)
    newest = Payment.id == sa.select(sa.func.max(Payment.id)).scalar_subquery()
    with unit_of_work() as session:
        session.execute(sa.update(Payment).where(newest).values(amount_minor=5000))
    look(march)
    row = next(row for row in march.open() if row.source_type == "payment")
    with pytest.raises(errors.NotBornOut), unit_of_work():
        correct(exceptions.find(row.id), "booked wrong", person("anna"), march.now)
    db.session.remove()
    assert "wrong_amount" in march.found()


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
    found = {row.kind: (row.source_id, row.amount_minor) for row in march.open()}
    assert found["bank_balance_differs"] == ("EUR", -77)
    assert set(found) == {"bank_balance_differs", "doubled_row", "suspense_differs"}


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
    faults.edited_balance(march)
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
