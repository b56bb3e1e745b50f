"""Levels and movements: never below zero, every change with its reason, what happens once happens once."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DatabaseError, IntegrityError

from core.clock import utcnow
from core.db import db, unit_of_work
from stickers.stock import errors, services
from tests.stock.conftest import CLERK, level, movements

Stocked = Callable[[str, str, int], tuple[int, int]]
OFFICE, PACK = "MINSK-01", "kind-words"


def hand_over(place: tuple[int, int], redemption_id: int) -> None:
    with unit_of_work():
        services.hand_over(*place, redemption_id=redemption_id, actor=CLERK, now=utcnow())


def take_back(place: tuple[int, int], redemption_id: int) -> None:
    with unit_of_work():
        services.take_back(*place, redemption_id=redemption_id, actor=CLERK, now=utcnow())


def test_a_pack_is_handed_over_and_taken_back(stocked: Stocked) -> None:
    place = stocked(OFFICE, PACK, 2)
    hand_over(place, 1)
    take_back(place, 1)
    assert level(place) == 2
    assert movements(place) == [("received", 2, 2), ("handed_over", -1, 1), ("taken_back", 1, 2)]


def test_where_nothing_is_nothing_is_handed_over(stocked: Stocked, offices: dict[str, int]) -> None:
    place = stocked(OFFICE, PACK, 1)
    hand_over(place, 1)
    with pytest.raises(errors.OutOfStock):
        hand_over(place, 2)
    with pytest.raises(errors.OutOfStock):  # nobody ever received any there
        hand_over((offices["BREST-01"], place[1]), 3)
    assert level(place) == 0
    assert len(movements(place)) == 2


def test_one_redemption_takes_one_pack_and_gives_one_back(stocked: Stocked) -> None:
    place = stocked(OFFICE, PACK, 5)
    hand_over(place, 1)
    with pytest.raises(IntegrityError):
        hand_over(place, 1)
    take_back(place, 1)
    with pytest.raises(IntegrityError):
        take_back(place, 1)
    assert level(place) == 5


def test_what_was_not_handed_over_here_is_not_taken_back(stocked: Stocked) -> None:
    here, there = stocked(OFFICE, PACK, 5), stocked("BREST-01", PACK, 5)
    hand_over(here, 1)
    for place, redemption_id in ((here, 2), (there, 1)):
        with pytest.raises(errors.NothingHandedOver):
            take_back(place, redemption_id)
    assert (level(here), level(there)) == (4, 5)


def test_the_database_refuses_levels_below_zero_and_changed_movements(app: Flask, stocked: Stocked) -> None:
    place = stocked(OFFICE, PACK, 1)
    for statement in (
        "UPDATE stock_levels SET quantity = -1",
        "UPDATE stock_movements SET delta = 7",
        "DELETE FROM stock_movements",
    ):
        with pytest.raises(DatabaseError):
            db.session.execute(sa.text(statement))
        db.session.rollback()
    assert movements(place) == [("received", 1, 1)]
