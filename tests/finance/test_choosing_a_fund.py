"""Several funds: every page that acts on one names it, offers the others, and means the right one by itself."""

import re
from datetime import date
from typing import Any

import sqlalchemy as sa

from core.clock import utcnow
from core.db import db
from finance.models import SponsorPayment
from ledger.models import Disbursement
from ledger.queries import balances
from tests.finance import funds
from tests.finance.books import gift, moment
from tests.house import House
from tests.staff.console import Browser


def form_of(page: str, fund: str) -> dict[str, Any]:
    """Hidden fields of the form of this fund."""
    [form] = [form for form in re.findall(r"<form.*?</form>", page, re.S) if f'name="fund" value="{fund}"' in form]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def test_the_sponsor_pays_the_fund_whose_fees_it_bears(house: House, anna: Browser) -> None:
    """The campaign at the front has no sponsor; the other one has."""
    funds.campaign("sponsor-byn", "sponsored", "С партнёром", fees_borne_by="sponsor")
    page = anna.get("/staff/sponsor").text
    assert "Owed now: BYN\u00a00.00" in page
    house.given(2500, campaign="sponsor-byn")  # its fee is 1.56
    page = anna.get("/staff/sponsor").text
    assert (page.count("Owed now: BYN\u00a01.56"), page.count("The sponsor has paid")) == (1, 1)
    assert "To the fund: С партнёром" in page
    typed = {"amount": "1,56", "paid_on": str(utcnow().date()), "document": "Order 12"}
    answer = anna.post("/staff/sponsor", {**form_of(page, "sponsored"), **typed})
    assert (answer.status_code, house.count(SponsorPayment)) == (303, 1)
    assert (balances()["sponsor:sponsored"], balances()["bank:BYN"]) == (0, 156)


def test_two_debts_have_a_form_each_and_a_refusal_stays_in_its_own(house: House, anna: Browser) -> None:
    for name in ("one", "two"):
        funds.campaign(name, name, fees_borne_by="sponsor")
        house.given(2500, campaign=name)
    page = anna.get("/staff/sponsor").text
    ids = re.findall(r'<(?:input|select)[^>]* id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    typed = {"amount": "200,00", "paid_on": str(utcnow().date()), "document": "Order 12"}
    answer = anna.post("/staff/sponsor", {**form_of(page, "two"), **typed})
    assert answer.status_code == 409
    assert answer.text.count('value="200,00"') == answer.text.count('name="knows"') == 1
    assert answer.text.index('value="200,00"') > answer.text.index('id="two"')
    unnamed = {**form_of(page, "two"), **typed, "fund": ""}
    assert anna.post("/staff/sponsor", unnamed).status_code == 404, "which of the two is not guessed"
    assert house.count(SponsorPayment) == 0


def test_money_is_spent_from_the_fund_that_has_some_and_that_is_named(house: House, anna: Browser) -> None:
    funds.campaign("second", "other", "Другой фонд")
    assert 'name="fund" value="specialists"' in anna.get("/staff/spending/new").text, "the one at the front"
    gift(5000, "settled", moment(9), settled=True, of="other")
    page = anna.get("/staff/spending/new").text
    assert 'name="fund" value="other"' in page
    assert "From the fund: Другой фонд" in page
    assert "/staff/spending/new?fund=specialists" in page
    for path in ("/staff/spending", "/staff"):
        listed = anna.get(path).text
        assert "Другой фонд" in listed
        assert "/staff/spending/new?fund=other" in listed
        assert "/staff/spending/new?fund=specialists" in listed
    typed = {"amount": "40", "spent_on": str(date(2026, 2, 20)), "beneficiary": "Training", "document": "Act 7"}
    empty = anna.post("/staff/spending/new", {**form_of(page, "other"), **typed, "fund": "specialists"})
    assert empty.status_code == 409, "nothing is available there"
    assert "/staff/spending/new?fund=other" in empty.text
    made = anna.post("/staff/spending/new", {**form_of(page, "other"), **typed})
    assert made.status_code == 303
    assert "Другой фонд" in anna.get(str(made.location)).text
    assert "Другой фонд" in anna.get("/staff/spending").text.partition("Act 7")[0]
    db.session.rollback()
    assert db.session.scalars(sa.select(Disbursement)).one().fund.code == "other"
    assert anna.get("/staff/spending/new?fund=nonsense").status_code == 404
    assert 'name="fund" value="other"' in anna.get("/staff/spending/new?campaign=second").text
