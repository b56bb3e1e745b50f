"""Who is told that a pack runs low, and how often."""

from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from markupsafe import escape

from core import outbox
from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import Localized
from core.models import OutboxMessage
from offices.models import Office
from staff.models import StaffMember
from stickers.stock import alerts, services, transfers
from stickers.stock.models import StockAlert
from tests.staff.console import make_member
from tests.stock.conftest import CLERK

Stocked = Callable[[str, str, int], tuple[int, int]]
OWN, OTHER, PACK = "MINSK-01", "BREST-01", "kind-words"


@pytest.fixture
def staff(offices: dict[str, int]) -> None:
    make_member("clerk@example.org", "office", offices=[offices[OWN]])
    make_member("clerk-elsewhere@example.org", "office", offices=[offices[OTHER]])
    make_member("team@example.org", "campaign")
    make_member("money@example.org", "finance")


def damage(place: tuple[int, int], quantity: int) -> None:
    with unit_of_work():
        services.damage(*place, quantity, reason="wet", actor=CLERK, now=utcnow())
    alerts.tell_all()


def written(settings: dict[str, Any]) -> list[Any]:
    """What was sent."""
    outbox.deliver_due()
    files = sorted(Path(settings["INSTANCE_DIR"]).glob("mail/stock_low-*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


def letters(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """(to, subject)."""
    return [(mail["To"], mail["Subject"]) for mail in written(settings)]


def speaks(email: str, locale: str) -> None:
    with unit_of_work() as session:
        session.execute(sa.update(StaffMember).where(StaffMember.email == email).values(locale=locale))


def raised() -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(StockAlert)) or 0


def test_a_fall_to_the_mark_is_told_once_to_the_office_and_the_team(
    staff: None, stocked: Stocked, settings: dict[str, Any]
) -> None:
    place = stocked(OWN, PACK, 8)
    damage(place, 2)
    assert letters(settings) == []
    damage(place, 1)
    told = letters(settings)
    assert sorted(to for to, _ in told) == ["clerk@example.org", "team@example.org"]
    assert all("5" in subject and "Добрые слова" in subject for _, subject in told)
    damage(place, 1)
    alerts.sweep()
    assert len(letters(settings)) == 2
    assert raised() == 1


def test_an_odd_name_of_an_office_stands_in_the_letter_as_it_is(
    staff: None, offices: dict[str, int], stocked: Stocked, settings: dict[str, Any]
) -> None:
    odd = 'Салон R&D <"Угол">'
    with unit_of_work():
        db.session.get_one(Office, offices[OWN]).name = Localized({"ru": odd})
    damage(stocked(OWN, PACK, 8), 3)
    letter = written(settings)[0]
    assert odd in letter["Subject"]
    assert odd in letter.get_body(["plain"]).get_content()
    assert str(escape(odd)) in letter.get_body(["html"]).get_content()


def test_each_is_told_in_their_own_language(staff: None, stocked: Stocked, settings: dict[str, Any]) -> None:
    speaks("clerk@example.org", "be")
    speaks("team@example.org", "en")
    damage(stocked(OWN, PACK, 8), 3)
    told = dict(letters(settings))
    assert "Добрыя словы" in told["clerk@example.org"]
    assert told["team@example.org"].endswith("only 5 left of “Kind words”")
    [english] = [mail for mail in written(settings) if mail["To"] == "team@example.org"]
    assert english["Content-Language"] == "en"
    text, html = (english.get_body([kind]).get_content() for kind in ("plain", "html"))
    assert "The stock of this office:" in text
    assert '<html lang="en">' in html
    assert "Open the stock" in html


def test_it_is_told_again_only_after_the_stock_rose_above(
    staff: None, stocked: Stocked, settings: dict[str, Any]
) -> None:
    place = stocked(OWN, PACK, 6)
    damage(place, 3)
    stocked(OWN, PACK, 2)  # five: still at the mark
    damage(place, 1)
    assert raised() == 1
    stocked(OWN, PACK, 10)
    damage(place, 9)
    assert raised() == 2
    assert len(letters(settings)) == 2  # what is over before it is sent is not sent any more


def test_nothing_is_raised_by_packs_that_come(stocked: Stocked) -> None:
    stocked(OWN, PACK, 2)
    assert raised() == 0


def test_a_transfer_that_never_arrived_does_not_end_an_alert(
    staff: None, stocked: Stocked, offices: dict[str, int], settings: dict[str, Any]
) -> None:
    place, far = stocked(OWN, PACK, 6), stocked(OTHER, PACK, 30)
    damage(place, 3)
    with unit_of_work() as session:
        office = session.get_one(Office, place[0])
        sent = transfers.send(*far, 20, to_office=office, note="", actor=CLERK, now=utcnow())
        transfers.confirm(sent, 0, reason="an empty box", actor=CLERK, now=utcnow())
    alerts.tell_all()
    assert raised() == 1
    assert len(letters(settings)) == 2


def test_two_workers_tell_an_alert_once(staff: None, stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 6)
    damage(place, 3)
    with unit_of_work():
        assert not alerts.tell(1, utcnow())
    assert db.session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) == 2


def test_a_lower_mark_ends_the_alert(stocked: Stocked) -> None:
    place = stocked(OWN, PACK, 6)
    damage(place, 3)
    with unit_of_work():
        assert services.set_low_mark(*place, 1, now=utcnow()) == 5
    assert db.session.scalars(sa.select(StockAlert)).one().cleared_at is not None
    damage(place, 2)
    assert raised() == 2
