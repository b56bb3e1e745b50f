"""Money is spent by two people, never more than there is, and what came back is taken back by two people too."""

import threading
import uuid
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from core.db import db, unit_of_work
from core.money import Money
from finance import attachments, disbursements, errors
from ledger.models import Disbursement, JournalEntry
from ledger.queries import balances, fund_totals, specialists_trained
from tests.finance.books import (
    FEBRUARY,
    LATER,
    approve,
    close,
    entry,
    fund,
    gift,
    moment,
    person,
    proposed,
    state_of,
    undone,
)

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture(autouse=True)
def _money(books: Flask) -> None:
    gift(10_000, "settled", moment(9), settled=True)
    gift(5_000, "not settled yet", moment(10))


def available() -> int:
    db.session.rollback()
    return fund_totals(fund()).available


def test_a_proposal_spends_nothing_until_another_person_approves_it() -> None:
    number = proposed(4_000, person("anna"), trained=12)
    assert (state_of(number), available(), specialists_trained(fund())) == ("proposed", 10_000, 0)
    approve(number, person("boris"))
    assert (state_of(number), available(), specialists_trained(fund())) == ("approved", 6_000, 12)
    assert (balances()["fund:specialists:spent"], balances()["bank:BYN"]) == (4_000, -4_000)
    assert entry(number, "spent").occurred_at == moment(19, hour=21)  # midnight of the 20th in Minsk
    row = disbursements.find(number)
    assert (row.available_minor, row.decided_by_id) == (10_000, person("boris").id)


def test_what_leaves_a_bank_account_in_euros_goes_through_conversion_at_its_rate() -> None:
    number = proposed(4_000, person("anna"), bank=Money(1_100, "EUR"))
    approve(number, person("boris"))
    found = balances()
    assert (found["fund:specialists:spent"], found["bank:EUR"]) == (4_000, -1_100)
    assert (found["conversion:BYN"], found["conversion:EUR"]) == (10_000 - 4_000, -2_500 + 1_100)


def test_who_proposed_it_cannot_approve_or_reject_it() -> None:
    anna = person("anna")
    number = proposed(4_000, anna)
    with pytest.raises(errors.SamePerson), undone():
        approve(number, anna)
    with pytest.raises(errors.SamePerson), undone(), unit_of_work():
        disbursements.reject(disbursements.find(number), "no", anna, LATER)
    assert (state_of(number), available()) == ("proposed", 10_000)


@pytest.mark.parametrize("state", ["approved", "rejected"])
def test_the_database_too_wants_two_people(state: str) -> None:
    anna = person("anna")
    number = proposed(4_000, anna)
    one = sa.update(Disbursement).where(Disbursement.public_id == number)
    alone = one.values(state=state, decided_by_id=anna.id, decided_at=LATER, available_minor=10_000)
    with pytest.raises(IntegrityError, match="two_people"), undone(), unit_of_work() as session:
        session.execute(alone)
    too_much = one.values(state="approved", decided_by_id=person("boris").id, decided_at=LATER, available_minor=3_999)
    with pytest.raises(IntegrityError, match="available"), undone(), unit_of_work() as session:
        session.execute(too_much)
    assert state_of(number) == "proposed"


def test_only_who_proposed_it_withdraws_it_and_nothing_is_decided_twice() -> None:
    anna, boris = person("anna"), person("boris")
    number = proposed(4_000, anna)
    with pytest.raises(errors.NotYours), undone(), unit_of_work():
        disbursements.withdraw(disbursements.find(number), boris, LATER)
    with unit_of_work():
        disbursements.withdraw(disbursements.find(number), anna, LATER)
    with pytest.raises(errors.Decided), undone():
        approve(number, boris)
    assert (state_of(number), available()) == ("withdrawn", 10_000)


def test_more_than_is_available_is_refused_when_proposed_and_when_approved() -> None:
    anna, boris = person("anna"), person("boris")
    with pytest.raises(errors.NotAvailable), undone():
        proposed(10_001, anna)  # 50.00 more are given, but not settled
    first, second = proposed(10_000, anna), proposed(1, anna)
    approve(first, boris)
    with pytest.raises(errors.NotAvailable), undone():
        approve(second, boris)
    assert (state_of(second), available()) == ("proposed", 0)


def test_two_approvals_at_once_for_the_rest_of_the_money_spend_it_once(books: Flask) -> None:
    anna, boris = person("anna"), person("boris")
    numbers = [proposed(6_000, anna) for _ in range(2)]
    barrier, refusals = threading.Barrier(2), []

    def decide(number: str) -> None:
        with books.app_context():
            barrier.wait()
            try:
                approve(number, boris)
            except errors.NotAvailable as refusal:
                refusals.append(refusal.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=decide, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert refusals == ["not_available"]
    assert sorted(state_of(number) for number in numbers) == ["approved", "proposed"]
    assert available() == 4_000


def test_one_form_sent_twice_is_one_proposal() -> None:
    key, anna = str(uuid.uuid4()), person("anna")
    for _ in range(2):
        with unit_of_work():
            spent = disbursements.Spending(date(2026, 2, 20), Money(10, "BYN"), Money(10, "BYN"), "x", "y", 0)
            disbursements.propose(fund(), spent, key, anna, LATER)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Disbursement)) == 1


