"""Stripe counts some currencies in other units than we do; no conversion may lose or invent money."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import EXPONENTS, Money
from payments.stripe_read import ZERO_DECIMAL, Malformed, from_stripe, to_stripe

# Stripe takes neither of the two left out.
currencies = sorted(set(EXPONENTS) - {"IQD", "LYD"})
monies = st.builds(Money, st.integers(-(10**9), 10**9), st.sampled_from(currencies))


@given(monies)
def test_what_goes_to_stripe_comes_back_unchanged(money: Money) -> None:
    assert from_stripe(*to_stripe(money)) == money


@pytest.mark.parametrize(
    ("money", "units"),
    [
        (Money(2500, "BYN"), (2500, "byn")),
        (Money(2500, "JPY"), (2500, "jpy")),
        (Money(25, "ISK"), (2500, "isk")),
        (Money(25_000, "KWD"), (25_000, "kwd")),
    ],
)
def test_each_currency_goes_out_in_the_units_stripe_counts_it_in(money: Money, units: tuple[int, str]) -> None:
    assert to_stripe(money) == units


def test_yen_have_no_decimals_at_stripe_and_roubles_do() -> None:
    assert "JPY" in ZERO_DECIMAL
    assert "BYN" not in ZERO_DECIMAL


@given(st.integers(-(10**9), 10**9).filter(lambda units: units % 100))
def test_a_part_of_our_smallest_unit_is_refused_rather_than_rounded(units: int) -> None:
    with pytest.raises(Malformed):
        from_stripe(units, "isk")


def test_a_currency_we_do_not_book_is_refused() -> None:
    with pytest.raises(Malformed):
        from_stripe(100, "xyz")
