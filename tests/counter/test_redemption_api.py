"""Packs handed over by machines: one token, one scope, one redemption for each key."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import unit_of_work
from donations.models import Campaign
from offices.models import Office
from staff.models import StaffMember
from stickers import codes
from stickers.counter import guessing
from stickers.counter.guessing import PER_CLERK
from stickers.models import RedemptionCode
from stickers.services import set_codes
from tests.console.conftest import acts
from tests.counter.conftest import OTHER, OWN, PACK, Counter
from tests.staff.machines import make_token


class Machine:
    def __init__(self, app: Flask, secret: str) -> None:
        self.app, self.secret = app, secret

    def redeem(self, code: str, office: object = OWN, key: str | None = "key-1", **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.secret}"} | ({"Idempotency-Key": key} if key is not None else {})
        options = {"json": {"office": office}} | options
        return self.app.test_client().post(f"/api/v1/sticker-codes/{code}/redemptions", headers=headers, **options)


@pytest.fixture
def machine(app: Flask, counter: Counter) -> Machine:
    return Machine(app, make_token(counter.actor.email))


def refused(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["code"]


def test_a_pack_is_handed_over_and_the_answer_says_so(machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    answer = machine.redeem(codes.show(code).lower())
    body = answer.json or {}
    stored = counter.code(code)
    assert answer.status_code == 201
    assert body == {
        "code": codes.show(code),
        "pack": PACK,
        "office": OWN,
        "redeemed_at": stored.redeemed_at.isoformat() if stored.redeemed_at else None,
        "undone_at": None,
    }
    assert (stored.status, counter.stock()) == ("redeemed", 9)
    assert acts()[-1][:2] == (counter.actor.email, "code.redeemed")


def test_the_same_key_again_answers_the_same(machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    first, second = machine.redeem(code), machine.redeem(code)
    assert second.status_code in (200, 201)
    assert first.json == second.json
    assert (counter.stock(), counter.standing_redemptions()) == (9, 1)


def test_after_an_undo_the_same_key_says_that_it_is_undone(machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    first = machine.redeem(code).json or {}
    counter.undo(counter.code(code).redemption)  # type: ignore[arg-type]
    again = machine.redeem(code).json or {}
    assert again["undone_at"]
    assert {**again, "undone_at": None} == first
    assert counter.stock() == 10


def test_without_a_key_a_repetition_is_refused(machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    assert machine.redeem(code, key=None).status_code == 201
    assert refused(machine.redeem(code, key=None)) == (409, "sticker_code_redeemed")


def test_a_key_of_another_hand_over_is_refused(machine: Machine, counter: Counter) -> None:
    machine.redeem(counter.new_code())
    assert refused(machine.redeem(counter.new_code())) == (409, "idempotency_key_reused")
    assert refused(machine.redeem(counter.new_code(), key="x" * 300)) == (400, "idempotency_key_invalid")
    assert counter.stock() == 9


@pytest.mark.parametrize("status", ["voided", "held", "replaced"])
def test_each_state_has_a_code_of_its_own(machine: Machine, counter: Counter, status: str) -> None:
    code = counter.new_code()
    with unit_of_work() as session:
        if status == "replaced":
            session.execute(sa.update(RedemptionCode).values(status="replaced"))
        else:
            set_codes(counter.code(code).donation_id, status)
    assert refused(machine.redeem(code)) == (409, f"sticker_code_{status}")


def test_other_refusals_have_codes_too(machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    wrong = ("A" if code[0] != "A" else "C") + code[1:]
    assert refused(machine.redeem(wrong)) == (422, "sticker_code_mistyped")
    assert refused(machine.redeem(codes.draw())) == (404, "sticker_code_unknown")
    assert refused(machine.redeem(code, OTHER)) == (403, "not_your_office")
    assert refused(machine.redeem(code, "NOWHERE")) == (404, "office_not_found")
    assert refused(machine.redeem(code, 5)) == (422, "validation_failed")
    assert refused(machine.redeem(code, json={"office": OWN, "more": 1})) == (422, "validation_failed")
    assert refused(machine.redeem(counter.new_code(5000, pack="chat-friends"))) == (409, "sticker_code_digital")
    assert refused(machine.redeem(counter.new_code(3000, pack="brave-hearts"))) == (409, "out_of_stock")
    with unit_of_work() as session:
        session.execute(sa.update(Campaign).values(collect_until=utcnow() - timedelta(days=1)))
    assert refused(machine.redeem(code)) == (409, "sticker_code_expired")
    with unit_of_work() as session:
        session.execute(sa.update(Office).values(active=False))
    assert refused(machine.redeem(code)) == (409, "office_closed")
    assert (counter.status(code), counter.stock()) == ("issued", 10)


def test_guessing_is_stopped_for_machines_too(machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    for _ in range(PER_CLERK):
        assert machine.redeem(codes.draw()).status_code == 404
    answers = [machine.redeem(each) for each in (code, codes.draw())]
    assert [refused(answer) for answer in answers] == [(429, "too_many_guesses")] * 2
    assert answers[0].json == answers[1].json
    assert 0 < int(answers[0].headers["Retry-After"]) <= guessing.WINDOW.total_seconds() + 1


def test_no_token_a_wrong_scope_and_a_disabled_member(app: Flask, machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    assert Machine(app, "").redeem(code).status_code == 401
    other_scope = make_token(counter.actor.email, "stock:read", label="other")
    assert Machine(app, other_scope).redeem(code).status_code == 403
    with unit_of_work() as session:
        session.execute(sa.update(StaffMember).values(active=False))
    assert machine.redeem(code).status_code == 401
    assert counter.status(code) == "issued"


def test_it_is_described_with_its_refusals(app: Flask) -> None:
    paths = (app.test_client().get("/api/openapi.json").json or {})["paths"]
    operation = paths["/api/v1/sticker-codes/{code}/redemptions"]["post"]
    assert operation["x-scope"] == "codes:redeem"
    assert {"201", "401", "403", "404", "409", "422", "429"} <= set(operation["responses"])
    assert "sticker_code_redeemed" in operation["responses"]["409"]["description"]
    assert "Idempotency-Key" in [each.get("name") for each in operation["parameters"]]
