"""Passkeys, with a security key made in software from the standard alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from staff import guesses, services
from staff.models import AuditEntry, Passkey
from tests.staff.console import COMMAND, Browser
from tests.staff.factors import PASSKEY, RECOVERY, Authenticator, add_passkey, b64, challenge
from tests.staff.post import letters

PAGE = "/staff/account/second-factors"
SECOND = "/staff/login/second"
ALONE = "/staff/login/passkey"
SignedIn = Callable[..., Browser]


@pytest.fixture
def key() -> Authenticator:
    return Authenticator()


@pytest.fixture
def owner(signed_in: SignedIn, key: Authenticator) -> Browser:
    """A clerk's browser, signed in, the passkey set up."""
    browser = signed_in("office")
    assert add_passkey(browser, key).status_code == 200
    return browser


def stored() -> list[Passkey]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(Passkey).order_by(Passkey.id)))


def by() -> str:
    db.session.rollback()
    query = sa.select(AuditEntry.after).where(AuditEntry.action == "staff.signed_in").order_by(AuditEntry.number.desc())
    return str((db.session.scalars(query).first() or {})["by"])


def alone(app: Flask, key: Authenticator, **more: Any) -> tuple[Browser, Any]:
    browser = Browser(app)
    browser.get("/staff/login")
    asked = challenge(browser, f"{ALONE}/challenge")
    return browser, browser.post(ALONE, {"credential": key.get(asked, **more)})


def second(app: Flask, key: Authenticator, **more: Any) -> tuple[Browser, Any]:
    browser = Browser(app)
    browser.sign_in("office@example.org")
    browser.get(SECOND)
    asked = challenge(browser, f"{ALONE}/challenge")
    return browser, browser.post(SECOND, {"credential": key.get(asked, **more)})


def test_a_passkey_is_set_up_with_recovery_codes_and_a_letter(
    app: Flask, signed_in: SignedIn, key: Authenticator
) -> None:
    browser, phone = signed_in("office"), Browser(app)
    phone.sign_in("office@example.org")
    answer = add_passkey(browser, key)
    assert len(RECOVERY.findall(answer.text)) == 10
    [passkey] = stored()
    assert (passkey.name, passkey.transports) == ("my telephone", ["internal", "hybrid"])
    assert "my telephone" in browser.get(PAGE).text
    assert not phone.is_signed_in()
    assert len(letters(app)) == 1


def test_it_is_the_second_step(app: Flask, owner: Browser, key: Authenticator) -> None:
    browser, answer = second(app, key)
    assert (answer.status_code, answer.location) == (303, "/staff")
    assert browser.is_signed_in()
    assert by() == "password+passkey"
    [passkey] = stored()
    assert passkey.sign_count == key.count
    assert passkey.used_at is not None


def test_it_signs_in_alone_when_it_checked_the_person(app: Flask, owner: Browser, key: Authenticator) -> None:
    browser, answer = alone(app, key)
    assert (answer.status_code, answer.location) == (303, "/staff")
    assert browser.is_signed_in()
    assert by() == "passkey"
    key.checks_person = False
    browser, answer = alone(app, key)
    assert answer.location == "/staff/login"
    assert not browser.is_signed_in()
    assert second(app, key)[0].is_signed_in()  # beside a password that is enough


def test_who_has_a_passkey_only_is_asked_for_it(app: Flask, owner: Browser) -> None:
    browser = Browser(app)
    assert browser.sign_in("office@example.org").location == SECOND
    browser.get(SECOND)
    assert browser.post(SECOND, {"code": "123456"}).status_code == 422
    assert not browser.is_signed_in()


