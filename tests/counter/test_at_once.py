"""However many press at the same instant, at whichever process: one code is one pack, ten packs are ten codes."""

from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import db
from staff.models import AuditEntry
from stickers.models import Redemption
from tests.counter.conftest import Counter
from tests.counter.crowds import Crowd, two_processes
from tests.drills.processes import Service
from tests.staff.machines import make_token

CLIENTS = 50
ROUNDS = 3  # a hundred in `make drill`


@pytest.fixture
def service(counter: Counter, database_url: str, tmp_path: Path) -> Iterator[Service]:
    with two_processes(database_url, tmp_path) as running:
        yield running


def redeem_in_rounds(counter: Counter, service: Service, rounds: int) -> None:
    """In each round fifty clients redeem one code: one is handed a pack, the others are told that it is gone."""
    token, codes = make_token(counter.actor.email), counter.many_codes(rounds)
    counter.fill(rounds)
    left, crowd = counter.stock(), Crowd(service, CLIENTS)
    try:
        for number, code in enumerate(codes, start=1):
            answers = crowd.all_at_once(lambda client, code=code: crowd.redeem(client, code, token))  # type: ignore[misc]
            said = Tally((status, body.get("code") if status != 201 else "") for status, body in answers)
            assert said == {(201, ""): 1, (409, "sticker_code_redeemed"): CLIENTS - 1}
            assert counter.status(code) == "redeemed"
            assert counter.stock() == left - number
            assert counter.house.count(Redemption) == number
    finally:
        crowd.close()


def test_fifty_clients_get_one_pack_for_one_code_and_one_press_is_one_answer(
    counter: Counter, service: Service
) -> None:
    redeem_in_rounds(counter, service, ROUNDS)
    press_fifty_times(counter, service)


def press_fifty_times(counter: Counter, service: Service) -> None:
    """One press, sent fifty times by a bad network: one pack, and the same answer each time."""
    token, [code] = make_token(counter.actor.email, label="bad network"), counter.many_codes(1)
    left, before = counter.stock(), counter.house.count(Redemption)
    crowd = Crowd(service, CLIENTS)
    try:
        answers = crowd.all_at_once(lambda client: crowd.redeem(client, code, token, key="one press"))
    finally:
        crowd.close()
    assert {status for status, _body in answers} == {201}
    assert len({str(body) for _status, body in answers}) == 1
    assert (counter.stock(), counter.house.count(Redemption)) == (left - 1, before + 1)


def test_of_a_hundred_valid_codes_at_once_exactly_ten_get_the_ten_packs(counter: Counter, service: Service) -> None:
    token, codes = make_token(counter.actor.email), counter.many_codes(100)
    crowd = Crowd(service, len(codes))
    try:
        answers = crowd.all_at_once(lambda client: crowd.redeem(client, codes[client], token))
    finally:
        crowd.close()
    said = Tally((status, body["code"] if status != 201 else "") for status, body in answers)
    assert said == {(201, ""): 10, (409, "out_of_stock"): 90}
    assert (counter.stock(), counter.standing_redemptions()) == (0, 10)
    assert Tally(counter.status(code) for code in codes) == {"redeemed": 10, "issued": 90}
    db.session.rollback()
    entries = db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "code.redeemed")).all()
    levels = sorted(((entry.before or {})["level"], (entry.after or {})["level"]) for entry in entries)
    assert levels == [(left, left - 1) for left in range(1, 11)], "each entry says what its own press changed"
