"""Console pages of printing."""

from collections.abc import Callable
from io import BytesIO

import pytest
import sqlalchemy as sa
import zxingcpp
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from core.db import db, unit_of_work
from offices import print_services
from offices.models import Office, Placement, PrintBatch
from staff import audit
from tests.console.conftest import OTHER, OWN, acts, make_link
from tests.house import House
from tests.staff.console import Browser

AtConsole = Callable[..., Browser]

ONE = {"format": "a4", "language": "ru", "copies": "1"}
RUN = {"format": "a4", "language": "be", "copies": "3", "packaging": "zip", "region": "", "offices": ""}


def order(browser: Browser, office: str = OWN, **changes: str) -> TestResponse:
    browser.get("/staff")
    return browser.post(f"/staff/offices/{office}/print", {**ONE, **changes})


def batches() -> list[PrintBatch]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(PrintBatch).order_by(PrintBatch.id)))


def count_links() -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count(Placement.id)).where(Placement.batch_id.is_not(None))) or 0


def decoded(picture: bytes) -> str:
    return zxingcpp.read_barcode(Image.open(BytesIO(picture)).convert("L")).text


def test_one_poster_is_made_at_once_and_downloaded(at_console: AtConsole) -> None:
    browser = at_console("office")
    answer = order(browser)
    assert answer.status_code == 303
    file = browser.get(answer.location)
    assert file.data.startswith(b"%PDF-")
    assert file.headers["Content-Disposition"] == f"attachment; filename={OWN}-a4-ru-1.pdf"
    [batch] = batches()
    assert (batch.state, batch.created_by, batch.total) == ("done", "office@example.org", 1)
    assert acts() == [("office@example.org", "posters.ordered", f"print_run:{batch.public_id}")]
    file.close()


def test_many_copies_are_made_in_the_background(at_console: AtConsole, house: House) -> None:
    browser = at_console("office")
    answer = order(browser, copies="30")
    page = browser.get(answer.location).text
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "0 of 30 pages are ready." in page
    house.work()
    page = browser.get(answer.location).text
    assert "http-equiv" not in page
    assert "Download PDF" in page
    file = browser.get(f"{answer.location}/file")
    assert file.data.startswith(b"%PDF-")
    file.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"copies": "0"},
        {"copies": "-1"},
        {"copies": "10001"},
        {"copies": "1e3"},
        {"copies": ""},
        {"copies": "９"},
        {"copies": "9" * 30},
        {"format": "a0"},
        {"format": ""},
        {"language": "de"},
    ],
)
def test_wrong_wishes_are_told_and_make_nothing(at_console: AtConsole, changes: dict[str, str]) -> None:
    answer = order(at_console("office"), **changes)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert batches() == []
    assert count_links() == 0
    assert acts() == []


def test_office_staff_print_for_their_office_only(at_console: AtConsole) -> None:
    office, campaign = at_console("office"), at_console("campaign")
    theirs = order(campaign, OTHER).location.removesuffix("/file")
    assert order(office, OTHER).status_code == 403
    assert office.get(f"/staff/offices/{OTHER}").status_code == 403
    assert office.get(f"/staff/offices/{OTHER}/preview.png").status_code == 403
    for path in (theirs, f"{theirs}/file"):
        assert office.get(path).status_code == 403
    for act in ("cancel", "again"):
        assert office.post(f"{theirs}/{act}").status_code == 403
    assert len(batches()) == 1


def test_runs_for_all_offices_are_the_campaign_teams(at_console: AtConsole) -> None:
    campaign, office = at_console("campaign"), at_console("office")
    campaign.get("/staff/prints/new")
    run = campaign.post("/staff/prints/new", RUN).location
    assert office.get(run).status_code == 403
    assert office.post(f"{run}/cancel").status_code == 403
    assert run not in office.get("/staff/prints").text
    assert run not in office.get(f"/staff/offices/{OWN}").text


def test_a_clerk_finds_the_runs_of_their_office_and_prints_one_again(at_console: AtConsole) -> None:
    office, campaign = at_console("office"), at_console("campaign")
    mine, theirs = (order(*pair).location.removesuffix("/file") for pair in ((office, OWN), (campaign, OTHER)))
    campaign.get("/staff/prints/new")
    shared = campaign.post("/staff/prints/new", {**RUN, "offices": f"{OWN} {OTHER}"}).location
    page = office.get("/staff/prints").text
    assert (mine in page, theirs in page, shared in page, "/staff/prints/new" in page) == (True, False, False, False)
    page = office.get(f"/staff/offices/{OWN}").text
    assert f'action="{mine}/again"' in page
    assert shared not in page
    print_services.output_path(batches()[0]).unlink()
    before = count_links()
    again = office.post(f"{mine}/again")
    assert again.location == f"{mine}/file"
    file = office.get(again.location)
    assert file.data.startswith(b"%PDF-")
    file.close()
    assert count_links() == before
    assert office.post(f"{mine}/again").location == mine, "its file is there"
    assert office.get(shared).status_code == 403
    assert all(run in campaign.get("/staff/prints").text for run in (mine, theirs, shared))


