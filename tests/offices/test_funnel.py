"""The funnel adds up to the campaign's totals, whatever it is cut by."""

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import Localized
from donations.models import Donation
from donations.queries import campaign_totals, front_campaign
from finance.funnel import DIMENSIONS, FunnelRow, funnel, total, write_csv
from offices.models import Office
from staff.access import Actor
from staff.services import require_member
from stickers.counter.services import redeem_code, undo_redemption
from stickers.models import Redemption, RedemptionCode
from stickers.stock.services import receive
from tests.house import House
from tests.offices.conftest import Add
from tests.staff.console import make_member

TOTALS = """
SELECT (SELECT count(*) FROM donations),
       (SELECT count(*) FROM donations WHERE paid_at IS NOT NULL),
       (SELECT coalesce(sum(credit_minor - debit_minor), 0) FROM postings JOIN accounts ON accounts.id = account_id
         WHERE kind = 'gift'),
       (SELECT coalesce(sum(debit_minor - credit_minor), 0) FROM postings JOIN accounts ON accounts.id = account_id
         WHERE kind = 'refund'),
       (SELECT coalesce(sum(debit_minor - credit_minor), 0) FROM postings JOIN accounts ON accounts.id = account_id
         WHERE kind = 'dispute'),
       (SELECT count(*) FROM redemption_codes WHERE status = 'redeemed'),
       (SELECT coalesce(sum(scans), 0) FROM placements)
"""


def office(code: str, region: str) -> Office:
    with unit_of_work() as session:
        made = Office(code=code, name=Localized(ru=f"Салон {code}"), address=Localized(ru="ул. Мира"), region=region)
        session.add(made)
    db.session.expunge(made)
    return made


def hand_over_first_packs(office: Office) -> None:
    """The first pack of each gift of at least 25 roubles; the largest gift's came back at once."""
    email = make_member("clerk@example.org", "office", offices=[office.id])
    clerk = Actor(require_member(email).id, email, "", frozenset({"office"}), "-")
    chosen = sa.select(RedemptionCode).join(Donation, Donation.id == RedemptionCode.donation_id)
    chosen = chosen.where(RedemptionCode.ordinal == 1, RedemptionCode.status == "issued", Donation.amount_minor >= 2500)
    with unit_of_work() as session:
        codes = session.scalars(chosen.order_by(Donation.amount_minor)).all()
        receive(office.id, codes[0].pack_id, 10, reference="delivery", actor=email, now=utcnow())
        place = session.get_one(Office, office.id)
        for code in codes:
            last = redeem_code(code.code, office=place, actor=clerk, nonce=code.code, now=utcnow())
        undo_redemption(last, actor=clerk, reason="a mistake", now=utcnow())


@pytest.fixture
def raised(house: House, placed: Add) -> dict[str, Any]:
    """Two offices in two regions, a billboard, and gifts of every kind by each."""
    first, second = office("T-1", "Минск"), office("T-2", "Брест")
    places = {
        "poster": placed(office_id=first.id, scans=40),
        "card": placed(office_id=first.id, medium="counter_card", scans=7),
        "other": placed(office_id=second.id, scans=3),
        "billboard": placed(medium="billboard", scans=100, label="МКАД"),
        "silent": placed(medium="taxi"),
    }
    for name, amount in (("poster", 2500), ("poster", 5000), ("card", 1000), ("other", 3000), ("billboard", 10_000)):
        house.given(amount, placement=places[name].code)
    house.given(700)
    house.give(900, placement=places["card"].code)
    back = house.given(4000, placement=places["other"].code)
    house.sandbox.drills.refund(str(house.payments(back)[0].checkout_ref), 1500)
    questioned = house.given(2000, placement=places["card"].code)
    house.sandbox.drills.dispute(str(house.payments(questioned)[0].checkout_ref))
    house.deliver()
    hand_over_first_packs(first)
    return places


def figures(row: FunnelRow) -> tuple[int, ...]:
    return (row.started, row.paid, row.raised, row.refunded, row.disputed, row.collected, row.scans)


@pytest.mark.parametrize("by", DIMENSIONS)
def test_rows_add_up_to_what_the_tables_say(by: str, raised: dict[str, Any]) -> None:
    rows = funnel(front_campaign(), by)
    independent = tuple(int(figure) for figure in db.session.execute(sa.text(TOTALS)).one())
    assert figures(total(rows)) == independent
    totals = campaign_totals(front_campaign(), utcnow())
    assert total(rows).paid == totals.donations
    assert total(rows).raised == totals.fund.raised
    assert total(rows).refunded == totals.fund.refunded == 1500
    assert total(rows).disputed == totals.fund.disputed == 2000


def test_each_place_has_its_own(raised: dict[str, Any]) -> None:
    rows = {row.key: row for row in funnel(front_campaign())}
    card = rows[raised["card"].code]
    assert (card.scans, card.started, card.paid, card.raised, card.disputed, card.kept) == (7, 3, 2, 3000, 2000, 1000)
    other = rows[raised["other"].code]
    assert (other.raised, other.refunded, other.kept, other.office) == (7000, 1500, 5500, "T-2")
    assert (rows[None].started, rows[None].paid, rows[None].raised) == (1, 1, 700)
    assert figures(rows[raised["silent"].code]) == (0,) * 7


