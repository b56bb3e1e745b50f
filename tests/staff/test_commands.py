"""`flask staff …`"""

import re
import unicodedata

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from core.db import db
from staff.models import AuditEntry
from tests.staff.console import Browser


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


def shown_password(output: str) -> str:
    found = re.search(r"shown this once\): (\S+)", output)
    assert found
    return found[1]


def test_the_first_admin_is_made_and_signs_in(app: Flask, runner: FlaskCliRunner) -> None:
    made = runner.invoke(args=["staff", "create", "Boss@Example.org", "--role", "admin", "--name", "Вера"])
    assert made.exit_code == 0, made.output
    assert Browser(app).sign_in("boss@example.org", shown_password(made.output)).status_code == 302
    listed = runner.invoke(args=["staff", "list"]).output
    assert listed.startswith("boss@example.org  Вера  admin  20")
    entry = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number)).first()
    assert entry is not None
    assert (entry.actor, entry.action, entry.after) == (
        "command line",
        "staff.created",
        {"name": "Вера", "roles": ["admin"]},
    )


def test_a_password_can_be_typed(app: Flask, runner: FlaskCliRunner) -> None:
    typed = "correct horse battery\ncorrect horse battery\n"
    made = runner.invoke(args=["staff", "create", "a@example.org", "--role", "office", "--ask-password"], input=typed)
    assert made.exit_code == 0
    assert "correct horse" not in made.output
    assert Browser(app).sign_in("a@example.org").status_code == 302


def test_a_cyrillic_password_fits_however_a_keyboard_sends_it(app: Flask, runner: FlaskCliRunner) -> None:
    typed = "йогурт и ёжик"
    create = ["staff", "create", "a@example.org", "--role", "office", "--ask-password"]
    assert runner.invoke(args=create, input=f"{typed}\n{typed}\n").exit_code == 0
    for form in ("NFC", "NFD"):
        answer = Browser(app).sign_in("a@example.org", unicodedata.normalize(form, typed))
        assert answer.status_code == 302, form


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "not-an-address", "--role", "admin"], "not an e-mail address"),
        (["create", "a@example.org"], "Missing option"),
        (["create", "a@example.org", "--role", "king"], "king"),
        (["disable", "nobody@example.org"], "no member"),
        (["reset-password", "nobody@example.org"], "no member"),
    ],
)
def test_mistakes_are_told_in_a_line(runner: FlaskCliRunner, arguments: list[str], told: str) -> None:
    answer = runner.invoke(args=["staff", *arguments])
    assert answer.exit_code != 0
    assert told in answer.output
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AuditEntry)) == 0


def test_an_address_is_taken_once_however_it_is_written(runner: FlaskCliRunner) -> None:
    create = ["staff", "create", "--role", "office"]
    assert runner.invoke(args=[*create, "a@example.org"]).exit_code == 0
    again = runner.invoke(args=[*create, "A@EXAMPLE.ORG"])
    assert again.exit_code == 1
    assert "already" in again.output


def test_a_short_typed_password_is_refused(runner: FlaskCliRunner) -> None:
    made = runner.invoke(
        args=["staff", "create", "a@example.org", "--role", "office", "--ask-password"], input="short\nshort\n"
    )
    assert made.exit_code == 1
    assert "from 12 to 128" in made.output


def test_a_reset_password_replaces_the_old_one_and_ends_sessions(app: Flask, runner: FlaskCliRunner) -> None:
    browser = Browser(app)
    made = runner.invoke(args=["staff", "create", "a@example.org", "--role", "office"])
    browser.sign_in("a@example.org", shown_password(made.output))
    reset = runner.invoke(args=["staff", "reset-password", "a@example.org"])
    assert not browser.is_signed_in()
    assert browser.sign_in("a@example.org", shown_password(made.output)).status_code == 200
    assert browser.sign_in("a@example.org", shown_password(reset.output)).status_code == 302


def test_who_is_disabled_is_out_until_enabled(app: Flask, runner: FlaskCliRunner) -> None:
    password = shown_password(runner.invoke(args=["staff", "create", "a@example.org", "--role", "office"]).output)
    browser = Browser(app)
    browser.sign_in("a@example.org", password)
    assert runner.invoke(args=["staff", "disable", "a@example.org"]).exit_code == 0
    assert not browser.is_signed_in()
    assert browser.sign_in("a@example.org", password).status_code == 200
    assert runner.invoke(args=["staff", "list"]).output.strip().endswith("disabled")
    runner.invoke(args=["staff", "enable", "a@example.org"])
    assert browser.sign_in("a@example.org", password).status_code == 302