def test_a_first_run_is_cancelled_after_a_question(at_console: AtConsole) -> None:
    browser = at_console("office")
    run = order(browser, copies="30").location
    page = browser.get(run).text
    assert f'action="{run}/cancel"' not in page
    assert f'href="{run}?cancel=1"' in page
    page = browser.get(f"{run}?cancel=1").text
    assert "Its 30 codes are retired" in page
    assert f'action="{run}/cancel"' in page
    assert "http-equiv" not in page, "a question does not go away by itself"


def test_a_reprint_is_stopped_and_its_posters_stay_in_use(at_console: AtConsole, house: House) -> None:
    browser = at_console("office")
    run = order(browser, copies="30").location
    house.work()
    [batch] = batches()
    print_services.output_path(batch).unlink()
    browser.post(f"{run}/again")
    page = browser.get(run).text
    assert "Stop printing" in page
    assert "stay in use" in page
    assert browser.post(f"{run}/cancel").status_code == 303
    house.work()
    page = browser.get(run).text
    assert "Print again as it was" in page
    states = db.session.scalars(sa.select(Placement.state).where(Placement.batch_id == batch.id).distinct())
    assert list(states) == ["active"]


def test_a_run_for_all_offices_has_a_file_for_each(
    at_console: AtConsole, house: House, offices: dict[str, int]
) -> None:
    browser = at_console("campaign")
    browser.get("/staff/prints/new")
    answer = browser.post("/staff/prints/new", RUN)
    assert answer.status_code == 303
    house.work()
    [batch] = batches()
    assert (batch.state, batch.total, batch.language) == ("done", 3 * len(offices), "be")
    file = browser.get(f"{answer.location}/file")
    assert file.data.startswith(b"PK")
    file.close()


@pytest.mark.parametrize(
    ("changes", "pages"),
    [({"region": "Минск"}, 6), ({"offices": f"{OWN.lower()}, {OTHER}"}, 6), ({"offices": OWN, "region": "Минск"}, 3)],
)
def test_a_run_for_chosen_offices(at_console: AtConsole, changes: dict[str, str], pages: int) -> None:
    browser = at_console("campaign")
    browser.get("/staff/prints/new")
    browser.post("/staff/prints/new", {**RUN, **changes})
    assert [batch.total for batch in batches()] == [pages]


def test_several_formats_are_several_runs_or_none(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    browser.get("/staff/prints/new")
    answer = browser.post("/staff/prints/new", {**RUN, "format": ["a4", "a6"]})
    assert answer.location == "/staff/prints"
    assert [batch.format for batch in batches()] == ["a4", "a6"]
    assert browser.post("/staff/prints/new", {**RUN, "format": ["a4", "a0"]}).status_code == 422
    assert len(batches()) == 2


@pytest.mark.parametrize(
    "changes",
    [{"offices": "NOWHERE-1"}, {"packaging": "rar"}, {"copies": "99999"}, {"region": "Atlantis"}, {"format": []}],
)
def test_wrong_runs_are_told_and_make_nothing(at_console: AtConsole, changes: dict[str, str]) -> None:
    browser = at_console("campaign")
    browser.get("/staff/prints/new")
    answer = browser.post("/staff/prints/new", {**RUN, **changes})
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text
    assert batches() == []


def test_a_cancelled_run_ends_and_its_codes_are_retired(at_console: AtConsole, house: House) -> None:
    browser = at_console("campaign")
    browser.get("/staff/prints/new")
    run = browser.post("/staff/prints/new", RUN).location
    assert browser.post(f"{run}/cancel").status_code == 303
    house.work()
    assert "Cancelled" in browser.get(run).text
    assert browser.get(f"{run}/file").status_code == 409
    assert browser.post(f"{run}/cancel").status_code == 409
    assert browser.post(f"{run}/again").status_code == 409
    assert {act for _, act, _ in acts()} == {"posters.ordered", "posters.cancelled"}
    assert audit.verify()[1] == []


def test_a_run_whose_file_is_gone_is_printed_again_as_it_was(at_console: AtConsole, house: House) -> None:
    browser = at_console("office")
    run = order(browser).location.removesuffix("/file")
    before = count_links()
    [batch] = batches()
    print_services.output_path(batch).unlink()
    page = browser.get(run).text
    assert "Print again as it was" in page
    assert browser.post(f"{run}/again").status_code == 303
    house.work()
    assert "Download PDF" in browser.get(run).text
    assert count_links() == before


def test_the_preview_is_a_picture_of_the_chosen_format(at_console: AtConsole) -> None:
    browser = at_console("office")
    page = browser.get(f"/staff/offices/{OWN}?format=a6&language=be&copies=2").text
    assert f"/staff/offices/{OWN}/preview.png?format=a6&amp;language=be" in page
    answer = browser.get(f"/staff/offices/{OWN}/preview.png?format=a6&language=be")
    assert answer.mimetype == "image/png"
    assert answer.headers["Cache-Control"] == "private, max-age=600"
    assert browser.get(f"/staff/offices/{OWN}/preview.png?format=nonsense").status_code == 200


def test_a_single_code_comes_as_svg_and_png(app: Flask, at_console: AtConsole, offices: dict[str, int]) -> None:
    mine, theirs = make_link(offices[OWN]), make_link(offices[OTHER])
    browser = at_console("office")
    picture = browser.get(f"/staff/links/{mine}.png")
    assert decoded(picture.data) == f"{app.config['PUBLIC_URL']}/q/{mine}".upper()
    drawing = browser.get(f"/staff/links/{mine}.svg")
    assert drawing.mimetype == "image/svg+xml"
    assert drawing.text.startswith("<svg")
    assert browser.get(f"/staff/links/{theirs}.png").status_code == 403
    assert browser.get("/staff/links/NOSUCH.png").status_code == 404


def close(office: str) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(Office).where(Office.code == office).values(active=False))


