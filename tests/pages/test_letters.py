"""The receipt as a letter: in the donor's language, with codes to show, honest about what happened since."""

import pytest
import sqlalchemy as sa

from core.db import unit_of_work
from core.i18n import Localized
from core.mail import Mail, build
from donations.letters import receipt_letter
from donations.models import Donation, Donor
from stickers.models import RedemptionCode
from tests.house import House

NBSP = "\u00a0"


def letter(house: House, donation: dict[str, str]) -> Mail:
    written = receipt_letter(house.row(donation).id)
    assert written is not None
    return written


@pytest.mark.parametrize(
    ("locale", "subject", "amount", "purpose", "partners"),
    [
        ("ru", "Спасибо! Ваша квитанция", "60,00 BYN", "обучение специалистов", "МТС × ЮНИСЕФ"),
        ("be", "Дзякуй! Ваша квітанцыя", "60,00 Br", "навучанне спецыялістаў", "МТС × ЮНІСЕФ"),
        ("en", "Thank you! Your receipt", "BYN 60.00", "training specialists", "MTS × UNICEF"),
    ],
)
def test_the_letter_has_number_amount_purpose_codes_and_the_way_back(
    house: House, locale: str, subject: str, amount: str, purpose: str, partners: str
) -> None:
    donation = house.given(6000, locale=locale, donor={"email": "anna@example.by", "name": "Анна"})
    state, mail = house.state(donation), letter(house, donation)
    assert mail.subject == f"{subject} {state['receipt_number']}"
    for part in (mail.text.replace(NBSP, " "), mail.html.replace(NBSP, " ")):
        for expected in (amount, purpose, partners, state["receipt_number"], donation["status_url"], "8 800 100 16 11"):
            assert expected in part
        for code in state["sticker_codes"]:
            assert code["code"] in part
    assert mail.language == locale
    assert f'lang="{locale}"' in mail.html


def test_every_picture_of_the_letter_travels_with_it(house: House) -> None:
    mail = letter(house, house.given(6000, donor={"email": "anna@example.by"}))
    assert [image.content_id for image in mail.images] == ["code-1", "code-2"], "the digital pack needs no QR code"
    for image in mail.images:
        assert f'src="cid:{image.content_id}"' in mail.html
        assert image.png.startswith(b"\x89PNG")
    assert mail.html.count("<img") == len(mail.images)
    assert build(mail, "<1@test>").as_bytes()


def test_text_is_not_escaped_and_html_is(house: House) -> None:
    donation = house.given(2500, locale="en", donor={"email": "anna@example.by"})
    with unit_of_work() as session:
        campaign = session.get_one(Donation, house.row(donation).id).campaign
        campaign.partners = Localized(ru="Друзья", en="Friends & <Co>")
    mail = letter(house, donation)
    assert "Friends & <Co>" in mail.text
    assert "Friends &amp; &lt;Co&gt;" in mail.html


@pytest.mark.parametrize(
    ("status", "codes", "subject", "sentence", "state"),
    [
        ("refunded", "voided", "About your donation", "has been refunded since", "No longer valid"),
        ("disputed", "held", "About your donation", "does not count as a donation any more", "On hold"),
        ("partially_refunded", "issued", "Thank you!", "a part of it has been refunded", "Show this code"),
    ],
)
def test_a_letter_that_goes_out_late_tells_what_happened_since(
    house: House, status: str, codes: str, subject: str, sentence: str, state: str
) -> None:
    donation = house.given(2500, locale="en", donor={"email": "anna@example.by"})
    with unit_of_work() as session:
        session.execute(sa.update(Donation).values(status=status))
        session.execute(sa.update(RedemptionCode).values(status=codes, standing=codes))
    mail, code = letter(house, donation), house.state(donation)["sticker_codes"][0]["code"]
    assert mail.subject.startswith(subject)
    for part in (mail.text, mail.html):
        assert sentence in part
        assert state in part
        assert (code in part) == (codes == "issued"), "a code that cannot be used is not printed"


def test_nobody_is_written_to_after_erasure(house: House) -> None:
    donation = house.given(2500, donor={"email": "anna@example.by"})
    with unit_of_work() as session:
        session.execute(sa.update(Donor).values(email=None))
    assert receipt_letter(house.row(donation).id) is None
