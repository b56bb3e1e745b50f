"""A code given to a friend: the old one dies, the new one works, money that goes back takes both along."""

import re
import threading

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.state import lock_donation
from stickers import codes
from stickers.models import PassedOn, RedemptionCode
from stickers.passing import NotToPassOn, pass_on
from stickers.services import codes_of, set_codes
from tests.house import House
from tests.pages.donor import Donor, text_of


def press(donor: Donor, action: str, status: int = 303) -> None:
    data = {"csrf_token": donor.hidden()["csrf_token"]}
    answer = donor.client.post(action, data=data, query_string={"lang": donor.language})
    assert answer.status_code == status, answer.text


def fetch(donor: Donor, path: str) -> tuple[int, str]:
    with donor.client.get(path) as answer:
        return answer.status_code, answer.headers.get("Content-Disposition", "")


def friend_address(donor: Donor, page: str) -> str:
    found = re.search(r'value="[^"]*(/g/[^"]+)"', donor.read(page))
    assert found
    return found[1]


def test_the_friend_gets_a_new_code_and_the_donors_page_no_longer_has_a_living_one(donor: Donor, house: House) -> None:
    donation = house.given(2500)
    page = f"/d/{donation['token']}"
    (before,) = house.state(donation)["sticker_codes"]
    press(donor, f"{page}/codes/1/friend")
    (after,) = house.state(donation)["sticker_codes"]
    assert after == {**before, "status": "replaced"}
    old, new = codes_of(house.row(donation).id)
    assert (old.status, new.status, new.pack_id, new.ordinal) == ("replaced", "issued", old.pack_id, 2)
    assert codes.show(new.code) not in donor.read(page), "who gave it away cannot use it any more"
    friends = text_of(donor.read(friend_address(donor, page)))
    assert codes.show(new.code) in friends
    assert codes.show(old.code) not in friends
    assert "Ready to collect" in friends


def test_pressing_twice_is_one_friend_and_one_code(donor: Donor, house: House) -> None:
    donation = house.given(2500)
    page = f"/d/{donation['token']}"
    press(donor, f"{page}/codes/1/friend")
    first = friend_address(donor, page)
    press(donor, f"{page}/codes/1/friend")
    assert friend_address(donor, page) == first
    assert house.count(RedemptionCode) == 2


def test_a_friend_can_pass_it_further_and_the_first_address_shows_no_living_code(donor: Donor, house: House) -> None:
    donation = house.given(2500)
    page = f"/d/{donation['token']}"
    press(donor, f"{page}/codes/1/friend")
    first = friend_address(donor, page)
    press(donor, f"{first}/friend")
    second = friend_address(donor, first)
    last = codes_of(house.row(donation).id)[-1]
    assert [each.status for each in codes_of(house.row(donation).id)] == ["replaced", "replaced", "issued"]
    assert last.shown in donor.read(second)
    assert last.shown not in donor.read(first)
    assert last.shown not in donor.read(page)


def test_money_that_goes_back_voids_the_friends_code_and_leaves_the_replaced_one_dead(house: House) -> None:
    donation = house.row(house.given(2500))
    with unit_of_work():
        lock_donation(donation.id)
        pass_on(codes_of(donation.id)[0], utcnow())
    for status in ("voided", "issued", "held"):
        with unit_of_work():
            set_codes(donation.id, status)
        assert [each.status for each in codes_of(donation.id)] == ["replaced", status]


@pytest.mark.parametrize("status", ["held", "voided"])
def test_a_code_that_is_not_valid_cannot_be_given_away(donor: Donor, house: House, status: str) -> None:
    donation = house.given(2500)
    page = f"/d/{donation['token']}"
    with unit_of_work():
        set_codes(house.row(donation).id, status)
    assert "Give it to a friend" not in donor.read(page)
    press(donor, f"{page}/codes/1/friend", 409)
    assert [each.status for each in codes_of(house.row(donation).id)] == [status]
    assert house.count(PassedOn) == 0


def test_a_friends_code_cannot_be_taken_through_the_donors_page(donor: Donor, house: House) -> None:
    donation = house.given(2500)
    page = f"/d/{donation['token']}"
    press(donor, f"{page}/codes/1/friend")
    press(donor, f"{page}/codes/2/friend", 409)
    assert house.count(RedemptionCode) == 2


