"""How findings come and go: an explanation holds for what was explained, as long as it is so."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from flask import Flask

from core.db import db, unit_of_work
from core.money import Money
from finance import errors, exceptions
from finance.findings import Finding, show
from finance.overspent import overspent
from ledger import accounts
from ledger.models import LedgerException
from ledger.services import NO_LONGER, Source, close_exception, open_exception, post_entry, transfer
from tests.finance.books import LATER, approve, fund, gift, moment, person, proposed, undone

pytestmark = pytest.mark.usefixtures("books")
SHORT = Finding("payout_short", "payout", "stripe:po_1", Money(-50, "EUR"), None, {"its lines": 100, "amount": 50})


def found(*findings: Finding, now: datetime = LATER) -> list[LedgerException]:
    """What stands open after a comparison that found these."""
    with unit_of_work():
        show(findings, now)
    db.session.expire_all()
    return list(db.session.scalars(sa.select(LedgerException).where(LedgerException.resolved_at.is_(None))))


def explain(row: LedgerException) -> None:
    number, anna = row.id, person("anna")
    with unit_of_work():
        exceptions.explain(exceptions.find(number), "the bank kept it", anna, LATER)


def test_an_explanation_holds_while_nothing_changes() -> None:
    [row] = found(SHORT)
    explain(row)
    assert found(SHORT) == found(SHORT) == []


@pytest.mark.parametrize(
    "other",
    [
        Finding("payout_short", "payout", "stripe:po_1", Money(-51, "EUR"), None, SHORT.details),
        Finding("payout_short", "payout", "stripe:po_1", SHORT.amount, None, {"its lines": 900, "amount": 850}),
    ],
)
def test_an_explanation_does_not_silence_something_else(other: Finding) -> None:
    [row] = found(SHORT)
    explain(row)
    [row] = found(other, now=LATER + timedelta(days=1))
    assert (row.resolved_by, row.opened_at) == (None, LATER + timedelta(days=1))
    assert row.details == dict(other.details)


def test_details_that_change_every_day_are_the_same_matter() -> None:
    missing = [
        Finding(
            "payout_unmatched",
            "payout",
            "stripe:po_1",
            Money(50, "EUR"),
            None,
            {"day": "2026-03-01", "statements": day},
        )
        for day in (None, "2026-03-31")
    ]
    [row] = found(missing[0])
    explain(row)
    assert found(missing[1]) == []


def test_an_explanation_ends_when_its_fault_is_gone() -> None:
    [row] = found(SHORT)
    explain(row)
    assert found() == []
    [row] = db.session.scalars(sa.select(LedgerException)).all()
    assert row.resolution == f"{NO_LONGER}the bank kept it"
    [row] = found(SHORT)
    assert row.resolution is None


def test_it_ends_also_for_what_other_rooms_open_and_close() -> None:
    with unit_of_work():
        open_exception("line_differs", "settlement", "txn_1", now=LATER)
    [row] = db.session.scalars(sa.select(LedgerException)).all()
    explain(row)
    for act in (close_exception, open_exception):
        with unit_of_work():
            act("line_differs", "settlement", "txn_1", now=LATER)
    db.session.expire_all()
    assert db.session.scalars(sa.select(LedgerException.resolved_at)).all() == [None]


def test_a_check_that_fails_cannot_be_explained() -> None:
    with unit_of_work():
        open_exception("check_failed", "check", "entries_balanced", now=LATER)
    [row] = db.session.scalars(sa.select(LedgerException)).all()
    with undone(), pytest.raises(errors.NotExplainable):
        explain(row)


def test_only_what_is_explained_is_opened_again() -> None:
    [row] = found(SHORT)
    number, anna = row.id, person("anna")
    with undone(), pytest.raises(errors.NotExplained), unit_of_work():
        exceptions.reopen(exceptions.find(number), "why not", anna, LATER)


def test_a_fund_of_which_more_is_gone_than_came_is_a_finding_since_that_day(books: Flask) -> None:
    gift(10_000, "given", moment(9), settled=True)
    number = proposed(10_000, person("anna"), moment(20))
    approve(number, person("boris"), moment(21))
    assert overspent() == []
    db.session.rollback()
    with unit_of_work():
        to = fund()
        lines = transfer(accounts.of_fund(to, "refund"), accounts.conversion("BYN"), Money(2_500, "BYN"))
        post_entry(Source("refund", "r", "refund"), lines, occurred_at=moment(22), recorded_at=moment(22))
    [each] = overspent()
    assert (each.too_much.major, each.since) == (Decimal("25.00"), moment(22).date())
