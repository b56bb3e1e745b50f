"""Two offices with one of everything that belongs to an office, to ask for as the right and the wrong clerk."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from werkzeug.routing import Rule

from core.clock import utcnow
from core.db import db, unit_of_work
from offices import print_services, queries, services
from offices.models import Office
from staff.access import Actor
from stickers import codes
from stickers.counter.services import redeem_code
from stickers.models import RedemptionCode, StickerPack
from stickers.stock import sheets, transfers
from stickers.stock.services import level_of, receive
from tests.house import House
from tests.staff.console import make_member

PACK = "kind-words"
BY = "somebody@example.org"


@dataclass(frozen=True)
class Place:
    """What belongs to one office, by what stands in addresses."""

    office: str
    link: str
    printed: str
    redemption: str
    sheet: str
    incoming: str
    outgoing: str


# Which of it an address names, by how the route begins; the longest beginning counts.
NAMED: dict[str, dict[str, str]] = {
    "/staff/offices/<code>": {"code": "office"},
    "/staff/stock/<code>": {"code": "office"},
    "/api/v1/offices/<code>": {"code": "office"},
    "/api/v1/redemptions/<public_id>": {"public_id": "redemption"},
    "/staff/links/<code>": {"code": "link"},
    "/staff/prints/<public_id>": {"public_id": "printed"},
    "/staff/counter/done/<public_id>": {"public_id": "redemption"},
    "/staff/stock/sheets/<public_id>": {"public_id": "sheet"},
    "/staff/stock/transfers/<public_id>": {"public_id": "incoming"},
    "/staff/stock/transfers/<public_id>/cancel": {"public_id": "outgoing"},
}


# What machines send to an address that ends so.
BODIES: dict[str, dict[str, Any]] = {
    "/received": {"quantity": 1, "reference": "delivery"},
    "/damaged": {"quantity": 1, "reason": "wet"},
    "/counted": {"counted": 5, "reason": "found"},
    "/undo": {"reason": "The wrong pack"},
}


def body_for(route: str, place: Place) -> dict[str, Any]:
    return next((body for ending, body in BODIES.items() if route.endswith(ending)), {"office": place.office})


def values_for(rule: Rule, place: Place) -> dict[str, Any]:
    """What to put into the address: things of the place where a route names them, else nothing that exists."""
    beginning = max((each for each in NAMED if rule.rule.startswith(each)), key=len, default="")
    named = {name: getattr(place, what) for name, what in NAMED.get(beginning, {}).items()}
    return {name: named.get(name) or _anything(rule, name) for name in rule._converters}


def _anything(rule: Rule, name: str) -> Any:
    converter = rule._converters[name]
    match type(converter).__name__:
        case "IntegerConverter":
            return 999_999
        case "AnyConverter":
            return sorted(converter.items)[0]  # type: ignore[attr-defined]
        case _:
            return {"pack": PACK, "code": codes.show(codes.draw())}.get(name, "x")


def make_places(house: House, *offices: str) -> list[Place]:
    """With the demonstration's offices; a third one is at the other end of transfers."""
    found = {code: queries.office_by_code(code).id for code in offices}
    third = db.session.scalars(sa.select(Office.code).where(Office.code.not_in(offices)).limit(1)).one()
    clerk_id = _clerk_of_all()
    donated = [_new_code(house) for _ in offices]
    return [_make(code, third, clerk_id, given) for code, given in zip(found, donated, strict=True)]


def _clerk_of_all() -> int:
    from staff.services import require_member

    return require_member(make_member(BY, "campaign")).id


def _new_code(house: House) -> str:
    states = house.state(house.given(1000))["sticker_codes"]
    return codes.read(next(each["code"] for each in states if each["pack"] == PACK))


def _make(code: str, third: str, clerk_id: int, given: str) -> Place:
    now = utcnow()
    actor = Actor(clerk_id, BY, "", frozenset({"campaign"}), "-")
    with unit_of_work() as session:
        here, there = queries.office_by_code(code), queries.office_by_code(third)
        pack = session.scalars(sa.select(StickerPack).where(StickerPack.code == PACK)).one()
        for office in (here, there):
            receive(office.id, pack.id, 10, reference="delivery", actor=BY, now=now)
        campaign = queries.campaign_id(None) or 0
        [link] = services.add_placements([services.Place(campaign, "office_poster", "ru", office_id=here.id)], now)
        batch = print_services.create_batch(
            campaign_id=campaign,
            format="a6",
            language="ru",
            copies=1,
            offices=[code],
            packaging="pdf",
            created_by=BY,
            now=now,
        )
        redemption = redeem_code(given, office=here, actor=actor, nonce=f"press {code}", now=now)
        left = level_of(here.id, pack.id)
        counted = [sheets.Counted(pack_id=pack.id, expected=left, counted=left, reason="")]
        sheet = sheets.close_shift(here.id, counted, note="", actor=BY, now=now)
        incoming = transfers.send(there.id, pack.id, 1, to_office=here, note="", actor=BY, now=now)
        outgoing = transfers.send(here.id, pack.id, 1, to_office=there, note="", actor=BY, now=now)
        place = Place(
            code,
            link.code,
            batch.public_id,
            redemption.public_id,
            sheet.public_id,
            incoming.public_id,
            outgoing.public_id,
        )
        session.flush()
    assert session.scalars(sa.select(RedemptionCode.status).where(RedemptionCode.code == given)).one() == "redeemed"
    db.session.remove()
    return place