def test_a_digital_pack_opens_for_the_friend_and_for_the_donor_no_more(donor: Donor, house: House) -> None:
    donation = house.given(6000)
    page = f"/d/{donation['token']}"
    digital = next(each for each in codes_of(house.row(donation).id) if each.pack.kind == "digital")
    assert fetch(donor, f"{page}/packs/{digital.code}")[0] == 200
    press(donor, f"{page}/codes/{digital.ordinal}/friend")
    assert fetch(donor, f"{page}/packs/{digital.code}")[0] == 409
    friend = friend_address(donor, page)
    status, disposition = fetch(donor, f"{friend}/pack")
    assert status == 200
    assert disposition.startswith("attachment")


def test_an_address_that_nobody_made_is_not_found(donor: Donor, house: House) -> None:
    for token in ("nothing", "Ж", "x" * 300):
        assert donor.client.get(f"/g/{token}").status_code == 404
    donor.read("/g/nothing", 404)


def test_two_presses_at_the_same_instant_make_one_successor(house: House) -> None:
    donation_id = house.row(house.given(2500)).id
    code_id = codes_of(donation_id)[0].id
    start, results = threading.Barrier(2), list[str]()

    def run() -> None:
        with house.app.app_context():
            start.wait()
            with unit_of_work() as session:
                lock_donation(donation_id)
                results.append(pass_on(session.get_one(RedemptionCode, code_id), utcnow()).token)

    threads = [threading.Thread(target=run) for _ in range(2)]
    db.session.rollback()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(codes_of(donation_id)) == 2


def test_a_redeemed_code_cannot_be_given_away(house: House) -> None:
    donation_id = house.row(house.given(2500)).id
    with unit_of_work() as session:
        session.execute(sa.update(RedemptionCode).values(status="redeemed", redeemed_at=utcnow()))
    with pytest.raises(NotToPassOn), unit_of_work():
        lock_donation(donation_id)
        pass_on(codes_of(donation_id)[0], utcnow())
    assert house.count(PassedOn) == 0


class TestDownloadByCode:
    def type(self, donor: Donor, code: str) -> tuple[int, str]:
        with donor.client.post("/packs", data={**donor.hidden("/packs"), "code": code}) as answer:
            return answer.status_code, answer.headers.get("Content-Disposition") or answer.text

    def test_a_digital_code_typed_in_any_way_downloads_its_pack(self, donor: Donor, house: House) -> None:
        owned = codes_of(house.row(house.given(6000)).id)
        digital = next(each for each in owned if each.pack.kind == "digital")
        status, told = self.type(donor, f" {digital.shown.lower()} ")
        assert status == 200
        assert told.startswith("attachment")

    def test_every_code_that_opens_no_pack_gets_the_same_answer(self, donor: Donor, house: House) -> None:
        owned = codes_of(house.row(house.given(6000)).id)
        physical = next(each for each in owned if each.pack.kind != "digital")
        digital = next(each for each in owned if each.pack.kind == "digital")
        answers = {self.without_values(donor, each) for each in (physical.code, codes.draw())}
        for status, standing in (("held", "held"), ("voided", "voided"), ("replaced", "voided")):
            with unit_of_work() as session:
                mine = sa.update(RedemptionCode).where(RedemptionCode.id == digital.id)
                session.execute(mine.values(status=status, standing=standing))
            answers.add(self.without_values(donor, digital.code))
        assert [status for status, _page in answers] == [404]

    def without_values(self, donor: Donor, code: str) -> tuple[int, str]:
        status, page = self.type(donor, code)
        return status, re.sub(r'value="[^"]*"', "", page)

    def test_a_typing_mistake_is_told_as_one(self, donor: Donor, house: House) -> None:
        status, page = self.type(donor, "K7M2P-4XR9")
        assert status == 422
        assert "typing mistake" in page
        assert 'value="K7M2P-4XR9"' in page


def test_an_expired_code_stays_with_its_donor(donor: Donor, house: House) -> None:
    donation = house.given(2500)
    page = f"/d/{donation['token']}"
    with unit_of_work():
        house.row(donation).campaign.collect_until = utcnow()
    db.session.remove()
    assert "Give it to a friend" not in donor.read(page)
    press(donor, f"{page}/codes/1/friend", status=409)
    assert [each.status for each in codes_of(house.row(donation).id)] == ["issued"]


def test_no_name_stands_twice_on_a_page_with_several_codes(donor: Donor, house: House) -> None:
    names = re.findall(r'\sid="([^"]+)"', donor.read(f"/d/{house.given(6000)['token']}"))
    assert "code-2" in names
    assert len(names) == len(set(names))
