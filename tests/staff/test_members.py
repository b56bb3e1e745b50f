"""Who works here, as administrators keep it: nobody locks themselves out, and every act is written down."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from staff import invitations, services
from staff.models import AuditEntry, StaffMember
from tests.staff.console import COMMAND, Browser, make_member

SignedIn = Callable[..., Browser]


@pytest.fixture
def admin(signed_in: SignedIn) -> Browser:
    browser = signed_in("admin")
    browser.get("/staff/members/invite?lang=en")
    return browser


def member(email: str) -> StaffMember:
    db.session.rollback()
    db.session.expire_all()
    return services.require_member(email)


def page_of(email: str) -> str:
    return f"/staff/members/{member(email).id}"


def last_act() -> tuple[Any, ...]:
    db.session.rollback()
    row = db.session.execute(
        sa.select(AuditEntry.actor, AuditEntry.action, AuditEntry.subject, AuditEntry.before, AuditEntry.after)
        .order_by(AuditEntry.number.desc())
        .limit(1)
    ).one()
    return tuple(row)


def test_the_list_is_narrowed_by_part_role_state_and_office(admin: Browser, app: Flask) -> None:
    make_member("vera@example.org", "office")
    make_member("ivan@example.org", "finance")
    with unit_of_work():
        services.set_active("ivan@example.org", False, now=utcnow(), **COMMAND)
        invitations.invite_member("new@example.org", "Новая", ["campaign"], now=utcnow(), **COMMAND)
    everybody = {"admin@", "vera@", "ivan@", "new@"}

    def shown(query: str) -> set[str]:
        text = admin.get(f"/staff/members?{query}").text.partition("<table")[2].partition("</table>")[0]
        return {part for part in everybody if f"{part}example.org" in text}

    assert shown("") == everybody
    assert shown("q=VERA") == {"vera@"}
    assert shown("q=новая") == {"new@"}
    assert shown("role=finance") == {"ivan@"}
    assert shown("state=disabled") == {"ivan@"}
    assert shown("state=invited") == {"new@"}
    assert shown("state=active&role=office") == {"vera@"}
    assert shown("q=%25") == shown("q=%00") == shown("office=NOWHERE") == set()


def test_an_invited_person_is_there_and_cannot_sign_in_yet(admin: Browser, app: Flask) -> None:
    answer = admin.post("/staff/members/invite", {"email": "New@Example.org", "role": ["office"], "locale": "be"})
    assert answer.status_code == 303
    assert answer.location == page_of("new@example.org")
    invited = member("new@example.org")
    assert (invited.state, invited.role_names(), invited.locale) == ("invited", {"office"}, "be")
    assert last_act()[:3] == ("admin@example.org", "staff.invited", "staff:new@example.org")
    for act, action in (("invitation", "staff.invited_again"), ("invitation/withdraw", "staff.invitation_withdrawn")):
        assert admin.post(f"{answer.location}/{act}").status_code == 303
        assert last_act()[1] == action


@pytest.mark.parametrize(
    "wrong", [{"email": "nobody"}, {"email": ""}, {"role": []}, {"role": ["king"]}, {"email": "admin@example.org"}]
)
def test_a_faulty_invitation_keeps_what_was_typed(admin: Browser, wrong: dict[str, Any]) -> None:
    answer = admin.post(
        "/staff/members/invite", {"email": "new@example.org", "name": "Новая", "role": ["office"], **wrong}
    )
    assert answer.status_code in (409, 422)
    assert 'value="Новая"' in answer.text
    assert 'class="field-error"' in answer.text
    db.session.rollback()
    assert services.find_member("new@example.org") is None


def test_name_and_roles_are_changed_with_before_and_after_in_the_log(admin: Browser) -> None:
    make_member("vera@example.org", "office")
    form = {"name": "Вера", "role": ["finance", "campaign"], "locale": "en"}
    assert admin.post(page_of("vera@example.org"), form).status_code == 303
    changed = member("vera@example.org")
    assert (changed.name, changed.role_names()) == ("Вера", {"finance", "campaign"})
    _, action, subject, before, after = last_act()
    assert (action, subject) == ("staff.edited", "staff:vera@example.org")
    assert (before["roles"], after["roles"]) == (["office"], ["campaign", "finance"])


def test_a_changed_role_counts_at_once(app: Flask, admin: Browser) -> None:
    make_member("vera@example.org", "admin")
    vera = Browser(app)
    vera.sign_in("vera@example.org")
    assert vera.get("/staff/members").status_code == 200
    admin.post(page_of("vera@example.org"), {"name": "v", "role": ["office"]})
    assert vera.get("/staff/members").status_code == 403


def test_a_disabled_member_is_out_and_may_be_let_in_again(app: Flask, admin: Browser) -> None:
    vera = Browser(app)
    vera.sign_in(make_member("vera@example.org", "office"))
    assert admin.post(f"{page_of('vera@example.org')}/disable").status_code == 303
    assert not vera.is_signed_in()
    assert last_act()[1:] == ("staff.disabled", "staff:vera@example.org", {"active": True}, {"active": False})
    admin.post(f"{page_of('vera@example.org')}/enable")
    assert member("vera@example.org").state == "active"


@pytest.mark.parametrize(
    ("act", "form"), [("/disable", {}), ("", {"name": "x", "role": ["office"]}), ("/second-factor", {})]
)
def test_nobody_locks_themselves_out(admin: Browser, act: str, form: dict[str, Any]) -> None:
    make_member("second@example.org", "admin")
    answer = admin.post(page_of("admin@example.org") + act, form)
    assert answer.status_code == 409
    assert "This is your own account" in answer.text
    me = member("admin@example.org")
    assert (me.active, me.role_names()) == (True, {"admin"})


def test_one_keeps_ones_own_account_up_to_date(admin: Browser) -> None:
    form = {"name": "Администратор", "role": ["admin", "campaign"]}
    assert admin.post(page_of("admin@example.org"), form).status_code == 303
    assert member("admin@example.org").role_names() == {"admin", "campaign"}


def demote(email: str) -> None:
    services.edit_member(email, name="x", roles=["office"], now=utcnow(), **COMMAND)


def disable(email: str) -> None:
    services.set_active(email, False, now=utcnow(), **COMMAND)


@pytest.mark.parametrize("act", [demote, disable])
def test_the_last_administrator_stays(app: Flask, act: Callable[[str], None]) -> None:
    make_member("only@example.org", "admin")
    with unit_of_work():
        disable(make_member_quietly("gone@example.org"))
    with pytest.raises(DomainError) as refused, unit_of_work():
        act("only@example.org")
    assert refused.value.code == "last_admin"
    assert (member("only@example.org").active, member("only@example.org").role_names()) == (True, {"admin"})


def make_member_quietly(email: str) -> str:
    return services.create_member(email, "", ["admin"], "correct horse battery", now=utcnow(), **COMMAND).email


@pytest.mark.parametrize("acts", [(demote, demote), (disable, disable), (demote, disable)])
def test_all_administrators_leave_at_once_and_one_stays(app: Flask, acts: tuple[Callable[[str], None], ...]) -> None:
    emails = [make_member(f"admin{number}@example.org", "admin") for number in range(4)]
    start = threading.Barrier(len(emails))
    refused: list[str] = []
    broken: list[BaseException] = []

    def leave(number: int) -> None:
        try:
            with app.app_context():
                start.wait(timeout=20)
                with unit_of_work():
                    acts[number % len(acts)](emails[number])
        except DomainError as refusal:
            refused.append(refusal.code)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test tells it
            broken.append(error)

    threads = [threading.Thread(target=leave, args=(number,)) for number in range(len(emails))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert refused == ["last_admin"]
    left = [email for email in emails if member(email).active and "admin" in member(email).role_names()]
    assert len(left) == 1


def test_an_address_is_changed(admin: Browser) -> None:
    make_member("vera@example.org", "office")
    answer = admin.post(f"{page_of('vera@example.org')}/email", {"email": "Vera.K@example.org"})
    assert answer.status_code == 303
    assert member("vera.k@example.org").name == "vera"
    taken = admin.post(f"{answer.location}/email", {"email": "admin@example.org"})
    assert taken.status_code == 409
    assert 'value="admin@example.org"' in taken.text


def test_pages_of_nobody_are_not_found(admin: Browser) -> None:
    for number in (0, 999_999, 2**70):
        assert admin.get(f"/staff/members/{number}").status_code == 404
        assert admin.post(f"/staff/members/{number}/disable").status_code == 404
        assert admin.get(f"/staff/members/{number}/offices").status_code == 404


def test_no_name_is_told_at_its_field(admin: Browser) -> None:
    make_member("vera@example.org", "office")
    answer = admin.post(page_of("vera@example.org"), {"name": "  ", "role": ["finance"]})
    assert answer.status_code == 422
    assert 'id="name-error"' in answer.text
    assert member("vera@example.org").role_names() == {"office"}
