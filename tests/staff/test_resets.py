"""A forgotten password: a link by e-mail that is good once, and answers that tell nothing about addresses."""

import logging
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.models import OutboxMessage
from staff import guesses, services
from staff.models import AuditEntry, StaffLetter
from tests.staff.console import COMMAND, PASSWORD, Browser, make_member
from tests.staff.factors import set_up_app
from tests.staff.post import last_link, letters, link_in, text_of

NEW = "a new and longer one"
SignedIn = Callable[..., Browser]


def ask(app: Flask, email: str, address: str = "10.0.0.1") -> Browser:
    browser = Browser(app, address=address)
    browser.get("/staff/forgot")
    answer = browser.post("/staff/forgot", {"email": email})
    assert (answer.status_code, answer.location) == (303, "/staff/forgot?sent=1")
    return browser


def choose(app: Flask, link: str, password: str = NEW, again: str = "") -> int:
    browser = Browser(app)
    browser.get("/staff/forgot")  # a page of a dead link has no form
    return browser.post(link, {"password": password, "again": again or password}).status_code


def rows() -> dict[str, int]:
    db.session.rollback()
    tables = (StaffLetter, OutboxMessage, AuditEntry)
    return {table.__name__: db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables}


def test_a_member_chooses_a_new_password_by_a_link_of_a_letter(app: Flask, signed_in: SignedIn) -> None:
    elsewhere = signed_in("finance")
    ask(app, " Finance@Example.org ")
    [letter] = letters(app)
    assert letter["To"] == "finance@example.org"
    page = Browser(app).get(link_in(letter))
    assert "finance@example.org" in page.text
    assert choose(app, link_in(letter)) == 303
    assert not elsewhere.is_signed_in()
    assert Browser(app).sign_in("finance@example.org").status_code == 200
    assert Browser(app).sign_in("finance@example.org", NEW).status_code == 302
    actions = list(db.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.number)))
    assert actions[2:] == ["staff.reset_asked", "staff.password_reset", "staff.signed_in"]
    assert len(letters(app)) == 2  # that it was changed is told, too


