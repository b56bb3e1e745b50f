"""docs/access.md is true: every route of console and API, requested as everybody, answers as it is written there."""

import hashlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from ops.demo_offices import seed_offices
from staff import access_table, services
from staff.access import API_PREFIX, roles_of
from staff.access_table import NO, OWN, UNKNOWN, YES, Row
from staff.models import ROLES, ApiToken
from staff.tokens import SCOPES
from tests.house import House
from tests.staff.console import Browser, make_member
from tests.staff.places import Place, body_for, make_places, values_for

OWN_OFFICE, OTHER_OFFICE = "MINSK-01", "BREST-01"
SIGN_OUT = ("/staff/logout", "POST")


@pytest.fixture
def written(app: Flask) -> list[Row]:
    return access_table.parse(access_table.page(app).read_text())


@pytest.fixture
def places(house: House) -> tuple[Place, Place]:
    """The own office's and another's."""
    seed_offices(utcnow())
    own, other = make_places(house, OWN_OFFICE, OTHER_OFFICE)
    return own, other


def rules(app: Flask) -> Iterator[tuple[Row, Rule]]:
    """Each route that is written down, with its rule; signing out comes last."""
    found = {(rule.rule, method): rule for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    rows = access_table.parse(access_table.page(app).read_text())
    for row in sorted(rows, key=lambda row: row.key == SIGN_OUT):
        yield row, found[row.key]


def address(app: Flask, rule: Rule, method: str, place: Place) -> str:
    return app.url_map.bind("localhost").build(rule.endpoint, values_for(rule, place), method=method)


def send(browser: Browser, path: str, row: Row, place: Place) -> TestResponse:
    if row.method == "GET":
        return browser.get(path)
    answer = browser.post(path, {"office": place.office})
    if answer.status_code == 400:  # the page before renewed the session, and so its token
        browser.get("/staff/account")
        answer = browser.post(path, {"office": place.office})
    return answer


def is_sent_to_sign_in(answer: TestResponse) -> bool:
    return answer.status_code in (302, 303) and answer.location.partition("?")[0] == "/staff/login"


def lets_in(row: Row, answer: TestResponse) -> bool:
    """Whatever it then answers: what was asked for may be missing, or in no state for this."""
    assert answer.status_code < 500, (row.key, answer.status_code)
    assert answer.status_code != 400, row.key  # a form without its token proves nothing
    leads_out = is_sent_to_sign_in(answer) and row.cell("nobody") == NO and row.key != SIGN_OUT
    return answer.status_code not in (401, 403) and not leads_out


# The page and the views


def test_every_route_is_written_down_as_its_view_declares_it(app: Flask, written: list[Row]) -> None:
    declared = access_table.declared(app, written)
    assert {row.key for row in declared} == {row.key for row in written}, "run: flask staff access-table --write"
    assert declared == written, "run: flask staff access-table --write"


def test_every_scope_that_is_offered_opens_something(written: list[Row]) -> None:
    assert set(SCOPES) == {row.scope for row in written} - {NO}


def test_nothing_is_left_open_in_the_column_of_offices(written: list[Row]) -> None:
    assert [row.key for row in written if UNKNOWN in row.cells] == []
    assert {cell for row in written for cell in row.cells} == {YES, NO, OWN}


def test_a_route_that_names_things_of_an_office_is_for_that_office(app: Flask) -> None:
    for row, rule in rules(app):
        named = {"code", "public_id"} & rule.arguments
        of_everybody = roles_of(app, rule.endpoint).issuperset(ROLES)  # of no office: an export is its orderer's
        if named and row.cell("office") != NO and row.cell("nobody") == NO and not of_everybody:
            assert row.cell("office") == OWN, row.key


def test_the_command_prints_the_table_as_it_is_written(app: Flask, written: list[Row]) -> None:
    printed = app.test_cli_runner().invoke(args=["staff", "access-table"])
    assert printed.exit_code == 0
    assert printed.output.strip() == access_table.render(written)


# Requests


def test_nobody_reaches_only_what_is_for_everybody(app: Flask, places: tuple[Place, Place]) -> None:
    browser = Browser(app)
    browser.get("/staff/login")
    for row, rule in rules(app):
        answer = send(browser, address(app, rule, row.method, places[0]), row, places[0])
        if row.cell("nobody") == YES:
            assert lets_in(row, answer), (row.key, answer.status_code)
        elif rule.rule.startswith(API_PREFIX):
            assert (answer.status_code, (answer.json or {})["code"]) == (401, "token_invalid"), row.key
        else:
            assert is_sent_to_sign_in(answer), (row.key, answer.status_code)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reaches_what_is_written(app: Flask, places: tuple[Place, Place], role: str) -> None:
    own, other = places
    member = make_member(f"{role}@example.org", role, offices=[office_id(OWN_OFFICE)] if role == "office" else [])
    browser = Browser(app)
    browser.sign_in(member)
    browser.get("/staff/account")
    for row, rule in rules(app):
        if rule.rule.startswith(API_PREFIX) and row.cell("nobody") == NO:
            assert send(browser, address(app, rule, row.method, own), row, own).status_code == 401, row.key
            continue
        if row.cell(role) == OWN:
            answer = send(browser, address(app, rule, row.method, other), row, other)
            assert answer.status_code == 403, (row.key, answer.status_code)
        answer = send(browser, address(app, rule, row.method, own), row, own)
        assert lets_in(row, answer) == (row.cell(role) != NO), (row.key, role, answer.status_code)
        if row.cell(role) == OWN:
            assert answer.status_code != 404, row.key  # the sample is real, so the refusal above was about the office
        if row.cell(role) == NO:
            assert answer.status_code == 403, (row.key, role, answer.status_code)


def office_id(code: str) -> int:
    from offices.queries import office_by_code

    return office_by_code(code).id


def token_with(email: str, *scopes: str) -> str:
    """A token of these scopes, whatever the member's roles permit."""
    secret = f"bfi_{secrets.token_urlsafe(32)}"
    with unit_of_work() as session:
        session.add(
            ApiToken(
                member_id=services.require_member(email).id,
                label=" ".join(scopes),
                hint=secret[:10],
                secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
                scopes=" ".join(scopes),
                created_at=utcnow(),
            )
        )
    db.session.remove()
    return secret


def ask(app: Flask, path: str, row: Row, secret: str, place: Place) -> TestResponse:
    body: dict[str, Any] = {} if row.method == "GET" else {"json": body_for(row.route, place)}
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": secrets.token_hex(8)}
    return app.test_client().open(path, method=row.method, headers=headers, **body)


@pytest.mark.parametrize("role", ROLES)
def test_each_scope_opens_what_is_written_to_the_roles_that_may(
    app: Flask, places: tuple[Place, Place], role: str
) -> None:
    own, other = places
    member = make_member(f"{role}@example.org", role, offices=[office_id(OWN_OFFICE)] if role == "office" else [])
    tokens = {scope: token_with(member, scope) for scope in SCOPES}
    for row, rule in rules(app):
        if row.scope == NO:
            continue
        for scope, secret in tokens.items():
            answer = ask(app, address(app, rule, row.method, own), row, secret, own)
            said = (answer.status_code, (answer.json or {}).get("code"))
            if scope != row.scope:
                assert said == (403, "scope_missing"), (row.key, scope)
            elif row.cell(role) == NO:
                assert said == (403, "forbidden"), (row.key, role)
            else:
                assert lets_in(row, answer), (row.key, role, said)
        if row.cell(role) == OWN:
            answer = ask(app, address(app, rule, row.method, other), row, tokens[row.scope], other)
            assert (answer.status_code, (answer.json or {})["code"]) == (403, "not_your_office"), row.key


def test_no_token_opens_the_console(app: Flask, places: tuple[Place, Place]) -> None:
    secret = token_with(make_member("admin@example.org", "admin"), *SCOPES)
    for row, rule in rules(app):
        if rule.rule.startswith(API_PREFIX) or row.cell("nobody") == YES:
            continue
        path = address(app, rule, row.method, places[0])
        answer = app.test_client().open(path, method=row.method, headers={"Authorization": f"Bearer {secret}"})
        assert is_sent_to_sign_in(answer), (row.key, answer.status_code)


def test_a_view_of_the_api_that_writes_and_is_public_is_known(app: Flask) -> None:
    public = {row.key for row, rule in rules(app) if rule.rule.startswith(API_PREFIX) and row.cell("nobody") == YES}
    assert {key for key in public if key[1] != "GET"} == {("/api/v1/donations", "POST")}
