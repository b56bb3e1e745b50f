"""A code is good for one pack, once; what is refused changes nothing; what is undone is as if it had not been."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import Localized
from donations.models import Campaign, Donation
from offices.errors import NotYourOffice
from offices.models import Office
from staff.models import AuditEntry, StaffMember
from stickers import codes
from stickers.counter import errors, services
from stickers.models import Redemption, RedemptionCode
from stickers.services import set_codes
from stickers.stock.errors import OutOfStock
from stickers.stock.models import StockMovement
from tests.console.conftest import acts
from tests.counter.conftest import PACK, Counter, NewClerk


def set_money(counter: Counter, code: str, status: str) -> None:
    with unit_of_work():
        set_codes(counter.code(code).donation_id, status)


def change(model: type, **values: object) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(model).values(values))


def refused(counter: Counter, code: str, refusal: type[DomainError], nonce: str = "again", **values: object) -> None:
    """Refused with this, and nothing is changed."""
    before = (counter.standing_redemptions(), counter.stock(), len(acts()), counter.house.count(StockMovement))
    with pytest.raises(refusal):
        counter.redeem(code, nonce, **values)
    after = (counter.standing_redemptions(), counter.stock(), len(acts()), counter.house.count(StockMovement))
    assert before == after


def written() -> tuple[object, object]:
    """Before and after of the newest entry of the audit log."""
    db.session.rollback()
    entry = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1)).one()
    return entry.before, entry.after


def test_a_pack_is_handed_over_once_and_the_shelf_has_one_less(counter: Counter, now: datetime) -> None:
    code = counter.new_code()
    redemption = counter.redeem(code, now=now)
    stored = counter.code(code)
    assert (stored.status, stored.redeemed_at) == ("redeemed", now)
    assert stored.redemption is not None
    assert (stored.redemption.id, stored.redemption.office.code) == (redemption.id, counter.office.code)
    assert counter.stock() == 9
    assert acts()[-1] == (counter.actor.email, "code.redeemed", f"redemption:{redemption.public_id}")
    where = {"office": counter.office.code, "pack": PACK}
    assert written() == ({**where, "status": "issued", "level": 10}, {**where, "status": "redeemed", "level": 9})
    refused(counter, code, errors.AlreadyHandedOver)


def test_the_same_press_again_is_the_same_redemption_quietly(counter: Counter) -> None:
    code = counter.new_code()
    first = counter.redeem(code, "press")
    assert counter.redeem(code, "press").id == first.id
    assert (counter.stock(), counter.standing_redemptions()) == (9, 1)


def test_a_nonce_of_another_code_or_office_is_no_pass(counter: Counter, other: Office, new_clerk: NewClerk) -> None:
    first, second = counter.new_code(), counter.new_code()
    counter.redeem(first, "press")
    refused(counter, second, errors.NonceReused, "press")
    boss = new_clerk(role="admin")
    counter.redeem(second, "press", actor=boss)
    refused(counter, second, errors.NonceReused, "press", actor=boss, office=other)


@pytest.mark.parametrize("nonce", ["", "x" * 256, "не ASCII", "a\nb"])
def test_a_nonce_that_cannot_be_kept_is_refused(counter: Counter, nonce: str) -> None:
    refused(counter, counter.new_code(), errors.NonceInvalid, nonce)


@pytest.mark.parametrize(
    ("status", "refusal"), [("voided", errors.CodeVoided), ("held", errors.CodeHeld)], ids=["void", "on hold"]
)
def test_what_the_money_forbids_is_refused_until_it_is_well_again(
    counter: Counter, status: str, refusal: type[DomainError]
) -> None:
    code = counter.new_code()
    set_money(counter, code, status)
    refused(counter, code, refusal)
    set_money(counter, code, "issued")
    counter.redeem(code)
    assert counter.status(code) == "redeemed"


def test_a_code_given_to_a_friend_is_dead(counter: Counter) -> None:
    code = counter.new_code()
    change(RedemptionCode, status="replaced")
    refused(counter, code, errors.CodeReplaced)


def test_a_code_nobody_was_given_is_unknown(counter: Counter) -> None:
    refused(counter, codes.draw(), errors.UnknownCode)


def test_packs_are_handed_over_until_the_campaign_s_day(counter: Counter, now: datetime) -> None:
    code = counter.new_code()
    change(Campaign, collect_until=now)
    refused(counter, code, errors.CodeExpired, now=now)
    counter.redeem(code, now=now - timedelta(microseconds=1))


def other_campaign() -> int:
    with unit_of_work() as session:
        first = session.scalars(sa.select(Campaign)).first()
        columns = {each.key: getattr(first, each.key) for each in Campaign.__table__.c if each.key != "id"}
        made = Campaign(**{**columns, "slug": "another", "title": Localized(ru="Другая кампания")})
        session.add(made)
        session.flush()
        return made.id


def test_a_code_of_another_campaign_is_good_only_where_its_packs_are_kept(counter: Counter) -> None:
    code = counter.new_code(5000, pack="brave-hearts")
    another = other_campaign()
    change(Donation, campaign_id=another)
    refused(counter, code, errors.OtherCampaign)
    counter.fill(1, pack="brave-hearts")
    counter.redeem(code)
    assert counter.status(code) == "redeemed"


def test_a_digital_pack_is_not_handed_over(counter: Counter) -> None:
    refused(counter, counter.new_code(5000, pack="chat-friends"), errors.CodeIsDigital)


def test_an_empty_shelf_leaves_the_code_good(counter: Counter, other: Office, new_clerk: NewClerk) -> None:
    code = counter.new_code()
    clerk = new_clerk(other)
    refused(counter, code, OutOfStock, office=other, actor=clerk)
    assert counter.status(code) == "issued"
    counter.redeem(code)


def test_a_clerk_of_another_office_is_refused(counter: Counter, other: Office) -> None:
    refused(counter, counter.new_code(), NotYourOffice, office=other)


def test_a_clerk_disabled_a_second_ago_is_refused(counter: Counter) -> None:
    code = counter.new_code()
    change(StaffMember, active=False)
    refused(counter, code, errors.MemberDisabled)


def test_a_closed_office_hands_nothing_over(counter: Counter) -> None:
    code = counter.new_code()
    change(Office, active=False)
    refused(counter, code, errors.OfficeClosed)


def test_undone_the_pack_is_on_the_shelf_and_the_code_good_again(counter: Counter, now: datetime) -> None:
    code = counter.new_code()
    redemption = counter.redeem(code, now=now)
    counter.undo(redemption, " wrong pack ", now=now + timedelta(minutes=14))
    stored = counter.code(code)
    assert (stored.status, stored.redeemed_at, stored.redemption) == ("issued", None, None)
    assert counter.stock() == 10
    kept = db.session.get_one(Redemption, redemption.id)
    assert (kept.undo_reason, kept.undone_by_id) == ("wrong pack", counter.actor.id)
    assert acts()[-1][1:] == ("code.redemption_undone", f"redemption:{redemption.public_id}")
    before, after = {"status": "redeemed", "level": 9}, {"status": "issued", "level": 10, "reason": "wrong pack"}
    where = {"office": counter.office.code, "pack": PACK}
    assert written() == ({**where, **before}, {**where, **after})
    counter.redeem(code, "press-2")
    assert (counter.stock(), counter.standing_redemptions()) == (9, 1)


def test_an_undo_twice_is_one(counter: Counter) -> None:
    redemption = counter.redeem(counter.new_code())
    counter.undo(redemption)
    counter.undo(redemption)
    assert counter.stock() == 10
    assert [each[1] for each in acts()].count("code.redemption_undone") == 1


def test_a_late_repetition_of_an_undone_press_hands_nothing_over(counter: Counter) -> None:
    code = counter.new_code()
    redemption = counter.redeem(code, "press")
    counter.undo(redemption)
    again = counter.redeem(code, "press")
    assert (again.id, again.undone_at is not None) == (redemption.id, True)
    assert (counter.status(code), counter.stock()) == ("issued", 10)


def test_after_15_minutes_nothing_is_undone(counter: Counter, now: datetime) -> None:
    code = counter.new_code()
    redemption = counter.redeem(code, now=now)
    with pytest.raises(errors.TooLateToUndo):
        counter.undo(redemption, now=now + timedelta(minutes=15))
    assert (counter.status(code), counter.stock()) == ("redeemed", 9)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "\u200b", "\n\t\u3164\u2800\u00ad"])
def test_an_undo_needs_a_reason(counter: Counter, reason: str) -> None:
    redemption = counter.redeem(counter.new_code())
    with pytest.raises(errors.UndoReasonMissing):
        counter.undo(redemption, reason)
    assert counter.stock() == 9


def test_nobody_undoes_what_another_office_did(counter: Counter, other: Office, new_clerk: NewClerk) -> None:
    stranger = new_clerk(other)
    redemption = counter.redeem(counter.new_code())
    with pytest.raises(NotYourOffice):
        counter.undo(redemption, actor=stranger)
    assert counter.stock() == 9


@pytest.mark.parametrize("money", ["voided", "held"])
def test_money_that_went_back_meanwhile_shows_when_the_hand_over_is_undone(counter: Counter, money: str) -> None:
    code = counter.new_code()
    redemption = counter.redeem(code)
    set_money(counter, code, money)
    assert counter.status(code) == "redeemed", "the pack is gone, whatever becomes of the money"
    counter.undo(redemption)
    assert (counter.status(code), counter.stock()) == (money, 10)
    set_money(counter, code, "issued")
    assert counter.status(code) == "issued"


def test_a_refund_at_the_provider_voids_an_undone_code(counter: Counter) -> None:
    donation = counter.house.given(1000)
    code = codes.read(counter.house.state(donation)["sticker_codes"][0]["code"])
    redemption = counter.redeem(code)
    counter.house.sandbox.drills.refund(str(counter.house.payments(donation)[0].checkout_ref))
    counter.house.deliver()
    assert counter.status(code) == "redeemed"
    counter.undo(redemption)
    assert counter.status(code) == "voided"
    refused(counter, code, errors.CodeVoided)


def test_money_that_goes_back_at_the_moment_of_an_undo_ends_alike(app: Flask, counter: Counter) -> None:
    for number, code in enumerate(counter.many_codes(4)):
        redemption, gate = counter.redeem(code, f"press-{number}"), threading.Barrier(2)
        donation_id = counter.code(code).donation_id

        def undo(redemption_id: int = redemption.id, gate: threading.Barrier = gate) -> None:
            with app.app_context():
                gate.wait(timeout=20)
                with unit_of_work():
                    found = db.session.get_one(Redemption, redemption_id)
                    services.undo_redemption(found, actor=counter.actor, reason="a mistake", now=utcnow())
                db.session.remove()

        def void(donation_id: int = donation_id, gate: threading.Barrier = gate) -> None:
            with app.app_context():
                gate.wait(timeout=20)
                with unit_of_work():
                    set_codes(donation_id, "voided")
                db.session.remove()

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(undo), pool.submit(void)]:
                done.result(timeout=60)
        assert (counter.status(code), counter.stock()) == ("voided", 10)
        set_money(counter, code, "issued")


def test_the_database_refuses_two_redemptions_of_one_code(counter: Counter) -> None:
    redemption = counter.redeem(counter.new_code())
    columns = {each.key: getattr(redemption, each.key) for each in Redemption.__table__.c if each.key != "id"}
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.add(Redemption(**{**columns, "public_id": "another", "nonce": "another"}))
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.execute(sa.update(Redemption).values(undone_at=redemption.redeemed_at))
