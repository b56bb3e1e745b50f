"""Signing in and out with a password."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_security import changeable, decorators, forms, mail_util, password_util, views

from app import create_app
from core.clock import utcnow
from core.db import db, unit_of_work
from staff import guesses, services
from staff.messages import MESSAGES, WRONG
from staff.models import AuditEntry
from tests.staff.console import COMMAND, PASSWORD, Browser, make_member

NEW_PASSWORD = "a new and longer one"
OF_WHAT_IS_OFF = {"CONFIRMATION_REQUIRED", "FORGOT_PASSWORD"}
SignedIn = Callable[..., Browser]


def acts() -> list[tuple[str, str, str]]:
    db.session.rollback()
    rows = db.session.execute(sa.select(AuditEntry.actor, AuditEntry.action, AuditEntry.address))
    return [tuple(row) for row in rows]


def session_cookie(browser: Browser) -> str:
    cookie = browser.client.get_cookie("session")
    return cookie.value if cookie else ""


def test_a_member_signs_in_and_it_is_written_down(browser: Browser) -> None:
    make_member("finance@example.org", "finance")
    answer = browser.sign_in("  Finance@Example.ORG ")
    assert (answer.status_code, answer.location) == (302, "/staff")
    assert browser.is_signed_in()
    assert ("finance@example.org", "staff.signed_in", "10.0.0.1") in acts()
    member = services.find_member("finance@example.org")
    assert member is not None
    assert member.signed_in_at is not None
    assert member.password.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("finance@example.org", "wrong password"),
        ("nobody@example.org", PASSWORD),
        ("gone@example.org", PASSWORD),
        ("not an address", PASSWORD),
        ("' OR 1=1 --", "' OR 1=1 --"),
        ("finance@example.org\0", PASSWORD),
        ("x" * 5000, "y" * 5000),
        ("", ""),
    ],
)
def test_every_wrong_sign_in_gets_the_same_answer(app: Flask, browser: Browser, email: str, password: str) -> None:
    make_member("finance@example.org", "finance")
    make_member("gone@example.org", "finance")
    with unit_of_work():
        services.set_active("gone@example.org", False, now=utcnow(), **COMMAND)
    answer = browser.sign_in(email, password)
    assert answer.status_code == 200
    assert answer.text.count('<p class="notice bad" role="alert">') == 1
    with app.test_request_context("/staff/login"):
        assert answer.text.count(str(WRONG)) == 1
    assert not browser.is_signed_in()


def test_pages_send_who_is_not_signed_in_to_the_sign_in_page_and_back(browser: Browser) -> None:
    make_member("admin@example.org", "admin")
    answer = browser.get("/staff/password?lang=en")
    assert (answer.status_code, answer.location) == (303, "/staff/login?next=/staff/password?lang%3Den")
    page = browser.get(answer.location)
    assert 'value="/staff/password?lang=en"' in page.text
    answer = browser.post(
        "/staff/login", {"email": "admin@example.org", "password": PASSWORD, "next": "/staff/password?lang=en"}
    )
    assert (answer.status_code, answer.location) == (302, "/staff/password?lang=en")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/staff",
        "/\\evil.example",
        "\\\\evil.example",
        "/staff/../d/token",
        "/staff\t/x",
        "/staffing",
        "javascript:alert(1)",
        "/c/bullying-free-internet",
        "http://localhost/staff",
    ],
)
def test_signing_in_leads_nowhere_but_into_the_console(browser: Browser, target: str) -> None:
    make_member("admin@example.org", "admin")
    answer = browser.sign_in("admin@example.org", next=target)
    assert answer.status_code == 200
    assert not browser.is_signed_in()
    assert (browser.get("/staff/login", query_string={"next": target})).status_code == 200


def test_where_a_link_leads_is_no_guess_at_the_password(browser: Browser) -> None:
    """The password is not looked at, so neither is anything learnt of it."""
    make_member("admin@example.org", "admin")
    pages = set()
    for password in (PASSWORD, "wrong password"):
        for _ in range(guesses.PER_PAIR + 1):
            answer = browser.sign_in("admin@example.org", password, next="https://evil.example/")
            assert (answer.status_code, browser.is_signed_in()) == (200, False)
            pages.add(re.sub(r'(value|nonce)="[^"]*"', "", answer.text))
    assert len(pages) == 1
    assert browser.sign_in("admin@example.org").status_code == 302


def test_a_bad_new_password_is_no_guess_at_the_present_one(signed_in: SignedIn) -> None:
    browser = signed_in("admin")
    browser.get("/staff/password")
    for _ in range(guesses.PER_PAIR + 1):
        form = {"password": PASSWORD, "new_password": "short", "new_password_confirm": "short"}
        assert browser.post("/staff/password", form).status_code == 200
    form = {"password": PASSWORD, "new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
    assert browser.post("/staff/password", form).status_code == 302


def test_a_form_without_its_token_is_refused(browser: Browser) -> None:
    make_member("admin@example.org", "admin")
    browser.get("/staff/login")
    browser.token = ""
    answer = browser.post("/staff/login", {"email": "admin@example.org", "password": PASSWORD})
    assert answer.status_code == 400
    assert not browser.is_signed_in()


def test_signing_out_needs_a_post_with_its_token(signed_in: SignedIn) -> None:
    browser = signed_in("admin")
    assert browser.get("/staff/logout").status_code == 405
    good, browser.token = browser.token, "forged"
    assert browser.post("/staff/logout").status_code == 400
    assert browser.is_signed_in()
    browser.token = good
    browser.get("/staff")
    answer = browser.post("/staff/logout")
    assert (answer.status_code, answer.location) == (302, "/staff/login")
    assert not browser.is_signed_in()


def test_signing_out_kills_copies_of_the_cookie(app: Flask, signed_in: SignedIn) -> None:
    browser, thief = signed_in("admin"), Browser(app)
    thief.client.set_cookie("session", session_cookie(browser))
    assert thief.is_signed_in()
    browser.get("/staff")
    browser.post("/staff/logout")
    thief.client.set_cookie("session", session_cookie(thief))
    assert not thief.is_signed_in()
    assert ("admin@example.org", "staff.signed_out", "10.0.0.1") in acts()


def test_nothing_planted_before_signing_in_survives_it(app: Flask, browser: Browser) -> None:
    make_member("admin@example.org", "admin")
    attacker = Browser(app)
    attacker.get("/staff/login")
    browser.client.set_cookie("session", session_cookie(attacker))
    browser.token = attacker.token
    answer = browser.post("/staff/login", {"email": "admin@example.org", "password": PASSWORD})
    assert answer.status_code == 302
    assert browser.is_signed_in()
    assert not attacker.is_signed_in()
    # Nor does the attacker know the token of forms.
    browser.token = attacker.token
    assert browser.post("/staff/logout").status_code == 400


def test_who_was_disabled_a_second_ago_is_out(signed_in: SignedIn) -> None:
    browser = signed_in("office")
    assert browser.is_signed_in()
    with unit_of_work():
        services.set_active("office@example.org", False, now=utcnow(), **COMMAND)
    assert browser.get("/staff").status_code == 303
    with unit_of_work():
        services.set_active("office@example.org", True, now=utcnow(), **COMMAND)
    assert not browser.is_signed_in()  # the old session stays dead


def test_a_changed_role_counts_at_once(signed_in: SignedIn) -> None:
    browser = signed_in("admin")
    with unit_of_work():
        services.require_member("admin@example.org").roles = []
    assert browser.get("/staff").status_code == 403


def test_sessions_end_when_idle_and_after_a_shift(
    app: Flask, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in("admin")
    now = utcnow().timestamp()
    monkeypatch.setattr("staff.access.time.time", lambda: now + 59 * 60)
    assert browser.is_signed_in()
    monkeypatch.setattr("staff.access.time.time", lambda: now + 118 * 60)
    assert browser.is_signed_in()
    monkeypatch.setattr("staff.access.time.time", lambda: now + 179 * 60)
    assert not browser.is_signed_in()
    browser.sign_in("admin@example.org")
    for hour in range(3, 15):
        monkeypatch.setattr("staff.access.time.time", lambda hour=hour: now + hour * 3600)
        assert browser.is_signed_in() == (hour < 15)
    monkeypatch.setattr("staff.access.time.time", lambda: now + 15.1 * 3600)
    assert not browser.is_signed_in()


def test_a_changed_password_signs_other_devices_out(app: Flask, signed_in: SignedIn) -> None:
    browser, phone = signed_in("admin"), Browser(app)
    phone.sign_in("admin@example.org")
    browser.get("/staff/password")
    answer = browser.post(
        "/staff/password",
        {"password": PASSWORD, "new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD},
    )
    assert (answer.status_code, answer.location) == (302, "/staff/account")
    assert browser.is_signed_in()
    assert not phone.is_signed_in()
    assert ("admin@example.org", "staff.password_changed", "10.0.0.1") in acts()
    assert Browser(app).sign_in("admin@example.org", NEW_PASSWORD).status_code == 302
    assert Browser(app).sign_in("admin@example.org", PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("wrong", NEW_PASSWORD, NEW_PASSWORD),
        (PASSWORD, "short", "short"),
        (PASSWORD, NEW_PASSWORD, "another one than that"),
        (PASSWORD, PASSWORD, PASSWORD),
        (PASSWORD, "", ""),
        (PASSWORD, "x" * 2000, "x" * 2000),
    ],
)
def test_a_bad_new_password_changes_nothing(signed_in: SignedIn, old: str, new: str, again: str) -> None:
    browser = signed_in("admin")
    browser.get("/staff/password")
    answer = browser.post("/staff/password", {"password": old, "new_password": new, "new_password_confirm": again})
    assert answer.status_code == 200
    assert 'class="field-error"' in answer.text
    browser.post("/staff/logout")
    assert browser.sign_in("admin@example.org").status_code == 302


def test_guesses_lock_the_account_for_an_address_and_say_nothing(app: Flask, browser: Browser) -> None:
    make_member("admin@example.org", "admin")
    for email in ("admin@example.org", "nobody@example.org"):
        answers = [browser.sign_in(email, f"guess number {n}").status_code for n in range(guesses.PER_PAIR + 2)]
        assert answers == [200] * guesses.PER_PAIR + [429] * 2
    assert browser.sign_in("admin@example.org").status_code == 429  # also with the right one
    assert Browser(app, address="10.0.0.2").sign_in("admin@example.org").status_code == 302


def test_one_address_that_guesses_without_end_does_not_lock_the_owner_out_elsewhere(app: Flask) -> None:
    make_member("admin@example.org", "admin")
    browser = Browser(app, address="10.6.0.1")
    answers = [browser.sign_in("admin@example.org", f"guess {n}").status_code for n in range(guesses.PER_ACCOUNT + 3)]
    assert answers == [200] * guesses.PER_PAIR + [429] * (guesses.PER_ACCOUNT + 3 - guesses.PER_PAIR)
    assert Browser(app, address="10.7.0.1").sign_in("admin@example.org").status_code == 302
    # Nor a colleague behind the same address.
    colleague = make_member("finance@example.org", "finance")
    assert Browser(app, address="10.6.0.1").sign_in(colleague).status_code == 302
    assert [action for _who, action, _from in acts()].count("staff.locked_out") == 1


def test_an_address_that_is_locked_uses_up_nothing_of_an_account(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("staff.guesses.PER_ADDRESS", 2)
    monkeypatch.setattr("staff.guesses.PER_ACCOUNT", 1)
    make_member("admin@example.org", "admin")
    browser = Browser(app, address="10.6.0.1")
    for email in ("a@example.org", "b@example.org"):
        assert browser.sign_in(email, "a guess").status_code == 200
    assert {browser.sign_in("admin@example.org", f"guess {n}").status_code for n in range(3)} == {429}
    assert Browser(app, address="10.7.0.1").sign_in("admin@example.org").status_code == 302


def test_guesses_from_many_addresses_lock_the_account(app: Flask) -> None:
    make_member("admin@example.org", "admin")
    for n in range(guesses.PER_ACCOUNT):
        assert Browser(app, address=f"10.1.0.{n}").sign_in("admin@example.org", "a wrong guess").status_code == 200
    assert Browser(app, address="10.1.1.1").sign_in("admin@example.org").status_code == 429


def test_guesses_at_many_accounts_lock_the_address(app: Flask, browser: Browser) -> None:
    make_member("admin@example.org", "admin")
    for n in range(guesses.PER_ADDRESS):
        assert browser.sign_in(f"somebody{n}@example.org", "a wrong guess").status_code == 200
    assert browser.sign_in("admin@example.org").status_code == 429


def test_right_passwords_are_no_guesses(app: Flask) -> None:
    make_member("admin@example.org", "admin")
    for _ in range(guesses.PER_PAIR + 3):
        assert Browser(app).sign_in("admin@example.org").status_code == 302


def test_the_present_password_is_not_guessed_at_the_change_form_either(signed_in: SignedIn) -> None:
    browser = signed_in("admin")
    browser.get("/staff/password")
    form = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
    answers = [
        browser.post("/staff/password", {**form, "password": f"guess {n}", "email": f"somebody{n}@example.org"})
        for n in range(guesses.PER_PAIR + 1)
    ]
    assert [answer.status_code for answer in answers] == [200] * guesses.PER_PAIR + [429]


def test_nobody_registers_and_no_signed_token_lets_in(app: Flask, browser: Browser) -> None:
    make_member("admin@example.org", "admin")
    for path in ("/staff/register", "/staff/reset", "/staff/confirm", "/staff/verify", "/fs-static/js/base64.js"):
        assert browser.get(path).status_code in (303, 404), path
    member = services.require_member("admin@example.org")
    with app.test_request_context():
        token = member.get_auth_token()
    assert browser.get("/staff", headers={"Authentication-Token": token}).status_code == 303
    assert browser.get(f"/staff?auth_token={token}").status_code == 303


def test_the_library_never_answers_json(browser: Browser) -> None:
    make_member("admin@example.org", "admin")
    browser.get("/staff/login")
    answer = browser.client.post(
        "/staff/login",
        json={"email": "admin@example.org", "password": PASSWORD, "csrf_token": browser.token},
        headers={"Accept": "application/json", "X-CSRFToken": browser.token},
    )
    assert answer.mimetype == "text/html"


def test_cookies_are_secure_in_production(app: Flask, settings: dict[str, object], tmp_path: Path) -> None:
    make_member("admin@example.org", "admin")
    careful = create_app({**settings, "SESSION_COOKIE_SECURE": True})
    answer = careful.test_client().get("/staff/login", base_url="https://give.test")
    assert "Secure; HttpOnly; Path=/; SameSite=Lax" in answer.headers["Set-Cookie"]


def test_every_message_of_the_library_that_can_be_shown_is_ours(app: Flask) -> None:
    """Read from the source of what is reachable: its four views, their forms, and what those call."""
    shown = (
        *(views.login, views.logout, views.verify, views.change_password),
        *(forms.LoginForm, forms.VerifyForm, forms.ChangePasswordForm, forms.PasswordFormMixin, forms.NextFormMixin),
        *(forms.form_errors_munge, password_util, mail_util.MailUtil, changeable, decorators.default_reauthn_handler),
    )
    named = {name for each in shown for name in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', inspect.getsource(each))}
    possible = {name for name in named if f"SECURITY_MSG_{name}" in app.config}
    assert len(possible) > 5
    assert possible - set(MESSAGES) - OF_WHAT_IS_OFF == set()
    assert all(app.config[f"SECURITY_MSG_{name}"] is message for name, message in MESSAGES.items())


def test_pages_of_signing_in_are_stored_nowhere(app: Flask) -> None:
    browser = Browser(app)
    browser.sign_in(make_member("office@example.org", "office"))
    for path in ("/staff/login", "/staff/confirm", "/staff/password"):
        assert browser.get(path).headers.getlist("Cache-Control") == ["no-store"]
