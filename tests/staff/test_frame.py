"""The frame of the console: a short menu as it is, a long one in groups, cards by role, and all of it light."""

import re
from collections.abc import Callable

import pytest
from flask import Flask

from staff.models import ROLES
from tests.staff.console import Browser

SignedIn = Callable[..., Browser]
PAGE_BYTES = 16_000  # of the front page's own HTML: an old phone on a slow line reads it in a second


def menu_of(page: str) -> str:
    return page.partition('class="console-menu"')[2].partition("</nav>")[0]


def test_a_clerk_sees_all_of_a_short_menu(signed_in: SignedIn) -> None:
    menu = menu_of(signed_in("office").get("/staff?lang=en").text)
    assert "<details" not in menu
    assert {"/staff", "/staff/counter", "/staff/stock"} <= set(re.findall(r'href="([^"]+)"', menu))


def test_a_long_menu_is_grouped_and_loses_nothing(signed_in: SignedIn) -> None:
    browser = signed_in("admin")
    menu = menu_of(browser.get("/staff/audit?lang=en").text)
    assert menu.count("<details") >= 2
    links = re.findall(r'href="([^"]+)"', menu)
    assert {"/staff/counter", "/staff/offices", "/staff/members", "/staff/audit"} <= set(links)
    assert len(links) == len(set(links))
    assert menu.index("/staff/counter") < menu.index("<details")
    assert '<summary class="here">Rights</summary>' in menu
    assert 'href="/staff/audit" aria-current="page"' in menu


@pytest.mark.parametrize("role", ROLES)
def test_the_front_page_is_light_and_has_something_to_do(signed_in: SignedIn, role: str) -> None:
    answer = signed_in(role).get("/staff?lang=ru")
    assert len(answer.data) < PAGE_BYTES
    cards = answer.text.partition('class="cards"')[2]
    assert "<h2" in cards
    assert "<img" not in cards
    assert set(re.findall(r'<script[^>]+src="([^"?]+)', answer.text)) <= {"/static/stickers/counter.js"}


def test_every_entry_of_the_menu_opens_for_who_sees_it(app: Flask, signed_in: SignedIn) -> None:
    for role in ROLES:
        browser = signed_in(role)
        for link in set(re.findall(r'href="([^"]+)"', menu_of(browser.get("/staff").text))):
            assert browser.get(link, follow_redirects=True).status_code == 200, (role, link)
