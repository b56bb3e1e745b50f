"""Console pages of offices and links."""

from collections.abc import Callable

import sqlalchemy as sa
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from offices.models import Office, Placement
from ops.demo_offices import OFFICES
from staff import audit
from staff.models import AuditEntry
from stickers.models import StickerPack
from stickers.stock import services as stock
from tests.console.conftest import OTHER, OWN, acts, make_link
from tests.staff.console import Browser

ALL = len(OFFICES)

AtConsole = Callable[..., Browser]

HEADER = "code;name_ru;name_be;name_en;address_ru;address_be;address_en;region;active"
GOOD = f"{HEADER}\nPINSK-01;Салон «Пина»;;;Пинск, ул. Ленина, 1;;;Брестская область;yes\n"
BAD = f"{GOOD}PINSK-01;Салон;;;Витебск;;;Витебская область;yes\nVIT 2;;;;Витебск;;;Витебская область;maybe\n"


def upload(browser: Browser, text: bytes, act: str, **more: str) -> TestResponse:
    """Send the file. The body is built here: the test client leaves a large one's temporary file open."""
    browser.get("/staff/offices/import")
    lines = [
        *_part('name="csrf_token"', browser.token.encode()),
        *_part('name="act"', act.encode()),
        *(line for name, value in more.items() for line in _part(f'name="{name}"', value.encode())),
        *_part('name="file"; filename="offices.csv"\r\nContent-Type: text/csv', text),
        b"--limit--\r\n",
    ]
    return browser.client.post(
        "/staff/offices/import", data=b"\r\n".join(lines), content_type="multipart/form-data; boundary=limit"
    )


def _part(name: str, value: bytes) -> list[bytes]:
    return [b"--limit", f"Content-Disposition: form-data; {name}".encode(), b"", value]


def state_of(code: str) -> str:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(Placement.state).where(Placement.code == code)).one()


def count_offices() -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Office)) or 0


def test_the_campaign_team_sees_all_offices_and_office_staff_theirs(at_console: AtConsole) -> None:
    assert at_console("campaign").get("/staff/offices").text.count('scope="row"') == ALL
    page = at_console("office").get("/staff/offices").text
    assert page.count('scope="row"') == 1
    assert OWN in page
    assert "Import from CSV" not in page


