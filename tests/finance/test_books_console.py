"""Finance at the console: searching a gift, giving back, spending by two people, closing a month."""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from core.money import Money
from donations.models import Campaign, Donation, Refund
from finance import attachments
from finance.closing import hash_of
from finance.models import RefundOrder
from ledger.models import AccountingPeriod, Disbursement
from ledger.services import open_exception
from ops.demo_offices import seed_offices
from tests.console.conftest import acts, make_link
from tests.donations.test_refunds_and_disputes import hand_over, page_of
from tests.finance.books import gift, moment
from tests.finance.test_disbursements import PDF
from tests.house import House
from tests.staff.console import Browser

KEY = re.compile(r'name="key" value="([^"]+)"')
PAYMENT = re.compile(r'name="payment" value="([^"]+)"')


def key_of(page: TestResponse) -> str:
    found = KEY.search(page.text)
    assert found is not None
    return found[1]


def field_error(page: TestResponse) -> list[str]:
    return re.findall(r'class="field-error"[^>]*>([^<]+)<', page.text)


# Who may see it


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", ["donations", "spending", "spending/new", "months", "sponsor"])
def test_others_than_finance_are_refused(at_desk: Callable[..., Browser], path: str) -> None:
    for role in ("office", "campaign"):
        assert at_desk(role, role).get(f"/staff/{path}").status_code == 403
    assert at_desk("anna").get(f"/staff/{path}").status_code == 200
    assert at_desk("root", "admin").get(f"/staff/{path}").status_code == 200


# Searching


def test_a_gift_is_found_by_all_that_finance_knows_of_it(house: House, at_desk: Callable[..., Browser]) -> None:
    seed_offices(utcnow())
    office = db.session.execute(sa.text("SELECT id, code FROM offices ORDER BY code")).first()
    db.session.rollback()
    assert office is not None
    link = make_link(office[0])
    donation, other = house.given(2500, placement=link), house.given(700)
    refund = house.sandbox.drills.refund(page_of(donation), 500)
    house.deliver()
    theirs = f"/staff/donations/{house.row(other).public_id}"
    payment, row = house.payments(donation)[0], house.row(donation)
    assert row.receipt is not None
    ours, day, receipt = f"/staff/donations/{row.public_id}", row.created_at.date(), row.receipt.shown
    line = sa.text("SELECT ref FROM settlement_lines WHERE payment_ref = :ref")
    settled = db.session.execute(line, {"ref": payment.payment_ref}).scalars().first()
    number, references = payment.public_id, (payment.payment_ref, payment.checkout_ref, payment.charge_ref)
    browser = at_desk("anna")
    for query in (
        {"text": receipt},
        {"text": donation["id"].upper()},
        {"text": number},
        *({"text": reference} for reference in references),
        {"text": refund["id"]},
        {"text": settled},
        {"amount": "25,00"},
        {"office": office[1].lower()},
        {"placement": link},
        {"status": "partially_refunded"},
        {"amount": "25", "first": "2020-01-01", "last": str(day.replace(year=day.year + 1))},
    ):
        page = browser.get("/staff/donations", query_string=query)
        assert (ours in page.text, theirs in page.text) == (True, False), query
    everything = browser.get("/staff/donations").text
    assert ours in everything
    assert theirs in everything
    for query in ({"text": "pi_unknown"}, {"placement": "nonsense"}, {"last": "2020-01-01"}, {"text": "2020-1"}):
        assert "Nothing was found" in browser.get("/staff/donations", query_string=query).text, query


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"first": "2026-03-02", "last": "2026-03-01"}, "comes before"),
        ({"first": "yesterday"}, "is written as"),
        ({"last": "2026-02-30"}, "is written as"),
        ({"amount": "much"}, "more than zero"),
    ],
)
def test_what_cannot_be_searched_for_is_said_and_kept(
    at_desk: Callable[..., Browser], query: dict[str, str], says: str
) -> None:
    page = at_desk("anna").get("/staff/donations", query_string=query)
    assert page.status_code == 422
    assert says in page.text
    for typed in query.values():
        assert f'value="{typed}"' in page.text