def test_a_closed_office_says_so_and_prints_nothing(at_console: AtConsole) -> None:
    browser = at_console("office")
    order(browser)
    close(OWN)
    page = browser.get(f"/staff/offices/{OWN}").text
    assert "This office is closed." in page
    assert f"/staff/offices/{OWN}/print" not in page
    assert "Print again as it was" not in page
    answer = order(browser)
    assert answer.status_code == 409
    assert f"The office {OWN} is closed" in answer.text
    assert len(batches()) == 1


def test_a_poster_for_exactly_one_link_is_printed(at_console: AtConsole, offices: dict[str, int]) -> None:
    mine, theirs = make_link(offices[OWN]), make_link(offices[OTHER])
    browser = at_console("office")
    assert f'href="/staff/links/{mine}"' in browser.get("/staff/links").text
    page = browser.get(f"/staff/links/{mine}").text
    assert f'action="/staff/links/{mine}/print"' in page
    assert f"/staff/links/{mine}.svg" in page
    answer = browser.post(f"/staff/links/{mine}/print", {"format": "a6"})
    file = browser.get(answer.location)
    assert file.data.startswith(b"%PDF-")
    file.close()
    [batch] = batches()
    assert (batch.format, batch.total, batch.state) == ("a6", 1, "done")
    assert acts() == [("office@example.org", "posters.ordered", f"print_run:{batch.public_id}")]
    assert "№ 1" in browser.get(f"/staff/links/{mine}").text
    assert batch.public_id in browser.get(f"/staff/offices/{OWN}").text
    assert mine in browser.get(f"/staff/prints/{batch.public_id}").text
    assert browser.post(f"/staff/links/{mine}/print", {"format": "labels"}).status_code == 422
    assert browser.get(f"/staff/links/{theirs}").status_code == 403
    assert browser.post(f"/staff/links/{theirs}/print", {"format": "a4"}).status_code == 403
    browser.post(f"/staff/links/{mine}/retire")
    assert f"/staff/links/{mine}/print" not in browser.get(f"/staff/links/{mine}").text
    assert browser.post(f"/staff/links/{mine}/print", {"format": "a4"}).status_code == 409
    assert len(batches()) == 1


def test_lists_show_the_number_that_is_on_the_poster(at_console: AtConsole) -> None:
    browser = at_console("campaign")
    for _ in range(2):
        order(browser)
    assert browser.get(f"/staff/offices/{OWN}").text.count("№ 2") == 1
    assert browser.get("/staff/links").text.count("№ 2") == 1
    assert f"{OWN} · № 2" in browser.get("/staff/funnel?by=placement").text
    codes = list(db.session.scalars(sa.select(Placement.code).where(Placement.poster_number == 2)))
    assert f"{OWN},Минск,2," in browser.get("/staff/links.csv").text.partition(codes[0])[2].partition("\n")[0]
