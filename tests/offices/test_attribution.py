"""From a scan to a paid gift: booked under the link that led to it."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from core.clock import utcnow
from core.db import db, unit_of_work
from donations.models import Donation
from donations.queries import front_campaign
from finance.funnel import funnel
from offices import links, services
from ops.demo import SLUG
from tests.house import House
from tests.offices.conftest import Add, scans


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["WTF_CSRF_ENABLED"] = False
    return app


def give_on_page(phone: FlaskClient, **fields: Any) -> None:
    answer = phone.post(f"/c/{SLUG}", data={"choice": "2500", "key": links.new_code(), **fields})
    assert answer.status_code == 303, answer.text


def last(column: Any) -> Any:
    db.session.rollback()
    return db.session.scalars(sa.select(column).order_by(Donation.id.desc()).limit(1)).one()


def last_placement() -> str | None:
    return last(Donation.placement)


def test_the_gift_after_a_scan_is_the_link_s(phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    phone.get(f"/q/{placement.code.lower()}")
    give_on_page(phone)
    assert last_placement() == placement.code


def test_the_page_carries_the_code_in_its_form(phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    page = phone.get(phone.get(f"/q/{placement.code}").headers["Location"])
    assert re.search(rf'name="placement"[^>]*value="{placement.code}"', page.text)


def test_who_leaves_and_returns_the_same_day_is_still_the_link_s(phone: FlaskClient, placed: Add) -> None:
    placement = placed()
    phone.get(f"/q/{placement.code}")
    cookie = phone.get_cookie("placement")
    assert cookie is not None
    assert cookie.max_age == 24 * 3600
    phone.get("/")
    give_on_page(phone)
    assert last_placement() == placement.code


def test_without_a_scan_a_gift_is_nobody_s(phone: FlaskClient, placed: Add) -> None:
    placed()
    give_on_page(phone)
    assert last_placement() is None


@pytest.mark.parametrize("typed", ["AAAAAAA", "x" * 300, "<script>", "'; --", "🙂", " "])
def test_made_up_codes_are_dropped_and_the_gift_is_taken(house: House, typed: str) -> None:
    house.give(placement=typed)
    assert last_placement() is None


def test_unknown_codes_are_dropped(house: House, phone: FlaskClient) -> None:
    house.give(placement=links.new_code())
    assert last_placement() is None
    give_on_page(phone, placement=links.new_code())
    assert last_placement() is None


def test_the_api_takes_the_code_however_it_is_written(house: House, placed: Add) -> None:
    placement = placed()
    house.give(placement=f" {placement.code[:3]}-{placement.code[3:].lower()}")
    assert last_placement() == placement.code


def test_a_retired_link_brings_nothing_to_its_place(house: House, placed: Add) -> None:
    placement = placed(state="retired")
    house.give(placement=placement.code)
    assert last_placement() is None


def test_a_gift_after_a_dead_link_is_nobody_s(phone: FlaskClient, placed: Add) -> None:
    phone.get(f"/q/{placed().code}")
    phone.get(f"/q/{placed(state='retired').code}")
    give_on_page(phone)
    assert last_placement() is None


def test_a_replaced_link_s_gift_is_its_replacement_s(house: House, phone: FlaskClient, placed: Add) -> None:
    first = placed()
    phone.get(f"/q/{first.code}")
    with unit_of_work():
        second = services.replace(first.code, utcnow())
    with unit_of_work():
        third = services.replace(second.code, utcnow())
    give_on_page(phone)
    assert last_placement() == third.code
    house.give(placement=first.code)
    assert last_placement() == third.code


def test_from_a_scan_to_a_paid_gift_in_the_funnel_and_in_the_record(
    house: House, phone: FlaskClient, placed: Add
) -> None:
    placement, other = placed(label="Nemiga"), placed()
    phone.get(f"/q/{placement.code}")
    assert scans(house, placement) == 1
    give_on_page(phone)
    donation = house.state({"token": last(Donation.token)})
    house.pay(donation)
    house.deliver()
    assert house.state(donation)["status"] == "paid"
    assert house.row(donation).placement == placement.code
    rows = {row.key: row for row in funnel(front_campaign())}
    mine = rows[placement.code]
    assert (mine.scans, mine.started, mine.paid, mine.raised, mine.label) == (1, 1, 1, 2500, "Nemiga")
    assert rows[other.code].paid == rows[None].paid == 0


def test_the_same_request_with_the_same_key_is_the_same_gift(house: House, placed: Add) -> None:
    placement = placed()
    first = house.give(placement=placement.code, key="once")
    with unit_of_work():
        services.retire(placement.code)
    assert house.give(placement=placement.code, key="once")["id"] == first["id"]
