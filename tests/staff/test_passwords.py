"""Passwords that are guessed first are refused wherever one is chosen, with a word that helps."""

from collections.abc import Callable

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from core.clock import utcnow
from core.db import unit_of_work
from staff import errors, invitations, services
from staff.obvious import is_obvious
from tests.staff.console import COMMAND, PASSWORD, Browser, make_member
from tests.staff.post import last_link

EMAIL = "anna.kovaleva@example.org"
OBVIOUS = "password1234"
SignedIn = Callable[..., Browser]


@pytest.mark.parametrize(
    "password",
    [
        *(
            "password1234",
            "Password2026!",
            "P@ssw0rd1234",
            "passwordpassword",
            "my password 1",
            "пароль123456",
            "gfhjkm123456",
        ),
        *("aaaaaaaaaaaa", "ababababababab", "qwe qwe qwe qwe", "kote-kote-kote-kote-", "!!!!!!!!!!!!"),
        *(
            "123456789012",
            "qwertyuiop12",
            "abcdefghijkl",
            "zyxwvutsrqpo",
            "йцукенгшщзхъ",
            "1qaz2wsx3edc",
            "!@#$%^&*()_+",
        ),
        *("annakovaleva1", "Anna.Kovaleva and her cat", "the @nn4 k0v4leva way", "x-anna_kovaleva-9921"),
        *("BullyingFreeInternet", "#bullying free internet 77", "Интернет без травли!", "Minsk-Welcome-2026"),
        *("Welcome2026!!", "iloveyou2025", "letmein-letmein", "admin admin 1", "Administrator1", "changeme2026"),
    ],
)
def test_what_is_guessed_first_is_obvious(password: str) -> None:
    assert is_obvious(password, EMAIL)


@pytest.mark.parametrize(
    "password",
    [
        *(PASSWORD, "a new and longer one", "something else entirely", "development-only", "кот лампа шапка ветер"),
        *(
            "uT9#kLm2Qx7!vR",
            "Kx#9!%&$@^)(",
            "minsk lantern otter cloud",
            "password of the old lighthouse",
            "anna likes marzipan",
        ),
    ],
)
def test_what_takes_long_to_guess_is_not(password: str) -> None:
    assert not is_obvious(password, EMAIL)


def test_a_short_name_is_found_in_words_by_chance() -> None:
    assert not is_obvious("correct horse battery", "cor@example.org")


@given(st.text(max_size=128), st.text(max_size=60))
def test_any_text_is_judged(password: str, email: str) -> None:
    is_obvious(password, email)


def test_no_made_password_is_obvious() -> None:
    assert not any(is_obvious(services.new_password(), EMAIL) for _ in range(500))


def test_at_the_form_of_the_account(signed_in: SignedIn) -> None:
    browser = signed_in("admin")
    browser.get("/staff/password?lang=en")
    form = {"password": PASSWORD, "new_password": OBVIOUS, "new_password_confirm": OBVIOUS}
    answer = browser.post("/staff/password", form)
    assert (answer.status_code, "too easy to guess" in answer.text) == (200, True)
    browser.post("/staff/logout")
    assert browser.sign_in("admin@example.org").status_code == 302


def test_with_the_link_of_a_letter_which_stays_good(app: Flask) -> None:
    make_member("finance@example.org", "finance")
    browser = Browser(app)
    browser.get("/staff/forgot?lang=en")
    browser.post("/staff/forgot", {"email": "finance@example.org"})
    link = last_link(app)
    browser.get(link)
    answer = browser.post(link, {"password": "finance and more", "again": "finance and more"})
    assert (answer.status_code, "too easy to guess" in answer.text) == (422, True)
    assert browser.post(link, {"password": "cloud otter lantern", "again": "cloud otter lantern"}).status_code == 303


def test_at_an_invitation(app: Flask) -> None:
    with unit_of_work():
        invitations.invite_member("boris@example.org", "", ["office"], now=utcnow(), **COMMAND)
    link = last_link(app)
    browser = Browser(app)
    browser.get(f"{link}?lang=en")
    form = {"name": "Boris", "password": "boris and more words", "again": "boris and more words"}
    answer = browser.post(link, form)
    assert (answer.status_code, "too easy to guess" in answer.text, "Boris" in answer.text) == (422, True, True)


def test_at_the_command_line(app: Flask) -> None:
    with pytest.raises(errors.PasswordObvious), unit_of_work():
        services.create_member("boris@example.org", "", ["office"], OBVIOUS, now=utcnow(), **COMMAND)
    make_member("finance@example.org", "finance")
    with pytest.raises(errors.PasswordObvious), unit_of_work():
        services.reset_password("finance@example.org", OBVIOUS, now=utcnow(), **COMMAND)
