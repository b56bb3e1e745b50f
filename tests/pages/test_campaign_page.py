"""The campaign page: what it tells, and a form that forgives typing but not wrong amounts."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import unit_of_work
from donations.models import Campaign, Donation
from tests.house import House
from tests.pages.donor import CAMPAIGN, Donor, text_of

NBSP = "\u00a0"


def test_the_front_page_tells_goal_purpose_packs_helpline_and_money(donor: Donor, house: House) -> None:
    house.given(2500)
    page = text_of(donor.read("/"))
    for text in (
        "1 donation ",
        "of BYN 50,000",
        "as of ",
        "training specialists in treatment of cyberbullying victims",
        "Kind words",
        "8 800 100 16 11",
        "anonymously and free of charge",
        "Anti-bullying workbook",
        "Donated BYN 25.00",
        "You pay on the protected page",
    ):
        assert text in page.replace(NBSP, " "), text


def test_the_money_table_adds_up_to_what_the_api_says(donor: Donor, house: House) -> None:
    house.given(2500)
    totals = house.totals()
    page = text_of(donor.read(CAMPAIGN)).replace(NBSP, " ")
    assert f"Payment provider’s fees -BYN {totals['fees'] / 100:.2f}" in page
    assert f"cyberbullying victims BYN {totals['earmarked'] / 100:.2f}" in page


def test_twenty_five_roubles_are_chosen_at_first(donor: Donor) -> None:
    assert 'value="2500" data-shown="BYN\u00a025" checked' in donor.read("/")


def test_no_inline_script_or_style_that_the_policy_would_refuse(donor: Donor, house: House) -> None:
    token = house.given(6000)["token"]
    for path in ("/", f"/d/{token}", "/api/docs"):
        page = donor.read(path)
        assert " style=" not in page
        assert "<style" not in page
        assert "onclick" not in page
        assert page.count("<script") == page.count("<script src=")


def test_pressing_give_leads_to_the_provider(donor: Donor, house: House) -> None:
    answer = donor.give(choice="2500")
    assert answer.status_code == 303
    assert answer.location.startswith(house.sandbox.url)


@pytest.mark.parametrize("typed", ["25", "25,00", "25.00", " 25,0 "])
def test_a_typed_amount_counts_instead_of_the_choice(donor: Donor, house: House, typed: str) -> None:
    assert donor.give(choice="10000", amount=typed).status_code == 303
    assert house.count(Donation, Donation.amount_minor == 2500) == 1


@pytest.mark.parametrize(
    ("fields", "message", "field"),
    [
        ({"amount": "1e3"}, "Please enter an amount in figures", "amount"),
        ({"amount": "0"}, "Please enter an amount in figures", "amount"),
        ({"amount": "-5"}, "Please enter an amount in figures", "amount"),
        ({"amount": "25.001"}, "Please enter an amount in figures", "amount"),
        ({"amount": "٢٥"}, "Please enter an amount in figures", "amount"),
        ({"amount": "4.99"}, "The smallest donation is BYN 5.00.", "amount"),
        ({"amount": "500,01"}, "The largest donation is BYN 500.00.", "amount"),
        ({"amount": "9" * 40}, "The largest donation is BYN 500.00.", "amount"),
        ({"choice": "9" * 5000}, "Please enter an amount in figures", "amount"),
        ({"choice": "2500", "email": "anna@"}, "This e-mail address is not complete", "email"),
        ({"choice": "2500", "name": "<b>Anna</b>"}, "Please enter a name of at most 120", "name"),
    ],
)
def test_what_cannot_be_taken_is_told_at_the_field_and_nothing_is_stored(
    donor: Donor, house: House, fields: dict[str, str], message: str, field: str
) -> None:
    answer = donor.give(**fields)
    assert answer.status_code == 422
    page = answer.text.replace(NBSP, " ")
    assert page.count(message) == 2, "once in the summary, once at the field"
    assert f'<a href="#{field}">' in page
    assert 'aria-invalid="true"' in page
    assert f'id="{field}-error"' in page
    assert f'aria-describedby="{field}-error' in page
    assert house.nothing_stored()


def test_what_was_typed_is_kept_when_the_form_comes_back(donor: Donor) -> None:
    page = donor.give(amount="1", name="Анна “Ані”", email="anna@example.by", anonymous="y").text
    assert 'value="1"' in page
    assert 'value="Анна “Ані”"' in page
    assert 'value="anna@example.by"' in page
    assert 'name="anonymous" value="y" checked' in page
    assert ' checked><label for="choice' not in page, "a typed amount leaves no choice chosen"


def test_a_name_with_mark_up_comes_back_as_text(donor: Donor) -> None:
    page = donor.give(choice="2500", name='"><script>alert(1)</script>').text
    assert "<script>alert" not in page


def test_a_double_press_is_one_donation_and_two_tabs_are_two(donor: Donor, house: House) -> None:
    one, other = donor.hidden(), donor.hidden()
    assert donor.give(hidden=one, choice="2500").location == donor.give(hidden=one, choice="2500").location
    donor.give(hidden=other, choice="2500")
    assert house.count(Donation) == 2


def test_a_form_without_our_mark_is_refused_with_a_page(donor: Donor, house: House) -> None:
    answer = donor.client.post(CAMPAIGN, data={"choice": "2500"}, query_string={"lang": "en"})
    assert answer.status_code == 400
    assert "The form is out of date" in answer.text
    assert "you have not been charged" in answer.text
    assert house.nothing_stored()


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ({"opens_at": timedelta(days=3)}, "This campaign has not begun yet."),
        ({"closes_at": timedelta(days=-3)}, "This campaign is over."),
    ],
)
def test_a_campaign_that_takes_nothing_shows_everything_but_the_form(
    donor: Donor, house: House, dates: dict[str, timedelta], message: str
) -> None:
    hidden = donor.hidden()
    with unit_of_work() as session:
        session.execute(sa.update(Campaign).values({name: utcnow() + delta for name, delta in dates.items()}))
    page = donor.read("/")
    assert message in page
    assert "<form" not in page
    assert "8 800 100 16 11" in page
    assert "Every kopeck accounted for" in page
    assert donor.give(hidden=hidden, choice="2500").status_code == 409
    assert house.nothing_stored()


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("ru", ["1 пожертвование", "2 пожертвования", "5 пожертвований"]),
        ("be", ["1 ахвяраванне", "2 ахвяраванні", "5 ахвяраванняў"]),
        ("en", ["1 donation ", "2 donations", "5 donations"]),
    ],
)
def test_donations_are_counted_in_right_plurals(
    donor: Donor, house: House, language: str, sentences: list[str]
) -> None:
    donor.language = language
    given = 0
    for sentence in sentences:
        wanted = int(sentence.split()[0])
        for _ in range(wanted - given):
            house.given(1000)
        given = wanted
        assert sentence in text_of(donor.read("/")).replace(NBSP, " ")


def test_the_language_switch_keeps_path_and_query(donor: Donor) -> None:
    page = donor.client.get("/?placement=minsk-1&lang=ru").text
    assert 'href="/?placement=minsk-1&amp;lang=be"' in page
    assert '<html lang="ru">' in page


def test_the_language_switch_of_a_refused_form_leads_to_a_page(donor: Donor) -> None:
    page = donor.give(amount="0").text
    assert f'href="{CAMPAIGN}?lang=be"' in page
