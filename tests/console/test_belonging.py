"""Who works in which office, and the members of the demonstration."""

from collections.abc import Callable

import pytest
from flask import Flask

from core.clock import utcnow
from core.db import db
from ops.demo_staff import DEMO_PASSWORD, NotInDevelopment, seed_staff
from tests.console.conftest import OTHER, acts
from tests.staff.console import Browser

AtConsole = Callable[..., Browser]


def test_an_admin_lets_a_member_work_for_an_office_and_no_longer(at_console: AtConsole) -> None:
    clerk, admin = at_console("office"), at_console("admin")
    page = f"/staff/offices/{OTHER}"
    assert clerk.get(page).status_code == 403
    admin.get(page)
    assert admin.post(f"{page}/staff", {"email": "office@example.org"}).status_code == 303
    assert clerk.get(page).status_code == 200
    assert "office@example.org" in admin.get(page).text
    admin.post(f"{page}/staff", {"email": "office@example.org"})  # twice is once
    admin.post(f"{page}/staff", {"email": "office@example.org", "act": "release"})
    assert clerk.get(page).status_code == 403
    assert [act for _, act, _ in acts()] == ["office_staff.added", "office_staff.removed"]


def test_an_unknown_member_is_told(at_console: AtConsole) -> None:
    admin = at_console("admin")
    page = f"/staff/offices/{OTHER}"
    admin.get(page)
    admin.post(f"{page}/staff", {"email": "nobody@example.org"})
    assert 'class="notice bad"' in admin.get(page).text
    assert admin.post("/staff/offices/NOWHERE/staff", {"email": "admin@example.org"}).status_code == 404


def test_the_commands_do_the_same(app: Flask, at_console: AtConsole) -> None:
    clerk, runner = at_console("office"), app.test_cli_runner()
    assert runner.invoke(args=["offices", "assign", OTHER, "office@example.org"]).output == "done\n"
    assert runner.invoke(args=["offices", "assign", OTHER, "office@example.org"]).output == "it was so already\n"
    assert clerk.get(f"/staff/offices/{OTHER}").status_code == 200
    assert runner.invoke(args=["offices", "release", OTHER, "office@example.org"]).output == "done\n"
    assert clerk.get(f"/staff/offices/{OTHER}").status_code == 403
    assert runner.invoke(args=["offices", "assign", "NOWHERE", "office@example.org"]).exit_code == 1
    assert runner.invoke(args=["offices", "assign", OTHER, "nobody@example.org"]).exit_code == 1


@pytest.mark.parametrize("environment", ["test", "production"])
def test_members_whose_password_everybody_knows_exist_in_development_only(app: Flask, environment: str) -> None:
    app.config["APP_ENV"] = environment
    with pytest.raises(NotInDevelopment):
        seed_staff(utcnow())
    answer = app.test_cli_runner().invoke(args=["demo", "staff"])
    assert answer.exit_code == 1
    assert Browser(app).sign_in("admin@example.org", DEMO_PASSWORD).status_code == 200


def test_in_development_there_is_one_member_for_each_role(app: Flask) -> None:
    app.config["APP_ENV"] = "development"
    assert seed_staff(utcnow())
    assert not seed_staff(utcnow())
    db.session.remove()
    for role in ("office", "finance", "campaign", "admin"):
        browser = Browser(app)
        assert browser.sign_in(f"{role}@example.org", DEMO_PASSWORD).status_code == 302
        assert browser.is_signed_in()
