"""Posting: balanced, each source once, corrected by reversal; and what the sums say."""

import itertools
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.db import db, unit_of_work
from core.money import Money
from ledger import accounts
from ledger.models import Account, Fund, JournalEntry, LedgerException, Posting
from ledger.queries import balance, balances, fund_totals
from ledger.services import Line, Source, UnbalancedEntry, open_exception, post_entry, reverse_entry, transfer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def gift(fund: Fund, minor: int, ref: str = "pay_1", *, when: datetime = NOW) -> bool:
    lines = transfer(accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift"), Money(minor, fund.currency))
    with unit_of_work():
        return post_entry(Source("payment", ref, "gift"), lines, occurred_at=when, recorded_at=when)


def reverse(ref: str = "pay_1", kind: str = "gift_reversed", *, when: datetime = NOW) -> bool:
    with unit_of_work():
        return reverse_entry(Source("payment", ref, "gift"), kind, occurred_at=when, recorded_at=when)


def rows(model: type[Any]) -> int:
    db.session.rollback()
    return int(db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0)


def test_an_entry_moves_money_from_one_account_to_another(fund: Fund) -> None:
    assert gift(fund, 2500)
    assert balances() == {"fund:specialists:gift": -2500, "receivable:stripe:specialists": 2500}
    assert balance("fund:specialists:gift") == -2500
    assert balance("no such account") == 0


def test_posting_a_source_twice_changes_nothing_even_with_other_amounts(fund: Fund) -> None:
    assert gift(fund, 2500)
    assert not gift(fund, 2500)
    assert not gift(fund, 9900)
    assert (rows(JournalEntry), rows(Posting)) == (1, 2)
    assert balance("fund:specialists:gift") == -2500


def test_a_negative_amount_goes_the_other_way_and_zero_goes_nowhere(fund: Fund) -> None:
    debit, credit = accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift")
    assert transfer(debit, credit, Money(-5, "BYN")) == transfer(credit, debit, Money(5, "BYN"))
    assert transfer(debit, credit, Money(0, "BYN")) == []


def test_an_unbalanced_entry_is_refused_and_leaves_nothing(fund: Fund, euro_fund: Fund) -> None:
    roubles, euros = accounts.of_fund(fund, "gift"), accounts.of_fund(euro_fund, "gift")
    bridge = accounts.conversion("BYN")
    wrong: list[list[Line]] = [
        [],
        [Line(roubles, 0, 100)],
        [Line(bridge, 100, 0), Line(roubles, 0, 99)],
        [Line(bridge, 100, 0), Line(euros, 0, 100)],  # zero in all, but not in each currency
    ]
    for lines in wrong:
        with pytest.raises(UnbalancedEntry), unit_of_work():
            post_entry(Source("payment", "pay_1", "gift"), lines, occurred_at=NOW, recorded_at=NOW)
    assert (rows(JournalEntry), rows(Posting), rows(Account)) == (0, 0, 0)


@pytest.mark.parametrize(("debit", "credit"), [(0, 0), (5, 5), (-5, 0), (0, -5), (5, -5)])
def test_a_line_is_one_debit_or_one_credit(debit: int, credit: int) -> None:
    with pytest.raises(UnbalancedEntry):
        Line(accounts.suspense("BYN"), debit, credit)


@pytest.mark.parametrize("amount", [1.0, 2.5, True, "5", None])
def test_a_line_takes_whole_numbers_only(amount: Any) -> None:
    with pytest.raises(TypeError):
        Line(accounts.suspense("BYN"), amount, 0)


def test_a_transfer_between_currencies_is_refused(fund: Fund, euro_fund: Fund) -> None:
    with pytest.raises(UnbalancedEntry):
        transfer(accounts.receivable("stripe", fund), accounts.of_fund(euro_fund, "gift"), Money(5, "BYN"))
    with pytest.raises(UnbalancedEntry):
        transfer(accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift"), Money(5, "EUR"))


def test_a_naive_moment_is_not_posted(fund: Fund) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive"):
        gift(fund, 2500, when=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
    assert rows(JournalEntry) == 0


def test_a_reversal_names_what_it_reverses_and_brings_every_account_back(fund: Fund) -> None:
    gift(fund, 2500)
    original = db.session.scalars(sa.select(JournalEntry)).one()
    assert reverse()
    entry = db.session.scalars(sa.select(JournalEntry).where(JournalEntry.kind == "gift_reversed")).one()
    assert entry.reverses_id == original.id
    assert set(balances().values()) == {0}


def test_a_reversal_happens_only_once_whatever_it_is_called(fund: Fund) -> None:
    gift(fund, 2500)
    assert reverse()
    assert not reverse()
    assert not reverse(kind="another_word")
    assert rows(JournalEntry) == 2
    assert set(balances().values()) == {0}


def test_what_was_never_posted_cannot_be_reversed(fund: Fund) -> None:
    assert not reverse()
    assert rows(JournalEntry) == 0


def test_fund_totals_are_sums_of_postings_and_look_back_in_time(fund: Fund, euro_fund: Fund) -> None:
    receivable = accounts.receivable("stripe", fund)
    days = [NOW + timedelta(days=day) for day in range(6)]
    steps = [
        (receivable, "gift", 10_000),
        (receivable, "refund", -2_000),
        (receivable, "dispute", -1_000),
        (receivable, "fee", -300),
        (accounts.conversion("BYN"), "fx", 7),
        (accounts.conversion("BYN"), "spent", -4_000),
    ]
    for day, (other, kind, minor) in zip(days, steps, strict=True):
        lines = transfer(other, accounts.of_fund(fund, kind), Money(minor, "BYN"))
        with unit_of_work():
            post_entry(Source("step", kind, kind), lines, occurred_at=day, recorded_at=day)

    now = fund_totals(fund)
    assert (now.raised, now.refunded, now.disputed, now.fees) == (10_000, 2_000, 1_000, 300)
    assert (now.fx, now.spent) == (7, 4_000)
    assert now.earmarked == 10_000 - 2_000 - 1_000 - 300 + 7
    assert now.unsettled == 10_000 - 2_000 - 1_000 - 300
    assert now.available == now.earmarked - now.unsettled - now.spent
    then = fund_totals(fund, as_of=days[1])
    assert (then.raised, then.refunded, then.disputed, then.spent) == (10_000, 2_000, 0, 0)
    before = fund_totals(fund, as_of=days[0] - timedelta(microseconds=1))
    assert (before.raised, before.earmarked, before.currency) == (0, 0, "BYN")
    assert fund_totals(euro_fund).raised == 0


def test_what_is_recorded_late_is_not_seen_as_of_an_earlier_moment(fund: Fund) -> None:
    lines = transfer(accounts.receivable("stripe", fund), accounts.of_fund(fund, "gift"), Money(500, "BYN"))
    with unit_of_work():
        late = NOW + timedelta(days=40)
        post_entry(Source("payment", "late", "gift"), lines, occurred_at=NOW, recorded_at=late)
    assert fund_totals(fund, as_of=NOW + timedelta(days=1)).raised == 0
    assert fund_totals(fund, as_of=late).raised == 500


def test_an_exception_is_opened_once_for_each_fact(fund: Fund) -> None:
    for _ in range(2):
        with unit_of_work():
            open_exception("stray", "payment", "pay_9", now=NOW, amount=Money(0, "BYN"), details={"why": "none"})
    found = db.session.scalars(sa.select(LedgerException)).one()
    assert (found.kind, found.amount_minor, found.currency, found.resolved_at) == ("stray", 0, "BYN", None)


def at_once(app: Flask, *acts: Callable[[], bool]) -> list[bool]:
    """Run each act in a thread and connection of its own, all started at the same moment; what they answered."""
    gate, answers = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index: int) -> None:
        with app.app_context():
            gate.wait(timeout=20)
            answers[index] = acts[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


def test_connections_that_post_one_source_at_once_post_it_once(app: Flask, fund: Fund) -> None:
    for number in range(6):
        answers = at_once(app, *[lambda ref=f"pay_{number}": gift(fund, 2500, ref)] * 3)
        assert sorted(answers) == [False, False, True]
    assert (rows(JournalEntry), rows(Posting)) == (6, 12)
    assert balance("fund:specialists:gift") == -15_000


def test_connections_that_reverse_one_entry_at_once_reverse_it_once(app: Flask, fund: Fund) -> None:
    gift(fund, 2500)
    assert sorted(at_once(app, reverse, reverse)) == [False, True]
    assert rows(JournalEntry) == 2
    assert balance("fund:specialists:gift") == 0


entries = st.lists(
    st.tuples(
        st.sampled_from(["BYN", "EUR"]),
        st.integers(1, 10**12),
        st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
serial = itertools.count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, min_size=1, max_size=4))
def test_whatever_is_posted_every_currency_stays_at_zero(
    fund: Fund, euro_fund: Fund, batch: list[list[tuple[str, int, list[int], bool]]]
) -> None:
    funds = {"BYN": fund, "EUR": euro_fund}
    kinds = ["gift", "refund", "dispute", "fee", "spent"]
    before, expected = balances(), defaultdict[str, int](int)
    with unit_of_work():
        for entry in batch:
            lines: list[Line] = []
            for currency, minor, weights, backwards in entry:
                for kind, part in zip(kinds, Money(minor, currency).split(weights), strict=False):
                    lines += transfer(
                        accounts.conversion(currency),
                        accounts.of_fund(funds[currency], kind),
                        -part if backwards else part,
                    )
            source = Source("random", f"{next(serial)}-{uuid.uuid4().hex}", "random")
            assert post_entry(source, lines, occurred_at=NOW, recorded_at=NOW)
            for line in lines:
                expected[line.account.code] += line.debit - line.credit
    after = balances()
    assert {code: after[code] - before.get(code, 0) for code in expected} == dict(expected)
    totals = sa.select(Posting.currency, sa.func.sum(Posting.debit_minor - Posting.credit_minor)).group_by(
        Posting.currency
    )
    assert all(total == 0 for _, total in db.session.execute(totals))
