"""A counter: an office with packs on its shelf, a clerk, and visitors with codes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from offices.models import Office
from ops.demo_offices import seed_offices
from staff.access import Actor
from staff.models import StaffMember
from stickers import codes
from stickers.counter import guessing, services
from stickers.models import Redemption, RedemptionCode, StickerPack
from stickers.stock.models import StockLevel
from stickers.stock.services import receive
from tests.house import House
from tests.staff.console import Browser, make_member

OWN, OTHER = "MINSK-01", "BREST-01"
PACK = "kind-words"


@dataclass
class Counter:
    """The counter of one office, in the words of a test."""

    house: House
    office: Office
    actor: Actor

    def pack(self, code: str = PACK) -> StickerPack:
        return db.session.scalars(sa.select(StickerPack).where(StickerPack.code == code)).one()

    def fill(self, quantity: int, office: Office | None = None, pack: str = PACK) -> None:
        where, what = (office or self.office).id, self.pack(pack).id
        with unit_of_work():
            receive(where, what, quantity, reference="delivery 1", actor=self.actor.email, now=utcnow())

    def new_code(self, amount: int = 1000, pack: str = PACK, **body: Any) -> str:
        """The stored form of a code of a donation made now."""
        donation = self.house.given(amount, **body)
        states = self.house.state(donation)["sticker_codes"]
        return codes.read(next(each["code"] for each in states if each["pack"] == pack))

    def many_codes(self, number: int, pack: str = PACK) -> list[str]:
        """Codes of one donation that nobody has paid: for tests that need a heap of them."""
        donation = self.house.row(self.house.give(1000))
        packs, drawn = self.pack(pack).id, [codes.draw() for _ in range(number)]
        with unit_of_work() as session:
            session.add_all(
                RedemptionCode(
                    donation_id=donation.id, ordinal=ordinal, pack_id=packs, code=each, issued_at=donation.created_at
                )
                for ordinal, each in enumerate(drawn, start=1)
            )
        return drawn

    def redeem(self, code: str, nonce: str = "press-1", **instead: Any) -> Redemption:
        values = {"office": self.office, "actor": self.actor, "now": utcnow(), **instead}
        with unit_of_work():
            return services.redeem_code(code, nonce=nonce, **values)

    def undo(self, redemption: Redemption, reason: str = "a press too many", **instead: Any) -> None:
        [key] = sa.inspect(redemption).identity or [None]  # the row may have been left behind by another session
        with unit_of_work():
            found = db.session.get_one(Redemption, key)
            services.undo_redemption(found, reason=reason, **{"actor": self.actor, "now": utcnow(), **instead})

    def code(self, code: str) -> RedemptionCode:
        db.session.rollback()
        db.session.expire_all()
        return db.session.scalars(sa.select(RedemptionCode).where(RedemptionCode.code == code)).one()

    def status(self, code: str) -> str:
        return self.code(code).status

    def stock(self, office: Office | None = None, pack: str = PACK) -> int:
        db.session.rollback()
        where = {"office_id": (office or self.office).id, "pack_id": self.pack(pack).id}
        return int(db.session.scalar(sa.select(StockLevel.quantity).filter_by(**where)) or 0)

    def standing_redemptions(self) -> int:
        return self.house.count(Redemption, Redemption.undone_at.is_(None))


def office_by(code: str) -> Office:
    found = db.session.scalars(sa.select(Office).where(Office.code == code)).one()
    db.session.expunge(found)
    return found


def actor_of(email: str) -> Actor:
    member = db.session.scalars(sa.select(StaffMember).where(StaffMember.email == email)).one()
    return Actor(member.id, member.email, member.name, member.role_names(), "10.0.0.1")


NewClerk = Callable[..., Actor]


@pytest.fixture
def new_clerk(app: Flask) -> NewClerk:
    """Make a member of office staff for these offices."""
    numbers = iter(range(1, 1000))

    def make(*offices: Office, role: str = "office") -> Actor:
        email = make_member(f"{role}-{next(numbers)}@example.org", role, offices=[office.id for office in offices])
        actor = actor_of(email)
        db.session.remove()
        return actor

    return make


@pytest.fixture(autouse=True)
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole day is one window of counting: no quarter of an hour ends in the middle of a test."""
    monkeypatch.setattr(guessing, "WINDOW", timedelta(days=1))


@pytest.fixture
def own(app: Flask) -> Office:
    seed_offices(utcnow())
    return office_by(OWN)


@pytest.fixture
def other(own: Office) -> Office:
    return office_by(OTHER)


@pytest.fixture
def counter(house: House, own: Office, new_clerk: NewClerk) -> Counter:
    """Ten packs on the shelf."""
    found = Counter(house, own, new_clerk(own))
    found.fill(10)
    return found


@pytest.fixture
def now() -> datetime:
    return utcnow()


@pytest.fixture
def till(app: Flask, counter: Counter) -> Browser:
    """The clerk of the counter, signed in, in English, with the counter's page open."""
    browser = Browser(app)
    browser.get("/staff/login?lang=en")
    assert browser.sign_in(counter.actor.email).status_code == 302
    browser.get("/staff/counter")
    return browser


def verdict_of(page: TestResponse) -> str:
    """The kind of the verdict that a page shows."""
    found = re.search(r'data-verdict="(\w+)"', page.text)
    assert found, page.text
    return found[1]


def fields_of(page: TestResponse, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes to an address ending so."""
    form = re.search(rf'<form[^>]*action="[^"]*{action}".*?</form>', page.text, re.DOTALL)
    assert form, page.text
    pairs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0])
    return {name: value for name, value in pairs if name != "csrf_token"}


def press(browser: Browser, form: str, fields: dict[str, str]) -> TestResponse:
    """The page that a form of the counter leads to."""
    return browser.post(f"/staff/counter/{form}", fields, follow_redirects=True)


def check(browser: Browser, code: str, office: str = OWN) -> TestResponse:
    """What the clerk sees when they have typed the code."""
    return press(browser, "code", {"office": office, "code": code})
