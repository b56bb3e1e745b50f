"""Tokens in the console: made by their members, shown once, revoked by them or an administrator."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from core.db import db
from staff.models import ApiToken, AuditEntry
from tests.staff.console import Browser

SignedIn = Callable[..., Browser]
FORM = {"label": "till 2", "scopes": ["codes:redeem"], "days": "30"}


@pytest.fixture
def clerk(signed_in: SignedIn) -> Browser:
    browser = signed_in("office")
    browser.get("/staff/tokens/new?lang=en")
    return browser


def made() -> list[ApiToken]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(ApiToken).order_by(ApiToken.id)))


def test_a_token_is_shown_once_and_listed_by_its_first_letters(clerk: Browser) -> None:
    answer = clerk.post("/staff/tokens/new", FORM)
    assert answer.status_code == 201
    [secret] = re.findall(r'value="(bfi_[A-Za-z0-9_-]{43})"', answer.text)
    listed = clerk.get("/staff/tokens").text
    assert secret not in listed
    assert f"{secret[:10]}…" in listed
    [token] = made()
    assert (token.label, token.scopes) == ("till 2", "codes:redeem")
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).days == 30


def test_only_what_the_roles_permit_is_offered_and_taken(clerk: Browser) -> None:
    assert "finance:read" not in clerk.get("/staff/tokens/new").text
    answer = clerk.post("/staff/tokens/new", {**FORM, "scopes": ["finance:read"]})
    assert answer.status_code == 422
    assert "Your roles do not allow this" in answer.text
    assert 'value="till 2"' in answer.text
    assert made() == []


@pytest.mark.parametrize("days", ["", "365"])
def test_how_long_it_is_good_is_chosen(clerk: Browser, days: str) -> None:
    clerk.post("/staff/tokens/new", {**FORM, "days": days})
    expires_at = made()[0].expires_at
    assert (expires_at is None) == (days == "")


def test_a_length_that_nobody_offered_is_the_shortest(clerk: Browser) -> None:
    clerk.post("/staff/tokens/new", {**FORM, "days": "99999999999"})
    token = made()[0]
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).days == 30


def test_pressing_twice_makes_one_token(clerk: Browser) -> None:
    assert clerk.post("/staff/tokens/new", FORM).status_code == 201
    again = clerk.post("/staff/tokens/new", FORM)
    assert again.status_code == 409
    assert "You have a token of this name already" in again.text
    assert len(made()) == 1


def test_the_owner_revokes_it_and_nobody_else_but_an_administrator(clerk: Browser, signed_in: SignedIn) -> None:
    clerk.post("/staff/tokens/new", FORM)
    revoke = f"/staff/tokens/{made()[0].id}/revoke"
    other = signed_in("campaign")
    other.get("/staff/tokens/new")
    assert other.post(revoke).status_code == 404
    assert made()[0].revoked_at is None
    assert clerk.post(revoke).status_code == 303
    assert made()[0].revoked_at is not None


def test_administrators_see_and_revoke_those_of_everybody(clerk: Browser, signed_in: SignedIn) -> None:
    clerk.post("/staff/tokens/new", FORM)
    admin = signed_in("admin")
    admin.get("/staff/tokens/new")
    assert "till 2" in admin.get("/staff/tokens/all?q=OFFICE&scope=codes:redeem").text
    assert "till 2" not in admin.get("/staff/tokens/all?scope=codes").text
    assert admin.post(f"/staff/tokens/{made()[0].id}/revoke").location == "/staff/tokens/all"
    admin.get("/staff/tokens")  # says that it is done
    assert "till 2" not in admin.get("/staff/tokens/all").text
    assert "till 2" in admin.get("/staff/tokens/all?ended=1").text
    db.session.rollback()
    query = sa.select(AuditEntry.actor, AuditEntry.action).where(AuditEntry.action.startswith("token."))
    acts = [tuple(row) for row in db.session.execute(query)]
    assert acts == [("office@example.org", "token.made"), ("admin@example.org", "token.revoked")]


def test_who_lacks_a_required_second_factor_gets_no_token(app: Flask, signed_in: SignedIn) -> None:
    admin = signed_in("admin")
    admin.get("/staff/tokens/new")
    app.config["STAFF_SECOND_FACTOR"] = True
    assert admin.post("/staff/tokens/new", FORM).status_code in (303, 409)
    assert made() == []
