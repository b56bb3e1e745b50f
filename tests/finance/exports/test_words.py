"""Files for people say in words what files for programs say in codes."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_babel import force_locale

from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import Localized
from finance.exports import words
from finance.exports.datasets import DATASETS
from finance.models import PayoutRecord, PayoutState
from ledger import models
from ledger.models import JournalEntry
from offices.models import Office
from tests.finance.exports.conftest import GIFTS, made

CODED = {
    "postings": ("source_type", "kind", "account_kind"),
    "donations": ("channel", "medium", "language", "status"),
    "payouts": ("state",),
    "totals-office": (),
    "totals-language": ("language",),
    "totals-channel": ("channel",),
    "totals-medium": ("medium",),
}


def a_payout(at: datetime) -> None:
    with unit_of_work() as session:
        told = {"state": "in_transit", "arrives_at": at}
        payout = PayoutRecord(provider="stripe", ref="po_1", currency="EUR", amount_minor=1, created_at=at, **told)
        session.add(payout)
        session.flush()
        session.add(PayoutState(payout_id=payout.id, recorded_at=at, **told))


def test_every_kind_of_account_has_a_word() -> None:
    assert set(words.ACCOUNT_KINDS) == set(models.ACCOUNT_KINDS)


def test_words_stand_for_codes_in_files_for_people_only(history: Flask, tmp_path: Path) -> None:
    for kind in (JournalEntry.source_type, JournalEntry.kind):
        known = words.SOURCES if kind is JournalEntry.source_type else words.ENTRY_KINDS
        assert set(db.session.scalars(sa.select(kind).distinct())) <= set(known)
    db.session.rollback()
    a_payout(utcnow() - timedelta(hours=1))
    for name, coded in CODED.items():
        plain = pandas.read_csv(made(tmp_path / "csv", dataset=name)[0], dtype=str, keep_default_na=False)
        file = made(tmp_path / "ru", dataset=name, format="csv-ru", locale="en")[0]
        shown = pandas.read_csv(file, sep=";", dtype=str, keep_default_na=False)
        assert len(plain) == len(shown) > 0, name
        for column, title in zip(DATASETS[name].columns, shown.columns, strict=True):
            if column.name in coded:
                with force_locale("en"):
                    said = {code: str(word) for code, word in column.words.items()}
                assert list(shown[title]) == [said[code] if code else "" for code in plain[column.name]], column.name
                assert not set(shown[title]) & (set(said) - set(said.values())), column.name


def test_offices_keep_their_codes_for_their_names_can_change(history: Flask, tmp_path: Path) -> None:
    order: dict[str, Any] = {"dataset": "totals-office", "format": "xlsx", "locale": "ru"}
    path, manifest = made(tmp_path / "x", **order)
    before = path.read_bytes()
    with unit_of_work() as session:
        session.execute(sa.update(Office).values(name=Localized(ru="Renamed since")))
    again, _ = made(tmp_path / "y", as_of=manifest["as_of"], **order)
    assert again.read_bytes() == before
    shown = made(tmp_path / "z", dataset="totals-office", format="csv-ru", locale="en")[0].read_text("utf-8-sig")
    assert "No link led here;" in shown
    assert "direct;" not in shown


@pytest.mark.parametrize("dataset", ["totals-office", "totals-month"])
def test_the_line_of_totals_counts_gifts(history: Flask, tmp_path: Path, dataset: str) -> None:
    sheet = openpyxl.load_workbook(made(tmp_path / "x", dataset=dataset, format="xlsx", locale="en")[0]).active
    assert sheet is not None
    header, *_, last = sheet.iter_rows(values_only=True)
    total = dict(zip(header, last, strict=True))
    assert (last[0], total["Gifts"]) == ("Total", GIFTS)
