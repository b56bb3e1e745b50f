"""The API and the commands of stock."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from core.clock import utcnow
from core.db import db, unit_of_work
from staff.services import require_member
from staff.tokens import make_token
from stickers.stock.models import StockTransfer
from tests.staff.console import COMMAND, make_member
from tests.stock.conftest import level, movements

Stocked = Callable[[str, str, int], tuple[int, int]]
OWN, OTHER, PACK = "MINSK-01", "BREST-01", "kind-words"


@pytest.fixture
def ask(client: FlaskClient, offices: dict[str, int]) -> Callable[..., tuple[int, dict]]:
    """What the API answers to a token of this scope, of a clerk at OWN."""
    make_member("clerk@example.org", "office", offices=[offices[OWN]])

    def answer(office: str, scope: str = "stock:read") -> tuple[int, dict]:
        with unit_of_work():
            member = require_member("clerk@example.org")
            _, secret = make_token(member, f"{office} {scope}", [scope], None, now=utcnow(), **COMMAND)
        reply = client.get(f"/api/v1/offices/{office}/stock", headers={"Authorization": f"Bearer {secret}"})
        return reply.status_code, reply.get_json()

    return answer


def test_a_token_reads_the_stock_of_its_members_office(ask: Callable[..., tuple[int, dict]], stocked: Stocked) -> None:
    stocked(OWN, PACK, 3)
    status, body = ask(OWN)
    assert status == 200
    assert body["office"] == OWN
    assert body["packs"][0] == {"pack": PACK, "quantity": 3, "low_mark": 5, "standing": "low", "coming": 0}
    assert [each["standing"] for each in body["packs"]] == ["low", "none"]


def test_other_offices_other_scopes_and_nobody_are_refused(
    ask: Callable[..., tuple[int, dict]], client: FlaskClient
) -> None:
    assert ask(OTHER)[0] == 403
    assert ask(OWN, "codes:redeem")[0] == 403
    assert ask("NOWHERE")[0] == 404
    assert client.get(f"/api/v1/offices/{OWN}/stock").status_code == 401


def run(app: Flask, *args: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["stock", *args])
    return result.exit_code, result.output


def test_deliveries_are_received_by_command(app: Flask, offices: dict[str, int], packs: dict[str, int]) -> None:
    place = offices[OWN], packs[PACK]
    assert run(app, "receive", OWN, PACK, "20", "--reference", "TTN 7") == (0, f"{OWN} has 20 of {PACK}\n")
    assert movements(place) == [("received", 20, 20)]
    for wrong in (("NOWHERE", PACK, "1"), (OWN, "nothing", "1"), (OWN, "chat-friends", "1"), (OWN, PACK, "0")):
        assert run(app, "receive", *wrong, "--reference", "TTN 8")[0] != 0
    assert level(place) == 20
    code, shown = run(app, "show", OWN)
    assert code == 0
    assert shown.splitlines()[0].split("  ")[:4] == [OWN, PACK, "20", "0"]
    assert len(run(app, "show", "--low")[1].splitlines()) == 15


def break_rows(statement: str) -> None:
    """As who has the database's password could."""
    sealed = db.session.get_bind().dialect.name == "postgresql"
    if sealed:
        db.session.execute(sa.text("SET session_replication_role = replica"))
    elif "movements" in statement:
        db.session.execute(sa.text("DROP TRIGGER trg_stock_movements_no_update"))
    db.session.execute(sa.text(statement))
    if sealed:
        db.session.execute(sa.text("SET session_replication_role = origin"))
    db.session.commit()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE stock_levels SET quantity = 19", "the level is 19, its movements come to 20"),
        ("UPDATE stock_movements SET delta = 21, level = 21", "its movements come to 21"),
        ("UPDATE stock_movements SET level = 21", "the level was 21, it should be 20"),
    ],
)
def test_the_check_finds_what_does_not_add_up(app: Flask, stocked: Stocked, statement: str, fault: str) -> None:
    stocked(OWN, PACK, 20)
    assert run(app, "check") == (0, "levels, movements and transfers agree\n")
    break_rows(statement)
    code, output = run(app, "check")
    assert code == 1
    assert f"{OWN} {PACK}: " in output
    assert fault in output


def test_the_check_finds_a_transfer_that_leaks(app: Flask, stocked: Stocked, offices: dict[str, int]) -> None:
    place = stocked(OWN, PACK, 20)
    with unit_of_work() as session:
        values = {"from_office_id": place[0], "to_office_id": offices[OTHER], "pack_id": place[1], "quantity": 2}
        session.add(StockTransfer(**values, sent_by="nobody", sent_at=utcnow()))
    assert "on_the_way with 2, its movements come to 0" in run(app, "check")[1]
