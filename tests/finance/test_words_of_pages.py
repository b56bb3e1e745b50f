"""Small words of finance's pages that were misread."""

import re

from core.clock import local_day, utcnow
from finance.charts import MOST_NAMED, Bar, bars, lying_bars
from finance.exports.datasets.statement import MOVEMENTS, PARTS
from ledger import periods
from tests.house import House
from tests.staff.console import Browser


def test_totals_count_one_gift_and_write_days_as_people_do(house: House, anna: Browser) -> None:
    house.given(2500)
    today = local_day(utcnow(), periods.ZONE)
    month = {"first": today.replace(day=1).isoformat(), "last": today.isoformat(), "by": "office"}
    shown = anna.get("/staff/totals", query_string=month).text
    assert re.search(r"raised by 1 gift\.", shown)
    sentence = re.search(r"In the period before \(([^)]*)\)", shown)
    assert sentence is not None
    assert not re.search(r"\d{4}-\d\d", sentence[1])
    assert re.search(r"<text[^>]*>No link led here</text>", shown), "the chart names what its bars are"
    russian = anna.get("/staff/totals", query_string={**month, "lang": "ru"}).text
    assert re.search(r"\d\s+г\.", russian)
    assert "г.." not in russian


def test_the_two_starts_of_what_changed_have_labels_of_their_own(anna: Browser) -> None:
    page = anna.get("/staff/totals/changes").text
    labels = re.findall(r'<label for="(?:since|first|last)">([^<]+)</label>', page)
    assert len(labels) == len(set(labels)) == 3
    assert labels[0] == "Recorded since"


def test_on_the_statement_settling_stands_below_what_is_settled() -> None:
    names = list(PARTS["receivable"].lines)
    assert names.index("settled") > max(names.index(name) for name in ("received", "refunded", "disputed"))
    for part in PARTS.values():
        assert sorted(set(part.lines) - {"opening", "change", "closing"}) == sorted(MOVEMENTS)
        assert next(iter(part.lines)) == "opening"


def test_bars_with_names_lie_below_them() -> None:
    values = [Bar(f"Office <{number}>", 100 - 30 * number, "") for number in range(20)]
    drawn = str(lying_bars(values, title="t", description="d", name="n"))
    assert drawn.count("<rect") == MOST_NAMED
    assert "Office &lt;0&gt;" in drawn
    widths = [float(each) for each in re.findall(r'<rect[^>]* x="([\d.-]+)"', drawn)]
    assert min(widths) >= 0
    for draw in (bars, lying_bars):
        assert draw([Bar("a", 0, "")], title="t", description="d", name="n") == ""


def test_a_long_name_is_cut_where_a_phone_ends() -> None:
    drawn = str(lying_bars([Bar("Я" * 80, -5, "all of it")], title="t", description="d", name="n"))
    assert f"{'Я' * 35}…<" in drawn
    assert "bar-down" in drawn
