"""Office and number name one poster; a link that is there can be printed by itself, as often as need be."""

from concurrent.futures import ThreadPoolExecutor

import pypdf
import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import Localized
from offices import print_jobs, queries
from offices import print_services as services
from offices import services as placements
from offices.models import Office, Placement, PrintBatch
from tests.offices.test_print_runs import fresh, make, page_codes

CODES = ["T-01", "T-02"]


@pytest.fixture
def offices(app: Flask) -> dict[str, int]:
    """Ids by code."""
    with unit_of_work() as session:
        for code in CODES:
            session.add(
                Office(code=code, name=Localized(ru=f"Салон {code}"), address=Localized(ru="Минск"), region="М")
            )
    return {office.code: office.id for office in queries.offices() if office.code in CODES}


def numbers_of(office: int) -> list[int | None]:
    db.session.rollback()
    query = sa.select(Placement.poster_number).where(Placement.office_id == office).order_by(Placement.id)
    return list(db.session.scalars(query))


def text_of(batch: PrintBatch) -> str:
    return pypdf.PdfReader(services.finished_file(fresh(batch))).pages[0].extract_text()


def printed_link(code: str, format: str = "a4") -> PrintBatch:
    with unit_of_work():
        batch = services.print_link(code, format=format, created_by="test", now=utcnow())
    assert print_jobs.print_batch(batch.id)
    return batch


def a_link(office: int | None = None, language: str = "ru") -> str:
    with unit_of_work():
        place = placements.Place(queries.campaign_id(None) or 0, "billboard", language, office_id=office)
        return placements.add_placements([place], utcnow())[0].code


def test_each_office_counts_its_own_posters_from_run_to_run(offices: dict[str, int]) -> None:
    make(CODES, copies=2)
    make(["T-02"], copies=1, format="a6")
    batch = make(CODES, copies=1)
    assert numbers_of(offices["T-01"]) == [1, 2, 3]
    assert numbers_of(offices["T-02"]) == [1, 2, 3, 4]
    assert print_jobs.print_batch(batch.id)
    assert "Плакат № 3 ·" in text_of(batch)


def test_stickers_take_no_numbers(offices: dict[str, int]) -> None:
    make(["T-01"], format="labels")
    make(["T-01"])
    assert numbers_of(offices["T-01"]) == [None] * 21 + [1]


def test_runs_ordered_at_once_give_no_number_twice(app: Flask, offices: dict[str, int]) -> None:

    def order(codes: list[str]) -> None:
        with app.app_context():
            make(codes, copies=3)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(order, (CODES, CODES[::-1]) * 3))
    for office in offices.values():
        assert sorted(number or 0 for number in numbers_of(office)) == list(range(1, 19))


def test_the_database_keeps_numbers_of_an_office_apart(offices: dict[str, int]) -> None:
    make(["T-01"], copies=2)
    with pytest.raises(sa.exc.IntegrityError), unit_of_work() as session:
        session.execute(sa.update(Placement).where(Placement.office_id == offices["T-01"]).values(poster_number=7))


def test_one_poster_of_a_run_is_printed_once_more_with_its_code_and_number(offices: dict[str, int]) -> None:
    batch = make(["T-01"], copies=3)
    torn = db.session.scalars(sa.select(Placement).where(Placement.batch_id == batch.id, Placement.number == 2)).one()
    code = torn.code
    again = printed_link(code)
    assert page_codes(services.finished_file(fresh(again))) == [code]
    assert "Плакат № 2 ·" in text_of(again)
    assert numbers_of(offices["T-01"]) == [1, 2, 3]


def test_a_replacement_is_printed_with_a_number_of_its_own(offices: dict[str, int]) -> None:
    batch = make(["T-01"], copies=2)
    old = db.session.scalars(sa.select(Placement.code).where(Placement.batch_id == batch.id)).first()
    assert old is not None
    with unit_of_work():
        new = placements.replace(old, utcnow()).code
    first, second = printed_link(new), printed_link(new, "a6")
    assert page_codes(services.finished_file(fresh(first))) == [new]
    assert all("Плакат № 3 ·" in text_of(each) for each in (first, second))
    with pytest.raises(DomainError) as refusal, unit_of_work():
        services.print_link(old, format="a4", created_by="test", now=utcnow())
    assert refusal.value.code == "placement_not_active"


def test_a_link_in_no_office_is_printed_with_its_code_alone(offices: dict[str, int]) -> None:
    code = a_link(language="be")
    batch = printed_link(code)
    assert (batch.language, batch.total) == ("be", 1)
    assert page_codes(services.finished_file(fresh(batch))) == [code]
    assert "№" not in text_of(batch).splitlines()[-1]


def test_cancelling_the_print_of_a_link_leaves_the_link_in_use(offices: dict[str, int]) -> None:
    code = a_link(offices["T-01"])
    with unit_of_work():
        batch = services.print_link(code, format="a4", created_by="test", now=utcnow())
        services.cancel(batch, utcnow())
    assert fresh(batch).state == "cancelled"
    assert queries.placement_by_code(code).state == "active"


@pytest.mark.parametrize("format", ["labels", "b4", ""])
def test_a_link_is_printed_as_a_poster_or_a_card(offices: dict[str, int], format: str) -> None:
    code = a_link(offices["T-01"])
    with pytest.raises(DomainError) as refusal, unit_of_work():
        services.print_link(code, format=format, created_by="test", now=utcnow())
    assert refusal.value.code == "format_unknown"


def test_nothing_is_printed_for_a_closed_office(offices: dict[str, int]) -> None:
    code = a_link(offices["T-02"])
    with unit_of_work() as session:
        session.execute(sa.update(Office).where(Office.id == offices["T-02"]).values(active=False))
    with pytest.raises(DomainError) as refusal:
        make(CODES)
    assert (refusal.value.code, "T-02" in refusal.value.message) == ("office_closed", True)
    with pytest.raises(DomainError) as refusal, unit_of_work():
        services.print_link(code, format="a4", created_by="test", now=utcnow())
    assert refusal.value.code == "office_closed"
