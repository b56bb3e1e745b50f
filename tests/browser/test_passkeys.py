"""Signing in with a passkey and with an app, in a real browser with a virtual authenticator."""

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.browser.conftest import DESK, PHONE
from tests.browser.sight import fits
from tests.staff.console import PASSWORD, make_member
from tests.staff.factors import code

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OpenPage = Callable[..., Any]
FACTORS = "/staff/account/second-factors"


@pytest.fixture
def address() -> str:
    """Passkeys belong to names: a number is no domain."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://localhost:{free.getsockname()[1]}"


def give_authenticator(page: Any) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def with_password(page: Any, site: str) -> None:
    page.goto(f"{site}/staff/login")
    page.fill("#email", "boss@example.org")
    page.fill("#password", PASSWORD)
    page.click("form:not(.passkey) button[type=submit]")


def sign_out(page: Any, site: str) -> None:
    page.click("footer button")
    page.wait_for_url(f"{site}/staff/login")


def test_a_passkey_from_set_up_to_sign_in(app: Flask, site: str, open_page: OpenPage) -> None:
    app.config["STAFF_SECOND_FACTOR"] = True
    make_member("boss@example.org", "admin")
    page = open_page(PHONE)
    give_authenticator(page)
    with_password(page, site)
    page.wait_for_url(f"{site}{FACTORS}")
    page.click(".passkey a")
    page.fill("#name", "my telephone")
    page.click("form.passkey button")
    page.wait_for_selector(".codes")
    assert page.locator(".codes li").count() == 10
    with page.expect_download() as download:
        page.click("a[download]")
    assert len(download.value.path().read_text().split()) == 12
    page.click("main a.btn-primary")
    page.wait_for_url(f"{site}/staff")
    sign_out(page, site)
    with_password(page, site)
    page.wait_for_url(f"{site}/staff/login/second")
    page.click("form.passkey button")
    page.wait_for_url(f"{site}/staff")
    sign_out(page, site)
    page.click("form.passkey button")  # alone, without e-mail and password
    page.wait_for_url(f"{site}/staff")


def test_without_scripts_the_app_works_and_passkeys_are_not_offered(app: Flask, site: str, open_page: OpenPage) -> None:
    app.config["STAFF_SECOND_FACTOR"] = True
    make_member("boss@example.org", "admin")
    page = open_page(PHONE, scripts=False)
    with_password(page, site)
    page.wait_for_url(f"{site}{FACTORS}")
    assert not page.locator(".passkey a").is_visible()
    page.click(f"a[href='{FACTORS}/app']")
    secret = page.locator("code.secret").inner_text()
    assert page.locator(".qr svg").count() == 1
    page.fill("#code", code(secret))
    page.click("main button[type=submit]")
    page.wait_for_selector(".codes")
    recovery = page.locator(".codes code").first.inner_text()
    sign_out(page, site)
    assert not page.locator("form.passkey").is_visible()
    with_password(page, site)
    page.wait_for_url(f"{site}/staff/login/second")
    page.click("details summary")
    page.fill("#recovery", recovery)
    page.click("details button")
    page.wait_for_url(f"{site}/staff")
    assert re.search(r"\b9\b", page.locator(".notice.good").inner_text())


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_page_of_signing_in_is_wider_than_the_screen(app: Flask, site: str, open_page: OpenPage, width: int) -> None:
    make_member("boss@example.org", "admin")
    page = open_page(width, language="be")
    for path in ("/login", "/forgot", "/forgot?sent=1"):
        page.goto(f"{site}/staff{path}")
        assert fits(page), path
    with_password(page, site)
    page.wait_for_url(f"{site}/staff")
    for path in ("", "/second-factors", "/second-factors/app", "/second-factors/passkey"):
        page.goto(f"{site}/staff/account{path}")
        assert fits(page), path
    page.goto(f"{site}/staff/confirm")
    assert fits(page)
