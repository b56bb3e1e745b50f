"""The audit log says of every act upon stock how many packs there were before it, and how many after."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from offices.queries import office_by_code
from staff.models import AuditEntry
from stickers.stock import acts, transfers
from stickers.stock.acts import By
from stickers.stock.models import StockTransfer
from stickers.stock.queries import pack_by_code
from stickers.stock.sheets import Counted

Stocked = Callable[[str, str, int], tuple[int, int]]
HERE, THERE, PACK = "MINSK-01", "BREST-01", "kind-words"


def by() -> By:
    return By("clerk@example.org", "10.0.0.1", utcnow())


def newest() -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    """(act, to what, before, after)."""
    db.session.rollback()
    entry = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1)).one()
    assert (entry.actor, entry.address) == ("clerk@example.org", "10.0.0.1")
    return entry.action, entry.subject, entry.before or {}, entry.after or {}


ACTS: dict[str, tuple[Callable[..., Any], int, dict[str, Any]]] = {
    "received": (acts.receive, 3, {"reference": "TTN 7\0"}),
    "damaged": (acts.damage, 2, {"reason": " wet "}),
    "counted": (acts.count, 7, {"reason": "one is missing\n"}),
}


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("received", {"level": 13, "quantity": 3, "reference": "TTN 7"}),
        ("damaged", {"level": 8, "quantity": 2, "reason": "wet"}),
        ("counted", {"level": 7, "counted": 7, "difference": -3, "reason": "one is missing"}),
    ],
)
def test_what_comes_goes_and_is_counted(stocked: Stocked, kind: str, after: dict[str, Any]) -> None:
    stocked(HERE, PACK, 10)
    act, number, why = ACTS[kind]
    with unit_of_work():
        act(office_by_code(HERE), pack_by_code(PACK), number, **why, by=by())
    assert newest() == (f"stock.{kind}", f"stock:{HERE}:{PACK}", {"level": 10}, after)


def test_a_mark(stocked: Stocked) -> None:
    stocked(HERE, PACK, 10)
    with unit_of_work():
        acts.set_low_mark(office_by_code(HERE), pack_by_code(PACK), 8, by=by())
    assert newest() == ("stock.low_mark", f"stock:{HERE}:{PACK}", {"low_mark": 5}, {"low_mark": 8})


def send(quantity: int) -> str:
    """Its public id."""
    with unit_of_work():
        here, there = office_by_code(HERE), office_by_code(THERE)
        acts.send(here, pack_by_code(PACK), quantity, to_office=there, note="with Ivan", by=by())
    return db.session.scalars(sa.select(StockTransfer.public_id)).one()


def levels(here: int, there: int) -> dict[str, int]:
    return {f"level {HERE}": here, f"level {THERE}": there}


def test_packs_that_are_sent_with_both_offices(stocked: Stocked) -> None:
    stocked(HERE, PACK, 10)
    stocked(THERE, PACK, 2)
    sent = send(4)
    about = {"transfer": sent, "quantity": 4, "arrived": None, "note": "with Ivan", "reason": "", "state": "on_the_way"}
    assert newest() == ("stock.sent", f"stock:{HERE}:{PACK}", levels(10, 2), {**levels(6, 2), **about})


@pytest.mark.parametrize(
    ("act", "state", "office", "why", "before", "after"),
    [
        (acts.confirm, "arrived", THERE, {"arrived": 3, "reason": "the box was open"}, (6, 2), (6, 5)),
        (acts.decline, "declined", THERE, {"reason": "no room"}, (6, 2), (10, 2)),
        (acts.cancel, "cancelled", HERE, {"reason": ""}, (6, 2), (10, 2)),
    ],
)
def test_how_a_transfer_ends_with_both_offices(
    stocked: Stocked,
    act: Callable[..., None],
    state: str,
    office: str,
    why: dict[str, Any],
    before: tuple[int, int],
    after: tuple[int, int],
) -> None:
    stocked(HERE, PACK, 10)
    stocked(THERE, PACK, 2)
    sent = send(4)
    with unit_of_work():
        act(transfers.find(sent), **why, by=by())
    action, subject, was, became = newest()
    assert (action, subject) == (f"stock.{state}", f"stock:{office}:{PACK}")
    assert was == {**levels(*before), "state": "on_the_way"}
    assert became == {
        **levels(*after),
        "state": state,
        "transfer": sent,
        "quantity": 4,
        "arrived": why.get("arrived"),
        "note": "with Ivan",
        "reason": why["reason"],
    }


def test_a_shift_by_the_names_of_its_packs(stocked: Stocked) -> None:
    words, hearts = stocked(HERE, PACK, 12), stocked(HERE, "brave-hearts", 3)
    with unit_of_work():
        lines = [Counted(words[1], 12, 11, "gift"), Counted(hearts[1], 3, 3)]
        sheet = acts.close_shift(office_by_code(HERE), lines, note="quiet day", by=by()).public_id
    before = {"level kind-words": 12, "level brave-hearts": 3}
    about = {"office": HERE, "note": "quiet day", "reason kind-words": "gift"}
    after = {**about, "level kind-words": 11, "level brave-hearts": 3}
    assert newest() == ("stock.shift_closed", f"stock_sheet:{sheet}", before, after)


def test_a_delivery_by_command(app: Flask, stocked: Stocked) -> None:
    stocked(HERE, PACK, 10)
    app.test_cli_runner().invoke(args=["stock", "receive", HERE, PACK, "5", "--reference", "TTN 8"])
    db.session.rollback()
    entry = db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "stock.received")).one()
    assert entry.before == {"level": 10}
    assert entry.after == {"level": 15, "quantity": 5, "reference": "TTN 8"}
