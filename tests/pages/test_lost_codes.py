"""Codes sent again by e-mail, told to nobody but the address itself."""

import email
import re
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from core.models import OutboxMessage
from donations import lost_codes
from donations.models import Donor, LostCodesRequest
from tests.house import House
from tests.pages.donor import Donor as Visitor

ANNA = "anna@example.by"


def ask(visitor: Visitor, address: str) -> TestResponse:
    hidden = visitor.hidden("/lost-codes")
    return visitor.client.post("/lost-codes", data={**hidden, "email": address})


def letters(house: House) -> list[EmailMessage]:
    house.work()
    folder = Path(house.app.config["INSTANCE_DIR"]) / "mail"
    found = sorted(folder.glob("lost_codes-*.eml")) if folder.exists() else []
    return [email.message_from_bytes(path.read_bytes(), policy=default) for path in found]


def body(letter: EmailMessage) -> str:
    part = letter.get_body(("plain",))
    assert part
    return str(part.get_content())


def test_the_letter_names_all_paid_donations_of_the_address_and_no_other(donor: Visitor, house: House) -> None:
    mine = [house.given(2500, donor={"email": ANNA}), house.given(6000, donor={"email": "Anna@Example.by"})]
    unpaid = house.give(2500, donor={"email": ANNA})
    other = house.given(2500, donor={"email": "boris@example.by"})
    answer = ask(donor, " ANNA@example.by ")
    assert answer.status_code == 303
    (letter,) = letters(house)
    assert letter["To"] == ANNA
    text = body(letter)
    assert all(f"/d/{each['token']}" in text for each in mine)
    assert unpaid["token"] not in text
    assert other["token"] not in text
    assert house.state(mine[0])["receipt_number"] in text
    assert house.state(mine[0])["sticker_codes"][0]["code"] not in text, (
        "the page has the codes, the letter leads there"
    )


@pytest.mark.parametrize("address", [ANNA, "nobody@example.by"])
def test_known_and_unknown_addresses_get_the_same_answer_and_leave_the_same_rows(
    donor: Visitor,
    house: House,
    address: str,
) -> None:
    house.given(2500, donor={"email": ANNA})
    before = house.count(OutboxMessage)
    answer = ask(donor, address)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/lost-codes?sent=1")
    assert "If donations were made with this address" in donor.client.get("/lost-codes?sent=1&lang=en").text
    assert house.count(LostCodesRequest) == 1
    assert house.count(OutboxMessage) == before + 1
    assert len(letters(house)) == (1 if address == ANNA else 0)


def test_an_address_gets_a_few_letters_an_hour_and_further_wishes_the_same_answer(donor: Visitor, house: House) -> None:
    house.given(2500, donor={"email": ANNA})
    answers = {ask(donor, ANNA).headers["Location"] for _ in range(lost_codes.PER_ADDRESS + 2)}
    assert answers == {"/lost-codes?sent=1"}
    assert len(letters(house)) == lost_codes.PER_ADDRESS


def test_a_caller_who_asks_for_address_after_address_is_stopped(
    donor: Visitor,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lost_codes, "PER_CALLER", 2)
    assert [ask(donor, f"guess{number}@example.by").status_code for number in range(4)] == [303, 303, 429, 429]
    assert house.count(LostCodesRequest) == 2


def test_an_address_that_is_none_is_told_at_its_field_and_stays_typed(donor: Visitor, house: House) -> None:
    answer = ask(donor, "anna@")
    assert answer.status_code == 422
    assert 'value="anna@"' in answer.text
    assert "typing mistake" in answer.text or 'class="field-error"' in answer.text
    assert house.count(LostCodesRequest) == 0


def test_an_erased_donor_gets_no_letter_for_a_wish_made_before(donor: Visitor, house: House) -> None:
    house.given(2500, donor={"email": ANNA})
    assert ask(donor, ANNA).status_code == 303
    with unit_of_work() as session:
        session.execute(sa.update(Donor).values(email=None, erased_at=utcnow()))
    assert letters(house) == []


def test_the_letter_is_in_the_language_it_was_asked_for_in(donor: Visitor, house: House) -> None:
    house.given(2500, donor={"email": ANNA}, locale="ru")
    donor.language = "en"
    ask(donor, ANNA)
    (letter,) = letters(house)
    assert letter["Subject"] == "Your donations and sticker codes"
    assert letter["Content-Language"] == "en"


def test_old_wishes_are_forgotten(donor: Visitor, house: House) -> None:
    ask(donor, ANNA)
    with unit_of_work() as session:
        session.execute(sa.update(LostCodesRequest).values(created_at=utcnow() - lost_codes.KEEP * 2))
    lost_codes.forget_old_requests()
    assert house.count(LostCodesRequest) == 0


def test_the_status_page_leads_to_it_when_an_address_was_given(donor: Visitor, house: House) -> None:
    page = donor.read(f"/d/{house.given(2500, donor={'email': ANNA})['token']}")
    assert re.search(r'href="/lost-codes"', page)
    db.session.rollback()
