"""Invitations: from the letter to the first sign-in, and all the ways in which that must not work."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from staff import errors, invitations, services
from staff.models import AuditEntry, StaffMember
from tests.staff.console import COMMAND, Browser, make_member
from tests.staff.post import last_link, letters, link_in, text_of

CHOSEN = "four words of mine"
SignedIn = Callable[..., Browser]


def invite(email: str = "new@example.org", *roles: str, **more: Any) -> None:
    with unit_of_work():
        invitations.invite_member(email, "New One", roles or ("office",), now=utcnow(), **COMMAND, **more)
    db.session.remove()


def accept(app: Flask, link: str, **form: str) -> tuple[Browser, int]:
    browser = Browser(app)
    browser.get("/staff/forgot")  # a page of a dead link has no form
    answer = browser.post(link, {"name": "Anna", "password": CHOSEN, "again": CHOSEN, **form})
    return browser, answer.status_code


def found(email: str = "new@example.org") -> StaffMember:
    db.session.rollback()
    db.session.expire_all()
    return services.require_member(email)


def actions() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.number)))


def test_an_invited_person_chooses_name_and_password_and_is_in(app: Flask) -> None:
    invite("New@Example.org", "office", "campaign", locale="be")
    assert (found().state, found().active, found().locale) == ("invited", False, "be")
    [letter] = letters(app)
    assert letter["To"] == "new@example.org"
    browser, status = accept(app, link_in(letter))
    assert status == 303
    assert browser.is_signed_in()
    assert (found().state, found().name, found().role_names()) == ("active", "Anna", frozenset({"office", "campaign"}))
    assert Browser(app).sign_in("new@example.org", CHOSEN).status_code == 302
    assert actions() == ["staff.invited", "staff.joined", "staff.signed_in", "staff.signed_in"]


def test_the_letter_says_who_invites_calls_nobody_by_the_mailbox_and_leads_on_in_its_language(app: Flask) -> None:
    boss = make_member("boss@example.org", "admin")
    with unit_of_work():
        by = {"actor": boss, "address": "10.0.0.1"}
        invitations.invite_member("new@example.org", "", ["office"], locale="be", now=utcnow(), **by)
    [letter] = letters(app)
    text = text_of(letter)
    assert "boss (boss@example.org)" in text
    assert "new!" not in text
    [address] = [word for word in text.split() if link_in(letter) in word]
    assert '<html lang="be">' in Browser(app).get(address.removeprefix("http://give.test")).text


def test_nobody_signs_in_as_who_was_only_invited(app: Flask) -> None:
    invite()
    for password in ("", "!", "x" * 20):
        browser = Browser(app)
        assert browser.sign_in("new@example.org", password).status_code == 200
        assert not browser.is_signed_in()
    browser.get("/staff/forgot")
    browser.post("/staff/forgot", {"email": "new@example.org"})
    assert len(letters(app)) == 1  # the invitation alone: no way round it


def test_an_invitation_is_good_once(app: Flask) -> None:
    invite()
    link = last_link(app)
    assert accept(app, link)[1] == 303
    assert accept(app, link, password="something else entirely", again="something else entirely")[1] == 410
    assert Browser(app).get(link).status_code == 410
    assert found().name == "Anna"


def test_an_invitation_lasts_seven_days(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    invite()
    link, now = last_link(app), utcnow()
    monkeypatch.setattr("staff.joining.utcnow", lambda: now + timedelta(days=6, hours=23))
    assert Browser(app).get(link).status_code == 200
    monkeypatch.setattr("staff.joining.utcnow", lambda: now + timedelta(days=7, minutes=1))
    assert Browser(app).get(link).status_code == 410
    assert accept(app, link)[1] == 410
    assert found().state == "invited"


def test_sent_again_only_the_new_link_is_good(app: Flask) -> None:
    invite()
    old = last_link(app)
    with unit_of_work():
        invitations.resend_invitation("new@example.org", now=utcnow(), **COMMAND)
    new = last_link(app)
    assert accept(app, old)[1] == 410
    assert accept(app, new)[1] == 303


def test_a_withdrawn_invitation_opens_nothing_and_may_be_made_anew(app: Flask) -> None:
    invite()
    link = last_link(app)
    with unit_of_work():
        invitations.withdraw_invitation("new@example.org", now=utcnow(), **COMMAND)
    assert accept(app, link)[1] == 410
    [waiting] = invitations.open_invitations(utcnow())
    assert waiting.expires_at is None
    invite("new@example.org", "finance")
    assert found().role_names() == {"finance"}
    [waiting] = invitations.open_invitations(utcnow())
    assert waiting.expires_at is not None
    assert accept(app, last_link(app))[1] == 303
    assert invitations.open_invitations(utcnow()) == []


def test_a_withdrawn_letter_is_not_even_sent(app: Flask) -> None:
    invite()
    with unit_of_work():
        invitations.withdraw_invitation("new@example.org", now=utcnow(), **COMMAND)
    assert letters(app) == []


def test_what_is_wrong_is_told_at_its_field_and_the_link_stays_good(app: Flask) -> None:
    invite()
    link = last_link(app)
    browser = Browser(app)
    browser.get(link)
    for field, form in (
        ("password", {"password": "short", "again": "short"}),
        ("again", {"again": "not the same one"}),
        ("name", {"name": "  "}),
        ("password", {"password": "x" * 200, "again": "x" * 200}),
    ):
        answer = browser.post(link, {"name": "Anna <b>", "password": CHOSEN, "again": CHOSEN, **form})
        assert answer.status_code == 422
        assert f'id="{field}-error"' in answer.text
        assert field == "name" or "Anna &lt;b&gt;" in answer.text
    assert found().state == "invited"
    assert accept(app, link)[1] == 303


def test_a_forged_invitation_is_refused(app: Flask) -> None:
    invite()
    link = last_link(app)
    member_id = link.rpartition("/")[2].partition("-")[0]
    for token in (f"{member_id}-", f"{member_id}-{'A' * 32}", f"{int(member_id) + 1}-{link.partition('-')[2]}"):
        assert Browser(app).get(f"/staff/join/{token}").status_code == 410
    assert found().state == "invited"


def test_who_needs_a_second_step_is_led_to_it(app: Flask) -> None:
    app.config["STAFF_SECOND_FACTOR"] = True
    invite("new@example.org", "finance")
    browser, _status = accept(app, last_link(app))
    assert browser.get("/staff").location == "/staff/account/second-factors"


def test_who_works_here_is_not_invited(app: Flask) -> None:
    make_member("old@example.org", "office")
    with pytest.raises(errors.EmailTaken):
        invite("Old@example.org")
    with pytest.raises(errors.AlreadyJoined), unit_of_work():
        invitations.resend_invitation("old@example.org", now=utcnow(), **COMMAND)
    with pytest.raises(errors.AlreadyJoined), unit_of_work():
        invitations.withdraw_invitation("old@example.org", now=utcnow(), **COMMAND)
    assert letters(app) == []
    assert found("old@example.org").active


def test_no_address_is_refused(app: Flask) -> None:
    for email in ("", "nobody", "a@b", "x" * 300 + "@example.org", "a@example.org\0", "a b@example.org"):
        with pytest.raises(errors.EmailInvalid):
            invite(email)


def test_unknown_roles_are_refused(app: Flask) -> None:
    for roles in (("boss",), ("office", "boss")):
        with pytest.raises(errors.RoleUnknown):
            invite("new@example.org", *roles)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(StaffMember)) == 0


def test_who_was_only_invited_cannot_be_enabled_or_given_a_password(app: Flask) -> None:
    invite()
    with pytest.raises(errors.NotJoined), unit_of_work():
        services.set_active("new@example.org", True, now=utcnow(), **COMMAND)
    with pytest.raises(errors.NotJoined), unit_of_work():
        services.reset_password("new@example.org", CHOSEN, now=utcnow(), **COMMAND)


def test_another_address_sends_the_invitation_there(app: Flask) -> None:
    invite("typo@example.org")
    old = last_link(app)
    with unit_of_work():
        services.change_email("typo@example.org", "right@example.org", now=utcnow(), **COMMAND)
    assert letters(app)[-1]["To"] == "right@example.org"
    assert accept(app, old)[1] == 410
    assert accept(app, last_link(app))[1] == 303


def test_the_command_invites_withdraws_and_resets(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    result = run(args=["staff", "invite", "new@example.org", "--role", "admin", "--language", "en"])
    assert result.output == "invited new@example.org (admin)\n"
    assert "new@example.org  new  admin  never signed in  invited" in run(args=["staff", "list"]).output
    assert run(args=["staff", "withdraw-invitation", "new@example.org"]).exit_code == 0
    assert "no second factor" in run(args=["staff", "reset-second-factor", "new@example.org"]).output
    assert "no member" in run(args=["staff", "reset-second-factor", "nobody@example.org"]).output
    assert actions() == ["staff.invited", "staff.invitation_withdrawn"]