def test_packs_are_counted_under_the_link_that_led_to_their_gift(raised: dict[str, Any]) -> None:
    rows = {row.key: row.collected for row in funnel(front_campaign())}
    assert (rows[raised["poster"].code], rows[raised["other"].code], rows[raised["card"].code]) == (2, 2, 0)
    assert rows[raised["billboard"].code] == 0, "its pack came back"
    assert {row.key: row.collected for row in funnel(front_campaign(), "office")}["T-1"] == 2


def test_packs_are_counted_on_the_day_they_were_handed_over(raised: dict[str, Any]) -> None:
    campaign = front_campaign()
    with unit_of_work() as session:
        session.execute(sa.update(Redemption).values(redeemed_at=datetime(2026, 5, 31, 21, 30, tzinfo=UTC)))
    assert total(funnel(campaign, first=date(2026, 6, 1), last=date(2026, 6, 1))).collected == 4
    assert total(funnel(campaign, first=date(2026, 5, 1), last=date(2026, 5, 31))).collected == 0


def test_by_office_region_and_medium(raised: dict[str, Any]) -> None:
    campaign = front_campaign()
    offices = {row.key: row for row in funnel(campaign, "office")}
    assert (offices["T-1"].label, offices["T-1"].raised, offices["T-1"].scans) == ("Салон T-1", 10_500, 47)
    assert offices[""].raised == 10_000
    regions = {row.key: row.raised for row in funnel(campaign, "region")}
    assert (regions["Минск"], regions["Брест"], regions[""], regions[None]) == (10_500, 7000, 10_000, 700)
    media = {row.key: row.raised for row in funnel(campaign, "medium")}
    assert (media["office_poster"], media["counter_card"], media["billboard"]) == (14_500, 3000, 10_000)


def test_unattributed_gifts_come_last_and_most_money_first(raised: dict[str, Any]) -> None:
    rows = funnel(front_campaign())
    assert rows[-1].key is None
    assert [row.raised for row in rows[:-1]] == sorted((row.raised for row in rows[:-1]), reverse=True)


def test_days_are_the_campaign_s_own(house: House, placed: Add) -> None:
    """21:30 UTC of 31 May is 1 June in Minsk."""
    placement = placed()
    donation = house.given(2500, placement=placement.code)
    late = datetime(2026, 5, 31, 21, 30, tzinfo=UTC)
    with unit_of_work() as session:
        session.execute(
            sa.update(Donation).where(Donation.token == donation["token"]).values(created_at=late, paid_at=late)
        )
    campaign = front_campaign()
    may, june = (
        {row.key: row for row in funnel(campaign, first=first, last=last)}
        for first, last in ((date(2026, 5, 1), date(2026, 5, 31)), (date(2026, 6, 1), date(2026, 6, 30)))
    )
    assert (may[placement.code].started, may[placement.code].paid) == (0, 0)
    assert (june[placement.code].started, june[placement.code].paid) == (1, 1)


def test_money_is_cut_by_its_report_day(house: House, placed: Add) -> None:
    placement = placed()
    house.given(2500, placement=placement.code)
    campaign = front_campaign()
    today = utcnow().date()
    near = {row.key: row for row in funnel(campaign, first=date.fromordinal(today.toordinal() - 1))}
    before = {row.key: row for row in funnel(campaign, last=date.fromordinal(today.toordinal() - 2))}
    assert (near[placement.code].raised, before[placement.code].raised) == (2500, 0)


def test_the_csv_has_the_same_figures(raised: dict[str, Any]) -> None:
    rows, file = funnel(front_campaign()), io.StringIO(newline="")
    assert write_csv(file, rows, "BYN") == len(rows)
    read = {row["key"]: row for row in csv.DictReader(io.StringIO(file.getvalue()))}
    billboard = read[raised["billboard"].code]
    assert (billboard["label"], billboard["scans"], billboard["raised"]) == ("МКАД", "100", "100.00")
    assert (read[raised["poster"].code]["collected"], billboard["collected"]) == ("2", "0")
    assert read["unattributed"]["kept"] == "7.00"


def test_the_command_shows_and_writes(app: Flask, raised: dict[str, Any], tmp_path: Path) -> None:
    runner, file = app.test_cli_runner(), tmp_path / "funnel.csv"
    shown = runner.invoke(args=["finance", "funnel", "--by", "office"])
    assert shown.exit_code == 0, shown.output
    assert "(unattributed)" in shown.output
    written = runner.invoke(
        args=["finance", "funnel", "--csv", str(file), "--from", "2020-01-01", "--to", "2020-12-31"]
    )
    assert written.exit_code == 0, written.output
    assert file.read_text("utf-8-sig").startswith("key,label")
    assert runner.invoke(args=["finance", "funnel", "--campaign", "none"]).exit_code == 1
    assert runner.invoke(args=["finance", "funnel", "--from", "2026-02-01", "--to", "2026-01-01"]).exit_code == 2
    assert runner.invoke(args=["finance", "funnel", "--to", "9999-12-31"]).exit_code == 2
