"""The rules of print runs. Services flush; edges commit.

A run is a row with a placement for each poster, and goes queued → running → done, or failed (asking again goes on where
it stopped), or cancelled. Whoever prints holds it by a lease (`core.leases`), so two people printing one run make one
file.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.dialects import postgresql, sqlite

from core.db import db
from core.i18n import LOCALES
from core.leases import Leases
from offices import links
from offices.errors import LanguageUnknown, UnknownOffice
from offices.models import Office, Placement, PrintBatch
from offices.print_errors import (
    CopiesOutOfRange,
    FormatUnknown,
    NoOffices,
    NotPrinted,
    PackagingUnknown,
    RunEnded,
    RunTooLarge,
    UnknownBatch,
)
from offices.printing.formats import FORMATS
from offices.printing.pages import Poster, Run
from offices.printing.texts import as_values, campaigns, spoken, words_in
from offices.queries import placement_by_code

MOST_COPIES = 10_000  # pages for one office
MOST_PAGES = 100_000
PACKAGINGS = ("pdf", "zip")
leases = Leases(PrintBatch)  # a part takes less than a second


def describe_run(campaign_id: int, format: str, language: str) -> Run:
    """What all posters say, as the campaign stands now. Raises `FormatUnknown`, `LanguageUnknown`."""
    if format not in FORMATS:
        raise FormatUnknown(field="format")
    if language not in LOCALES:
        raise LanguageUnknown(field="language")
    text, words = campaigns().text(campaign_id, language), words_in(language)
    link = f"{current_app.config['PUBLIC_URL'].lower()}/q/"
    run = Run(format, language, link, words, as_values(text), "")
    return Run(format, language, link, words, as_values(text), spoken(text, words, run.domain))


def create_batch(
    *,
    campaign_id: int,
    format: str,
    language: str,
    copies: int,
    offices: Sequence[str] | None,
    packaging: str,
    created_by: str,
    now: datetime,
) -> PrintBatch:
    """A run of `copies` pages for each of these offices (codes; None: all active ones), its posters made.

    Raises `FormatUnknown`, `LanguageUnknown`, `PackagingUnknown`, `CopiesOutOfRange`, `UnknownOffice`, `NoOffices`,
    `RunTooLarge`. What the posters say is kept with the run: it can be printed again as it was.
    """
    run = describe_run(campaign_id, format, language)
    if packaging not in PACKAGINGS:
        raise PackagingUnknown(field="packaging")
    if not 1 <= copies <= MOST_COPIES:
        raise CopiesOutOfRange(field="copies", limit=MOST_COPIES)
    office_ids = _chosen_offices(offices)
    pages = copies * len(office_ids)
    if pages > MOST_PAGES:
        raise RunTooLarge(field="copies", limit=MOST_PAGES, pages=pages)
    batch = PrintBatch(
        campaign_id=campaign_id,
        format=format,
        language=language,
        copies=copies,
        packaging=packaging,
        selection={"offices": list(offices) if offices is not None else "all", "run": asdict(run)},
        total=pages,
        created_at=now,
        created_by=created_by[:80],
        lease_until=now,
    )
    db.session.add(batch)
    db.session.flush()
    _make_posters(batch, office_ids, now)
    return batch


def _chosen_offices(codes: Sequence[str] | None) -> list[int]:
    rows = sa.select(Office.code, Office.id).where(Office.active).order_by(Office.code)
    found = {row.code: row.id for row in db.session.execute(rows)}
    wanted = list(found) if codes is None else list(dict.fromkeys(codes))
    if any(code not in found for code in wanted):
        raise UnknownOffice(field="office")
    if not wanted:
        raise NoOffices(field="office")
    return [found[code] for code in wanted]


def _make_posters(batch: PrintBatch, office_ids: Sequence[int], now: datetime) -> None:
    """A placement for each poster, numbered office by office. Codes that are taken are drawn again."""
    format = FORMATS[batch.format]
    each = batch.copies * format.per_page
    missing = dict(enumerate((office for office in office_ids for _ in range(each)), start=1))
    common = {
        "campaign_id": batch.campaign_id,
        "medium": format.medium,
        "language": batch.language,
        "label": "",
        "batch_id": batch.id,
        "state": "active",
        "created_at": now,
        "scans": 0,
    }
    dialect: Any = postgresql if db.session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(Placement).on_conflict_do_nothing(index_elements=["code"])
    while missing:
        rows = [
            {**common, "office_id": office, "number": number, "code": links.new_code()}
            for number, office in missing.items()
        ]
        db.session.execute(insert, rows)
        made = db.session.scalars(sa.select(Placement.number).where(Placement.batch_id == batch.id))
        for number in made:
            missing.pop(number or 0, None)


def find_batch(public_id: str) -> PrintBatch:
    batch = db.session.scalar(sa.select(PrintBatch).where(PrintBatch.public_id == public_id))
    if batch is None:
        raise UnknownBatch
    return batch


def run_of(batch: PrintBatch) -> Run:
    return Run(**batch.selection["run"])


def groups_of(batch: PrintBatch) -> list[tuple[str, int, int]]:
    """The files of a run: (name, first number, last number). One, or one for each office."""
    numbers = sa.func.min(Placement.number), sa.func.max(Placement.number)
    if batch.packaging == "pdf":
        first, last = db.session.execute(sa.select(*numbers).where(Placement.batch_id == batch.id)).one()
        return [("posters", first or 1, last or 0)]
    query = (
        sa.select(Office.code, *numbers)
        .join(Placement.office)
        .where(Placement.batch_id == batch.id)
        .group_by(Office.code)
        .order_by(numbers[0])
    )
    return [(code, first or 1, last or 0) for code, first, last in db.session.execute(query)]


def posters_between(batch: PrintBatch, first: int, last: int) -> list[Poster]:
    query = (
        sa.select(Placement.code, Placement.number, Office.name, Office.address)
        .outerjoin(Placement.office)
        .where(Placement.batch_id == batch.id, Placement.number.between(first, last))
        .order_by(Placement.number)
    )
    return [
        Poster(code, number or 0, ", ".join(text.in_locale(batch.language) for text in (name, address) if text))
        for code, number, name, address in db.session.execute(query)
    ]


def cancel(batch: PrintBatch, now: datetime) -> None:
    """Raises `RunEnded`. Its posters are retired: nobody will ever see them."""
    open_states = PrintBatch.state.in_(("queued", "running", "failed"))
    if not leases.changed(
        sa.and_(PrintBatch.id == batch.id, open_states), state="cancelled", lease_until=None, finished_at=now
    ):
        raise RunEnded
    db.session.execute(
        sa.update(Placement)
        .where(Placement.batch_id == batch.id, Placement.state == "active")
        .values(state="retired")
        .execution_options(synchronize_session=False)
    )
    db.session.refresh(batch)


def print_again(batch: PrintBatch, now: datetime) -> None:
    """Queue a run that failed, or one whose file is gone: the same posters with the same codes. Harmless otherwise.

    Raises `RunEnded` for one that was cancelled.
    """
    if batch.state == "cancelled":
        raise RunEnded
    again = PrintBatch.state == "failed"
    if batch.state == "done" and not output_path(batch).exists():
        again = PrintBatch.state == "done"
    leases.changed(
        sa.and_(PrintBatch.id == batch.id, again), state="queued", lease_until=now, finished_at=None, error=None, done=0
    )
    db.session.refresh(batch)


def directory_of(batch: PrintBatch) -> Path:
    return Path(current_app.config["INSTANCE_DIR"]) / "prints" / batch.public_id


def output_path(batch: PrintBatch) -> Path:
    """Where the finished file is, once the run is done."""
    return directory_of(batch) / f"posters.{batch.packaging}"


def finished_file(batch: PrintBatch) -> Path:
    """Raises `NotPrinted`."""
    path = output_path(batch)
    if batch.state != "done" or not path.exists():
        raise NotPrinted
    return path


def newest(limit: int = 50) -> list[PrintBatch]:
    return list(db.session.scalars(sa.select(PrintBatch).order_by(PrintBatch.id.desc()).limit(limit)))


def address_of(code: str) -> str:
    """What the symbol of this placement says. Raises `UnknownPlacement`."""
    placement = placement_by_code(code)
    return f"{current_app.config['PUBLIC_URL']}/q/{placement.code}".upper()
