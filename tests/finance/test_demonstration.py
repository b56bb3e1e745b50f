"""The demonstration's bank accounts and its history: made by the sandbox alone, once, and nothing is left changed."""

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db
from donations.models import Dispute, Donation, Refund
from finance.bank.models import BankAccount
from ledger.models import Disbursement
from ledger.queries import fund_totals
from ops.demo_bank import seed_bank
from ops.demo_history import NoSandbox, make_history, spend
from ops.demo_staff import seed_staff
from tests.finance.books import fund
from tests.house import House


def test_bank_accounts_are_made_once(house: House) -> None:
    assert seed_bank(utcnow())
    assert not seed_bank(utcnow())
    assert house.count(BankAccount) == 2


def test_the_history_is_the_sandboxs_and_is_made_once(house: House) -> None:
    offset = house.sandbox.clock.offset
    made = make_history(utcnow(), days=8)
    assert made == house.count(Donation) > 8
    paid = house.count(Donation, Donation.paid_at.is_not(None))
    assert 0 < paid < made
    assert house.count(Refund) > 0
    assert house.count(Dispute) > 0
    first, last = db.session.execute(sa.select(sa.func.min(Donation.paid_at), sa.func.max(Donation.paid_at))).one()
    assert 6 <= (last - first).days <= 8
    assert fund_totals(fund()).available > 0
    assert sum(amount for account, amount in house.balances().items() if "EUR" not in account) == 0
    assert abs(house.sandbox.clock.offset - offset) < 1
    house.given(2500)  # it tells us again
    assert house.count(Donation, Donation.paid_at.is_not(None)) == paid + 1
    assert make_history(utcnow(), days=8) == 0
    assert house.count(Donation) == made + 1


def test_half_of_it_is_spent_by_two_people(house: House, app: Flask) -> None:
    app.config["APP_ENV"] = "development"
    assert not spend(utcnow())
    seed_staff(utcnow())
    assert not spend(utcnow())  # nothing is there
    make_history(utcnow(), days=4)
    before = fund_totals(fund()).available
    assert spend(utcnow())
    db.session.rollback()
    states = list(db.session.scalars(sa.select(Disbursement.state).order_by(Disbursement.id)))
    assert states == ["approved", "proposed"]
    assert 0 < fund_totals(fund()).spent <= before // 2


@pytest.mark.parametrize("settings_", [{"STRIPE_API_BASE": None}, {"APP_ENV": "production"}])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_the_sandbox_nothing_is_made(house: House, app: Flask, settings_: dict[str, str | None]) -> None:
    app.config.update(settings_)
    with pytest.raises(NoSandbox):
        make_history(utcnow())
    assert house.nothing_stored()
