"""One's own account: name, language, address, sessions."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from staff import errors, guesses, services
from staff.letters import LINKS, NOTICES, issue, notify
from staff.models import AuditEntry, StaffMember
from tests.staff.console import COMMAND, PASSWORD, Browser, make_member
from tests.staff.post import last_link, letters, text_of

ACCOUNT = "/staff/account"
NEW_PASSWORD = "a new and longer one"
SignedIn = Callable[..., Browser]


def found(email: str = "office@example.org") -> StaffMember:
    db.session.rollback()
    db.session.expire_all()
    return services.require_member(email)


def entries(action: str) -> list[AuditEntry]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == action)))


def test_name_and_language_are_changed(signed_in: SignedIn) -> None:
    browser = signed_in("office")
    browser.get(ACCOUNT)
    answer = browser.post(ACCOUNT, {"name": "  Алёна \n Кот ", "locale": "be", "roles": "admin", "role": "admin"})
    assert (answer.status_code, answer.location) == (303, f"{ACCOUNT}?lang=be")
    assert (found().name, found().locale, found().role_names()) == ("Алёна Кот", "be", frozenset({"office"}))
    [entry] = entries("staff.edited")
    assert (entry.before or {})["name"] == "office"


def test_a_name_is_needed(signed_in: SignedIn) -> None:
    browser = signed_in("office")
    browser.get(ACCOUNT)
    answer = browser.post(ACCOUNT, {"name": "   ", "locale": "ru"})
    assert answer.status_code == 422
    assert 'id="name-error"' in answer.text
    assert found().name == "office"


def test_odd_names_and_languages_do_no_harm(signed_in: SignedIn) -> None:
    browser = signed_in("office")
    browser.get(ACCOUNT)
    assert browser.post(ACCOUNT, {"name": "<script>\0" + "x" * 500, "locale": "xx"}).status_code == 303
    assert found().locale == "ru"
    assert len(found().name) == 120
    assert "<script>\0" not in browser.get(ACCOUNT).text


def test_another_address_is_confirmed_there_and_told_to_the_old_one(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    browser.get(ACCOUNT)
    assert browser.post(f"{ACCOUNT}/email", {"email": "New@Example.org"}).status_code == 303
    [letter] = letters(app)
    assert letter["To"] == "new@example.org"
    link = last_link(app)
    visitor = Browser(app)
    assert "new@example.org" in visitor.get(link).text
    assert found().email == "office@example.org"  # programs that look at mail open links
    assert visitor.post(link).status_code == 303
    assert found("new@example.org").name == "office"
    assert not browser.is_signed_in()
    assert letters(app)[-1]["To"] == "office@example.org"
    assert "new@example.org" not in text_of(letters(app)[-1])
    assert Browser(app).sign_in("new@example.org").status_code == 302
    visitor.get("/staff/forgot")
    assert visitor.post(link).status_code == 410
    [entry] = entries("staff.email_changed")
    assert (entry.before, entry.after) == ({"email": "office@example.org"}, {"email": "new@example.org"})


def test_the_address_of_a_colleague_is_neither_told_nor_taken(app: Flask, signed_in: SignedIn) -> None:
    make_member("boss@example.org", "admin")
    browser = signed_in("office")
    pages = []
    for email in ("boss@example.org", "free@example.org"):
        browser.get(ACCOUNT)
        assert browser.post(f"{ACCOUNT}/email", {"email": email}).status_code == 303
        pages.append(browser.get(ACCOUNT).text)
    assert pages[0] == pages[1]
    assert [letter["To"] for letter in letters(app)] == ["free@example.org"]
    make_member("free@example.org", "office")
    visitor = Browser(app)
    visitor.get(last_link(app))
    assert visitor.post(last_link(app)).status_code == 409
    assert found().email == "office@example.org"


def test_a_bad_new_address_is_told_at_its_field(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staff.guesses.RESETS", 10)
    browser = signed_in("office")
    browser.get(ACCOUNT)
    for email in ("", "nobody", "office@example.org", "a@b\0c.org", "x" * 400 + "@example.org"):
        answer = browser.post(f"{ACCOUNT}/email", {"email": email})
        assert answer.status_code == 422
        assert 'id="email-error"' in answer.text
    assert letters(app) == []


def test_the_link_to_a_new_address_dies_with_time_and_with_the_password(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in("office")
    browser.get(ACCOUNT)
    browser.post(f"{ACCOUNT}/email", {"email": "thief@example.org"})
    link, now = last_link(app), utcnow()
    monkeypatch.setattr("staff.joining.utcnow", lambda: now + timedelta(hours=2, minutes=1))
    assert Browser(app).get(link).status_code == 410
    monkeypatch.undo()
    assert Browser(app).get(link).status_code == 200
    with unit_of_work():
        services.reset_password("office@example.org", NEW_PASSWORD, now=utcnow(), **COMMAND)
    assert Browser(app).get(link).status_code == 410


def test_letters_to_new_addresses_are_not_sent_without_end(signed_in: SignedIn) -> None:
    browser = signed_in("office")
    browser.get(ACCOUNT)
    sent = [
        browser.post(f"{ACCOUNT}/email", {"email": f"a{n}@example.org"}).status_code for n in range(guesses.RESETS + 1)
    ]
    assert sent == [303] * guesses.RESETS + [429]


def test_signing_out_everywhere_else_keeps_this_session_as_fresh_as_it_was(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, phone = signed_in("office"), Browser(app)
    phone.sign_in("office@example.org")
    later = utcnow().timestamp() + 16 * 60
    monkeypatch.setattr("staff.access.time.time", lambda: later)
    browser.get(ACCOUNT)
    assert browser.post(f"{ACCOUNT}/sessions").status_code == 303
    assert browser.is_signed_in()
    assert not phone.is_signed_in()
    assert browser.get("/staff/account/second-factors/app").location.startswith("/staff/confirm")
    assert len(entries("staff.sessions_ended")) == 1
    assert len(entries("staff.signed_in")) == 2


def test_last_sign_ins_are_shown(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    Browser(app, address="10.77.0.1").sign_in("office@example.org")
    page = browser.get(ACCOUNT).text
    assert "10.77.0.1" in page
    assert "10.0.0.1" in page


def test_a_changed_password_is_told_by_letter(app: Flask, signed_in: SignedIn) -> None:
    browser = signed_in("office")
    browser.get("/staff/password")
    form = {"password": PASSWORD, "new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
    assert browser.post("/staff/password", form).status_code == 302
    [letter] = letters(app)
    assert letter["To"] == "office@example.org"
    assert "/staff/reset/" not in text_of(letter)


def test_a_lock_out_is_told_with_its_end_and_stands_in_the_log_once(app: Flask) -> None:
    make_member("office@example.org", "office")
    for email, subject in (("office@example.org", "staff:office@example.org"), ("my-password", "staff:unknown")):
        browser = Browser(app)
        for _ in range(guesses.PER_PAIR):
            assert browser.sign_in(email, "a wrong guess").status_code == 200
        answers = [browser.sign_in(email) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {429}
        assert 0 < int(answers[0].headers["Retry-After"]) <= 901
        locked = [entry for entry in entries("staff.locked_out") if entry.subject == subject]
        assert [entry.address for entry in locked] == ["10.0.0.1"]
        until = (locked[0].after or {})["until"]
        assert "T" in until or ":" in until
    assert "my-password" not in str([(entry.subject, entry.after) for entry in entries("staff.locked_out")])


def test_the_last_administrator_stays(app: Flask) -> None:
    for email in ("one@example.org", "two@example.org"):
        make_member(email, "admin", "finance")
    with unit_of_work():
        services.set_active("one@example.org", False, now=utcnow(), **COMMAND)
    with pytest.raises(errors.LastAdmin), unit_of_work():
        services.set_active("two@example.org", False, now=utcnow(), **COMMAND)
    with pytest.raises(errors.LastAdmin), unit_of_work():
        services.edit_member("two@example.org", name="Two", roles=["finance"], now=utcnow(), **COMMAND)
    assert found("two@example.org").active
    with unit_of_work():
        services.set_active("one@example.org", True, now=utcnow(), **COMMAND)
        services.set_active("two@example.org", False, now=utcnow(), **COMMAND)
    assert not found("two@example.org").active


def test_every_letter_exists_in_three_languages_without_a_gap(app: Flask) -> None:
    make_member("office@example.org", "office")
    for locale in ("ru", "be", "en"):
        with unit_of_work():
            member = services.require_member("office@example.org")
            member.locale = locale
            for kind in NOTICES:
                notify(kind, member, utcnow())
            for kind in LINKS:
                issue(kind, member, utcnow(), to="office@example.org")
        db.session.remove()
        written = letters(app)[-len(NOTICES) - len(LINKS) :]
        assert len({letter["Subject"] for letter in written}) == len(NOTICES) + len(LINKS)
        for letter in written:
            lines = text_of(letter).splitlines()
            assert lines[2].strip(), letter["Subject"]
            assert letter.get_all("Content-Language") == [locale]
