"""What is good once is good once for many at the same time, on both databases."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from staff import invitations, letters, passwords, second_factors, services
from staff.models import StaffLetter, StaffMember
from tests.staff.console import COMMAND, make_member
from tests.staff.factors import code

AT_ONCE = 6
WORDS = "cloud otter lantern"


def at_once(app: Flask, act: Callable[[], object]) -> int:
    """How many of several threads got through, each with a connection of its own."""
    start = threading.Barrier(AT_ONCE)

    def run() -> bool:
        with app.app_context():
            start.wait(10)
            try:
                with unit_of_work():
                    act()
            except DomainError:
                return False
            finally:
                db.session.remove()
            return True

    db.session.remove()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(future.result() for future in [pool.submit(run) for _ in range(AT_ONCE)])


@pytest.fixture
def clerk(app: Flask) -> str:
    return make_member("clerk@example.org", "office")


def member() -> StaffMember:
    return services.require_member("clerk@example.org")


def newest_token(kind: str) -> str:
    db.session.rollback()
    letter = db.session.scalars(db.select(StaffLetter).filter_by(kind=kind).order_by(StaffLetter.id.desc())).first()
    assert letter is not None
    return letters.token_of(letter)


def test_a_link_for_a_password(app: Flask, clerk: str) -> None:
    with unit_of_work():
        passwords.ask_reset(clerk, address="-", now=utcnow())
    token = newest_token("reset")
    assert at_once(app, lambda: passwords.reset_by_link(token, WORDS, address="-", now=utcnow())) == 1


def test_an_invitation(app: Flask) -> None:
    with unit_of_work():
        invitations.invite_member("new@example.org", "", ["office"], now=utcnow(), **COMMAND)
    token = newest_token("invitation")
    assert at_once(app, lambda: invitations.accept_invitation(token, "N", WORDS, address="-", now=utcnow())) == 1


def test_a_code_of_the_app_and_a_recovery_code(app: Flask, clerk: str) -> None:
    secret = second_factors.new_app_secret()
    typed = second_factors.shown_secret(secret, clerk)[1]
    with unit_of_work():
        codes = second_factors.enable_app(member(), secret, code(typed), address="-", now=utcnow())
    following = code(typed, steps=1)
    assert at_once(app, lambda: second_factors.take_app_code(member(), following, utcnow())) == 1
    assert at_once(app, lambda: second_factors.take_recovery_code(member(), codes[0], utcnow())) == 1


def test_an_address_goes_to_one_member(app: Flask) -> None:
    for n in range(AT_ONCE):
        make_member(f"clerk{n}@example.org", "office")
    left = iter(range(AT_ONCE))

    def take() -> None:
        email = f"clerk{next(left)}@example.org"
        services.change_email(email, "wanted@example.org", now=utcnow(), **COMMAND)

    assert at_once(app, take) == 1


def test_the_last_two_administrators_do_not_leave_at_once(app: Flask) -> None:
    admins = [make_member(f"admin{n}@example.org", "admin") for n in range(AT_ONCE)]
    left = iter(admins)
    assert at_once(app, lambda: services.set_active(next(left), False, now=utcnow(), **COMMAND)) == AT_ONCE - 1
