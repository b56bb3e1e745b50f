"""Staff at browsers."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.staff.console import Browser, make_member


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def signed_in(app: Flask) -> Callable[..., Browser]:
    """A browser in which a new member with these roles has signed in."""

    def sign_in(*roles: str, offices: tuple[int, ...] = ()) -> Browser:
        email = make_member(f"{'-'.join(roles)}@example.org", *roles, offices=offices)
        browser = Browser(app)
        assert browser.sign_in(email).status_code == 302
        return browser

    return sign_in
