"""What the sponsor owes and has paid, at the console."""

import uuid

import sqlalchemy as sa

from core.db import db, unit_of_work
from donations.models import Campaign
from finance.models import SponsorPayment
from ledger.models import JournalEntry
from ledger.periods import Month
from ledger.queries import balances
from staff.models import AuditEntry
from tests.finance.test_books_console import key_of
from tests.house import House
from tests.staff.console import Browser


def test_the_sponsors_debt_is_shown_month_by_month_and_paid(house: House, anna: Browser) -> None:
    assert "No fee has been charged" in anna.get("/staff/sponsor").text
    with unit_of_work() as session:
        session.execute(sa.update(Campaign).values(fees_borne_by="sponsor"))
    house.given(2500)
    day = db.session.scalars(sa.select(JournalEntry.occurred_at).limit(1)).one()
    page = anna.get("/staff/sponsor")
    assert "1.56" in page.text
    assert str(Month.at(day)) in page.text
    form = {"key": key_of(page), "amount": "1,50", "paid_on": str(day.date()), "document": "Order 12"}
    for _ in range(2):
        assert anna.post("/staff/sponsor", form).status_code == 303
    db.session.rollback()
    assert (balances()["sponsor:specialists"], balances()["bank:BYN"]) == (6, 150)
    assert house.count(SponsorPayment) == 1
    assert house.totals()["earmarked"] == 2500

    number = db.session.scalars(sa.select(SponsorPayment.public_id)).one()
    anna.get("/staff/sponsor")
    assert anna.post(f"/staff/sponsor/{number}/take-back").status_code == 303
    assert anna.post(f"/staff/sponsor/{number}/take-back").status_code == 409
    db.session.rollback()
    assert (balances()["sponsor:specialists"], balances()["bank:BYN"]) == (156, 0)


def test_more_than_the_sponsor_owes_is_booked_only_when_somebody_ticks_that(house: House, anna: Browser) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(Campaign).values(fees_borne_by="sponsor"))
    house.given(2500)  # its fee is 1.56
    day = db.session.scalars(sa.select(JournalEntry.occurred_at).limit(1)).one().date()
    page = anna.get("/staff/sponsor")
    assert "Owed now: BYN" in page.text
    assert 'name="knows"' not in page.text
    form = {"key": key_of(page), "amount": "156,00", "paid_on": str(day), "document": "Order 13"}
    answer = anna.post("/staff/sponsor", form)
    assert (answer.status_code, house.count(SponsorPayment)) == (409, 0)
    assert "and this is more" in answer.text
    assert 'value="156,00"' in answer.text, "nothing that was typed is lost"
    db.session.rollback()
    assert balances()["sponsor:specialists"] == 156
    assert anna.post("/staff/sponsor", {**form, "key": key_of(answer), "knows": "yes"}).status_code == 303
    db.session.rollback()
    assert (balances()["sponsor:specialists"], balances()["bank:BYN"]) == (156 - 15_600, 15_600)
    assert "154.44 in advance" in anna.get("/staff/sponsor").text.replace("\u00a0", " ")
    more = {**form, "key": str(uuid.uuid4()), "amount": "0,01"}
    assert anna.post("/staff/sponsor", more).status_code == 409, "what is paid in advance is no debt"
    entry = sa.select(AuditEntry.after).where(AuditEntry.action == "sponsor.paid")
    assert db.session.scalars(entry).one()["more_than_owed_minor"] == 156
