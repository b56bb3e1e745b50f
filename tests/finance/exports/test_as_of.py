"""What an export says of a moment stays so, whatever happens afterwards."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from finance import corrections
from finance.exports import making
from finance.exports.datasets import DATASETS
from finance.exports.datasets.statement import _figure
from finance.exports.errors import Incomplete
from finance.exports.orders import Order
from finance.models import SettlementLine
from ledger.models import LedgerException
from ledger.services import open_exception
from tests.finance.books import person
from tests.finance.exports.conftest import made
from tests.house import House

LATER = timedelta(minutes=5)  # a minute ago, seen from there, is after all that a test has done


def rows(path: Path, now: datetime, **options: Any) -> list[dict[str, Any]]:
    file, _ = made(path, now=now, format="jsonl", **options)
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def page_of(donation: dict[str, Any]) -> str:
    return str(donation["checkout_url"]).rsplit("/", 1)[1]


def test_later_refunds_disputes_and_payouts_leave_an_earlier_report_as_it_was(house: House, tmp_path: Path) -> None:
    first, second = house.given(2500, donor={"name": "Алеся", "email": "a@example.org"}), house.given(4000)
    moment = utcnow()
    order = {"as_of": moment.isoformat(), "names": True}
    datasets = [name for name in DATASETS if name != "statement"]
    before = {
        name: made(tmp_path / "1", now=moment + LATER, dataset=name, **{**order, "names": name == "donations"})[0]
        for name in datasets
    }
    assert [row["status"] for row in rows(tmp_path / "2", moment + LATER, as_of=moment.isoformat())] == ["paid", "paid"]
    house.sandbox.drills.refund(page_of(first))
    house.sandbox.drills.dispute(page_of(second))
    house.deliver()
    house.given(20_000)
    house.sandbox.drills.payout()
    house.deliver()
    for name in datasets:
        names = {"names": name == "donations"}
        again, _ = made(tmp_path / "3", now=utcnow() + LATER, dataset=name, **{**order, **names})
        assert again.read_bytes() == before[name].read_bytes(), name
    now = rows(tmp_path / "4", utcnow() + LATER)
    assert [row["status"] for row in now] == ["refunded", "disputed", "paid"]
    assert [row["refunded_minor"] for row in now] == [2500, 0, 0]
    receipts = rows(tmp_path / "4", utcnow() + LATER, dataset="receipts")
    assert [row["status"] for row in receipts] == ["void", "valid", "valid"]


def test_payouts_tell_the_state_that_was_known_then(house: House, tmp_path: Path) -> None:
    house.given(2500)
    house.sandbox.drills.payout()
    house.deliver()
    moment = utcnow()
    [known] = rows(tmp_path / "1", moment + LATER, dataset="payouts", as_of=moment.isoformat())
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE payouts SET state = 'failed'"))
        session.execute(
            sa.text(
                "INSERT INTO payout_states (payout_id, state, arrives_at, recorded_at)"
                " SELECT id, 'failed', arrives_at, :now FROM payouts"
            ).bindparams(sa.bindparam("now", type_=sa.DateTime(timezone=True))),
            {"now": utcnow()},
        )
    [then] = rows(tmp_path / "2", moment + LATER, dataset="payouts", as_of=moment.isoformat())
    [now] = rows(tmp_path / "3", utcnow() + LATER, dataset="payouts")
    assert then == known
    assert (then["state"], now["state"]) == ("paid", "failed")
    assert then["lines_net_minor"] == then["amount_minor"]
    lines = rows(tmp_path / "4", moment + LATER, dataset="settlements")
    assert {line["kind"]: line["payout"] for line in lines} == dict.fromkeys(("charge", "payout"), then["payout"])


def test_a_line_that_was_corrected_says_of_a_moment_before_what_it_said_then(house: House, tmp_path: Path) -> None:
    house.given(2500)
    house.sandbox.drills.payout()
    house.deliver()
    moment, actor = utcnow(), person("anna")
    datasets = ("settlements", "payouts")
    before = [rows(tmp_path / f"1{name}", moment + LATER, dataset=name, as_of=moment.isoformat()) for name in datasets]
    line = db.session.scalars(sa.select(SettlementLine).where(SettlementLine.kind == "charge")).one()
    told = {"amount": 735, "fee": 50, "net": 685, "currency": "EUR", "rate": line.exchange_rate}
    with unit_of_work() as session:
        open_exception("fee_changed", "settlement", line.ref, now=utcnow(), details=told)
        found = session.scalars(sa.select(LedgerException).where(LedgerException.kind == "fee_changed")).one()
        corrections.correct(found, "asked the provider", actor, utcnow())
    then = [rows(tmp_path / f"2{name}", moment + LATER, dataset=name, as_of=moment.isoformat()) for name in datasets]
    assert then == before
    now = {row["kind"]: row for row in rows(tmp_path / "3", utcnow() + LATER, dataset="settlements")}
    assert (now["charge"]["fee_minor"], now["charge"]["net_minor"]) == (50, 685)
    [payout] = rows(tmp_path / "4", utcnow() + LATER, dataset="payouts")
    assert payout["lines_net_minor"] == before[1][0]["lines_net_minor"] - 4


def test_a_correction_stands_in_the_month_statement_where_the_entry_does() -> None:
    for kind, figure in (("payout", "payouts"), ("charge", "settled"), ("dispute", "disputed")):
        for times in ("", "_2"):
            assert _figure("provider", "settlement", f"{kind}_corrected{times}") == figure
    assert _figure("suspense", "settlement", "stray_charge_corrected") == "fees"


def test_erasure_is_the_one_difference(history: Flask, tmp_path: Path) -> None:
    order = {"as_of": utcnow().isoformat(), "names": True}
    moment = utcnow() + LATER
    before = rows(tmp_path / "1", moment, **order)
    donor = before[1]["donor_name"]
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE donors SET name = NULL, email = NULL WHERE name = :name"), {"name": donor})
    after = rows(tmp_path / "2", moment, **order)
    assert donor
    erased = [row for row in before if row["donor_name"] == donor]
    for row in erased:
        row |= {"donor_name": None, "donor_email": None}
    assert after == before
    assert len(erased) > 1


def test_a_moment_younger_than_a_minute_is_brought_back_to_it_and_told(app: Flask) -> None:
    now = utcnow()
    order = Order.read({"dataset": "donations", "as_of": (now - timedelta(seconds=5)).isoformat()}, now)
    assert order.clamped
    assert order.filters.as_of == (now - timedelta(seconds=60)).replace(microsecond=0)
    usual = Order.read({"dataset": "donations"}, now)
    assert (usual.clamped, usual.filters.as_of) == (False, order.filters.as_of)
    kept = Order.read(usual.options(), now + timedelta(days=1))
    assert kept == usual


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"first": "2026-03-01", "last": "2026-02-01"}, "range_invalid", "last"),
        ({"first": "2026-02-30"}, "day_invalid", "first"),
        ({"as_of": "2999-01-01T00:00"}, "as_of_invalid", "as_of"),
        ({"office": "nowhere"}, "value_unknown", "office"),
        ({"dataset": "secrets"}, "dataset_unknown", "dataset"),
        ({"format": "pdf"}, "format_unknown", "format"),
        ({"locale": "de"}, "language_unknown", "locale"),
        ({"encoding": "cp1251"}, "encoding_unknown", "encoding"),
        ({"format": "csv-ru", "encoding": "koi8-r"}, "encoding_unknown", "encoding"),
        ({"dataset": "postings", "names": "1"}, "names_not_here", "names"),
        ({"dataset": "payouts", "medium": "sms"}, "filter_not_for_this", "medium"),
        ({"dataset": "statement", "first": "2026-02-01", "last": "2026-02-27"}, "month_needed", "first"),
        ({"dataset": "statement"}, "month_needed", "first"),
    ],
)
def test_wrong_orders_are_refused_at_their_field(app: Flask, wrong: dict[str, str], code: str, field: str) -> None:
    with pytest.raises(DomainError) as refusal:
        Order.read({"dataset": "donations", "format": "csv", **wrong} if "dataset" not in wrong else wrong, utcnow())
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert refusal.value.message


def test_filters_divide_the_whole_into_parts(history: Flask, tmp_path: Path) -> None:
    now = utcnow()
    whole = rows(tmp_path / "x", now)
    for name, values in {
        "channel": ("print", "outdoor", "link", "online"),
        "language": ("ru", "be", "en"),
        "region": ("direct", "elsewhere", *regions()),
    }.items():
        parts = [row for value in values for row in rows(tmp_path / "x", now, **{name: value})]
        assert sorted(row["donation"] for row in parts) == sorted(row["donation"] for row in whole), name
    days = [("2023-01-01", "2025-06-15"), ("2025-06-16", "2030-01-01")]
    parts = [row for first, last in days for row in rows(tmp_path / "x", now, first=first, last=last)]
    assert parts == whole
    assert rows(tmp_path / "x", now, provider="stripe") == whole
    assert rows(tmp_path / "x", now, provider="-") == []


def regions() -> list[str]:
    return list(db.session.scalars(sa.text("SELECT DISTINCT region FROM offices")))


def test_a_file_that_is_not_what_the_database_says_is_thrown_away(
    history: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = making.Snapshot.all_rows
    monkeypatch.setattr(making.Snapshot, "all_rows", lambda *asked: (part[:-1] for part in whole(*asked)))
    with pytest.raises(Incomplete):
        made(tmp_path / "x")