def test_offices_are_found_by_region_and_code(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    assert browser.get("/staff/offices?region=Минск").text.count('scope="row"') == 2
    assert browser.get("/staff/offices?code=gom").text.count('scope="row"') == 1
    assert browser.get("/staff/offices?code=%25&page=99").text.count('scope="row"') == 0


def test_a_dry_run_says_what_would_happen_and_does_nothing(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    page = upload(browser, GOOD.encode("cp1251"), "check").text
    assert "Nothing has been imported yet" in page
    assert "<dt>New</dt><dd>1</dd>" in page
    assert count_offices() == ALL
    assert acts() == []


def test_a_bad_file_names_every_bad_line_and_imports_nothing(at_console: AtConsole) -> None:
    answer = upload(at_console("campaign"), BAD.encode(), "import")
    assert answer.status_code == 422
    assert "Nothing was imported: the file has" in answer.text
    assert "This code stands in line 2 too." in answer.text
    assert "yes or no is needed." in answer.text
    assert count_offices() == ALL
    assert acts() == []


def test_a_good_file_is_imported_and_written_down(at_console: AtConsole) -> None:
    answer = upload(at_console("campaign"), GOOD.encode(), "import")
    assert "The file is imported." in answer.text
    assert count_offices() == ALL + 1
    assert acts() == [("campaign@example.org", "offices.imported", "offices")]


def is_open(code: str) -> bool:
    db.session.rollback()
    return bool(db.session.scalar(sa.select(Office.active).where(Office.code == code)))


def test_closing_an_office_that_has_packs_is_named_asked_and_written_down(
    at_console: AtConsole, offices: dict[str, int]
) -> None:
    pack = db.session.scalars(sa.select(StickerPack.id).where(StickerPack.code == "kind-words")).one()
    with unit_of_work():
        stock.receive(offices[OWN], pack, 7, reference="delivery", actor="a@example.org", now=utcnow())
    browser = at_console("campaign")
    rows = browser.get("/staff/offices.csv").data.decode("utf-8-sig").splitlines()
    text = "\r\n".join(row.replace(",yes", ",no") if row.startswith((OWN, OTHER)) else row for row in rows).encode()
    asked = upload(browser, text, "check")
    assert "7 packs are still there." in asked.text
    assert 'name="close_anyway"' in asked.text
    refused = upload(browser, text, "import")
    assert (refused.status_code, is_open(OWN), is_open(OTHER), acts()) == (422, True, True, [])
    assert upload(browser, text, "import", close_anyway="yes").status_code == 200
    assert (is_open(OWN), is_open(OTHER)) == (False, False)
    changes = db.session.execute(
        sa.select(AuditEntry.subject, AuditEntry.before, AuditEntry.after).where(AuditEntry.action == "office.changed")
    )
    assert {subject: (before["active"], after) for subject, before, after in changes} == {
        f"office:{OWN}": ("yes", {"active": "no", "packs left": 7}),
        f"office:{OTHER}": ("yes", {"active": "no"}),
    }


def test_a_large_file_is_taken_and_a_huge_one_refused(at_console: AtConsole) -> None:
    browser = at_console("admin")
    lines = "".join(f"T{n};Салон;;;Улица;;;Минск;yes\n" for n in range(20_000))
    assert "<dt>New</dt><dd>20,000</dd>" in upload(browser, f"{HEADER}\n{lines}".encode(), "check").text
    assert upload(browser, b"x" * (33 * 1024 * 1024), "check").status_code == 413


def test_no_file_leads_back_to_the_form(at_console: AtConsole) -> None:
    assert upload(at_console("admin"), b"", "check").status_code == 200
    browser = at_console("campaign")
    browser.get("/staff/offices/import")
    assert browser.post("/staff/offices/import", {"act": "import"}).status_code == 303


def test_what_is_exported_is_imported_as_the_same(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    exported = browser.get("/staff/offices.csv")
    assert exported.mimetype == "text/csv"
    assert exported.headers["Content-Disposition"] == 'attachment; filename="offices.csv"'
    page = upload(browser, exported.data, "import").text
    assert f"<dt>As they were</dt><dd>{ALL}</dd>" in page


def test_links_of_other_offices_are_not_seen_retired_or_replaced(
    at_console: AtConsole, offices: dict[str, int]
) -> None:
    mine, theirs, nobodys = make_link(offices[OWN]), make_link(offices[OTHER]), make_link(medium="metro")
    browser = at_console("office")
    page = browser.get("/staff/links").text
    assert mine in page
    assert theirs not in page
    assert nobodys not in page
    for code in (theirs, nobodys):
        for act in ("retire", "replace"):
            assert browser.post(f"/staff/links/{code}/{act}").status_code == 403
        assert state_of(code) == "active"
    assert browser.post(f"/staff/links/{mine}/retire").status_code == 303
    assert state_of(mine) == "retired"
    assert acts() == [("office@example.org", "placement.retired", f"placement:{mine}")]


def test_a_link_is_retired_once(at_console: AtConsole) -> None:
    code = make_link()
    browser = at_console("campaign")
    browser.get("/staff/links")
    assert browser.post(f"/staff/links/{code}/retire").status_code == 303
    assert browser.post(f"/staff/links/{code}/retire").status_code == 409
    assert browser.post(f"/staff/links/{code}/replace").status_code == 409
    assert browser.post("/staff/links/NOSUCH/retire").status_code == 404
    assert len(acts()) == 1


def test_a_replaced_link_names_its_heir(at_console: AtConsole) -> None:
    code = make_link()
    browser = at_console("campaign")
    browser.get("/staff/links")
    answer = browser.post(f"/staff/links/{code}/replace")
    heir = answer.location.partition("code=")[2]
    assert state_of(code) == "replaced"
    assert state_of(heir) == "active"
    page = browser.get(f"/staff/links?code={code}").text
    assert f"<code>{heir}</code>" in page
    assert audit.verify()[1] == []


def test_a_billboard_gets_a_link(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    browser.get("/staff/links/new")
    form = {"medium": "billboard", "language": "be", "office": "", "label": "пр. Независимости, 58"}
    answer = browser.post("/staff/links/new", form)
    assert answer.status_code == 303
    assert "пр. Независимости, 58" in browser.get(answer.location).text
    for wrong in ({"medium": "pigeon"}, {"language": "de"}, {"office": "NOWHERE"}, {"label": "x" * 500}):
        answer = browser.post("/staff/links/new", {**form, **wrong})
        assert answer.status_code in (404, 422)
        assert 'class="notice bad"' in answer.text
    assert len(acts()) == 1


def test_markup_in_names_is_only_text(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    browser.get("/staff/links/new")
    browser.post("/staff/links/new", {"medium": "sms", "language": "ru", "label": "<script>alert(1)</script>"})
    page = browser.get("/staff/links").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
