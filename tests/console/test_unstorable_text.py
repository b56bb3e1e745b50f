"""NUL in whatever is typed: PostgreSQL holds none, and yet no page breaks.

The routes are the application's own; which fields each of them reads is found out by asking it.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from flask import Flask
from werkzeug.routing import Rule

from core import http
from core.clock import utcnow
from core.db import db
from ops.demo_offices import seed_offices
from staff.access import API_PREFIX
from staff.models import AuditEntry
from tests.console.conftest import acts
from tests.house import House
from tests.staff.console import Browser, make_member
from tests.staff.places import Place, make_places, values_for

NUL = "\0X"
OWN, OTHER = "MINSK-01", "BREST-01"
NO_FORM = (API_PREFIX, "/webhooks/")
ENDS_THE_SESSION = {"/staff/logout", "/staff/account/sessions"}


# SQLite would hold it: there these two could not fail.
ONLY_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Spied(http._Texts):
    """Notes which names a view asks for."""

    asked: ClassVar[set[str]] = set()

    def _note(self, name: object) -> None:
        if isinstance(name, str):
            self.asked.add(name)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self._note(name)
        return super().__getitem__(name)

    def get(self, *args: Any, **options: Any) -> Any:
        self._note(args[0])
        return super().get(*args, **options)

    def getlist(self, *args: Any, **options: Any) -> Any:
        self._note(args[0])
        return super().getlist(*args, **options)


class SpiedRequest(http.StorableRequest):
    parameter_storage_class = Spied


@pytest.fixture
def place(house: House, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Place:
    """No limit of tries ends this: each request is answered by its view."""
    monkeypatch.setattr("core.throttle._step", lambda _name: 1)
    monkeypatch.setattr(app, "request_class", SpiedRequest)
    seed_offices(utcnow())
    return make_places(house, OWN, OTHER)[0]


@pytest.fixture
def admin(app: Flask, place: Place) -> Browser:
    browser = Browser(app)
    browser.sign_in(make_member("admin@example.org", "admin"))
    browser.get("/staff/account")
    return browser


def routes(app: Flask, method: str) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if method in (rule.methods or ()) and rule.rule not in ENDS_THE_SESSION:
            yield rule


def address(app: Flask, rule: Rule, method: str, place: Place) -> str:
    return app.url_map.bind("localhost").build(rule.endpoint, values_for(rule, place), method=method)


def fields_of(ask: Any) -> set[str]:
    """Names that are asked for when all that were asked for before are there."""
    known: set[str] = set()
    while True:
        Spied.asked = set()
        ask(dict.fromkeys(known - {"office"}, "1"))
        found = Spied.asked - {"csrf_token", "lang"}
        if found <= known:
            return known
        known |= found


@ONLY_POSTGRESQL
def test_no_form_breaks(app: Flask, admin: Browser, place: Place) -> None:
    read: dict[str, set[str]] = {}
    for rule in routes(app, "POST"):
        if rule.rule.startswith(NO_FORM):
            continue
        path = address(app, rule, "POST", place)

        def send(form: dict[str, str], path: str = path) -> None:
            answer = admin.post(path, {**form, "office": form.get("office", OWN)})
            assert answer.status_code not in (400, 401, 403), (path, form)  # that proves nothing
            if answer.status_code == 303 and answer.location.startswith("/staff/counter"):
                assert admin.get(answer.location).status_code < 500, (path, form)
            assert answer.status_code < 500, (path, form)

        names = fields_of(send)
        read[rule.rule] = names
        send(dict.fromkeys(names, NUL))
        for name in names:
            send({**dict.fromkeys(names - {"office"}, "1"), name: NUL})
    assert {"office", "code"} <= read["/staff/counter/code"]
    assert sum(map(len, read.values())) > 100


@ONLY_POSTGRESQL
def test_no_query_breaks(app: Flask, admin: Browser, place: Place) -> None:
    number = 0
    for rule in routes(app, "GET"):
        path = address(app, rule, "GET", place)

        def look(query: dict[str, str], path: str = path) -> None:
            assert admin.get(path, query_string=query).status_code < 500, (path, query)

        for name in fields_of(look):
            look({name: NUL})
            number += 1
    assert number > 40


@pytest.mark.parametrize("name", ["counter_office", "lang", "placement", "session"])
def test_no_cookie_breaks(app: Flask, admin: Browser, name: str) -> None:
    session = admin.client.get_cookie("session")
    assert session is not None
    for path in ("/staff/counter", "/c/bullying-free-internet", "/staff"):
        for before in ("", f"session={session.value}; "):
            client = app.test_client(use_cookies=False)
            headers = {"Cookie": f'{before}{name}="\\000X"'}
            answer = client.get(path, headers=headers, environ_overrides=admin.environ)
            assert answer.status_code < 500


@pytest.mark.parametrize("scanned", ["http://h.test/d/a%00b", "/g/%00", "https://h.test/%00?x=%00#%00"])
def test_no_scanned_address_breaks(admin: Browser, place: Place, scanned: str) -> None:
    answer = admin.post("/staff/counter/code", {"office": OWN, "code": scanned})
    assert answer.status_code < 500
    if answer.status_code == 303:
        assert admin.get(answer.location).status_code < 500


def test_what_is_kept_has_a_mark_in_its_place(admin: Browser, place: Place) -> None:
    answer = admin.post(f"/staff/counter/done/{place.redemption}/undo", {"reason": "wet\0paper\nor so"})
    assert answer.status_code == 303, answer.text
    assert acts()[-1][1] == "code.redemption_undone"
    last = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.number.desc())).first()
    assert last is not None
    assert last.after["reason"] == "wet\ufffdpaper or so"