def test_an_answer_is_taken_once(app: Flask, owner: Browser, key: Authenticator) -> None:
    key.count = 100
    browser, thief = Browser(app), Browser(app)
    browser.get("/staff/login")
    asked = challenge(browser, f"{ALONE}/challenge")
    session, token = browser.client.get_cookie("session"), browser.token
    assert session is not None
    answer = key.get(asked)
    assert browser.post(ALONE, {"credential": answer}).location == "/staff"
    with unit_of_work() as work:  # also when the passkey's counter does not tell
        work.execute(sa.update(Passkey).values(sign_count=0))
    thief.client.set_cookie("session", session.value)
    thief.token = token
    assert thief.post(ALONE, {"credential": answer}).location == "/staff/login"
    assert not thief.is_signed_in()


def test_what_does_not_fit_is_refused(app: Flask, owner: Browser, key: Authenticator) -> None:
    faults = ({"origin": "http://evil.test"}, {"domain": "evil.test"}, {"user_handle": b"?"}, {"credential_id": b"?"})
    for wrong in faults:
        odd = replace(key, **wrong)
        for browser, answer in (alone(app, odd), second(app, odd)):
            assert answer.status_code in (303, 422)
            assert not browser.is_signed_in(), wrong
    assert alone(app, key)[0].is_signed_in()


def test_a_foreign_signature_is_refused(app: Flask, owner: Browser, key: Authenticator) -> None:
    key.key = Authenticator().key
    assert not alone(app, key)[0].is_signed_in()


def test_without_the_owners_handle_it_does_not_sign_in_alone(app: Flask, owner: Browser, key: Authenticator) -> None:
    assert not alone(app, key, as_user=b"")[0].is_signed_in()
    assert second(app, key, as_user=b"")[0].is_signed_in()


def test_a_copied_key_is_noticed_by_its_counter(app: Flask, owner: Browser, key: Authenticator) -> None:
    assert alone(app, key)[0].is_signed_in()
    key.count -= 1
    assert not alone(app, key)[0].is_signed_in()


def test_the_passkey_of_a_colleague_is_no_second_step(app: Flask, owner: Browser, signed_in: SignedIn) -> None:
    foreign = Authenticator()
    assert add_passkey(signed_in("finance"), foreign).status_code == 200
    browser, answer = second(app, foreign)
    assert answer.status_code == 422
    assert not browser.is_signed_in()


