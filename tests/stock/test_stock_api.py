"""Machines record what came, broke or was counted: once for each key, by the same rules as people."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from staff.models import AuditEntry
from stickers.stock import forms
from stickers.stock.checks import faults
from stickers.stock.models import StockForm, StockMovement
from tests.console import conftest
from tests.staff.console import make_member
from tests.staff.machines import make_token
from tests.stock.conftest import level, movements

Stocked = Callable[[str, str, int], tuple[int, int]]
Send = Callable[..., TestResponse]
OWN, OTHER, PACK, CLERK = "MINSK-01", "BREST-01", "kind-words", "clerk@example.org"
DELIVERY = {"quantity": 20, "reference": "TTN 7"}


@pytest.fixture
def secret(app: Flask, offices: dict[str, int]) -> str:
    """Of a token of a clerk at OWN."""
    return make_token(make_member(CLERK, "office", offices=[offices[OWN]]), "stock:write", label="scales")


@pytest.fixture
def send(app: Flask, secret: str) -> Send:
    def post(act: str, body: object, key: str | None = "key-1", office: str = OWN, pack: str = PACK) -> TestResponse:
        headers = {"Authorization": f"Bearer {secret}"} | ({} if key is None else {"Idempotency-Key": key})
        path = f"/api/v1/offices/{office}/stock/{pack}/{act}"
        return app.test_client().post(path, headers=headers, json=body)

    return post


@pytest.fixture
def place(offices: dict[str, int], packs: dict[str, int]) -> tuple[int, int]:
    return offices[OWN], packs[PACK]


def acts() -> list[str]:
    return [action for _who, action, _what in conftest.acts() if action.startswith("stock.")]


def said(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["code"]


def shown(quantity: int, standing: str = "enough") -> dict[str, Any]:
    return {"pack": PACK, "quantity": quantity, "low_mark": 5, "standing": standing, "coming": 0}


def test_a_delivery_a_damage_and_a_count_are_movements_with_their_reasons(send: Send, place: tuple[int, int]) -> None:
    answers = [
        send("received", DELIVERY, "1"),
        send("damaged", {"quantity": 2, "reason": "wet"}, "2"),
        send("counted", {"counted": 4, "expected": 18, "reason": "a box is missing"}, "3"),
        send("counted", {"counted": 4}, "4"),
    ]
    assert [answer.status_code for answer in answers] == [201] * 4
    assert [answer.json for answer in answers] == [shown(20), shown(18), shown(4, "low"), shown(4, "low")]
    assert movements(place) == [("received", 20, 20), ("damaged", -2, 18), ("counted", -14, 4), ("counted", 0, 4)]
    notes = db.session.scalars(sa.select(StockMovement.note).order_by(StockMovement.id)).all()
    assert notes == ["TTN 7", "wet", "a box is missing", ""]
    assert faults() == []


def test_the_log_names_the_token_and_the_levels(send: Send, secret: str, place: tuple[int, int]) -> None:
    send("received", DELIVERY, office=OWN.lower())
    [entry] = db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "stock.received"))
    assert (entry.actor, entry.via, entry.subject) == (CLERK, f"{secret[:10]}… scales", f"stock:{OWN}:{PACK}")
    assert (entry.before, entry.after) == ({"level": 0}, {"level": 20, **DELIVERY})


def test_the_same_key_again_changes_nothing_and_says_so(send: Send, place: tuple[int, int]) -> None:
    answers = [send("received", DELIVERY) for _ in range(3)]
    assert [(answer.status_code, answer.json) for answer in answers] == [(201, shown(20)), *[(200, shown(20))] * 2]
    assert (level(place), len(acts())) == (20, 1)


@pytest.mark.parametrize(
    ("act", "body", "office"),
    [
        ("received", {**DELIVERY, "quantity": 21}, OWN),
        ("damaged", {"quantity": 20, "reason": "TTN 7"}, OWN),
        ("received", DELIVERY, OTHER),
    ],
    ids=["another body", "another act", "another office"],
)
def test_a_key_of_another_request_is_refused(
    app: Flask, offices: dict[str, int], place: tuple[int, int], act: str, body: dict[str, Any], office: str
) -> None:
    headers = {
        "Authorization": f"Bearer {make_token(make_member('team@example.org', 'campaign'), 'stock:write')}",
        "Idempotency-Key": "one",
    }
    client = app.test_client()
    assert (
        client.post(f"/api/v1/offices/{OWN}/stock/{PACK}/received", headers=headers, json=DELIVERY).status_code == 201
    )
    for _ in range(2):
        refused = client.post(f"/api/v1/offices/{office}/stock/{PACK}/{act}", headers=headers, json=body)
        assert said(refused) == (409, "idempotency_key_reused")
    assert (level(place), level((offices[OTHER], place[1]))) == (20, None)


def test_a_refused_request_leaves_its_key_free(send: Send, place: tuple[int, int]) -> None:
    assert said(send("damaged", {"quantity": 1, "reason": "wet"})) == (409, "not_enough_packs")
    assert send("received", DELIVERY).status_code == 201


def test_keys_of_two_members_are_two(app: Flask, send: Send, place: tuple[int, int]) -> None:
    send("received", DELIVERY)
    team = make_token(make_member("team@example.org", "campaign"), "stock:write")
    headers = {"Authorization": f"Bearer {team}", "Idempotency-Key": "key-1"}
    path = f"/api/v1/offices/{OWN}/stock/{PACK}/received"
    assert app.test_client().post(path, headers=headers, json=DELIVERY).status_code == 201
    assert level(place) == 40


def test_one_request_sent_four_times_at_once_is_taken_once(send: Send, place: tuple[int, int]) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send("received", DELIVERY).status_code, range(4)))
    assert sorted(answers) == [200, 200, 200, 201]
    assert movements(place) == [("received", 20, 20)]


WRONG: list[tuple[str, object, int, str]] = [
    ("received", {"quantity": 0, "reference": "TTN"}, 422, "quantity_invalid"),
    ("received", {"quantity": 100_001, "reference": "TTN"}, 422, "quantity_invalid"),
    ("received", {"quantity": 10**40, "reference": "TTN"}, 422, "quantity_invalid"),
    ("received", {"quantity": True, "reference": "TTN"}, 422, "validation_failed"),
    ("received", {"quantity": "3", "reference": "TTN"}, 422, "validation_failed"),
    ("received", {"quantity": 3.0, "reference": "TTN"}, 422, "validation_failed"),
    ("received", {"quantity": 3, "reference": " "}, 422, "reason_missing"),
    ("received", {"quantity": 3, "reference": "x" * 201}, 422, "text_too_long"),
    ("received", {"quantity": 3, "reference": "x\0"}, 422, "validation_failed"),
    ("received", {"quantity": 3}, 422, "validation_failed"),
    ("received", {**DELIVERY, "more": 1}, 422, "validation_failed"),
    ("received", [], 422, "validation_failed"),
    ("damaged", {"quantity": 11, "reason": "wet"}, 409, "not_enough_packs"),
    ("damaged", {"quantity": 1, "reason": ""}, 422, "reason_missing"),
    ("counted", {"counted": 9}, 422, "reason_missing"),
    ("counted", {"counted": -1, "reason": "x"}, 422, "quantity_invalid"),
    ("counted", {"counted": 9, "expected": 8, "reason": "x"}, 409, "stock_changed"),
]


def test_what_breaks_a_rule_changes_nothing(send: Send, stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 10)
    for number, (act, body, *expected) in enumerate(WRONG):
        assert said(send(act, body, str(number))) == tuple(expected), (act, body)
    assert movements(place) == [("received", 10, 10)]
    assert acts() == []


@pytest.mark.parametrize("key", [None, "", "x" * 256])
def test_without_a_key_nothing_is_recorded(send: Send, place: tuple[int, int], key: str | None) -> None:
    assert said(send("received", DELIVERY, key)) == (400, "idempotency_key_invalid")
    assert level(place) is None


def test_other_offices_unknown_ones_and_downloads_are_refused(send: Send, place: tuple[int, int]) -> None:
    assert said(send("received", DELIVERY, office=OTHER)) == (403, "not_your_office")
    assert said(send("received", DELIVERY, office="NOWHERE")) == (404, "office_not_found")
    assert said(send("received", DELIVERY, pack="nothing")) == (404, "pack_not_found")
    assert said(send("received", DELIVERY, pack="chat-friends")) == (404, "pack_not_found")
    assert acts() == []


def test_who_may_only_read_records_nothing(app: Flask, secret: str, place: tuple[int, int]) -> None:
    headers = {"Authorization": f"Bearer {make_token(CLERK, 'stock:read', label='reader')}", "Idempotency-Key": "1"}
    path = f"/api/v1/offices/{OWN}/stock/{PACK}/received"
    assert said(app.test_client().post(path, headers=headers, json=DELIVERY)) == (403, "scope_missing")
    assert level(place) is None


def test_keys_are_forgotten_after_a_week(send: Send, place: tuple[int, int]) -> None:
    send("received", DELIVERY)
    with unit_of_work() as session:
        session.execute(sa.update(StockForm).values(taken_at=utcnow() - forms.KEEP - timedelta(minutes=1)))
    forms.forget_old_forms()
    assert send("received", DELIVERY).status_code == 201
    assert level(place) == 40


def test_they_are_described_with_their_refusals(app: Flask) -> None:
    paths = (app.test_client().get("/api/openapi.json").json or {})["paths"]
    for act in ("received", "damaged", "counted"):
        operation = paths[f"/api/v1/offices/{{code}}/stock/{{pack}}/{act}"]["post"]
        assert operation["x-scope"] == "stock:write"
        assert {"201", "400", "401", "403", "404", "409", "422"} <= set(operation["responses"])
        assert [each["name"] for each in operation["parameters"] if each.get("required")] == ["Idempotency-Key"]