def test_the_link_is_good_once(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    ask(app, "finance@example.org")
    link = last_link(app)
    assert Browser(app).get(link).status_code == 200  # looking does not use it
    browser = Browser(app)
    browser.get(link)
    assert browser.post(link, {"password": NEW, "again": NEW}).status_code == 303
    assert browser.post(link, {"password": "yet another one", "again": "yet another one"}).status_code == 410
    assert Browser(app).get(link).status_code == 410
    assert Browser(app).sign_in("finance@example.org", NEW).status_code == 302


def test_the_link_does_not_last(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make_member("finance@example.org", "finance")
    ask(app, "finance@example.org")
    link, asked = last_link(app), utcnow()
    monkeypatch.setattr("staff.joining.utcnow", lambda: asked.replace(year=asked.year + 1))
    assert Browser(app).get(link).status_code == 410
    assert choose(app, link) == 410
    monkeypatch.undo()
    assert Browser(app).sign_in("finance@example.org").status_code == 302


def test_a_forged_link_opens_nothing(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    ask(app, "finance@example.org")
    forged = ("0", "1-", "1-x", "-", "x", "1", "9" * 30 + "-x", "1-%C3%A9", "../login", "1-" + "A" * 400)
    for page in ("reset", "join", "email"):
        statuses = {Browser(app).get(f"/staff/{page}/{token}").status_code for token in forged}
        assert statuses <= {404, 410}


def test_a_link_of_one_kind_opens_no_page_of_another(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    ask(app, "finance@example.org")
    token = last_link(app).rpartition("/")[2]
    assert Browser(app).get(f"/staff/join/{token}").status_code == 410
    assert Browser(app).get(f"/staff/email/{token}").status_code == 410
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert Browser(app).get(f"/staff/reset/{changed}").status_code == 410


def test_only_the_newest_link_is_good(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    ask(app, "finance@example.org")
    first = last_link(app)
    ask(app, "finance@example.org")
    second = last_link(app)
    assert choose(app, first) == 410
    assert choose(app, second) == 303


def test_a_changed_password_makes_open_links_worthless(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("finance")
    ask(app, "finance@example.org")
    link = last_link(app)
    browser.get("/staff/password")
    form = {"password": PASSWORD, "new_password": NEW, "new_password_confirm": NEW}
    assert browser.post("/staff/password", form).status_code == 302
    assert choose(app, link, "not what was chosen") == 410


def test_unknown_and_disabled_addresses_get_the_same_answer_and_the_same_rows(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    make_member("gone@example.org", "office")
    with unit_of_work():
        services.set_active("gone@example.org", False, now=utcnow(), **COMMAND)
    pages, written = set(), []
    for email in ("finance@example.org", "gone@example.org", "nobody@example.org", "no address", ""):
        before = rows()
        browser = ask(app, email)
        pages.add(browser.get("/staff/forgot?sent=1").text)
        written.append({table: count - before[table] for table, count in rows().items()})
    assert len(pages) == 1
    assert all(each == written[0] for each in written)
    assert [letter["To"] for letter in letters(app)] == ["finance@example.org"]
    db.session.rollback()
    asked = db.session.scalars(sa.select(AuditEntry.subject).where(AuditEntry.action == "staff.reset_asked"))
    assert sorted(asked) == ["staff:finance@example.org"] + ["staff:unknown"] * 4


def letters_asked_for() -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(StaffLetter)) or 0


def test_who_asks_in_anothers_name_without_end_does_not_keep_the_owner_from_asking(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    for _ in range(guesses.RESETS + 5):  # answered alike, whether a letter goes out
        ask(app, "finance@example.org", address="10.3.0.1")
    assert letters_asked_for() == guesses.RESETS
    ask(app, "finance@example.org", address="10.4.0.1")
    assert letters_asked_for() == guesses.RESETS + 1
    assert choose(app, last_link(app)) == 303


@pytest.mark.parametrize("email", ["finance@example.org", "nobody@example.org"])
def test_letters_are_not_sent_without_end_and_nobody_is_told(app: Flask, email: str) -> None:
    make_member("finance@example.org", "finance")
    for n in range(guesses.RESETS_PER_ACCOUNT + 2):
        ask(app, email, address=f"10.3.0.{n}")
    assert letters_asked_for() == guesses.RESETS_PER_ACCOUNT
    locked = db.session.scalars(sa.select(AuditEntry.after).where(AuditEntry.action == "staff.locked_out")).all()
    assert [each["of"] for each in locked if each] == ["reset-account"]


def test_one_address_does_not_ask_for_many_members_without_end(app: Flask) -> None:
    for n in range(guesses.RESETS_PER_ADDRESS):
        ask(app, f"somebody{n}@example.org")
    browser = Browser(app)
    browser.get("/staff/forgot")
    answer = browser.post("/staff/forgot", {"email": "finance@example.org"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 3601


def test_a_bad_new_password_does_not_use_the_link_up(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    ask(app, "finance@example.org")
    link = last_link(app)
    browser = Browser(app)
    browser.get(link)
    for password, again in (("short", "short"), (NEW, "another one again"), ("", ""), ("x" * 129, "x" * 129)):
        answer = browser.post(link, {"password": password, "again": again})
        assert answer.status_code == 422
        assert "field-error" in answer.text
    assert choose(app, link) == 303


def test_the_second_step_stays_after_a_reset(app: Flask, signed_in: SignedIn) -> None:
    set_up_app(signed_in("finance"))
    ask(app, "finance@example.org")
    assert choose(app, last_link(app)) == 303
    assert Browser(app).sign_in("finance@example.org", NEW).location == "/staff/login/second"


def test_the_letter_is_in_the_members_language(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    with unit_of_work():
        services.edit_member("finance@example.org", name="F", roles=["finance"], locale="en", now=utcnow(), **COMMAND)
    ask(app, "finance@example.org")
    [letter] = letters(app)
    assert letter["Subject"] == "A new password for the console"
    assert letter.get_all("Content-Language") == ["en"]
    assert "Was it not you?" in text_of(letter)


def test_no_token_stands_in_a_table_or_a_log(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    make_member("finance@example.org", "finance")
    with caplog.at_level(logging.DEBUG):
        ask(app, "finance@example.org")
        token = last_link(app).rpartition("/")[2]
        choose(app, f"/staff/reset/{token}")
    secret = token.partition("-")[2]
    assert secret not in caplog.text
    letter = db.session.scalars(sa.select(StaffLetter).order_by(StaffLetter.id)).first()
    assert letter is not None
    assert secret not in f"{letter.nonce} {letter.values}"
    assert letter.outcome == "used"
    assert secret not in " ".join(str(entry.after) for entry in db.session.scalars(sa.select(AuditEntry)))


def test_pages_of_links_tell_no_other_site_and_are_not_kept(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    ask(app, "finance@example.org")
    answer = Browser(app).get(last_link(app))
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"]