def test_a_challenge_is_for_one_purpose_one_session_and_five_minutes(
    app: Flask, owner: Browser, key: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, other = Browser(app), Browser(app)
    for each in (browser, other):
        each.get("/staff/login")
    asked = challenge(browser, f"{ALONE}/challenge")
    assert other.post(ALONE, {"credential": key.get(asked)}).location == "/staff/login"
    owner.get("/staff/confirm")
    asked = challenge(owner, "/staff/confirm/passkey/challenge")
    owner.get(PASSKEY)
    assert owner.post(PASSKEY, {"name": "x", "credential": key.create(asked | {"user": {"id": ""}})}).status_code == 422
    asked, now = challenge(browser, f"{ALONE}/challenge"), utcnow()
    monkeypatch.setattr("staff.second_step.utcnow", lambda: now + timedelta(minutes=6))
    assert browser.post(ALONE, {"credential": key.get(asked)}).location == "/staff/login"
    assert not browser.is_signed_in()


def test_anything_else_in_place_of_an_answer_is_refused(app: Flask, owner: Browser) -> None:
    browser = Browser(app)
    browser.get("/staff/login")
    owner.get(PASSKEY)
    for text in ("", "{}", "null", "[]", "\0", '{"id": 1}', "x" * 20_000, '{"id":"","rawId":"","response":{}}'):
        challenge(browser, f"{ALONE}/challenge")
        assert browser.post(ALONE, {"credential": text}).location == "/staff/login"
        challenge(owner, f"{PASSKEY}/challenge")
        assert owner.post(PASSKEY, {"name": "x", "credential": text}).status_code == 422
    assert len(stored()) == 1


def test_a_passkey_of_who_was_disabled_opens_nothing(app: Flask, owner: Browser, key: Authenticator) -> None:
    with unit_of_work():
        services.set_active("office@example.org", False, now=utcnow(), **COMMAND)
    assert not alone(app, key)[0].is_signed_in()


def test_passkeys_are_named_renamed_and_taken_away(app: Flask, owner: Browser, key: Authenticator) -> None:
    other = Authenticator()
    assert add_passkey(owner, other, "blue key").status_code == 303  # recovery codes are there already
    assert add_passkey(owner, other, "the same again").status_code == 422
    assert add_passkey(owner, Authenticator(), "blue key").status_code == 422
    first, second_one = stored()
    owner.get(PAGE)
    assert owner.post(f"{PAGE}/passkey/{first.id}", {"name": "blue key"}).status_code == 422
    assert owner.post(f"{PAGE}/passkey/{first.id}", {"name": " "}).status_code == 422
    assert owner.post(f"{PAGE}/passkey/{first.id}", {"name": "old telephone"}).status_code == 303
    assert [passkey.name for passkey in stored()] == ["old telephone", "blue key"]
    owner.get(PAGE)
    assert owner.post(f"{PAGE}/passkey/{second_one.id}/remove").status_code == 303
    assert [passkey.name for passkey in stored()] == ["old telephone"]
    assert not alone(app, other)[0].is_signed_in()
    assert alone(app, key)[0].is_signed_in()
    actions = set(db.session.scalars(sa.select(AuditEntry.action)))
    assert {"staff.second_factor_added", "staff.passkey_renamed", "staff.second_factor_removed"} <= actions


def test_nobody_touches_the_passkey_of_a_colleague(owner: Browser, signed_in: SignedIn) -> None:
    foreign = stored()[0].id
    colleague = signed_in("finance")
    colleague.get(PAGE)
    assert colleague.post(f"{PAGE}/passkey/{foreign}", {"name": "mine"}).status_code == 409
    assert colleague.post(f"{PAGE}/passkey/{foreign}/remove").status_code == 409
    assert [each.name for each in stored()] == ["my telephone"]


def test_it_confirms_in_place_of_the_password(
    owner: Browser, key: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = utcnow().timestamp() + 16 * 60
    monkeypatch.setattr("staff.access.time.time", lambda: later)
    assert owner.get(PASSKEY).status_code == 303
    owner.get("/staff/confirm")
    asked = challenge(owner, "/staff/confirm/passkey/challenge")
    assert asked["allowCredentials"][0]["id"] == b64(key.credential_id)
    answer = owner.post("/staff/confirm/passkey", {"credential": key.get(asked), "next": PASSKEY})
    assert answer.location == PASSKEY
    assert owner.get(PASSKEY).status_code == 200


def test_signing_in_with_passkeys_is_throttled(app: Flask, owner: Browser) -> None:
    browser = Browser(app)
    browser.get("/staff/login")
    statuses = [browser.post(ALONE, {"credential": "{}"}).status_code for _ in range(guesses.PER_ADDRESS + 1)]
    assert statuses == [303] * guesses.PER_ADDRESS + [429]


def test_challenges_differ_and_name_no_passkey_before_the_password(app: Flask, owner: Browser) -> None:
    browser = Browser(app)
    browser.get("/staff/login")
    first, again = challenge(browser, f"{ALONE}/challenge"), challenge(browser, f"{ALONE}/challenge")
    assert first["challenge"] != again["challenge"]
    assert not first.get("allowCredentials")
    assert first["userVerification"] == "required"
    assert "office@example.org" not in json.dumps(first)


def test_it_is_a_second_factor_for_who_must_have_one(app: Flask, signed_in: SignedIn, key: Authenticator) -> None:
    app.config["STAFF_SECOND_FACTOR"] = True
    browser = signed_in("admin")
    assert browser.get("/staff").location == PAGE
    assert add_passkey(browser, key).status_code == 200
    assert browser.get("/staff").status_code == 200
    [passkey] = stored()
    browser.get(PAGE)
    assert browser.post(f"{PAGE}/passkey/{passkey.id}/remove").status_code == 409
