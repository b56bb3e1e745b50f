"""The counter at a till: what the clerk sees and presses. Every page works without scripts."""

import re
import secrets
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.models import Campaign
from offices.belonging import assign
from offices.models import Office, OfficeStaff
from staff.models import StaffMember
from stickers import codes
from stickers.counter import looks
from stickers.models import Redemption, RedemptionCode
from stickers.services import set_codes
from tests.console.conftest import acts
from tests.counter.conftest import OTHER, OWN, PACK, Counter, check, fields_of, press, verdict_of
from tests.staff.console import COMMAND, Browser, make_member

STOCK = "/staff/stock"


def change(model: type, **values: object) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(model).values(values))


def handed_over(till: Browser, code: str) -> str:
    """The address of the done page."""
    answer = till.post("/staff/counter/hand-over", fields_of(check(till, code), "hand-over"))
    assert answer.status_code == 303
    return str(answer.location)


def test_a_pack_is_handed_over_with_two_presses(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    page = check(till, codes.show(code))
    assert verdict_of(page) == "valid"
    assert "kind-words.svg" in page.text
    done = till.get(handed_over(till, code))
    assert verdict_of(done) == "done"
    assert "Handed over" in done.text
    assert "Packs of this kind left: 9" in done.text
    assert 'name="code"' in done.text, "the next code can be typed at once"
    assert (counter.status(code), counter.stock()) == ("redeemed", 9)


def look_at(till: Browser, code: str) -> str:
    """The address of the page that says what the code is."""
    answer = till.post("/staff/counter/code", {"office": OWN, "code": code})
    assert answer.status_code == 303
    return str(answer.location)


def test_going_back_after_a_hand_over_shows_what_is_true_by_now(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    look = look_at(till, code)
    page = till.get(look)
    assert verdict_of(page) == "valid"
    till.post("/staff/counter/hand-over", fields_of(page, "hand-over"))
    assert verdict_of(till.get(look)) == "redeemed"
    assert (code in look, codes.show(code) in look) == (False, False)
    assert counter.stock() == 9


def test_what_was_typed_wrong_can_be_gone_back_to_as_well(till: Browser) -> None:
    look = look_at(till, "K7M2P")
    for _ in range(2):
        page = till.get(look)
        assert (page.status_code, 'value="K7M2P"' in page.text) == (422, True)


def test_a_look_is_for_who_looked_until_they_sign_out(app: Flask, till: Browser, counter: Counter) -> None:
    look = look_at(till, counter.new_code())
    colleague = Browser(app)
    colleague.get("/staff/login?lang=en")
    colleague.sign_in(make_member("colleague@example.org", "office", offices=[counter.office.id]))
    till.post("/staff/logout")
    till.get("/staff/login?lang=en")
    till.sign_in(counter.actor.email)
    for browser in (colleague, till):
        answer = browser.get(look)
        assert (answer.status_code, answer.location) == (303, "/staff/counter")
        assert "type or scan the code once more" in browser.get("/staff/counter").text


def test_a_look_ends_with_the_work_for_the_office(till: Browser, counter: Counter) -> None:
    look = look_at(till, counter.new_code())
    with unit_of_work() as session:
        session.execute(sa.delete(OfficeStaff))
    assert till.get(look).status_code == 403


def test_the_newest_looks_fit_into_a_cookie_whatever_was_scanned(till: Browser, counter: Counter) -> None:
    heaps = ["".join(secrets.choice("абвгдеёжз🙂🙃") for _ in range(2000)) for _ in range(looks.KEPT + 2)]
    addresses = [look_at(till, heap) for heap in heaps]
    assert [till.get(address).status_code for address in addresses] == [303, 303, *[422] * looks.KEPT]
    with till.client.session_transaction() as session:
        session["counter_looks"] = [
            [secrets.token_urlsafe(8), OWN, [f"/d/{secrets.token_urlsafe(30)}" for _ in range(looks.TEXTS)], True]
            for _ in range(looks.KEPT)
        ]
    cookie = till.client.get_cookie("session")
    assert cookie is not None
    assert len(f"session={cookie.value}") < 4000


def test_a_page_that_was_used_for_another_code_says_so_in_words_for_people(till: Browser, counter: Counter) -> None:
    first, second = counter.new_code(), counter.new_code()
    form = fields_of(check(till, first), "hand-over")
    till.post("/staff/counter/hand-over", form)
    for nonce in (form["nonce"], "x" * 300, "\n"):
        page = press(till, "hand-over", {**form, "code": second, "nonce": nonce})
        assert (verdict_of(page), "Nothing was handed over: this page was used before" in page.text) == ("valid", True)
        assert "Idempotency" not in page.text
    assert counter.stock() == 9
    assert till.post("/staff/counter/hand-over", fields_of(page, "hand-over")).status_code == 303
    assert (counter.status(second), counter.stock()) == ("redeemed", 8)


def test_the_same_press_twice_leads_to_the_same_page(till: Browser, counter: Counter) -> None:
    form = fields_of(check(till, counter.new_code()), "hand-over")
    first, second = (till.post("/staff/counter/hand-over", form) for _ in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert (counter.stock(), counter.standing_redemptions()) == (9, 1)


@pytest.mark.parametrize(
    "typing",
    [
        lambda code: f"  {code.lower()} ",
        lambda code: " ".join(code),
        lambda code: codes.show(code).replace("-", " — "),
        lambda code: code.translate(str.maketrans("ACEHKMPTX", "АСЕНКМРТХ")),
        lambda code: code.translate(str.maketrans("ACEFHJKMNPRTVWXY", "ФСУАРОЛЬТЗКЕМЦЧН")),
        lambda code: code.lower().translate(str.maketrans("acefhjkmnprtvwxy", "фсуарольтзкемцчн")),
        lambda code: f"http://give.test/d/token/packs/{code}",
        lambda code: f"HTTPS://GIVE.TEST/?CODE={code}",
        lambda code: code.replace("0", "O").replace("1", "l").replace("5", "s").replace("8", "B"),
        lambda code: f"\u2068{codes.show(code)}\u2069\r\n",
    ],
    ids=["small", "spaced", "dashes", "look-alikes", "keys", "small keys", "address", "query", "twins", "invisible"],
)
def test_everything_a_tired_person_types_is_read(till: Browser, counter: Counter, typing: object) -> None:
    code = counter.new_code()
    assert verdict_of(check(till, typing(code))) == "valid"  # type: ignore[operator]


def test_a_mistyped_code_comes_back_to_be_mended_and_is_no_guess(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    wrong = ("A" if code[0] != "A" else "C") + code[1:]
    for _ in range(40):
        answer = check(till, f"{wrong}<b>")
        assert answer.status_code == 422
    assert "typing mistake" in answer.text
    assert f'value="{wrong}&lt;b&gt;"' in answer.text, "nothing that was typed is lost"
    assert verdict_of(check(till, code)) == "valid"


def test_the_address_of_the_donation_s_page_leads_to_its_code(till: Browser, counter: Counter) -> None:
    donation = counter.house.given(1000)
    assert verdict_of(check(till, f"http://give.test/d/{donation['token']}?lang=be")) == "valid"


def test_on_a_page_with_two_packs_one_is_chosen(till: Browser, counter: Counter) -> None:
    donation = counter.house.given(3000)
    page = check(till, f"http://give.test/d/{donation['token']}")
    assert re.findall(r'data-verdict="(\w+)"', page.text) == ["valid", "empty"]
    assert verdict_of(press(till, "code", fields_of(page, "/code"))) == "valid"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://give.test/q/ABCD234", "QR code of a poster"),
        ("https://example.org/a/b", "This is a link, no sticker code"),
        ("http://give.test/d/nobody-has-this-one", "no pack to hand over"),
        ("http://[broken", "This is a link, no sticker code"),
        ("http://[broken/d/x", "This is a link, no sticker code"),
        ("WIFI:S:Guests;T:WPA;P:a/b.c;;", "This is the access to a Wi-Fi network, no sticker code"),
        ("BEGIN:VCARD\nN:Ivan\nEND:VCARD", "This is no sticker code"),
        ("otpauth://totp/x?secret=y", "This is no sticker code"),
    ],
)
@pytest.mark.parametrize("scanned", ["", "yes"])
def test_what_others_put_into_qr_codes_is_no_typing_mistake(till: Browser, text: str, said: str, scanned: str) -> None:
    """A scanner at a counter PC types it, too."""
    answer = press(till, "code", {"office": OWN, "code": text, "scanned": scanned})
    assert answer.status_code in (404, 422)
    assert (said in answer.text, "typing mistake" in answer.text) == (True, False)


def test_only_what_was_typed_has_a_typing_mistake(till: Browser) -> None:
    typed = press(till, "code", {"office": OWN, "code": "4006381333931"})
    scanned = press(till, "code", {"office": OWN, "code": "4006381333931", "scanned": "yes"})
    assert ("typing mistake" in typed.text, "This is no sticker code" in typed.text) == (True, False)
    assert ['value="4006381333931"' in page.text for page in (typed, scanned)] == [True, False]
    assert ("typing mistake" in scanned.text, "This is no sticker code" in scanned.text) == (False, True)


def test_where_and_when_it_was_handed_over_is_told_in_local_time(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    at = utcnow().replace(hour=11, minute=5)  # 14:05 in Minsk
    counter.redeem(code, now=at)
    page = check(till, code)
    assert verdict_of(page) == "redeemed"
    assert f"Already handed over at {counter.office.name.in_locale('en')}" in page.text.replace("&#39;", "'")
    assert "14:05" in page.text
    assert 'action="/staff/counter/hand-over"' not in page.text


def test_another_day_is_told_with_its_date(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    at = utcnow() - timedelta(days=40)
    counter.redeem(code, now=at)
    assert str(at.year) in check(till, code).text


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        ("voided", "voided", "Void: the money was given back"),
        ("held", "held", "On hold"),
        ("replaced", "replaced", "given to somebody else"),
        ("expired", "expired", "Expired"),
    ],
)
def test_what_is_wrong_is_told_in_words(till: Browser, counter: Counter, spoil: str, kind: str, said: str) -> None:
    code = counter.new_code()
    if spoil == "expired":
        change(Campaign, collect_until=utcnow() - timedelta(days=1))
    elif spoil == "replaced":
        change(RedemptionCode, status="replaced")
    else:
        with unit_of_work():
            set_codes(counter.code(code).donation_id, spoil)
    page = check(till, code)
    assert (verdict_of(page), said in page.text) == (kind, True)
    assert 'action="/staff/counter/hand-over"' not in page.text


def test_an_unknown_code_and_a_digital_pack(till: Browser, counter: Counter) -> None:
    assert verdict_of(check(till, codes.draw())) == "unknown"
    assert verdict_of(check(till, counter.new_code(5000, pack="chat-friends"))) == "digital"


def test_nothing_of_the_donor_is_shown(till: Browser, counter: Counter) -> None:
    donor = {"name": "Анна Каренина", "email": "anna@example.by"}
    code = counter.new_code(1234, donor=donor)
    token = counter.house.row({"token": db.session.scalar(sa.text("SELECT token FROM donations"))}).token
    pages = [check(till, code), till.get(handed_over(till, code)), till.get("/staff/counter/shift"), check(till, code)]
    for page in pages:
        for secret in ("Анна", "anna@", "12.34", "12,34", token):
            assert secret not in page.text


def test_money_that_goes_back_between_look_and_press_is_told(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    form = fields_of(check(till, code), "hand-over")
    with unit_of_work():
        set_codes(counter.code(code).donation_id, "voided")
    assert verdict_of(press(till, "hand-over", form)) == "voided"
    assert counter.stock() == 10


def test_somebody_who_was_faster_is_told(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    form = fields_of(check(till, code), "hand-over")
    counter.redeem(code, "the other till")
    assert verdict_of(press(till, "hand-over", form)) == "redeemed"


def test_an_empty_shelf_is_counted_and_the_visitor_gets_the_pack(till: Browser, counter: Counter) -> None:
    code = counter.new_code(3000, pack="brave-hearts")
    page = check(till, code)
    assert verdict_of(page) == "empty"
    form = fields_of(page, "counted")
    refused = till.post("/staff/counter/counted", {**form, "counted": "some", "reason": "x"})
    assert (refused.status_code, verdict_of(refused)) == (422, "empty")
    page = press(till, "counted", {**form, "counted": "3", "reason": "found a box"})
    assert verdict_of(page) == "valid"
    assert ("stock.counted", f"stock:{OWN}:brave-hearts") in [each[1:] for each in acts()]
    assert till.post("/staff/counter/hand-over", fields_of(page, "hand-over")).status_code == 303
    assert counter.stock(pack="brave-hearts") == 2


def test_counted_none_leaves_the_code_good(till: Browser, counter: Counter) -> None:
    code = counter.new_code(3000, pack="brave-hearts")
    form = fields_of(check(till, code), "counted")
    assert verdict_of(press(till, "counted", {**form, "counted": "0", "reason": "none"})) == "empty"
    assert counter.status(code) == "issued"


def test_an_undo_asks_why_and_says_that_it_is_done(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    address = handed_over(till, code)
    refused = till.post(f"{address}/undo", {"reason": " "})
    assert (refused.status_code, verdict_of(refused), counter.stock()) == (422, "done", 9)
    assert "Please say in a few words why" in refused.text
    for _ in range(2):
        assert till.post(f"{address}/undo", {"reason": "The wrong pack"}).location == address
    page = till.get(address)
    assert (verdict_of(page), "The wrong pack" in page.text) == ("undone", True)
    assert (counter.status(code), counter.stock()) == ("issued", 10)


def test_too_late_for_an_undo_it_is_not_offered_and_refused(till: Browser, counter: Counter) -> None:
    redemption = counter.redeem(counter.new_code(), now=utcnow() - timedelta(minutes=16))
    address = f"/staff/counter/done/{redemption.public_id}"
    assert "/undo" not in till.get(address).text
    assert till.post(f"{address}/undo", {"reason": "late"}).status_code == 409
    assert counter.stock() == 9


def test_a_clerk_of_another_office_sees_and_undoes_nothing(app: Flask, counter: Counter, other: Office) -> None:
    code = counter.new_code()
    address = f"/staff/counter/done/{counter.redeem(code).public_id}"
    stranger = Browser(app)
    stranger.sign_in(make_member("stranger@example.org", "office", offices=[other.id]))
    stranger.get("/staff/counter")
    assert stranger.get(address).status_code == 403
    assert stranger.post(f"{address}/undo", {"reason": "x"}).status_code == 403
    assert check(stranger, code).status_code == 403
    form = {"office": OWN, "code": code, "nonce": "1"}
    assert stranger.post("/staff/counter/hand-over", form).status_code == 403
    assert stranger.post("/staff/counter/counted", {**form, "counted": "5", "reason": "x"}).status_code == 403
    assert counter.stock() == 9


def test_a_clerk_disabled_a_second_ago_is_out(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    form = fields_of(check(till, code), "hand-over")
    change(StaffMember, active=False)
    answer = till.post("/staff/counter/hand-over", form)
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/staff/login")
    assert counter.status(code) == "issued"


@pytest.mark.parametrize("path", ["code", "photo", "hand-over", "counted", "office"])
def test_a_form_of_another_site_does_nothing(till: Browser, counter: Counter, path: str) -> None:
    code = counter.new_code()
    forged = {"csrf_token": "forged", "office": OWN, "code": code, "nonce": "1", "counted": "5", "reason": "x"}
    assert till.client.post(f"/staff/counter/{path}", data=forged).status_code == 400
    assert (counter.status(code), counter.stock()) == ("issued", 10)


def test_who_has_several_offices_chooses_once(app: Flask, till: Browser, counter: Counter, other: Office) -> None:
    with unit_of_work():
        assign(db.session.merge(other), counter.actor.email, now=utcnow(), **COMMAND)
    page = till.get("/staff/counter")
    assert (page.status_code, page.location) == (303, "/staff/counter/office")
    assert OTHER in till.get("/staff/counter/office").text
    assert till.post("/staff/counter/office", {"office": OTHER}).location == "/staff/counter"
    assert f'name="office" value="{OTHER}"' in till.get("/staff/counter").text
    again = Browser(app)
    again.client = till.client
    again.post("/staff/logout")
    again.sign_in(counter.actor.email)
    assert f'name="office" value="{OTHER}"' in again.get("/staff/counter").text, "remembered for the next shift"


def test_an_office_that_is_not_mine_cannot_be_chosen(till: Browser) -> None:
    assert till.post("/staff/counter/office", {"office": OTHER}).status_code == 403
    till.client.set_cookie("counter_office", OTHER)
    assert f'name="office" value="{OWN}"' in till.get("/staff/counter").text


def test_a_member_without_an_office_is_told_what_to_do(app: Flask, counter: Counter) -> None:
    nobody = Browser(app)
    nobody.get("/staff/login?lang=en")
    nobody.sign_in(make_member("new@example.org", "office"))
    assert "do not belong to an office yet" in nobody.get("/staff/counter", follow_redirects=True).text


def test_my_shift_lists_what_i_handed_over_today(till: Browser, counter: Counter, app: Flask) -> None:
    assert "Nothing yet today" in till.get("/staff/counter/shift").text
    first, second = counter.new_code(), counter.new_code()
    now = utcnow()
    counter.redeem(first, "1", now=now)
    counter.undo(counter.redeem(second, "2", now=now))
    counter.redeem(counter.new_code(), "3", now=now - timedelta(days=1))
    page = till.get("/staff/counter/shift").text
    assert f"…{codes.show(first)[-5:]}" in page
    assert page.count("Undone at") == 1
    assert page.count("/staff/counter/done/") == 2
    assert "<strong>1</strong> Kind words" in page


def test_the_front_page_of_a_clerk_takes_a_code_at_once(till: Browser, counter: Counter) -> None:
    page = till.get("/staff")
    assert verdict_of(press(till, "code", {**fields_of(page, "/code"), "code": counter.new_code()})) == "valid"


def test_no_code_stands_in_an_address(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    address = handed_over(till, code)
    assert code not in address
    assert counter.house.count(Redemption) == 1
    assert not [each for each in acts() if code in " ".join(each) or codes.show(code) in " ".join(each)]


@pytest.mark.parametrize("language", ["ru", "be", "en"])
def test_every_page_is_there_in_three_languages(till: Browser, counter: Counter, language: str) -> None:
    code = counter.new_code()
    till.get(f"/staff?lang={language}")
    pages = [till.get("/staff/counter"), check(till, code), till.get(handed_over(till, code)), check(till, code)]
    pages += [till.get("/staff/counter/shift"), till.get("/staff/counter/office")]
    assert [page.status_code for page in pages] == [200] * 6
    assert all(f'<html lang="{language}">' in page.text for page in pages)


def test_when_the_office_is_closed_its_clerk_is_told_so_sends_the_rest_away_and_can_undo(
    till: Browser, counter: Counter
) -> None:
    done = handed_over(till, counter.new_code())
    with unit_of_work() as session:
        session.execute(sa.update(Office).where(Office.id == counter.office.id).values(active=False))
    front, shelf = till.get("/staff").text, till.get(f"{STOCK}/{OWN}").text
    offices = till.get("/staff/counter", follow_redirects=True).text
    for page in (front, offices):
        assert "is closed: nothing is handed over or printed there any more" in page
        assert "You do not belong to an office yet" not in page
    assert (f"{STOCK}/{OWN}/close" in front, f"{STOCK}/{OWN}/{PACK}/send" in shelf) == (True, True)
    assert f"{STOCK}/{OWN}/{PACK}/receive" not in shelf
    form = {"nonce": "n", "quantity": "5", "reference": "TTN"}
    assert till.post(f"{STOCK}/{OWN}/{PACK}/receive", form).status_code == 409
    assert done in till.get("/staff/counter/shift").text
    till.post(f"{done}/undo", {"reason": "a press too many"})
    assert (verdict_of(till.get(done)), counter.stock()) == ("undone", 10)
