"""A payout that fails after the bank had it: it shows until the bank's line is here that takes the money back."""

import pytest
import sqlalchemy as sa

from core.db import db, unit_of_work
from core.money import Money
from finance.bank import errors, matching
from finance.matching_bank import bank_findings
from finance.models import PayoutRecord
from ledger import accounts
from ledger.services import Source, post_entry, transfer
from tests.finance.books import LATER, moment, person
from tests.finance.test_bank_statements import HEAD, PAYOUT_LINE, account, books_of, bring, line_id, matched

__all__ = ["account"]  # a fixture


def fail(ref: str) -> None:
    """The provider tells that a payout failed: by its line, and as its state."""
    with unit_of_work() as session:
        session.execute(sa.update(PayoutRecord).where(PayoutRecord.ref == ref).values(state="failed"))
        lines = transfer(
            accounts.provider_balance("stripe", "EUR"), accounts.transit("stripe", "EUR"), Money(2_500, "EUR")
        )
        source = Source("settlement", f"txn_{ref}_failed", "payout_failure")
        post_entry(source, lines, occurred_at=moment(24), recorded_at=moment(24))
    db.session.remove()


OF_BALANCES = ("bank_balance_differs", "statement_gap")  # what the account held before is not told here


def missed() -> list[tuple[str, int | None]]:
    db.session.rollback()
    found = [each for each in bank_findings(LATER) if each.kind not in OF_BALANCES]
    return [(each.kind, each.amount.minor if each.amount else None) for each in found]


SENT_BACK = HEAD + PAYOUT_LINE + "25.02.2026;25,00;;RETURNED;Bank\n" + "Исходящий остаток;;;;100,00\n"


def test_a_payout_that_fails_after_the_bank_had_it_shows_until_the_bank_takes_it_back(account: str) -> None:
    bring((HEAD + PAYOUT_LINE + "Исходящий остаток;;;;125,00\n").encode())
    fail("po_1")
    assert books_of("transit:stripe:EUR", "bank:EUR") == [-2_500, 2_500]
    assert missed() == [("payout_failed_at_bank", 2_500)]
    bring(SENT_BACK.encode(), "2.csv")
    assert matched() == {"STRIPE PAYOUT": "payout stripe:po_1", "RETURNED": "payout_back stripe:po_1"}
    assert books_of("transit:stripe:EUR", "bank:EUR") == [0, 0]
    assert missed() == []
    anna = person("anna")
    with pytest.raises(errors.SentBack), unit_of_work():
        matching.take_back(matching.line_by_public_id(line_id("STRIPE PAYOUT")), "a mistake", anna, LATER)
    db.session.remove()
    with unit_of_work():
        matching.take_back(matching.line_by_public_id(line_id("RETURNED")), "a mistake", anna, LATER)
    assert missed() == [("payout_failed_at_bank", 2_500), ("bank_line_unknown", -2_500)][::-1]


def test_a_failed_payout_that_comes_and_goes_in_one_statement_is_matched_by_a_person(account: str) -> None:
    fail("po_1")
    assert missed() == []
    bring(SENT_BACK.encode())
    assert matched() == {}
    anna = person("anna")
    with unit_of_work():
        line = matching.line_by_public_id(line_id("STRIPE PAYOUT"))
        matching.match_by_hand(line, "payout", "stripe:po_1", "it was there for two days", anna, LATER)
    with unit_of_work():
        line = matching.line_by_public_id(line_id("RETURNED"))
        assert [each.kind for each in matching.candidates_for(line)] == ["payout_back"]
        assert matching.match_lines(LATER) == 1
    assert books_of("transit:stripe:EUR", "bank:EUR") == [0, 0]


def test_a_payout_that_goes_back_short_leaves_the_rest_in_suspense(account: str) -> None:
    bring((HEAD + PAYOUT_LINE + "Исходящий остаток;;;;125,00\n").encode())
    fail("po_1")
    bring((HEAD + "25.02.2026;26,00;;RETURNED;Bank\n" + "Исходящий остаток;;;;74,00\n").encode(), "2.csv")
    assert missed() == [("bank_line_unknown", -2_600), ("payout_failed_at_bank", 2_500)]
    anna = person("anna")
    with unit_of_work():
        line = matching.line_by_public_id(line_id("RETURNED"))
        matching.match_by_hand(line, "payout_back", "stripe:po_1", "with the bank's fee", anna, LATER)
    assert books_of("transit:stripe:EUR", "bank:EUR", "suspense:EUR") == [0, -100, 100]
