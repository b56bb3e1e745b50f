"""Random histories of deliveries, transfers, counts, redemptions, undos and voids agree with a plain model.

The model knows numbers only: what lies at an office, what is on the way, what became of each code. After every step
the database says the same, movement by movement, and its own check finds nothing.
"""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from app import create_app
from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import Localized
from donations.services import Gift, start_donation
from offices.models import Office
from ops.demo import SLUG, seed_demo
from staff.access import Actor
from staff.services import require_member
from stickers.counter.services import redeem_code, undo_redemption
from stickers.models import Redemption, StickerPack
from stickers.services import codes_of, issue_codes, set_codes
from stickers.stock import services, sheets, transfers
from stickers.stock.checks import faults
from stickers.stock.models import StockLevel, StockMovement
from stickers.stock.sheets import Counted
from tests import databases
from tests.staff.console import make_member

# Some seconds' worth; HISTORY_EXAMPLES=20 tells twenty times as many.
TIMES = int(os.environ.get("HISTORY_EXAMPLES", "1"))
EXAMPLES = {"sqlite": 10 * TIMES, "postgresql": 4 * TIMES}
STEPS = 40
numbers = count(1)

OFFICES, PACKS = st.integers(0, 2), st.integers(0, 1)
FEW = st.integers(1, 4)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database with the demonstration campaign and a clerk; which engine it is."""
    directory = tmp_path_factory.mktemp("histories")
    if request.param == "sqlite":
        url = databases.copy_sqlite(request.getfixturevalue("sqlite_template"), directory / "test.sqlite3")
    else:
        url = request.getfixturevalue("postgresql_url")
        databases.empty_postgresql(url)
    app = create_app(databases.settings(url, directory))
    with app.app_context():
        seed_demo(utcnow())
        make_member("clerk@example.org", "campaign")
        yield request.param
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


class Histories(RuleBasedStateMachine):
    """Three new offices for each history, two packs. Refusals are part of it: they must be the model's own."""

    sendings = Bundle("sendings")
    gifts = Bundle("gifts")
    codes = Bundle("codes")
    redemptions = Bundle("redemptions")

    @initialize()
    def begin(self) -> None:
        self.who = {"actor": "clerk@example.org"}
        with unit_of_work() as session:
            text = Localized(ru="Салон")
            made = [Office(code=f"H-{next(numbers)}", name=text, address=text, region="Минск") for _ in range(3)]
            session.add_all(made)
            session.flush()
            self.offices = [office.id for office in made]
            packs = session.scalars(sa.select(StickerPack).filter_by(kind="physical").order_by(StickerPack.id))
            self.packs = [pack.id for pack in packs][:2]
            member = require_member("clerk@example.org")
            self.clerk = Actor(member.id, member.email, "", frozenset({"campaign"}), "-")
        self.shelf: Counter[tuple[int, int]] = Counter()
        self.moved: Counter[tuple[int, int, str]] = Counter()
        self.way: dict[str, tuple[int, int, int, int]] = {}  # from, to, pack, quantity
        self.money: dict[int, str] = {}  # of a gift: issued, held, voided
        self.held_by: dict[str, str | None] = {}  # code: the redemption that stands
        self.taken: dict[str, tuple[int, int, str, bool]] = {}  # redemption: office, pack, code, stands

    def does(self, act: Any, *, refused: str | None = None) -> Any:
        """Do it in one unit of work; the model says whether it must be refused, and how."""
        done, said = None, None
        try:
            with unit_of_work():
                done = act()
        except DomainError as refusal:
            said = refusal.code
        assert said == refused
        return done

    def moves(self, office: int, pack: int, kind: str, delta: int) -> None:
        self.shelf[office, pack] += delta
        self.moved[office, pack, kind] += delta

    def at(self, office: int, pack: int) -> tuple[int, int]:
        return self.offices[office], self.packs[pack]

    @rule(office=OFFICES, pack=PACKS, quantity=FEW)
    def receive(self, office: int, pack: int, quantity: int) -> None:
        place = self.at(office, pack)
        self.does(lambda: services.receive(*place, quantity, reference="TTN", now=utcnow(), **self.who))
        self.moves(office, pack, "received", quantity)

    @rule(office=OFFICES, pack=PACKS, quantity=FEW)
    def damage(self, office: int, pack: int, quantity: int) -> None:
        too_many = quantity > self.shelf[office, pack]
        place = self.at(office, pack)
        self.does(
            lambda: services.damage(*place, quantity, reason="wet", now=utcnow(), **self.who),
            refused="not_enough_packs" if too_many else None,
        )
        if not too_many:
            self.moves(office, pack, "damaged", -quantity)

    @rule(office=OFFICES, pack=PACKS, counted=st.integers(0, 5), stale=st.integers(0, 3))
    def count(self, office: int, pack: int, counted: int, stale: int) -> None:
        """One in four counts was made before somebody else did something."""
        was = self.shelf[office, pack]
        expected = was + 1 if stale == 3 else was
        values = {"reason": "counted", "expected": expected, "now": utcnow(), **self.who}
        place = self.at(office, pack)
        self.does(
            lambda: services.count(*place, counted, **values), refused="stock_changed" if expected != was else None
        )
        if expected == was:
            self.moves(office, pack, "counted", counted - was)

    @rule(office=OFFICES, counted=st.tuples(st.integers(0, 5), st.integers(0, 5)))
    def close_shift(self, office: int, counted: tuple[int, int]) -> None:
        were = [self.shelf[office, pack] for pack in (0, 1)]
        lines = [Counted(self.packs[pack], were[pack], counted[pack], "shift") for pack in (1, 0)]
        self.does(lambda: sheets.close_shift(self.offices[office], lines, note="", now=utcnow(), **self.who))
        for pack in (0, 1):
            self.moves(office, pack, "counted", counted[pack] - were[pack])

    @rule(target=sendings, office=OFFICES, step=st.integers(1, 2), pack=PACKS, quantity=FEW)
    def send(self, office: int, step: int, pack: int, quantity: int) -> Any:
        to, place = (office + step) % 3, self.at(office, pack)

        def act() -> str:
            other = db.session.get_one(Office, self.offices[to])
            return transfers.send(*place, quantity, to_office=other, note="", now=utcnow(), **self.who).public_id

        too_many = quantity > self.shelf[office, pack]
        public_id = self.does(act, refused="not_enough_packs" if too_many else None)
        if too_many:
            return multiple()
        self.moves(office, pack, "sent", -quantity)
        self.way[public_id] = (office, to, pack, quantity)
        return public_id

    @rule(sending=sendings, more=st.integers(-2, 1))
    def confirm(self, sending: str, more: int) -> None:
        _office, to, pack, quantity = self.way.get(sending, (0, 0, 0, 9))
        arrived = max(0, quantity + more)

        def act() -> None:
            transfers.confirm(transfers.find(sending), arrived, reason="as counted", now=utcnow(), **self.who)

        self.does(act, refused=None if sending in self.way else "transfer_ended")
        if self.way.pop(sending, None):
            self.moves(to, pack, "arrived", quantity)
            self.moves(to, pack, "variance", arrived - quantity)

    @rule(sending=sendings, end=st.sampled_from([transfers.cancel, transfers.decline]))
    def give_up(self, sending: str, end: Any) -> None:
        def act() -> None:
            end(transfers.find(sending), reason="no room", now=utcnow(), **self.who)

        self.does(act, refused=None if sending in self.way else "transfer_ended")
        if found := self.way.pop(sending, None):
            office, _to, pack, quantity = found
            self.moves(office, pack, "returned", quantity)

    @rule(target=codes)
    def give(self) -> Any:
        """A gift with a code for each of the two packs."""
        gift = Gift(campaign=SLUG, amount_minor=3000, currency="BYN", channel="page", locale="ru")
        donation = start_donation(gift, f"history-{next(numbers)}", utcnow())
        with unit_of_work():
            issue_codes(donation.id, donation.campaign_id, 3000, utcnow())
            made = [(donation.id, self.packs.index(code.pack_id), code.code) for code in codes_of(donation.id)]
        self.money[donation.id] = "issued"
        self.held_by.update({code: None for _, _, code in made})
        return multiple(*made)

    @rule(code=codes, status=st.sampled_from(["issued", "held", "voided"]))
    def money_moves(self, code: tuple[int, int, str], status: str) -> None:
        self.does(lambda: set_codes(code[0], status))
        self.money[code[0]] = status

    @rule(target=redemptions, code=codes, office=OFFICES, pressed_twice=st.booleans())
    def redeem(self, code: tuple[int, int, str], office: int, pressed_twice: bool) -> Any:
        gift, pack, text = code
        refused = None
        if self.held_by[text]:
            refused = "sticker_code_redeemed"
        elif self.money[gift] != "issued":
            refused = f"sticker_code_{self.money[gift]}"
        elif not self.shelf[office, pack]:
            refused = "out_of_stock"
        nonce = f"press-{next(numbers)}"

        def act() -> str:
            place = db.session.get_one(Office, self.offices[office])
            return redeem_code(text, office=place, actor=self.clerk, nonce=nonce, now=utcnow()).public_id

        made = self.does(act, refused=refused)
        if refused:
            return multiple()
        if pressed_twice:
            assert self.does(act) == made
        self.moves(office, pack, "handed_over", -1)
        self.held_by[text] = made
        self.taken[made] = (office, pack, text, True)
        return made

    @rule(redemption=redemptions)
    def undo(self, redemption: str) -> None:
        """A second time changes nothing."""

        def act() -> None:
            found = db.session.scalars(sa.select(Redemption).where(Redemption.public_id == redemption)).one()
            undo_redemption(found, actor=self.clerk, reason="a mistake", now=utcnow())

        self.does(act)
        office, pack, code, stands = self.taken[redemption]
        if stands:
            self.moves(office, pack, "taken_back", 1)
            self.held_by[code] = None
            self.taken[redemption] = (office, pack, code, False)

    @invariant()
    def the_shelves_are_those_of_the_model(self) -> None:
        if not hasattr(self, "shelf"):
            return
        db.session.rollback()
        mine = StockLevel.office_id.in_(self.offices)
        levels = sa.select(StockLevel.office_id, StockLevel.pack_id, StockLevel.quantity).where(mine)
        found = {self.place(office, pack): quantity for office, pack, quantity in db.session.execute(levels)}
        assert {place: quantity for place, quantity in found.items() if quantity} == +self.shelf
        assert faults() == []

    @invariant()
    def every_movement_is_one_of_the_model(self) -> None:
        if not hasattr(self, "shelf"):
            return
        moved = sa.select(StockMovement.office_id, StockMovement.pack_id, StockMovement.kind)
        moved = moved.add_columns(sa.func.sum(StockMovement.delta)).where(StockMovement.office_id.in_(self.offices))
        rows = db.session.execute(moved.group_by(*moved.selected_columns[:3]))
        found = {(*self.place(office, pack), kind): int(total) for office, pack, kind, total in rows}
        expected = {key: total for key, total in self.moved.items() if total}
        assert {key: total for key, total in found.items() if total} == expected
        db.session.rollback()

    def place(self, office: int, pack: int) -> tuple[int, int]:
        return self.offices.index(office), self.packs.index(pack)


def test_random_histories_agree_with_a_plain_model(kind: str) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES[kind],
            stateful_step_count=STEPS,
            phases=(Phase.generate,),  # finding the shortest would take minutes
            deadline=None,
            database=None,
            derandomize=TIMES == 1,
            suppress_health_check=list(HealthCheck),
        ),
    )
