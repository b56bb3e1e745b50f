"""Statements go on from each other, in whatever order and with whatever overlap they come."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date

import pytest
from flask import Flask

from core.db import db, unit_of_work
from finance.bank import chain, services
from finance.bank.mapping import Mapping
from finance.bank.models import BankAccount
from tests.finance.books import BY, LATER

MAPPING = Mapping("D", amount="A", day_format="%Y-%m-%d", decimal=".", opening="Opening", closing="Closing")
# Movements of ten days, two of them on the third and none on the sixth.
LINES = [(1, 500), (2, -200), (3, 70), (3, 30), (4, 1000), (5, -1), (7, 9), (8, -300), (9, 4), (10, 11)]


class Over(Exception):
    """Nothing of it is kept."""


@contextmanager
def account(books: Flask) -> Iterator[BankAccount]:
    db.session.remove()
    with suppress(Over), unit_of_work():
        yield services.make_account("EUR", "", "EUR", MAPPING, now=LATER, **BY)
        raise Over


def bring(to: BankAccount, first: int, last: int, *, extra: int = 0) -> None:
    """The statement of lines `first` to `last`, counted from 0; `extra` is what the bank has that no line says."""
    opening = 100 + sum(minor for _day, minor in LINES[:first]) + extra
    rows = "".join(f"2026-02-{day:02};{minor / 100:.2f}\n" for day, minor in LINES[first : last + 1])
    closing = opening + sum(minor for _day, minor in LINES[first : last + 1])
    text = f"Opening;{opening / 100:.2f}\nD;A\n{rows}Closing;{closing / 100:.2f}\n"
    services.import_statement(to, text.encode(), "x", now=LATER, **BY)


def told(of: BankAccount) -> list[tuple[date, date, int]]:
    db.session.flush()
    return [(gap.first, gap.last, gap.amount.minor) for gap in chain.gaps(of)]


@pytest.mark.parametrize(
    "parts",
    [
        [(0, 3), (4, 6), (7, 9)],  # one after the other
        [(0, 5), (4, 9)],  # whole days twice
        [(0, 2), (3, 9)],  # cut within a day
        [(0, 2), (0, 9), (8, 8)],  # one within another
        [(0, 9), (1, 2), (3, 5)],
    ],
)
def test_whole_chains_have_no_gap_in_whatever_order_they_come(books: Flask, parts: list[tuple[int, int]]) -> None:
    for order in itertools.permutations(parts):
        with account(books) as eur:
            for first, last in order:
                bring(eur, first, last)
            assert told(eur) == [], order
            standing = chain.standing(eur)
            assert standing is not None
            assert (standing.closing.minor, standing.lines.minor) == (1223, 1123)


def test_a_missing_statement_is_told_with_its_days_until_it_is_here(books: Flask) -> None:
    with account(books) as eur:
        bring(eur, 0, 1)
        bring(eur, 6, 9)
        assert told(eur) == [(date(2026, 2, 3), date(2026, 2, 6), 1099)]
        bring(eur, 2, 5)
        assert told(eur) == []


def test_statements_that_overlap_and_contradict_each_other_are_told(books: Flask) -> None:
    with account(books) as eur:
        bring(eur, 0, 6)
        bring(eur, 4, 9, extra=50)
        assert told(eur) == [(date(2026, 2, 4), date(2026, 2, 7), 50)]
        [gap] = chain.gaps(eur)
        assert gap.overlaps


def test_a_quiet_statement_goes_on_from_the_one_before(books: Flask) -> None:
    with account(books) as eur:
        bring(eur, 0, 3)
        services.import_statement(eur, b"Opening;5.00\nD;A\nClosing;5.00\n", "quiet", now=LATER, **BY)
        assert told(eur) == []
        services.import_statement(eur, b"Opening;6.00\nD;A\nClosing;6.00\n", "other", now=LATER, **BY)
        assert told(eur) == [(date(2026, 2, 3), date(2026, 2, 3), 100)]


def test_spending_is_missed_only_when_all_accounts_of_its_currency_were_read(books: Flask) -> None:
    from finance.matching_bank import _read_through

    with account(books) as eur:
        other = services.make_account("EUR-2", "", "EUR", MAPPING, now=LATER, **BY)
        bring(eur, 0, 9)
        assert _read_through() == {"EUR": date(2026, 2, 10)}
        bring(other, 0, 3)
        assert _read_through() == {"EUR": date(2026, 2, 3)}
