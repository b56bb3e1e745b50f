"""Amounts of bank statements: each bank's way of writing them, and never the other decimal mark for thousands."""

import pytest

from finance.bank.mapping import Mapping
from finance.bank.reading import read_statement


def faults(data: bytes, mapping: Mapping, currency: str = "EUR") -> list[tuple[int, str]]:
    return [(fault.line, fault.code) for fault in read_statement(data, mapping, currency).faults]


@pytest.mark.parametrize(
    ("written", "decimal", "minor"),
    [
        ("1 234,56", ",", 123_456),
        ("1.234,56", ",", 123_456),
        ("1,234.56", ".", 123_456),
        ("1'234.56", ".", 123_456),
        ("-12,00", ",", -1_200),
        ("\u221212,00", ",", -1_200),
        ("(12,00)", ",", -1_200),
        ("12,00-", ",", -1_200),
        ("+7", ",", 700),
        ("7,5 EUR", ",", 750),
        ("1\u00a0234,5", ",", 123_450),
        ("1.234", ",", 123_400),
        ("12.345.678,90", ",", 1_234_567_890),
        ("0,50", ",", 50),
        ("1234567.5", ".", 123_456_750),
    ],
)
def test_amounts_in_the_ways_banks_write_them(written: str, decimal: str, minor: int) -> None:
    mapping = Mapping(day="Day", amount="Amount", day_format="%Y-%m-%d", decimal=decimal)
    data = f"Day\tAmount\n2026-02-23\t{written}\n".encode()
    found = read_statement(data, mapping, "EUR")
    assert (found.faults, [each.amount.minor for each in found.movements]) == ([], [minor])


@pytest.mark.parametrize(
    ("written", "decimal"),
    [
        ("25.00", ","),
        ("25.0", ","),
        ("1,234.56", ","),
        ("1234.56", ","),
        ("0.500", ","),
        ("25,00", "."),
        ("1.234,56", "."),
        ("1234,5", "."),
        ("12'34.56", "."),
        ("1,23,456.00", "."),
        ("1.234'567,00", ","),
        ("1 23,00", ","),
        ("1234.567,00", ","),
        (".,00", ","),
    ],
)
def test_the_other_decimal_mark_is_never_taken_for_one_of_thousands(written: str, decimal: str) -> None:
    mapping = Mapping(day="Day", amount="Amount", day_format="%Y-%m-%d", decimal=decimal)
    data = f"Day\tAmount\n2026-02-22\t7\n2026-02-23\t{written}\n".encode()
    assert faults(data, mapping) == [(3, "amount_invalid")]


@pytest.mark.parametrize(("of", "mark"), [(",", "."), (".", ",")])
def test_a_whole_statement_with_the_other_mark_is_refused_though_its_balances_fit(of: str, mark: str) -> None:
    mapping = Mapping(day="Day", amount="Amount", decimal=of, opening="Opening", closing="Closing")
    lines = ["Opening;100.00", "Day;Amount", "23.02.2026;25.00", "24.02.2026;-40.50", "Closing;84.50"]
    wrong, right = ("\n".join(lines).replace(".00", f"{each}00").replace(".50", f"{each}50") for each in (mark, of))
    amounts = [(line, "amount_invalid") for line in (1, 3, 4, 5)]
    assert faults(wrong.encode(), mapping) == [*amounts, (0, "opening_missing"), (0, "closing_missing")]
    found = read_statement(right.encode(), mapping, "EUR")
    assert (found.faults, [each.amount.minor for each in found.movements]) == ([], [2_500, -4_050])


def test_three_digits_behind_a_mark_are_refused_where_the_currency_has_three_decimals() -> None:
    mapping = Mapping(day="Day", amount="Amount", day_format="%Y-%m-%d", decimal=",")
    assert faults(b"Day;Amount\n2026-02-23;1.234\n", mapping, "KWD") == [(2, "amount_invalid")]
    assert faults(b"Day;Amount\n2026-02-23;1.234,000\n", mapping, "KWD") == []
