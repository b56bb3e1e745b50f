"""Several people at the same instant, each with a connection of their own: packs are neither lost nor made."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from offices.models import Office
from stickers.stock import forms, services, sheets, transfers
from stickers.stock.checks import faults
from stickers.stock.sheets import Counted
from tests.stock.conftest import CLERK, level, movements

Place = tuple[int, int]
Stocked = Callable[[str, str, int], Place]
OWN, OTHER, PACK = "MINSK-01", "BREST-01", "kind-words"
ROUNDS = 4


def at_once(app: Flask, acts: Sequence[Callable[[], object]]) -> Counter[str]:
    """Do all acts at one instant, each in a unit of work of its own thread; how many ended how."""
    gate, ended = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        with app.app_context():
            gate.wait(timeout=20)
            try:
                with unit_of_work():
                    act()
                ended.append("done")
            except DomainError as refusal:
                ended.append(refusal.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(ended) == len(acts)
    return Counter(ended)


def handing(place: Place, redemption_id: int) -> Callable[[], None]:
    return lambda: services.hand_over(*place, redemption_id=redemption_id, actor=CLERK, now=utcnow())


def sent(place: Place, to: int, quantity: int) -> str:
    with unit_of_work() as session:
        office = session.get_one(Office, to)
        return transfers.send(*place, quantity, to_office=office, note="", actor=CLERK, now=utcnow()).public_id


def test_eight_at_three_packs_get_three(app: Flask, stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 3)
    assert at_once(app, [handing(place, n) for n in range(8)]) == {"done": 3, "out_of_stock": 5}
    assert level(place) == 0
    assert [after for _, _, after in movements(place)] == [3, 2, 1, 0]
    assert faults() == []


def test_two_parallel_transfers_of_the_same_packs_are_one(
    app: Flask, stocked: Stocked, offices: dict[str, int]
) -> None:
    place = stocked(OWN, PACK, 10)

    def send_to(code: str) -> Callable[[], object]:
        return lambda: transfers.send(
            *place, 7, to_office=db.session.get_one(Office, offices[code]), note="", actor=CLERK, now=utcnow()
        )

    assert at_once(app, [send_to(OTHER), send_to("GOMEL-01")]) == {"done": 1, "not_enough_packs": 1}
    assert level(place) == 3
    assert faults() == []


def test_a_transfer_ends_once_whoever_ends_it(app: Flask, stocked: Stocked, offices: dict[str, int]) -> None:
    here = stocked(OWN, PACK, 100)
    there = offices[OTHER], here[1]

    def confirm(public_id: str) -> None:
        transfers.confirm(transfers.find(public_id), 4, reason="", actor=CLERK, now=utcnow())

    def cancel(public_id: str) -> None:
        transfers.cancel(transfers.find(public_id), reason="", actor=CLERK, now=utcnow())

    def decline(public_id: str) -> None:
        transfers.decline(transfers.find(public_id), reason="no room", actor=CLERK, now=utcnow())

    for _ in range(ROUNDS):
        one = sent(here, offices[OTHER], 4)
        acts = [lambda one=one, end=end: end(one) for end in (confirm, confirm, cancel, decline)]
        assert at_once(app, acts) == {"done": 1, "transfer_ended": 3}
    assert (level(here) or 0) + (level(there) or 0) == 100
    assert faults() == []


def test_a_count_against_hand_overs_loses_none(app: Flask, stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 1)

    def counting(counted: int, expected: int) -> Callable[[], object]:
        return lambda: services.count(*place, counted, reason="found", actor=CLERK, now=utcnow(), expected=expected)

    for n in range(ROUNDS):
        before = level(place) or 0
        acts = [handing(place, 10 * n), counting(before + 2, before), handing(place, 10 * n + 1)]
        ended = at_once(app, acts)
        handed = sum(kind == "handed_over" for kind, _, _ in movements(place))
        found = sum(delta for kind, delta, _ in movements(place) if kind == "counted")
        assert level(place) == 1 + found - handed
        assert ended["done"] + ended["out_of_stock"] + ended["stock_changed"] == 3
    assert faults() == []


def test_a_shift_closed_while_packs_go_is_closed_on_what_is_there(app: Flask, stocked: Stocked) -> None:
    words, hearts = stocked(OWN, PACK, 5), stocked(OWN, "brave-hearts", 5)

    def close() -> None:
        lines = [Counted(words[1], 5, 5), Counted(hearts[1], 5, 5)]
        sheets.close_shift(words[0], lines, note="", actor=CLERK, now=utcnow())

    ended = at_once(app, [close, handing(hearts, 1), handing(words, 2)])
    assert ended["done"] + ended["stock_changed"] == 3
    assert (level(words), level(hearts)) == (4, 4)
    assert faults() == []


def test_one_form_sent_four_times_at_once_is_taken_once(app: Flask, stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 5)

    def receive() -> None:
        if forms.take("nonce", [("quantity", "3")], utcnow()):
            services.receive(*place, 3, reference="TTN", actor=CLERK, now=utcnow())

    assert at_once(app, [receive] * 4) == {"done": 4}
    assert level(place) == 8
    assert faults() == []
