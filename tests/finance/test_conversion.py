"""What conversion leaves over, for any history."""

from hypothesis import given
from hypothesis import strategies as st

from finance.conversion import Position

amounts = st.integers(0, 10**9)


@given(
    opening=amounts, opening_cost=amounts, came=amounts, came_cost=amounts, share=st.integers(0, 100), left_cost=amounts
)
def test_what_remains_keeps_the_average_cost_to_half_a_kopeck(
    opening: int, opening_cost: int, came: int, came_cost: int, share: int, left_cost: int
) -> None:
    left = (opening + came) * share // 100
    each = Position(1, "EUR", opening, opening_cost, came, came_cost, left, left_cost)
    assert each.held >= 0
    assert each.shown + each.residue == each.cost
    if opening + came:
        exact = each.held * ((opening_cost if opening else 0) + came_cost)
        assert abs(2 * (each.cost * (opening + came) - exact)) <= opening + came
    if not each.held:
        assert each.cost == 0


@given(came=st.integers(1, 10**9), cost=amounts, share=st.integers(0, 100))
def test_money_that_leaves_at_its_own_cost_gains_nothing(came: int, cost: int, share: int) -> None:
    left = came * share // 100
    at_cost = cost - Position(1, "EUR", 0, 0, came, cost, left, 0).cost
    each = Position(1, "EUR", 0, 0, came, cost, left, at_cost)
    assert each.residue == 0


@given(came=st.integers(1, 10**9), cost=amounts, left=st.integers(0, 10**9), left_cost=amounts)
def test_closing_again_without_change_books_nothing(came: int, cost: int, left: int, left_cost: int) -> None:
    first = Position(1, "EUR", 0, 0, came, cost, left, left_cost)
    again = Position(1, "EUR", 0, 0, came, cost, left, left_cost, booked=first.residue)
    assert again.residue == 0
    assert again.cost == first.cost


def test_what_is_owed_without_anything_that_came_has_no_rate_and_stays() -> None:
    each = Position(1, "EUR", left=100, left_cost=340)
    assert (each.held, each.shown, each.cost, each.residue) == (-100, -340, -340, 0)
    paid = Position(1, "EUR", -100, -340, came=150, came_cost=525)
    assert (paid.held, paid.cost, paid.residue) == (50, 175, -10)
