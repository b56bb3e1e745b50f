"""Deny by default: every page under /staff/ says whom it is for, and is refused to all others.

That each one keeps to what it says is tested route by route in test_access_table.
"""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from staff.access import EVERYBODY, OF_THE_LIBRARY, PREFIX, allowed, is_guarded, roles_of, scope_of
from staff.models import ROLES
from tests.staff.console import Browser

SignedIn = Callable[..., Browser]


def guarded(app: Flask) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if is_guarded(app, rule.endpoint, rule.rule):
            yield rule


def test_every_page_of_the_console_says_whom_it_is_for(app: Flask) -> None:
    silent = [rule.rule for rule in guarded(app) if not roles_of(app, rule.endpoint)]
    assert silent == []
    assert {rule.endpoint for rule in guarded(app)} >= set(OF_THE_LIBRARY)


def test_only_signing_in_and_what_letters_link_to_is_for_everybody(app: Flask) -> None:
    assert {rule.endpoint for rule in guarded(app) if roles_of(app, rule.endpoint) == EVERYBODY} == {
        "security.login",
        "staff.second_step",
        "staff.passkey_sign_in",
        "staff.passkey_options",
        "staff.forgot_password",
        "staff.reset_password",
        "staff.join",
        "staff.confirm_email",
    }


def test_scopes_are_for_the_api_and_the_api_is_for_scopes(app: Flask) -> None:
    for rule in guarded(app):
        assert (scope_of(app, rule.endpoint) is not None) == rule.rule.startswith("/api/"), rule.rule


def test_a_page_that_says_nothing_is_refused_to_everybody(app: Flask, signed_in: SignedIn) -> None:
    app.add_url_rule(f"{PREFIX}/forgotten", "forgotten", lambda: "secret")
    assert signed_in(*ROLES).get("/staff/forgotten").status_code == 403


def test_a_page_elsewhere_is_guarded_once_it_says_whom_it_is_for(app: Flask, signed_in: SignedIn) -> None:
    @allowed("finance")
    def view() -> str:
        return "figures"

    app.add_url_rule("/elsewhere", "elsewhere", view)
    assert Browser(app).get("/elsewhere").status_code == 303
    assert signed_in("office").get("/elsewhere").status_code == 403
    assert signed_in("finance").get("/elsewhere").text == "figures"


def test_a_body_is_not_read_before_the_check(app: Flask) -> None:
    answer = Browser(app).client.post("/staff/password", data={"x": "y" * 600_000})
    assert answer.status_code == 303


def test_roles_are_spelled_right() -> None:
    with pytest.raises(ValueError, match="roles are"):
        allowed("office", "amdin")
    with pytest.raises(ValueError, match="roles are"):
        allowed()


def test_refusals_are_told_in_the_console(signed_in: SignedIn) -> None:
    browser = signed_in("office")
    assert 'class="console-header"' in browser.get("/staff/nothing-here").text
    assert browser.get("/staff/nothing-here").status_code == 404


def test_the_front_page_is_found_with_a_slash_at_the_end_too(client: FlaskClient) -> None:
    for path in ("/staff", "/staff/"):
        answer = client.get(path)
        assert answer.status_code == 303
        assert "/staff/login" in answer.headers["Location"]
