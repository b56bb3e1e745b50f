"""Money: whole minor units of one currency, whatever is tried."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import EXPONENTS, MAX_MINOR, BadAmount, CurrencyMismatch, Money, parse_amount

amounts = st.integers(-MAX_MINOR, MAX_MINOR)
currencies = st.sampled_from(sorted(EXPONENTS))


@pytest.mark.parametrize("minor", [25.0, 0.1, True, False, "25", None, Decimal(25), Fraction(25)])
def test_minor_units_are_whole_numbers_and_nothing_else(minor: Any) -> None:
    with pytest.raises(TypeError):
        Money(minor, "BYN")


@pytest.mark.parametrize("currency", ["byn", "", "BY", "Br", None, 933])
def test_a_currency_we_do_not_book_is_refused(currency: Any) -> None:
    with pytest.raises(ValueError, match="unknown currency"):
        Money(100, currency)


@pytest.mark.parametrize(
    "mix",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
        lambda a, b: a.at_ratio(a, b),
    ],
)
def test_two_currencies_never_meet_in_one_operation(mix: Any) -> None:
    with pytest.raises(CurrencyMismatch):
        mix(Money(100, "BYN"), Money(100, "EUR"))


@pytest.mark.parametrize("other", [1, 1.5, True, None, "1", Decimal(1)])
def test_money_goes_only_with_money(other: Any) -> None:
    with pytest.raises(TypeError):
        Money(100, "BYN") + other
    with pytest.raises(TypeError):
        other + Money(100, "BYN")
    with pytest.raises(TypeError):
        assert Money(100, "BYN") < other
    with pytest.raises(TypeError):
        Money(100, "BYN") * other
    assert Money(100, "BYN") != other


def test_the_same_number_of_another_currency_is_another_amount() -> None:
    assert Money(100, "BYN") != Money(100, "EUR")
    assert Money(100, "BYN") == Money(100, "BYN")
    assert not Money(0, "BYN")
    assert -Money(5, "BYN") + Money(7, "BYN") == Money(2, "BYN")


@pytest.mark.parametrize(
    ("money", "major"), [(Money(2550, "BYN"), "25.50"), (Money(-1, "KWD"), "-0.001"), (Money(7, "JPY"), "7")]
)
def test_whole_units_are_exact(money: Money, major: str) -> None:
    assert money.major == Decimal(major)


@given(amounts, currencies, st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(any))
def test_parts_always_add_up_to_the_whole_and_none_is_a_unit_off(minor: int, currency: str, weights: list[int]) -> None:
    parts = Money(minor, currency).split(weights)
    assert sum(part.minor for part in parts) == minor
    assert len(parts) == len(weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor - Fraction(minor * weight, sum(weights))) < 1
        assert weight or not part


def test_the_remainder_goes_to_the_largest_remainders_and_ties_to_the_first() -> None:
    assert [part.minor for part in Money(100, "BYN").split([1, 1, 1])] == [34, 33, 33]
    assert [part.minor for part in Money(-100, "BYN").split([1, 1, 1])] == [-34, -33, -33]
    assert [part.minor for part in Money(10, "BYN").split([1, 7, 2, 0])] == [1, 7, 2, 0]
    assert [part.minor for part in Money(5, "BYN").split([10, 89])] == [1, 4]
    assert [part.minor for part in Money(1, "BYN").split([1, 2])] == [0, 1]


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [1, -1], [-1], [5, -1]])
def test_a_split_by_nothing_or_less_is_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Money(100, "BYN").split(weights)


def test_a_fee_is_brought_to_the_funds_currency_at_the_transactions_own_ratio() -> None:
    assert Money(46, "EUR").at_ratio(Money(2500, "BYN"), Money(735, "EUR")) == Money(156, "BYN")


@pytest.mark.parametrize(("minor", "half"), [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2)])
def test_halves_go_to_the_even_neighbour(minor: int, half: int) -> None:
    assert Money(minor, "EUR").at_ratio(Money(1, "BYN"), Money(2, "EUR")) == Money(half, "BYN")


@given(amounts, amounts, amounts.filter(bool))
def test_a_ratio_is_exact_at_any_size(minor: int, numerator: int, denominator: int) -> None:
    result = Money(minor, "EUR").at_ratio(Money(numerator, "BYN"), Money(denominator, "EUR")).minor
    distance = abs(result - Fraction(minor * numerator, denominator))
    assert distance < Fraction(1, 2) or (distance == Fraction(1, 2) and result % 2 == 0)


def test_just_below_half_is_not_half() -> None:
    # 28 digits, which is what Decimal keeps unless told otherwise, do not tell this from 0.5.
    big = MAX_MINOR
    assert Money(big // 2, "EUR").at_ratio(Money(big, "BYN"), Money(big, "EUR")).minor == big // 2
    product = (big // 2) * big
    assert Money(big // 2, "EUR").at_ratio(Money(big, "BYN"), Money(2, "EUR")).minor == round(Fraction(product, 2))


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ZeroDivisionError):
        Money(1, "EUR").at_ratio(Money(1, "BYN"), Money(0, "EUR"))


@pytest.mark.parametrize(
    ("typed", "minor"),
    [
        ("25", 2500),
        ("25,00", 2500),
        ("25.00", 2500),
        ("25,5", 2550),
        (" 25 ", 2500),
        ("0,01", 1),
        ("0", 0),
        ("007", 700),
        ("1 000,50", 100050),
        ("1\u00a0000,50", 100050),
        ("1\u202f000,50", 100050),
        ("1\u2009000", 100000),
        ("999999999999", 99999999999900),
    ],
)
def test_amounts_are_read_as_people_type_them(typed: str, minor: int) -> None:
    assert parse_amount(typed, "BYN") == Money(minor, "BYN")


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "1e3", "1E3", "+25", "-25", "−25", "25.", ".5", ",5", "25,00,00", "1,000.00", "1.000,00", "0x19",
        "1_000",
        "NaN", "Infinity", "inf", "25 BYN", "25р", "٢٥", "२५", "２５", "²⁵", "25\u066b50", "25\n00", "25\x00",
        "25;00", "½", "Ⅴ", "<25>", "=25", "\u202e25",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_not_guessed_at(typed: str) -> None:
    with pytest.raises(BadAmount) as refusal:
        parse_amount(typed, "BYN")
    assert refusal.value.reason == "not_a_number"


@pytest.mark.parametrize(
    ("typed", "currency"), [("25,000", "BYN"), ("25.001", "BYN"), ("1,0", "JPY"), ("1.0001", "KWD")]
)
def test_more_decimals_than_the_currency_has_are_refused(typed: str, currency: str) -> None:
    with pytest.raises(BadAmount) as refusal:
        parse_amount(typed, currency)
    assert refusal.value.reason == "too_many_decimals"


@pytest.mark.parametrize("typed", ["1000000000000", "9" * 40, "9" * 1_000_000, "9" * 40 + ",99"])
def test_an_amount_that_no_money_holds_is_called_too_large(typed: str) -> None:
    with pytest.raises(BadAmount) as refusal:
        parse_amount(typed, "BYN")
    assert refusal.value.reason == "too_large"


@given(st.text(max_size=40))
def test_any_text_is_an_amount_or_a_bad_amount(typed: str) -> None:
    try:
        money = parse_amount(typed, "BYN")
    except BadAmount:
        return
    assert 0 <= money.minor <= MAX_MINOR


@given(st.integers(0, 10**14 - 1), currencies)
def test_what_is_shown_is_read_back(minor: int, currency: str) -> None:
    money = Money(minor % 10**12, currency)
    assert parse_amount(str(money.major), currency) == money
    assert parse_amount(str(money.major).replace(".", ","), currency) == money
