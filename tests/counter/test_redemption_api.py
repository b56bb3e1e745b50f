"""Packs handed over by machines: one token, one scope, one redemption for each key."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.models import Campaign
from offices.models import Office
from staff.models import AuditEntry, StaffMember
from stickers import codes
from stickers.counter import guessing
from stickers.counter.guessing import PER_CLERK
from stickers.models import RedemptionCode
from stickers.services import set_codes
from tests.console.conftest import acts
from tests.counter.conftest import OTHER, OWN, PACK, Counter
from tests.staff.console import make_member
from tests.staff.machines import make_token


class Machine:
    def __init__(self, app: Flask, secret: str) -> None:
        self.app, self.secret = app, secret

    def redeem(self, code: str, office: object = OWN, key: str | None = "key-1", **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.secret}"} | ({"Idempotency-Key": key} if key is not None else {})
        options = {"json": {"office": office}} | options
        return self.app.test_client().post(f"/api/v1/sticker-codes/{code}/redemptions", headers=headers, **options)

    def undo(self, redemption: str, reason: object = "The wrong pack") -> TestResponse:
        headers, path = {"Authorization": f"Bearer {self.secret}"}, f"/api/v1/redemptions/{redemption}/undo"
        return self.app.test_client().post(path, headers=headers, json={"reason": reason})


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
    assert stored.redemption is not None
    assert body == {
        "id": stored.redemption.public_id,
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


def test_a_hand_over_is_undone_once_and_written_down_with_the_token(machine: Machine, counter: Counter) -> None:
    code = counter.new_code()
    done = machine.redeem(code).json or {}
    answers = [machine.undo(done["id"]), machine.undo(done["id"], "twice")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json == {**done, "undone_at": (answers[0].json or {})["undone_at"]}
    assert (answers[0].json or {})["undone_at"] is not None
    assert (counter.status(code), counter.stock(), counter.standing_redemptions()) == ("issued", 10, 0)
    [entry] = db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "code.redemption_undone"))
    assert (entry.actor, entry.via, entry.subject) == (
        counter.actor.email,
        f"{machine.secret[:10]}… till",
        f"redemption:{done['id']}",
    )
    assert ((entry.before or {})["level"], entry.after) == (
        9,
        {"office": OWN, "pack": PACK, "status": "issued", "level": 10, "reason": "The wrong pack"},
    )
    assert machine.redeem(code, key="another").status_code == 201


def test_an_undo_keeps_the_rules_of_the_page(machine: Machine, counter: Counter, other: Office) -> None:
    done = machine.redeem(counter.new_code()).json or {}
    for reason in ("", " \n", "x" * 201):
        assert refused(machine.undo(done["id"], reason)) == (422, "undo_reason_missing")
    assert refused(machine.undo(done["id"], 5)) == (422, "validation_failed")
    assert refused(machine.undo(done["id"], "x\0y")) == (422, "validation_failed")
    assert refused(machine.undo("nothing")) == (404, "redemption_not_found")
    stranger = make_member("stranger@example.org", "office", offices=[other.id])
    assert refused(Machine(machine.app, make_token(stranger)).undo(done["id"])) == (403, "not_your_office")
    late = counter.redeem(counter.new_code(), "late", now=utcnow() - timedelta(minutes=16)).public_id
    assert refused(machine.undo(late)) == (409, "too_late_to_undo")
    reader = Machine(machine.app, make_token(counter.actor.email, "stock:read", label="other"))
    assert refused(reader.undo(done["id"])) == (403, "scope_missing")
    assert (counter.stock(), counter.standing_redemptions()) == (8, 2)


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
    undo = paths["/api/v1/redemptions/{public_id}/undo"]["post"]
    assert undo["x-scope"] == "codes:redeem"
    assert {"200", "401", "403", "404", "409", "422"} <= set(undo["responses"])
