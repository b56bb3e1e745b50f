"""The console as a whole: whoever may open a page finds the way to it."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db
from offices.models import Office
from ops.demo_offices import seed_offices
from staff.access import EVERYBODY, PREFIX, roles_of
from staff.models import ROLES
from tests.finance.books import gift, moment
from tests.staff.console import Browser, make_member

HREF = re.compile(r'<a [^>]*href="(/staff[^"#]*)')
# No link leads there: asked on the way to something, or left by a button of a step before.
ON_THE_WAY = {"/staff/confirm", "/staff/login/second", "/staff/counter/office"}


def pages_for(app: Flask, role: str) -> Iterator[str]:
    """Pages of the console that this role may open and that need nothing to be named."""
    for rule in app.url_map.iter_rules():
        roles = roles_of(app, rule.endpoint)
        mine = rule.rule.startswith(PREFIX) and "GET" in (rule.methods or ()) and not rule.arguments
        if mine and role in roles and roles != EVERYBODY and rule.rule not in ON_THE_WAY:
            yield rule.rule


def seen_from_the_front_page(browser: Browser) -> set[str]:
    """Paths of all links on the pages that links lead to, one page of a kind."""
    seen, kinds, waiting = {"/staff"}, set(), ["/staff"]
    while waiting:
        address = waiting.pop()
        kind = re.sub(r"[0-9A-Fa-f-]{36}|[A-Z]{2,}-\d+|\b[0-9A-Z]{7}\b|\d+", "*", address.partition("?")[0])
        if kind in kinds:
            continue
        kinds.add(kind)
        answer = browser.get(address, follow_redirects=True)
        assert answer.status_code == 200, address
        for found in HREF.findall(answer.text if answer.mimetype == "text/html" else ""):
            link = found.replace("&amp;", "&")
            path = urlsplit(link).path
            if path not in seen or f"{path}?" in link:
                seen.add(path)
                waiting.append(link)
    return seen


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_found_from_the_front_page(app: Flask, role: str) -> None:
    seed_offices(utcnow())
    gift(2500, "one", moment(9))
    offices = list(db.session.scalars(sa.select(Office.id))) if role == "office" else []
    browser = Browser(app)
    browser.sign_in(make_member(f"{role}@example.org", role, offices=offices))
    if role != "finance":
        browser.get("/staff/counter/office")
        assert browser.post("/staff/counter/office", {"office": "MINSK-01"}).status_code == 303
    assert set(pages_for(app, role)) - seen_from_the_front_page(browser) == set()
