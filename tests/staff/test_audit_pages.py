"""The audit log in the console: narrowed, paged by key, exported whole, its chain read by a worker."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from staff import audit, audit_checks, audit_queries
from staff.audit_queries import Wanted
from staff.models import AuditCheck, AuditEntry
from tests.house import House
from tests.staff.console import Browser, make_member
from tests.staff.test_audit import tamper

SignedIn = Callable[..., Browser]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def admin(signed_in: SignedIn) -> Browser:
    browser = signed_in("admin")
    browser.get("/staff/audit?lang=en")
    return browser


def act(action: str = "pack.edited", *, who: str = "vera@example.org", now: datetime = NOON, **more: Any) -> None:
    with unit_of_work():
        audit.record(who, action, more.pop("subject", "pack:hero"), now=now, address="10.1.1.1", **more)
    db.session.remove()


def numbers(wanted: Wanted, **more: Any) -> list[int]:
    db.session.rollback()
    return [entry.number for entry in audit_queries.part_of_log(wanted, **more).entries]


def test_the_newest_come_first_and_what_was_changed_can_be_read(admin: Browser) -> None:
    act(
        before={"price": 1000, "name": {"ru": "Герой"}, "same": 1}, after={"price": 1200, "tags": ["a", "b"], "same": 1}
    )
    text = admin.get("/staff/audit?subject=pack:hero").text
    assert "<del>1000</del>" in text
    assert "<ins>1200</ins>" in text
    assert "<ins>a, b</ins>" in text
    assert "Герой" in text
    assert "same" not in text.partition("<tbody>")[2]
    assert text.index("vera@example.org") < text.index("10.1.1.1")


def test_the_log_is_narrowed(app: Flask) -> None:
    make_member("vera@example.org", "office")
    start = audit.head().number
    act("a.one")
    act("b.two", who="ivan@example.org", now=NOON + timedelta(days=1))
    act("a.one", subject="pack:other", now=NOON + timedelta(days=2))
    found = {
        "actor part": numbers(Wanted.read({"actor": "VERA"})),
        "actor": numbers(Wanted.read({"actor": "ivan@example.org"})),
        "action": numbers(Wanted.read({"action": "a.one"})),
        "subject": numbers(Wanted.read({"subject": "pack:other"})),
        "since": numbers(Wanted.read({"since": "2026-03-12", "until": "2026-03-12"})),
        "until": numbers(Wanted.read({"until": "2026-03-11"})),
        "none": numbers(Wanted.read({"action": "a.one", "actor": "ivan@example.org"})),
    }
    one, two, three = start + 1, start + 2, start + 3
    assert found == {
        "actor part": [three, one],
        "actor": [two],
        "action": [three, one],
        "subject": [three],
        "since": [three],
        "until": [two, one],
        "none": [],
    }


def test_days_are_those_of_minsk(app: Flask) -> None:
    act("late", now=datetime(2026, 3, 9, 20, 59, tzinfo=UTC))  # 23:59 there
    act("early", now=datetime(2026, 3, 9, 21, 0, tzinfo=UTC))  # midnight there
    assert numbers(Wanted.read({"since": "2026-03-09", "until": "2026-03-09"})) == [1]
    assert numbers(Wanted.read({"since": "2026-03-10", "until": "2026-03-10"})) == [2]


@pytest.mark.parametrize("value", ["", "x", "0001-01-01", "9999-12-31", "2026-02-30", "\0", "1" * 400])
def test_what_is_no_day_narrows_nothing(admin: Browser, value: str) -> None:
    for name in ("since", "until", "before", "actor", "subject"):
        assert admin.get("/staff/audit", query_string={name: value}).status_code == 200


def test_pages_go_on_by_key_and_miss_and_repeat_nothing(app: Flask) -> None:
    for number in range(7):  # several at one moment, and one that came in late
        act(now=NOON + timedelta(seconds=number // 3 - (100 if number == 6 else 0)))
    order = numbers(Wanted())
    assert order == [6, 5, 4, 3, 2, 1, 7]
    paged: list[int] = []
    before = None
    while True:
        part = audit_queries.part_of_log(Wanted(), before, size=2)
        paged += [entry.number for entry in part.entries]
        if part.older is None:
            break
        before = part.older
    assert paged == order


def test_acts_are_offered_to_choose_from(app: Flask) -> None:
    for action in ("b.two", "a.one", "b.two", "c.three"):
        act(action)
    assert audit_queries.actions() == ["a.one", "b.two", "c.three"]


def test_nothing_yet_is_told(app: Flask) -> None:
    assert audit_queries.actions() == []
    assert audit_queries.part_of_log(Wanted()).entries == []


def test_the_export_holds_all_that_the_list_is_narrowed_to(admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        act("x.done", subject="=cmd|' /C calc'!A0", after={"n": number})
    monkeypatch.setattr(audit_queries, "PART", 2)
    answer = admin.get("/staff/audit.csv?action=x.done")
    assert answer.headers["X-Audit-Head"] == str(audit.head())
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["after"] for row in rows] == [f'{{"n": {number}}}' for number in reversed(range(5))]
    assert {row["subject"] for row in rows} == {"'=cmd|' /C calc'!A0"}
    assert rows[0]["hash"] == audit.head().hash


def test_a_token_is_shown_beside_the_member(admin: Browser) -> None:
    from flask import g

    from staff.access import Actor

    g.staff_bearer = Actor(1, "vera@example.org", "", frozenset(), "10.1.1.1", "bfi_abcdef… till 3")
    act("code.redeemed")
    g.staff_bearer = None
    assert "bfi_abcdef… till 3" in admin.get("/staff/audit?action=code.redeemed").text


def checks() -> list[AuditCheck]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(AuditCheck).order_by(AuditCheck.id)))


def test_the_chain_is_read_by_a_worker_when_asked(admin: Browser, house: House) -> None:
    act()
    assert "It was not read yet." in admin.get("/staff/audit/chain").text
    for _ in range(2):  # asking twice is one reading
        assert admin.post("/staff/audit/chain").status_code == 303
    assert "The log is being read" in admin.get("/staff/audit/chain").text
    house.work()
    [check] = checks()
    assert (check.asked_by, check.fault_count, check.entries) == ("admin@example.org", 0, audit.head().number)
    assert check.head_hash == audit.head().hash
    page = admin.get("/staff/audit/chain").text
    assert f"The chain is whole: {check.entries} entries." in page
    assert str(audit.head()) in page


def test_a_changed_row_is_told_on_every_page_that_shows_the_log(admin: Browser, house: House) -> None:
    act()
    tamper("UPDATE audit_log SET actor = 'nobody@example.org' WHERE action = 'pack.edited'")
    admin.get("/staff/audit/chain")
    admin.post("/staff/audit/chain")
    house.work()
    changed = db.session.scalars(sa.select(AuditEntry.number).where(AuditEntry.action == "pack.edited")).one()
    assert checks()[0].faults == [{"number": changed, "what": "was changed after it was written"}]
    for page in ("/staff/audit", "/staff/audit/chain", "/staff"):
        assert "The log was changed afterwards in 1 place." in admin.get(page).text


def test_it_is_read_once_a_day_by_itself_and_by_one_worker(app: Flask) -> None:
    for _ in range(2):
        audit_checks.check_when_due()
    [check] = checks()
    assert check.asked_by == audit_checks.BY_ITSELF
    with unit_of_work() as session:
        session.execute(sa.update(AuditCheck).values(asked_at=utcnow() - timedelta(days=1, minutes=1)))
    audit_checks.check_when_due()
    assert len(checks()) == 2


def faults_in_metrics(app: Flask) -> float:
    text = app.test_client().get("/metrics").text
    [line] = [line for line in text.splitlines() if line.startswith("campaign_audit_faults ")]
    return float(line.split()[1])


def read_the_chain() -> AuditCheck:
    with unit_of_work():
        audit_checks.ask("daily", utcnow())
    audit_checks.check_soon.function()
    return checks()[-1]


EMPTIED = (
    "DELETE FROM audit_log",
    f"UPDATE audit_head SET number = 0, hash = '{audit.GENESIS}'",
)


def test_a_log_that_was_emptied_is_believed_neither_now_nor_after_it_was_read_again(app: Flask) -> None:
    for _ in range(3):
        act()
    number = read_the_chain().entries
    assert (number >= 3, faults_in_metrics(app)) == (True, 0)
    tamper(*EMPTIED)
    cut = f"entry {number}: the end was cut off"
    assert faults_in_metrics(app) == 1
    assert cut in app.test_cli_runner().invoke(args=["audit", "verify"]).output
    for _ in range(2):  # what a reading finds broken is no head to remember
        assert read_the_chain().fault_count == 1
    for _ in range(number):  # as many acts later
        act("something.else")
    told = app.test_cli_runner().invoke(args=["audit", "verify"])
    assert (told.exit_code, f"entry {number}: is another entry" in told.output) == (1, True)
    assert faults_in_metrics(app) == 1


def test_the_longest_whole_chain_is_remembered(app: Flask) -> None:
    heads = []
    for _ in range(2):
        act()
        read_the_chain()
        heads.append(audit.head())
    assert audit.remembered() == heads[1] != heads[0]
    assert audit.verify() == (heads[1].number, [])
    assert audit.verify(heads[1]) == (heads[1].number, [])


def test_a_changed_row_is_in_the_figures_once_it_was_read(app: Flask) -> None:
    act()
    tamper("UPDATE audit_log SET actor = 'nobody@example.org' WHERE action = 'pack.edited'")
    assert faults_in_metrics(app) == 0
    read_the_chain()
    assert faults_in_metrics(app) == 1


def test_what_another_worker_reads_is_left_to_it_until_its_time_is_over(app: Flask) -> None:
    with unit_of_work():
        audit_checks.ask("admin@example.org", utcnow())
    with unit_of_work() as session:
        session.execute(sa.update(AuditCheck).values(leased_until=utcnow() + timedelta(minutes=1)))
    audit_checks.check_soon.function()
    assert checks()[0].finished_at is None
    with unit_of_work() as session:
        session.execute(sa.update(AuditCheck).values(leased_until=utcnow() - timedelta(minutes=1)))
    audit_checks.check_soon.function()
    assert checks()[0].finished_at is not None


def test_a_head_that_was_written_down_is_compared_at_once(admin: Browser) -> None:
    act()
    head = audit.head()
    for noted, told in (
        (str(head), "It still stands in the log"),
        (f"{head.number + 5}:{head.hash}", "It does not stand in the log any more"),
        ("something", "A head is a number"),
    ):
        assert told in admin.get("/staff/audit/chain", query_string={"head": noted}).text
