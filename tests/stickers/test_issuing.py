"""Which codes a gift earns, that they are issued once, and what becomes of them when money goes back."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import Localized
from donations.models import Campaign, Donation
from donations.state import lock_donation
from ops.demo import SLUG
from stickers import codes
from stickers.models import CODE_STANDINGS, CODE_STATUSES, RedemptionCode, StickerPack, StickerRule
from stickers.services import codes_of, ensure_pack, issue_codes, rules_of, set_codes
from tests.house import House

NOW = utcnow()


@pytest.fixture
def campaign(app: Flask) -> int:
    return int(db.session.scalar(sa.select(Campaign.id).where(Campaign.slug == SLUG)) or 0)


def pack(code: str) -> StickerPack:
    name = Localized(ru=code)
    return StickerPack(code=code, name=name, description=name, kind="physical", picture="x.svg")


def set_rules(campaign: int, *rules: tuple[str, int, int]) -> None:
    """Each (pack, from kopecks, quantity), in place of what the demonstration has."""
    with unit_of_work() as session:
        session.execute(sa.delete(StickerRule))
        for code, from_minor, quantity in rules:
            found = ensure_pack(pack(code))
            session.add(StickerRule(campaign_id=campaign, pack_id=found.id, from_minor=from_minor, quantity=quantity))


def issue(house: House, campaign: int, minor: int) -> list[RedemptionCode]:
    donation = house.row(house.give(2500))
    with unit_of_work():
        lock_donation(donation.id)
        issue_codes(donation.id, campaign, minor, NOW)
    return codes_of(donation.id)


@pytest.mark.parametrize(
    ("minor", "number"), [(1, 0), (999, 0), (1000, 1), (1001, 1), (2999, 1), (3000, 2), (3001, 2), (50000, 2)]
)
def test_one_pack_from_10_roubles_two_from_30(house: House, campaign: int, minor: int, number: int) -> None:
    set_rules(campaign, ("words", 1000, 1), ("words", 3000, 2))
    issued = issue(house, campaign, minor)
    assert [code.ordinal for code in issued] == list(range(1, number + 1))
    assert {code.status for code in issued} <= {"issued"}


def test_rules_of_several_packs_add_up(house: House, campaign: int) -> None:
    set_rules(campaign, ("words", 1000, 1), ("animals", 2000, 3), ("words", 3000, 2))
    assert [code.pack.code for code in issue(house, campaign, 2999)] == ["words", "animals", "animals", "animals"]
    assert sorted(code.pack.code for code in issue(house, campaign, 3000)) == ["animals"] * 3 + ["words"] * 2


def test_a_campaign_without_rules_issues_nothing(house: House, campaign: int) -> None:
    set_rules(campaign)
    assert issue(house, campaign, 50000) == []


def test_rules_are_listed_from_the_smallest_amount(app: Flask, campaign: int) -> None:
    set_rules(campaign, ("b", 3000, 2), ("a", 1000, 1), ("c", 2000, 1))
    assert [rule.from_minor for rule in rules_of(campaign)] == [1000, 2000, 3000]


def test_issued_codes_are_valid_and_shown_in_groups(house: House, campaign: int) -> None:
    for code in issue(house, campaign, 50000):
        assert codes.read(code.shown) == code.code
        assert code.issued_at == NOW


def test_a_second_call_adds_nothing_even_for_more_money_and_other_rules(house: House, campaign: int) -> None:
    set_rules(campaign, ("words", 1000, 1))
    donation = house.row(house.give(2500))
    for minor in (1000, 50000):
        with unit_of_work():
            lock_donation(donation.id)
            issue_codes(donation.id, campaign, minor, NOW)
        set_rules(campaign, ("words", 1000, 5))
    assert len(codes_of(donation.id)) == 1


def test_connections_that_issue_at_once_issue_once(app: Flask, house: House, campaign: int) -> None:
    set_rules(campaign, ("words", 1000, 2))
    for _ in range(4):
        donation_id, gate = house.row(house.give(2500)).id, threading.Barrier(3)
        done: list[int] = []

        def apply(donation_id: int = donation_id, gate: threading.Barrier = gate, done: list[int] = done) -> None:
            with app.app_context():
                gate.wait(timeout=20)
                with unit_of_work():
                    lock_donation(donation_id)
                    issue_codes(donation_id, campaign, 2500, NOW)
                done.append(1)

        threads = [threading.Thread(target=apply) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert sum(done) == 3
        assert house.count(RedemptionCode, RedemptionCode.donation_id == donation_id) == 2


def test_without_the_lock_the_database_still_refuses_a_second_issue(house: House, campaign: int) -> None:
    first = issue(house, campaign, 50000)[0]
    twin = RedemptionCode(
        donation_id=first.donation_id,
        ordinal=1,
        pack_id=first.pack_id,
        code=codes.draw(),
        status="issued",
        issued_at=NOW,
    )
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.add(twin)


@pytest.mark.parametrize("target", ["issued", "held", "voided"])
def test_handed_over_and_replaced_codes_are_left_alone(house: House, campaign: int, target: str) -> None:
    set_rules(campaign, ("words", 1000, len(CODE_STATUSES)))
    issued = issue(house, campaign, 2500)
    with unit_of_work() as session:
        for code, status in zip(issued, CODE_STATUSES, strict=True):
            redeemed_at = NOW + timedelta(hours=1) if status == "redeemed" else None
            standing = status if status in CODE_STANDINGS else "issued"
            values = {"status": status, "standing": standing, "redeemed_at": redeemed_at}
            session.execute(sa.update(RedemptionCode).where(RedemptionCode.id == code.id).values(**values))
    with unit_of_work():
        set_codes(issued[0].donation_id, target)
    db.session.expire_all()
    after = [code.status for code in codes_of(issued[0].donation_id)]
    assert after == [status if status in ("redeemed", "replaced") else target for status in CODE_STATUSES]
    assert {code.standing for code in codes_of(issued[0].donation_id)} == {target}


def test_codes_of_other_donations_are_left_alone(house: House, campaign: int) -> None:
    mine, other = issue(house, campaign, 50000), issue(house, campaign, 50000)
    with unit_of_work():
        set_codes(mine[0].donation_id, "voided")
    db.session.expire_all()
    assert {code.status for code in codes_of(mine[0].donation_id)} == {"voided"}
    assert {code.status for code in codes_of(other[0].donation_id)} == {"issued"}


@pytest.mark.parametrize(
    "values",
    [
        {"status": "stolen"},
        {"status": "redeemed"},
        {"redeemed_at": NOW},
        {"code": None},
        {"pack_id": 999},
        {"standing": "redeemed"},
        {"status": "voided"},
        {"standing": "held"},
    ],
)
def test_the_database_refuses_a_code_that_contradicts_itself(
    house: House, campaign: int, values: dict[str, object]
) -> None:
    issue(house, campaign, 50000)
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.execute(sa.update(RedemptionCode).values(**values))


def test_no_two_codes_are_the_same(house: House, campaign: int) -> None:
    issue(house, campaign, 50000)
    first = db.session.scalars(sa.select(RedemptionCode)).first()
    assert first is not None
    donation = house.row(house.give(2500))
    twin = RedemptionCode(
        donation_id=donation.id, ordinal=1, pack_id=first.pack_id, code=first.code, status="issued", issued_at=NOW
    )
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.add(twin)
    assert house.count(Donation) == 2


def test_a_pack_is_made_once(app: Flask) -> None:
    with unit_of_work():
        first = ensure_pack(pack("new"))
    with unit_of_work():
        assert ensure_pack(pack("new")).id == first.id
