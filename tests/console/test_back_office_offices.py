"""The campaign team makes and edits one office, and what a link is called and where it hangs."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import utcnow
from core.db import db, unit_of_work
from donations import services as giving
from offices.models import Office, Placement
from offices.print_services import create_batch
from offices.queries import campaign_id, hold_for_gift
from staff.models import AuditEntry
from stickers.models import StickerPack
from stickers.stock import services, transfers
from tests.console.conftest import OTHER, OWN, make_link
from tests.console.filled import error_of, fields_of, form_at
from tests.house import House
from tests.staff.console import Browser

AtConsole = Callable[..., Browser]
NEW, EDIT = "/staff/offices/new", f"/staff/offices/{OWN}/edit"
TYPED = {"code": "pinsk-01", "name_ru": "Салон «Пина»", "address_ru": "Пинск, ул. Ленина, 1", "region": "Брестская"}


def office(code: str = OWN) -> Office:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(Office).where(Office.code == code)).one()


def link(code: str) -> Placement:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(Placement).where(Placement.code == code)).one()


def last_act() -> tuple[str, str, Any, Any]:
    db.session.rollback()
    entry = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1)).one()
    return entry.action, entry.subject, entry.before, entry.after


def test_an_office_is_made_by_its_form(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    answer = browser.post(NEW, {**form_at(browser, NEW), **TYPED})
    assert (answer.status_code, answer.location) == (303, "/staff/offices/PINSK-01")
    made = office("PINSK-01")
    assert (made.name, made.region, made.active) == ({"ru": "Салон «Пина»"}, "Брестская", True)
    assert last_act()[:3] == ("office.made", "office:PINSK-01", None)
    assert browser.get(answer.location).status_code == 200


FAULTS = [
    ("code", "Пинск", "Latin letters"),
    ("code", OWN, "Another office has this code"),
    ("name_ru", "", "Russian text"),
    ("address_en", "x" * 251, "At most 250"),
    ("region", " ", "fill this in"),
    ("active", "maybe", "one of the list"),
]


def test_what_is_refused_stands_at_its_field_and_nothing_typed_is_lost(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    empty = form_at(browser, NEW)
    for field, typed, says in FAULTS:
        sent = {**empty, **TYPED, field: typed}
        answer = browser.post(NEW, sent)
        assert answer.status_code in (409, 422), field
        assert says in error_of(answer, field) or (field == "active" and says in answer.text), field
        shown = fields_of(answer, NEW)
        assert {name: shown[name] for name in TYPED} == {name: sent[name] for name in TYPED}
    assert db.session.scalar(sa.select(Office.id).where(Office.code == "PINSK-01")) is None


def test_an_office_is_edited_and_keeps_its_code(at_console: AtConsole) -> None:
    browser = at_console("admin")
    old = office().region
    answer = browser.post(EDIT, {**form_at(browser, EDIT), "region": "Минск и область", "code": "OTHER-9"})
    assert answer.status_code == 303
    assert office().region == "Минск и область"
    assert last_act() == ("office.changed", f"office:{OWN}", {"region": old}, {"region": "Минск и область"})


def test_of_two_editors_the_second_is_told(at_console: AtConsole) -> None:
    first, second = at_console("campaign"), at_console("admin")
    mine, theirs = form_at(first, EDIT), form_at(second, EDIT)
    first.post(EDIT, {**mine, "region": "Первый"})
    answer = second.post(EDIT, {**theirs, "region": "Второй"})
    assert (answer.status_code, error_of(answer, "region")) == (409, "Stored now: Первый")
    assert office().region == "Первый"
    assert second.post(EDIT, fields_of(answer, EDIT)).status_code == 303
    assert office().region == "Второй"


def test_closing_an_office_that_has_packs_is_told_first(at_console: AtConsole, offices: dict[str, int]) -> None:
    now, pack_id = utcnow(), db.session.scalars(sa.select(StickerPack.id).where(StickerPack.code == "kind-words")).one()
    with unit_of_work():
        services.receive(offices[OWN], pack_id, 7, reference="delivery", actor="a@example.org", now=now)
        other = db.session.get_one(Office, offices[OTHER])
        transfers.send(offices[OWN], pack_id, 2, to_office=other, note="", actor="a@example.org", now=now)
    browser = at_console("campaign")
    answer = browser.post(EDIT, {**form_at(browser, EDIT), "active": "no", "region": "Другая"})
    assert answer.status_code == 422
    assert "5 packs are still there." in error_of(answer, "active")
    assert "1 transfer waits to be confirmed." in error_of(answer, "active")
    shown = fields_of(answer, EDIT)
    assert (shown["region"], shown["active"], office().active) == ("Другая", "no", True)
    assert browser.post(EDIT, {**shown, "close_anyway": "yes"}).status_code == 303
    assert office().active is False
    assert last_act()[3] == {"region": "Другая", "active": "no", "packs left": 5, "transfers left": 1}


def test_an_empty_office_is_closed_without_ado(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    assert browser.post(EDIT, {**form_at(browser, EDIT), "active": "no"}).status_code == 303
    assert office().active is False


def test_a_link_gets_another_name_and_place(at_console: AtConsole, offices: dict[str, int]) -> None:
    browser, code = at_console("campaign"), make_link(offices[OWN], "billboard")
    edit = f"/staff/links/{code}/edit"
    typed = {"label": "У вокзала", "office": OTHER.lower(), "language": "be"}
    assert browser.post(edit, {**form_at(browser, edit), **typed}).status_code == 303
    changed = link(code)
    assert (changed.label, changed.office_id, changed.language) == ("У вокзала", offices[OTHER], "be")
    before = {"language": "ru", "office": OWN, "label": ""}
    after = {"language": "be", "office": OTHER, "label": "У вокзала"}
    assert last_act() == ("placement.changed", f"placement:{code}", before, after)


def test_a_wrong_place_of_a_link_is_refused_at_its_field(at_console: AtConsole) -> None:
    browser, code = at_console("campaign"), make_link()
    edit = f"/staff/links/{code}/edit"
    shown = form_at(browser, edit)
    answer = browser.post(edit, {**shown, "office": "NOWHERE", "label": "Тут"})
    assert (answer.status_code, error_of(answer, "office")) == (422, "There is no such office.")
    assert fields_of(answer, edit)["label"] == "Тут"
    assert "At most 120" in error_of(browser.post(edit, {**shown, "label": "x" * 121}), "label")
    assert link(code).label == ""


def test_two_editors_of_one_link_and_one_that_is_retired(at_console: AtConsole) -> None:
    first, second, code = at_console("campaign"), at_console("admin"), make_link()
    edit = f"/staff/links/{code}/edit"
    mine, theirs = form_at(first, edit), form_at(second, edit)
    first.post(edit, {**mine, "label": "A"})
    answer = second.post(edit, {**theirs, "label": "B"})
    assert (answer.status_code, error_of(answer, "label")) == (409, "Stored now: A")
    first.post(f"/staff/links/{code}/retire")
    assert second.post(edit, fields_of(answer, edit)).status_code == 409
    assert link(code).label == "A"


def test_what_stands_on_a_printed_poster_stays(at_console: AtConsole, offices: dict[str, int]) -> None:
    with unit_of_work():
        batch = create_batch(
            campaign_id=campaign_id(None) or 0,
            format="a6",
            language="ru",
            copies=1,
            offices=[OWN],
            packaging="pdf",
            created_by="a@example.org",
            now=utcnow(),
        )
        batch_id = batch.id
    code = db.session.scalars(sa.select(Placement.code).where(Placement.batch_id == batch_id)).one()
    browser, edit = at_console("campaign"), f"/staff/links/{code}/edit"
    sent = {**form_at(browser, edit), "label": "У кассы", "office": OTHER, "language": "en", "medium": "sms"}
    browser.post(edit, sent)
    poster = link(code)
    assert (poster.label, poster.office_id, poster.language) == ("У кассы", offices[OWN], "ru")


def test_medium_and_office_of_a_link_stay_once_people_gave_through_it(
    at_console: AtConsole, offices: dict[str, int], house: House
) -> None:
    browser, code = at_console("campaign"), make_link(offices[OWN], "billboard")
    edit = f"/staff/links/{code}/edit"
    before = form_at(browser, edit)
    assert "Once somebody has given through it" in browser.get(edit).text
    house.given(2500, placement=code)
    for moved in ({"office": OTHER}, {"office": ""}, {"medium": "window"}):
        answer = browser.post(edit, {**before, **moved, "label": "Там"})
        assert answer.status_code == 409
        assert "Retire it and make a new link" in answer.text
        assert fields_of(answer, edit)["label"] == "Там"
    kept = link(code)
    assert (kept.office_id, kept.medium, kept.label) == (offices[OWN], "billboard", "")
    shown = form_at(browser, edit)
    assert {"office", "medium"}.isdisjoint(shown)
    assert "People have given through this link already" in browser.get(edit).text
    assert browser.post(edit, {**shown, "label": "У моста", "language": "be"}).status_code == 303
    changed = link(code)
    assert (changed.label, changed.language) == ("У моста", "be")
    assert (changed.office_id, changed.medium) == (offices[OWN], "billboard")


def test_a_link_is_not_moved_under_a_gift_that_is_just_being_recorded(
    at_console: AtConsole, offices: dict[str, int], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, code = at_console("campaign"), make_link(offices[OWN], "billboard")
    edit = f"/staff/links/{code}/edit"
    moved = {**form_at(browser, edit), "office": OTHER}
    answers: list[Future[Any]] = []

    def hold_while_somebody_edits(held: str) -> None:
        hold_for_gift(held)
        answers.append(pool.submit(browser.post, edit, moved))
        wait(answers, timeout=0.3)  # longer than it would take, were it not kept waiting

    monkeypatch.setattr(giving, "hold_for_gift", hold_while_somebody_edits)
    with ThreadPoolExecutor(1) as pool:
        house.give(2500, placement=code)
    assert [answer.result().status_code for answer in answers] == [409]
    assert link(code).office_id == offices[OWN]