def returned(number: str, by: str, day: date = date(2026, 3, 2)) -> str:
    with unit_of_work():
        back = disbursements.propose_return(
            disbursements.find(number), day, "course cancelled", str(uuid.uuid4()), person(by), LATER
        )
        key = back.public_id
    db.session.remove()
    return key


def test_money_that_came_back_is_a_reversing_entry_by_two_people() -> None:
    anna, boris = person("anna"), person("boris")
    number = proposed(4_000, anna, trained=12)
    approve(number, boris)
    back = returned(number, "boris")
    with pytest.raises(errors.SamePerson), undone():
        approve(back, boris)
    assert available() == 6_000
    approve(back, anna)
    assert (available(), specialists_trained(fund())) == (10_000, 0)
    assert entry(number, "returned").reverses_id == entry(number, "spent").id
    assert fund_totals(fund()).spent == 0


def test_money_comes_back_once_and_not_before_it_went() -> None:
    anna, boris = person("anna"), person("boris")
    number = proposed(4_000, anna)
    with pytest.raises(errors.NotToReverse), undone():
        returned(number, "anna")  # it has not been paid yet
    approve(number, boris)
    with pytest.raises(errors.CameBackTooEarly), undone():
        returned(number, "anna", date(2026, 2, 19))
    back = returned(number, "anna")
    with pytest.raises(errors.NotToReverse), undone():
        returned(number, "anna")
    approve(back, boris)
    with pytest.raises(errors.NotToReverse), undone():
        returned(number, "anna")
    with pytest.raises(errors.NotToReverse), undone():
        returned(back, "anna")  # a return is no payment


def test_a_return_that_was_rejected_can_be_proposed_again() -> None:
    anna, boris = person("anna"), person("boris")
    number = proposed(4_000, anna)
    approve(number, boris)
    first = returned(number, "anna")
    with unit_of_work():
        disbursements.reject(disbursements.find(first), "not seen at the bank", boris, LATER)
    assert state_of(returned(number, "anna")) == "proposed"


def test_a_payment_of_a_closed_month_is_booked_in_the_open_one() -> None:
    number = proposed(4_000, person("anna"))
    close(FEBRUARY)
    approve(number, person("boris"))
    late = entry(number, "spent")
    assert (late.late_for, late.occurred_at) == ("2026-02", FEBRUARY.ends_at)


def test_what_was_known_at_a_moment_says_what_was_spent_then() -> None:
    number = proposed(4_000, person("anna"), trained=12)
    approve(number, person("boris"), moment(1, month=4))
    assert fund_totals(fund(), as_of=moment(31, month=3)).spent == 0
    assert specialists_trained(fund(), as_of=moment(31, month=3)) == 0
    assert specialists_trained(fund(), as_of=moment(1, month=4)) == 12


def test_every_act_is_in_the_audit_log() -> None:
    number = proposed(4_000, person("anna"))
    approve(number, person("boris"))
    rows = db.session.execute(
        sa.text("SELECT actor, action FROM audit_log WHERE subject LIKE 'disburs%' ORDER BY number")
    )
    assert [tuple(row) for row in rows] == [
        ("anna@example.org", "disbursement.proposed"),
        ("boris@example.org", "disbursement.approved"),
    ]
    assert db.session.scalar(sa.select(sa.func.count()).where(JournalEntry.source_type == "disbursement")) == 1


# Files


PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d4944415478da63fcffff3f0300050001ff8ab5a8a60000000049454e44ae426082"
)

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@sqlite_only
def test_a_file_is_kept_whole_under_the_hash_of_its_content() -> None:
    first, again = attachments.keep(PDF, "Акт № 7.pdf"), attachments.keep(PDF, "copy.pdf")
    assert first.kept == again.kept
    assert first.name == "Акт № 7.pdf"
    assert attachments.path_of(first.kept).read_bytes() == PDF
    assert attachments.kept_before(first.kept, "Акт № 7.pdf") == first


@sqlite_only
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"MZ\x90\x00 a program", "act.pdf"),
        (PNG, "act.pdf"),
        (PDF, "act.png"),
        (PDF, "act.html"),
        (PDF, "act"),
        (PDF[:30], "act.pdf"),
        (PNG[:40], "act.png"),
        (b"<svg onload='alert(1)'/>", "act.svg"),
        (b"", "act.pdf"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(content: bytes, name: str) -> None:
    with pytest.raises(errors.AttachmentRefused):
        attachments.keep(content, name)
    assert not attachments.directory().exists()


@sqlite_only
def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(errors.AttachmentTooLarge):
        attachments.keep(PDF + b" " * attachments.MOST_MEGABYTES * 1024 * 1024, "act.pdf")


@sqlite_only
@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("C:\\acts\\act 7.pdf", "act 7.pdf"),
        ('a"b\r\nSet-Cookie: x.pdf', "a_b_Set-Cookie_ x.pdf"),
        ("...pdf", "document.pdf"),
        ("x" * 300 + ".pdf", "x" * 100 + ".pdf"),
    ],
)
def test_a_name_is_only_a_name(name: str, safe: str) -> None:
    assert attachments.keep(PDF, name).name == safe


@sqlite_only
@pytest.mark.parametrize("kept", ["../campaign.sqlite3", "x.pdf", "0" * 64 + ".html", ""])
def test_no_other_file_is_found_by_a_name_that_was_sent(kept: str) -> None:
    assert attachments.kept_before(kept, "act.pdf") is None
    with pytest.raises(errors.AttachmentGone):
        attachments.path_of(kept)
