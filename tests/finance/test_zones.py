"""Campaigns of three zones: totals, exports and drill-down put every gift on the same day, that of its campaign."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pypdf
import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from flask_migrate import downgrade, upgrade

from app import create_app
from core.db import db, unit_of_work
from core.i18n import Localized
from core.money import Money
from donations.models import Campaign, Donation, Payment, Receipt
from finance import drill, summaries
from finance.exports import schedules
from finance.exports.datasets.statement import other_zones
from finance.exports.models import Export
from finance.exports.orders import Order
from finance.filters import Filters
from finance.models import SettlementLine
from finance.summary_models import ReportSum
from finance.totals import totals
from ledger import accounts, sums
from ledger.models import AccountSum, Fund, SumsMark
from ledger.services import Source, post_entry, transfer
from tests import databases
from tests.finance.exports.conftest import made, sign_in

ZONES = {"minsk": "Europe/Minsk", "warsaw": "Europe/Warsaw", "york": "America/New_York"}
# Clocks are put forward in Warsaw on the first, and back in New York on the second, where a month ends, too.
CHANGES = (date(2026, 3, 29), date(2026, 11, 1))
BEFORE = "0017"  # the migration before that of report days
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EUR = "EUR"
Gifts = list[tuple[str, datetime, int]]  # campaign, moment, cents


def moments() -> Iterator[datetime]:
    """A second before and at each midnight of each zone around a change of clocks, and one in the hours it doubles."""
    for change in CHANGES:
        for zone in ZONES.values():
            for day in (change, change + timedelta(days=1)):
                midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
                yield from (midnight - timedelta(seconds=1), midnight)
        yield datetime(change.year, change.month, change.day, 1, 30, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def gifts(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gifts]:
    """A gift to each campaign at each of the moments; those of Warsaw and New York share a fund. Some is spent."""
    directory = tmp_path_factory.mktemp("zones")
    if request.param == "sqlite":
        yield from _lived(create_app(databases.settings(_sqlite(sqlite_template, directory), directory)))
        return
    with databases.postgresql_database(os.environ["TEST_DATABASE_URL"]) as url:
        databases.migrate(url, directory)
        yield from _lived(create_app(databases.settings(url, directory)))


def _sqlite(template: Path, directory: Path) -> str:
    return databases.copy_sqlite(template, directory / "zones.sqlite3")


def _lived(app: Flask) -> Iterator[Gifts]:
    with app.app_context():
        yield _booked()
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def _booked() -> Gifts:
    found: Gifts = []
    with unit_of_work() as session:
        funds = {name: Fund(code=name, name=Localized(ru=name), currency=EUR) for name in ("east", "west")}
        campaigns = {slug: _campaign(slug, funds["east" if slug == "minsk" else "west"]) for slug in ZONES}
        session.add_all(campaigns.values())
        session.flush()
        for number, when in enumerate(sorted(set(moments()))):
            for slug, campaign in campaigns.items():
                amount = 100 + len(found)
                _give(campaign, f"{slug}-{number}", when, amount)
                found.append((slug, when, amount))
            spent = transfer(accounts.of_fund(funds["west"], "spent"), accounts.conversion(EUR), Money(1, EUR))
            post_entry(Source("disbursement", str(number), "spent"), spent, occurred_at=when, recorded_at=when)
    db.session.remove()
    return found


def _campaign(slug: str, fund: Fund) -> Campaign:
    text = Localized(ru=slug)
    rest = {"goal_minor": 10, "suggested_minor": [5], "min_minor": 1, "max_minor": 99}
    texts = {"title": text, "lead": text, "designation": text}
    return Campaign(slug=slug, fund=fund, currency=EUR, zone=ZONES[slug], **texts, **rest)


def _give(campaign: Campaign, ref: str, when: datetime, amount: int) -> None:
    donation = Donation(
        campaign_id=campaign.id,
        amount_minor=amount,
        currency=EUR,
        locale="ru",
        channel="page",
        created_at=when,
        idempotency_scope="test",
        idempotency_key=ref,
        request_hash="-",
    )
    db.session.add(donation)
    db.session.flush()
    db.session.add(Receipt(donation_id=donation.id, year=2026, number=donation.id, issued_at=when))
    lines = transfer(
        accounts.receivable("stripe", campaign.fund), accounts.of_fund(campaign.fund, "gift"), Money(amount, EUR)
    )
    times: dict[str, Any] = {"occurred_at": when, "recorded_at": when}
    post_entry(Source("payment", ref, "gift"), lines, donation_id=donation.id, **times)


def by_hand(gifts: Gifts, *campaigns: str) -> dict[date, tuple[int, int]]:
    """How many, and how much, on each day of each campaign's own zone."""
    found: defaultdict[date, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for slug, when, amount in gifts:
        if slug in (campaigns or ZONES):
            day = when.astimezone(ZoneInfo(ZONES[slug])).date()
            found[day] = (found[day][0] + 1, found[day][1] + amount)
    return dict(found)


def rows(path: Path, dataset: str, **filters: Any) -> list[dict[str, Any]]:
    file, _manifest = made(path, NOON, dataset=dataset, format="jsonl", **filters)
    db.session.remove()
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def days_of(found: list[dict[str, Any]], amount: str) -> dict[date, tuple[int, int]]:
    days: defaultdict[date, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in found:
        day = date.fromisoformat(row["report_day"])
        days[day] = (days[day][0] + 1, days[day][1] + row[amount])
    return dict(days)


def given(path: Path, **filters: Any) -> dict[date, tuple[int, int]]:
    """What donors gave, by report day, as the export of postings has it."""
    found = rows(path, "postings", **filters)
    return days_of([row for row in found if row["account_kind"] == "gift"], "credit_minor")


@pytest.mark.parametrize("choice", [{}, {"campaign": "york"}, {"fund": "west"}], ids=["all", "campaign", "fund"])
def test_totals_exports_and_drill_down_agree_for_every_day(
    gifts: Gifts, tmp_path: Path, choice: dict[str, Any]
) -> None:
    campaigns = {"campaign": ("york",), "fund": ("warsaw", "york")}.get(next(iter(choice), ""), ())
    expected = by_hand(gifts, *campaigns)
    assert days_of(rows(tmp_path, "donations", **choice), "gross_minor") == expected
    assert given(tmp_path, **choice) == expected
    for summed in (False, True):
        if summed:
            summaries.catch_up(NOON)
        report = totals(Filters(as_of=NOON, **choice), "day").rows
        assert {date.fromisoformat(r.key): (r.figures.gifts, r.figures.gross) for r in report if r.figures.gifts} == (
            expected
        )
    for day, (count, gross) in expected.items():
        one = {"first": day.isoformat(), "last": day.isoformat(), **choice}
        filters = Filters(as_of=NOON, first=day, last=day, **choice)
        [total] = totals(filters, "currency").totals
        assert (total.figures.gifts, total.figures.gross) == (count, gross), day
        assert days_of(rows(tmp_path, "donations", **one), "gross_minor") == {day: (count, gross)}
        assert given(tmp_path, **one) == {day: (count, gross)}
        lines = drill.lines(filters, "gross", limit=1000)
        assert ({line.day for line in lines}, len(lines), sum(line.amount for line in lines)) == ({day}, count, gross)
        assert len(rows(tmp_path, "receipts", **one)) == count


def test_what_no_gift_is_behind_has_the_days_of_the_books(gifts: Gifts, tmp_path: Path) -> None:
    expected: defaultdict[date, int] = defaultdict(int)
    for when in {when for _slug, when, _amount in gifts}:
        expected[when.astimezone(ZoneInfo("Europe/Minsk")).date()] += 1
    report = totals(Filters(as_of=NOON, fund="west"), "day").rows
    assert {date.fromisoformat(row.key): row.figures.spent for row in report if row.figures.spent} == expected
    spent = [row for row in rows(tmp_path, "postings") if row["account_kind"] == "spent"]
    assert {day: count for day, (count, _cents) in days_of(spent, "debit_minor").items()} == expected


def test_a_line_of_the_provider_has_the_day_of_the_gift_it_settles(gifts: Gifts, tmp_path: Path) -> None:
    """Of a gift to New York; one that nothing is known of has the day of the books."""
    when = datetime(2026, 3, 9, 2, tzinfo=UTC)
    with unit_of_work() as session:
        york = sa.select(Donation).join(Campaign).where(Campaign.slug == "york").limit(1)
        _settle(session.scalars(york).one(), "known", when)
        _settle(None, "unknown", when)
    found = {
        day: [row["line"] for row in rows(tmp_path, "settlements", first=day, last=day)]
        for day in ("2026-03-08", "2026-03-09")
    }
    assert found == {"2026-03-08": ["known"], "2026-03-09": ["unknown"]}


def _settle(donation: Donation | None, ref: str, when: datetime) -> None:
    if donation is not None:
        payment = Payment(
            donation_id=donation.id,
            provider="stripe",
            payment_ref=f"pi_{ref}",
            state="succeeded",
            succeeded_at=when,
            amount_minor=donation.amount_minor,
            currency=EUR,
            created_at=when,
            expires_at=when,
        )
        db.session.add(payment)
    line = SettlementLine(
        provider="stripe",
        ref=ref,
        kind="charge",
        created_at=when,
        available_at=when,
        currency=EUR,
        amount_minor=100,
        fee_minor=1,
        net_minor=99,
        payment_ref=f"pi_{ref}",
        posted_at=when,
        recorded_at=when,
        payload={},
    )
    db.session.add(line)


def test_the_manifest_names_all_zones_in_use(gifts: Gifts, tmp_path: Path) -> None:
    def zone(dataset: str, **filters: str) -> str:
        _file, manifest = made(tmp_path / dataset, NOON, dataset=dataset, **filters)
        db.session.remove()
        assert manifest["filters"]["zone"] == manifest["zone"]
        return str(manifest["zone"])

    every = "America/New_York, Europe/Minsk, Europe/Warsaw"
    march = {"first": "2026-03-01", "last": "2026-03-31"}
    assert [zone(name) for name in ("donations", "postings", "totals-day")] == [every] * 3
    assert zone("donations", campaign="warsaw") == "Europe/Warsaw"
    assert zone("postings", campaign="warsaw") == "Europe/Minsk, Europe/Warsaw"
    assert zone("donations", fund="west") == "America/New_York, Europe/Warsaw"
    assert [zone("payouts"), zone("stock"), zone("statement", **march)] == ["Europe/Minsk"] * 3


def test_a_statement_has_months_of_the_books_and_says_so(gifts: Gifts, tmp_path: Path) -> None:
    october = {"first": "2026-10-01", "last": "2026-10-31", "locale": "en"}
    begin, end = (datetime(2026, month, 1, tzinfo=ZoneInfo("Europe/Minsk")) for month in (10, 11))
    received = sum(amount for slug, when, amount in gifts if slug == "york" and begin <= when < end)
    received += sum(amount for slug, when, amount in gifts if slug == "warsaw" and begin <= when < end)
    found = rows(tmp_path, "statement", campaign="york", **october)
    [fund] = [row for row in found if row["part"] == "fund"]
    assert fund["received_minor"] == received

    def text(**filters: str) -> str:
        file, _manifest = made(tmp_path, NOON, dataset="statement", format="pdf", **october, **filters)
        db.session.remove()
        return " ".join("".join(page.extract_text() for page in pypdf.PdfReader(file).pages).split())

    assert "days of the zone Europe/Minsk" in text(campaign="york")
    assert "also America/New_York, Europe/Warsaw" in text()
    assert "page of totals" not in text(fund="east")
    quiet = Filters(as_of=NOON, first=date(2026, 5, 1), last=date(2026, 5, 31))
    assert other_zones(quiet) == ()


def test_a_regular_export_waits_until_the_day_has_ended_everywhere(gifts: Gifts) -> None:
    evening = datetime(2026, 11, 2, 4, tzinfo=UTC)  # the 1st is over in Minsk and in Warsaw, not in New York
    order = Order.read({"dataset": "donations", "first": "2026-11-01", "last": "2026-11-01"}, evening)
    assert order.last_zone(evening) == "America/New_York"
    assert Order.read({"dataset": "payouts"}, evening).last_zone(evening) == "Europe/Minsk"
    since = datetime(2026, 10, 31, 21, tzinfo=UTC)  # midnight in Minsk, when it had the only campaign
    zone = order.last_zone(evening)
    assert list(schedules.periods("daily", since, evening + schedules.WAIT, zone)) == []
    morning = datetime(2026, 11, 2, 5, tzinfo=UTC)
    first = date(2026, 11, 1)
    assert list(schedules.periods("daily", since, morning + schedules.WAIT, zone)) == [(first, first)]


def test_the_page_of_a_statement_says_which_days_it_has(gifts: Gifts) -> None:
    browser = sign_in(current_app._get_current_object(), "finance")  # type: ignore[attr-defined]
    october = {"dataset": "statement", "format": "csv", "first": "2026-10-01", "last": "2026-10-31", "locale": "en"}
    pages = {}
    for fund in ("east", "west"):
        browser.get("/staff/exports")
        assert browser.post("/staff/exports", {**october, "fund": fund}).status_code == 303
        newest = sa.select(Export.public_id).order_by(Export.id.desc()).limit(1)
        pages[fund] = browser.get(f"/staff/exports/{db.session.scalar(newest)}").text
    assert "here also America/New_York, Europe/Warsaw" in pages["west"]
    assert "here also" not in pages["east"]
    told = "zone of its campaign: America/New_York, Europe/Minsk, Europe/Warsaw."
    assert told in browser.get("/staff/totals?by=day").text
    assert "zone of its campaign" not in browser.get("/staff/totals?by=day&campaign=minsk").text


def test_sums_of_days_cut_by_an_older_rule_are_forgotten(gifts: Gifts) -> None:
    summaries.catch_up(NOON)
    db.session.remove()
    downgrade(revision=BEFORE)
    assert (sums.summed_until(), _kept()) == (sums.BEGINNING, 0)
    wrong = "INSERT INTO account_sums (account_id, recorded_on, campaign_id, debit_minor, credit_minor, gifts)"
    with unit_of_work() as session:
        session.execute(sa.text(f"{wrong} SELECT MIN(id), '2026-03-29', 0, 1, 0, 0 FROM accounts"))
        session.execute(sa.update(SumsMark).values(until=NOON))
    upgrade()
    assert (sums.summed_until(), _kept()) == (sums.BEGINNING, 0)
    db.session.remove()


def _kept() -> int:
    db.session.rollback()
    tables = (AccountSum, ReportSum)
    return sum(db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables)
