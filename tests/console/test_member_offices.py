"""The offices of one member, kept on a page that the member's own page leads to."""

from collections.abc import Callable

import pytest

from core.db import db
from offices import belonging
from staff import services
from tests.console.conftest import OTHER, OWN, acts
from tests.staff.console import Browser, make_member

AtConsole = Callable[[str], Browser]


@pytest.fixture
def page(at_console: AtConsole) -> str:
    email = make_member("vera@example.org", "office")
    address = f"/staff/members/{services.require_member(email).id}/offices"
    db.session.remove()
    return address


def offices_of_vera() -> list[str]:
    db.session.rollback()
    return [office.code for office in belonging.offices_of(services.require_member("vera@example.org"))]


def test_offices_are_added_and_taken_away(at_console: AtConsole, page: str) -> None:
    admin = at_console("admin")
    assert "This member belongs to no office yet." in admin.get(page).text
    for code in (OWN, OTHER.lower(), OWN):
        assert admin.post(page, {"office": code}).status_code == 303
    assert offices_of_vera() == sorted([OWN, OTHER])
    assert admin.post(page, {"office": OWN, "act": "release"}).status_code == 303
    assert offices_of_vera() == [OTHER]
    mine = [act for act in acts() if act[1].startswith("office_staff")]
    assert [act[1] for act in mine] == ["office_staff.added", "office_staff.added", "office_staff.removed"]
    assert OTHER in admin.get(page.removesuffix("/offices")).text
    assert "vera@example.org" in admin.get(f"/staff/members?office={OTHER}").text
    assert "vera@example.org" not in admin.get(f"/staff/members?office={OWN}").text


def test_an_unknown_office_is_told_at_its_field(at_console: AtConsole, page: str) -> None:
    admin = at_console("admin")
    admin.get(page)
    answer = admin.post(page, {"office": "NOWHERE"})
    assert answer.status_code in (404, 422)
    assert 'id="office-error"' in answer.text
    assert 'value="NOWHERE"' in answer.text
    assert offices_of_vera() == []