def test_a_long_list_is_read_page_by_page_and_no_gift_is_left_out(app: Flask, at_desk: Callable[..., Browser]) -> None:
    with unit_of_work() as session:
        campaign = session.scalars(sa.select(Campaign.id)).one()
        common = {"campaign_id": campaign, "currency": "BYN", "locale": "ru", "channel": "api", "request_hash": ""}
        session.add_all(
            Donation(
                **common, amount_minor=500, created_at=utcnow(), idempotency_scope="t", idempotency_key=str(number)
            )
            for number in range(120)
        )
    browser, seen, path = at_desk("anna"), [], "/staff/donations?amount=5"
    while path:
        page = browser.get(path)
        seen += re.findall(r'href="/staff/donations/([0-9a-f-]{36})"', page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 120


# One gift


def test_the_page_shows_everything_but_the_person_and_the_code(house: House, at_desk: Callable[..., Browser]) -> None:
    donation = house.given(2500, donor={"name": "Ганна & Co", "email": "hanna@example.org"})
    code = house.state(donation)["sticker_codes"][0]["code"]
    browser = at_desk("anna")
    page = browser.get(f"/staff/donations/{donation['id']}")
    assert page.status_code == 200
    for shown in ("fund:specialists:gift", "Not collected yet", "Settlement of the payment", "23.44", donation["id"]):
        assert shown in page.text
    for hidden in ("Ганна", "hanna@", code, code.replace("-", "")):
        assert hidden not in page.text
    assert acts() == []

    with_donor = browser.post(f"/staff/donations/{donation['id']}/donor")
    assert "Ганна &amp; Co" in with_donor.text
    assert "hanna@example.org" in with_donor.text
    assert acts() == [("anna@example.org", "donor.shown", f"donation:{donation['id']}")]


def test_an_unknown_gift_is_not_found(at_desk: Callable[..., Browser]) -> None:
    assert at_desk("anna").get("/staff/donations/0198f3a0-0000-7000-8000-000000000000").status_code == 404


def refund_form(browser: Browser, donation: dict[str, Any], **typed: str) -> dict[str, str]:
    page = browser.get(f"/staff/donations/{donation['id']}")
    payment = PAYMENT.search(page.text)
    assert payment is not None
    return {"key": key_of(page), "payment": payment[1], "amount": "5,00", "reason": "asked by the donor", **typed}


def test_a_refund_is_ordered_and_its_state_is_shown_until_the_provider_confirms(
    house: House, at_desk: Callable[..., Browser]
) -> None:
    donation, browser = house.given(2500), at_desk("anna")
    form = refund_form(browser, donation)
    assert browser.post(f"/staff/donations/{donation['id']}/refunds", form).status_code == 303
    assert "Asked for" in browser.get(f"/staff/donations/{donation['id']}").text
    browser.post(f"/staff/donations/{donation['id']}/refunds", form)  # pressed twice
    house.work()
    house.deliver()
    page = browser.get(f"/staff/donations/{donation['id']}")
    assert "Given back" in page.text
    assert "20.00 are left" in page.text.replace("BYN\xa0", "")
    assert house.count(Refund) == house.count(RefundOrder) == 1


def test_a_large_refund_goes_from_one_person_to_the_other(house: House, at_desk: Callable[..., Browser]) -> None:
    donation, anna, boris = house.given(20_000), at_desk("anna"), at_desk("boris")
    path = f"/staff/donations/{donation['id']}"
    anna.post(f"{path}/refunds", refund_form(anna, donation, amount="150"))
    order = db.session.scalars(sa.select(RefundOrder.public_id)).one()
    assert "somebody else has to decide" in anna.get(path).text
    assert anna.post(f"/staff/refunds/{order}/approve").status_code == 409
    assert "A refund to approve" in boris.get("/staff").text
    assert "A refund to approve" not in anna.get("/staff").text
    boris.get(path)
    assert boris.post(f"/staff/refunds/{order}/approve").status_code == 303
    house.work()
    assert "Given back" in boris.get(path).text


def test_what_is_wrong_with_a_refund_is_said_at_its_field_and_nothing_typed_is_lost(
    house: House, at_desk: Callable[..., Browser]
) -> None:
    donation, browser = house.given(2500), at_desk("anna")
    path = f"/staff/donations/{donation['id']}/refunds"
    for amount, says in (("25,01", "left"), ("0", "more than zero"), ("-5", "more than zero"), ("", "more than zero")):
        page = browser.post(path, refund_form(browser, donation, amount=amount))
        assert page.status_code in (409, 422)
        assert any(says in error for error in field_error(page)), amount
        assert 'value="asked by the donor"' in page.text
    page = browser.post(path, refund_form(browser, donation, reason="  "))
    assert field_error(page) == ["Please fill this in."]
    assert 'value="5,00"' in page.text
    assert house.count(RefundOrder) == 0


def test_a_handed_over_pack_is_told_before_confirming(house: House, at_desk: Callable[..., Browser]) -> None:
    donation, browser = house.given(2500), at_desk("anna")
    hand_over(donation)
    assert "has been handed over" in browser.get(f"/staff/donations/{donation['id']}").text
    path = f"/staff/donations/{donation['id']}/refunds"
    assert browser.post(path, refund_form(browser, donation)).status_code == 409
    assert browser.post(path, refund_form(browser, donation, knows="yes")).status_code == 303


# Spending


def spending_form(browser: Browser, **typed: Any) -> dict[str, Any]:
    page = browser.get("/staff/spending/new")
    usual = {
        "amount": "40,00",
        "bank_currency": "BYN",
        "spent_on": "2026-02-20",
        "beneficiary": "Training in Brest",
        "document": "Act 7",
        "specialists": "12",
        "note": "first group",
    }
    return {**usual, "key": key_of(page), **typed}


@pytest.fixture
def money(house: House) -> House:
    gift(10_000, "settled", moment(9), settled=True)
    return house


def test_a_payment_is_proposed_with_its_scan_and_approved_by_another_person(
    money: House, at_desk: Callable[..., Browser]
) -> None:
    anna, boris = at_desk("anna"), at_desk("boris")
    form = spending_form(anna, attachment=(io.BytesIO(PDF), "Акт № 7.pdf"))
    made = anna.post("/staff/spending/new", form)
    assert made.status_code == 303
    path = str(made.location)
    assert "somebody else has to decide" in anna.get(path).text
    assert anna.post(f"{path}/approve").status_code == 409
    boris.get(path)
    assert boris.post(f"{path}/approve").status_code == 303
    file = boris.get(f"{path}/file")
    assert (file.data, file.mimetype) == (PDF, "application/pdf")
    assert "attachment" in file.headers["Content-Disposition"]
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    file.close()
    assert at_desk("karina", "campaign").get(f"{path}/file").status_code == 403
    totals = money.totals()
    assert (totals["spent"], totals["specialists_trained"]) == (4000, 12)
    public = money.client.get("/?lang=en").text
    assert "12 specialists have been trained so far." in public


def test_a_refused_form_keeps_what_was_typed_and_the_file_that_was_sent(
    money: House, at_desk: Callable[..., Browser]
) -> None:
    anna = at_desk("anna")
    page = anna.post(
        "/staff/spending/new", spending_form(anna, amount="100,01", attachment=(io.BytesIO(PDF), "act.pdf"))
    )
    assert page.status_code == 409
    assert "available now" in field_error(page)[0]
    assert 'value="Training in Brest"' in page.text
    assert "act.pdf is kept" in page.text
    kept = re.search(r'name="kept" value="([^"]+)"', page.text)
    assert kept is not None
    again = spending_form(anna, kept=kept[1], kept_name="act.pdf")
    assert anna.post("/staff/spending/new", again).status_code == 303
    assert db.session.scalars(sa.select(Disbursement.attachment)).one() == kept[1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"amount": "0"}, "more than zero"),
        ({"amount": "1e3"}, "more than zero"),
        ({"spent_on": "2999-01-01"}, "still to come"),
        ({"spent_on": "2006-02-20"}, "before the campaign began"),
        ({"spent_on": "20.02.2026"}, "is written as"),
        ({"bank_currency": "EUR", "bank_amount": ""}, "more than zero"),
        ({"bank_currency": "XYZ"}, "BYN or EUR"),
        ({"bank_amount": "39,00"}, "both amounts are the same"),
        ({"specialists": "-1"}, "whole number"),
        ({"specialists": "many"}, "whole number"),
        ({"beneficiary": " "}, "fill this in"),
        ({"document": "x" * 121}, "At most 120"),
        ({"attachment": (io.BytesIO(b"MZ program"), "act.pdf")}, "something else"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    money: House, at_desk: Callable[..., Browser], typed: dict[str, Any], says: str
) -> None:
    anna = at_desk("anna")
    page = anna.post("/staff/spending/new", spending_form(anna, **typed))
    assert page.status_code == 422
    assert [error for error in field_error(page) if says in error], field_error(page)
    assert money.count(Disbursement) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_scan_that_is_too_large_leaves_the_form_as_it_was_typed(
    app: Flask, money: House, at_desk: Callable[..., Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = app.view_functions["spending.propose"].upload_megabytes  # type: ignore[attr-defined]
    assert taken >= 4 * attachments.MOST_MEGABYTES, "what is too large must reach the form to be told so"
    monkeypatch.setattr(attachments, "MOST_MEGABYTES", 0)
    anna = at_desk("anna")
    page = anna.post("/staff/spending/new", spending_form(anna, attachment=(io.BytesIO(PDF), "act.pdf")))
    assert page.status_code == 422
    assert field_error(page) == ["This file is larger than 0 MB."]
    assert 'value="Training in Brest"' in page.text
    assert money.count(Disbursement) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_pictures_are_taken_too(money: House, at_desk: Callable[..., Browser]) -> None:
    anna = at_desk("anna")
    for kind, name in (("PNG", "act.png"), ("JPEG", "Act.JPEG")):
        picture = io.BytesIO()
        Image.new("RGB", (8, 8)).save(picture, kind)
        picture.seek(0)
        assert anna.post("/staff/spending/new", spending_form(anna, attachment=(picture, name))).status_code == 303


def test_money_that_came_back_is_told_on_the_payments_page(money: House, at_desk: Callable[..., Browser]) -> None:
    anna, boris = at_desk("anna"), at_desk("boris")
    path = str(anna.post("/staff/spending/new", spending_form(anna)).location)
    boris.get(path)
    boris.post(f"{path}/approve")
    form = {"key": key_of(boris.get(path)), "came_on": "2026-02-19", "note": "cancelled"}
    assert "cannot come back" in field_error(boris.post(f"{path}/return", form))[0]
    back = str(boris.post(f"{path}/return", {**form, "came_on": "2026-02-21"}).location)
    anna.get(back)
    assert anna.post(f"{back}/approve").status_code == 303
    assert money.totals()["spent"] == 0
    assert "Money that came back" in anna.get("/staff/spending").text


# Months


def test_finance_closes_a_month_and_only_an_administrator_opens_it_again(
    money: House, at_desk: Callable[..., Browser]
) -> None:
    anna, root = at_desk("anna"), at_desk("root", "admin")
    assert "February 2026 is over" in anna.get("/staff/months").text
    assert anna.post("/staff/months/close", {"month": "2026-03"}).status_code == 409
    assert anna.post("/staff/months/close", {"month": "February"}).status_code == 422
    assert anna.post("/staff/months/close", {"month": "2026-02"}).status_code == 303
    sheet = anna.get("/staff/months/2026-02")
    assert "fund:specialists:gift" in sheet.text
    assert anna.post("/staff/months/2026-02/reopen", {"reason": "a mistake"}).status_code == 403
    root.get("/staff/months")
    assert field_error(root.post("/staff/months/2026-02/reopen", {"reason": ""})) == ["Please say why, in a few words."]
    assert root.post("/staff/months/2026-02/reopen", {"reason": "a mistake"}).status_code == 303
    assert "a mistake" in anna.get("/staff/months").text
    said = [(who, what, subject) for who, what, subject in acts() if subject == "period:2026-02"]
    assert said == [
        ("anna@example.org", "period.closed", "period:2026-02"),
        ("root@example.org", "period.reopened", "period:2026-02"),
    ]


def open_matter(kind: str, since: datetime) -> None:
    with unit_of_work():
        open_exception(kind, "thing", kind, now=utcnow(), amount=Money(-1234, "EUR"), since=since)


def test_a_month_with_open_matters_is_closed_only_with_a_reason_and_its_sheet_keeps_them(
    money: House, at_desk: Callable[..., Browser]
) -> None:
    open_matter("bank_line_unknown", datetime(2026, 2, 20, tzinfo=UTC))
    open_matter("payout_short", datetime(2026, 3, 1, 12, tzinfo=UTC))  # of the month after
    anna = at_desk("anna")
    page = anna.get("/staff/months").text
    assert "1 matter of this month does not agree yet" in page
    assert "/staff/exceptions?kind=bank_line_unknown&amp;until=2026-02" in page
    listed = anna.get("/staff/exceptions?until=2026-02").text
    assert ("A bank line that nothing is known of</a>" in listed, "not the sum of its lines</a>" in listed) == (
        True,
        False,
    )
    refused = anna.post("/staff/months/close", {"month": "2026-02"})
    assert refused.status_code == 422
    assert field_error(refused)[0].startswith("Matters of this month that do not agree: 1.")
    assert money.count(AccountingPeriod) == 0
    answer = anna.post("/staff/months/close", {"month": "2026-02", "why": "the bank has been asked"})
    assert answer.status_code == 303
    db.session.rollback()
    [period] = db.session.scalars(sa.select(AccountingPeriod))
    assert [(each["kind"], each["amount"], each["currency"]) for each in period.sheet["open"]] == [
        ("bank_line_unknown", -1234, "EUR")
    ]
    assert (period.sheet["open_reason"], hash_of(period.sheet)) == ("the bank has been asked", period.sheet_hash)
    sheet = anna.get("/staff/months/2026-02").text
    assert "Closed all the same: the bank has been asked" in sheet
    assert "A bank line that nothing is known of" in sheet


def test_the_command_to_close_wants_a_reason_too(money: House) -> None:
    open_matter("bank_line_unknown", datetime(2026, 2, 20, tzinfo=UTC))
    run = money.app.test_cli_runner().invoke
    refused = run(args=["finance", "close", "2026-02"])
    assert refused.exit_code == 1
    assert "1  bank_line_unknown is open" in refused.output
    assert "closed 2026-02" in run(args=["finance", "close", "2026-02", "--reason", "the bank has been asked"]).output


def test_months_are_closed_by_command_too(money: House) -> None:
    run = money.app.test_cli_runner().invoke
    assert "next: 2026-02" in run(args=["finance", "periods"]).output
    assert "closed 2026-02: 2 entries" in run(args=["finance", "close", "2026-02"]).output
    refused = run(args=["finance", "close", "2026-02"])
    assert (refused.exit_code, "the next one is 2026-03" in refused.output) == (1, True)
    assert run(args=["finance", "reopen", "2026-01", "--reason", "a mistake"]).exit_code == 1
    assert "open again" in run(args=["finance", "reopen", "2026-02", "--reason", "a mistake"]).output
    assert "reopened" in run(args=["finance", "periods"]).output
    assert money.count(AccountingPeriod) == 1
