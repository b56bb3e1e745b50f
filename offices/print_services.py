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
from offices import links, numbers
from offices.errors import LanguageUnknown, OfficeClosed, PlacementNotActive, UnknownOffice
from offices.models import Office, Placement, PrintBatch, PrintBatchOffice
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
    `OfficeClosed`, `RunTooLarge`. What the posters say is kept with the run: it can be printed again as it was.
    """
    run = describe_run(campaign_id, format, language)
    if packaging not in PACKAGINGS:
        raise PackagingUnknown(field="packaging")
    if not 1 <= copies <= MOST_COPIES:
        raise CopiesOutOfRange(field="copies", limit=MOST_COPIES)
    offices_chosen = _chosen_offices(offices)
    office_ids = [office.id for office in offices_chosen]
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
    _name_offices(batch, offices_chosen)
    _make_posters(batch, office_ids, now)
    return batch


def print_link(typed: str, *, format: str, created_by: str, now: datetime) -> PrintBatch:
    """A run of one page for a link that is there already: a poster that was torn, or a link made by hand.

    Raises `UnknownPlacement`, `PlacementNotActive`, `OfficeClosed`, `FormatUnknown`.
    """
    placement = placement_by_code(typed)
    office = placement.office
    if placement.state != "active":
        raise PlacementNotActive(field="code")
    if format in FORMATS and FORMATS[format].per_page > 1:
        raise FormatUnknown(field="format")
    run = describe_run(placement.campaign_id, format, placement.language)
    if office is not None:
        _require_open(office)
        numbers.number_poster(placement)
    batch = PrintBatch(
        campaign_id=placement.campaign_id,
        format=format,
        language=placement.language,
        copies=1,
        selection={"offices": [office.code] if office else [], "link": placement.code, "run": asdict(run)},
        total=1,
        created_at=now,
        created_by=created_by[:80],
        lease_until=now,
    )
    db.session.add(batch)
    db.session.flush()
    _name_offices(batch, [office] if office else [])
    return batch


def _chosen_offices(codes: Sequence[str] | None) -> list[Office]:
    wanted = None if codes is None else list(dict.fromkeys(codes))
    query = sa.select(Office).order_by(Office.code)
    if wanted is None:
        query = query.where(Office.active)
    found = {office.code: office for office in db.session.scalars(query)}
    if wanted is not None and any(code not in found for code in wanted):
        raise UnknownOffice(field="office")
    chosen = list(found.values()) if wanted is None else [found[code] for code in wanted]
    if not chosen:
        raise NoOffices(field="office")
    for office in chosen:
        _require_open(office)
    return chosen


def _require_open(office: Office) -> None:
    if not office.active:
        raise OfficeClosed(field="office", office=office.code)


def office_line(office: Office, language: str) -> str:
    """The office as posters name it."""
    return ", ".join(text.in_locale(language) for text in (office.name, office.address))


def _name_offices(batch: PrintBatch, offices: Sequence[Office]) -> None:
    """Keep what the posters say of their offices, once for each."""
    rows = [
        {"batch_id": batch.id, "office_id": office.id, "line": office_line(office, batch.language)}
        for office in offices
    ]
    if rows:
        db.session.execute(sa.insert(PrintBatchOffice), rows)


def _make_posters(batch: PrintBatch, office_ids: Sequence[int], now: datetime) -> None:
    """A placement for each poster, numbered office by office. Codes that are taken are drawn again.

    Stickers have no number: nobody asks for the 17th of a sheet.
    """
    format = FORMATS[batch.format]
    each = batch.copies * format.per_page
    first = numbers.take(office_ids, each) if format.per_page == 1 else {}
    places = (
        (office, first[office] + copy if office in first else None) for office in office_ids for copy in range(each)
    )
    missing = dict(enumerate(places, start=1))
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
            {
                **common,
                "office_id": office,
                "number": number,
                "poster_number": poster_number,
                "code": links.new_code(),
            }
            for number, (office, poster_number) in missing.items()
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
    if "link" in batch.selection:
        return [("posters", 1, 1)]
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
    """These of the run's posters, naming their offices as they were when it was ordered."""
    of_run = sa.and_(PrintBatchOffice.batch_id == batch.id, PrintBatchOffice.office_id == Placement.office_id)
    if link := batch.selection.get("link"):
        chosen = Placement.code == link
    else:
        chosen = sa.and_(Placement.batch_id == batch.id, Placement.number.between(first, last))
    query = (
        sa.select(Placement.code, Placement.poster_number, PrintBatchOffice.line)
        .outerjoin(PrintBatchOffice, of_run)
        .where(chosen)
        .order_by(Placement.number)
    )
    return [Poster(code, number, line or "") for code, number, line in db.session.execute(query)]


def finish(batch_id: int, lease: datetime, now: datetime) -> bool:
    """Its posters were printed; when that was the first time is kept."""
    first = sa.func.coalesce(PrintBatch.finished_at, now)
    return leases.finish(batch_id, lease, now, finished_at=first)


def cancel(batch: PrintBatch, now: datetime) -> None:
    """Stop printing. Raises `RunEnded`.

    Of a run that was never done the posters are retired: nobody will ever see them. Those of one that was done once
    may hang on walls: it is done as before, they stay in use, and it can be printed again.
    """
    still_open = sa.and_(PrintBatch.id == batch.id, PrintBatch.state.in_(("queued", "running", "failed")))
    never_done = PrintBatch.finished_at.is_(None)
    if leases.changed(sa.and_(still_open, never_done), state="cancelled", lease_until=None, finished_at=now):
        _retire_posters(batch)
    elif not leases.changed(still_open, state="done", done=PrintBatch.total, lease_until=None, error=None):
        raise RunEnded
    db.session.refresh(batch)


def _retire_posters(batch: PrintBatch) -> None:
    db.session.execute(
        sa.update(Placement)
        .where(Placement.batch_id == batch.id, Placement.state == "active")
        .values(state="retired")
        .execution_options(synchronize_session=False)
    )


def print_again(batch: PrintBatch, now: datetime) -> None:
    """Queue a run that failed, or one whose file is gone: the same posters with the same codes. Harmless otherwise.

    Raises `RunEnded` for one that was cancelled.
    """
    if batch.state == "cancelled":
        raise RunEnded
    again = PrintBatch.state == "failed"
    if batch.state == "done" and not output_path(batch).exists():
        again = PrintBatch.state == "done"
    leases.changed(sa.and_(PrintBatch.id == batch.id, again), state="queued", lease_until=now, error=None, done=0)
    db.session.refresh(batch)


def print_directory() -> Path:
    """Of all runs. Web processes and workers share it."""
    return Path(current_app.config["INSTANCE_DIR"]) / "prints"


def directory_of(batch: PrintBatch) -> Path:
    return print_directory() / batch.public_id


def output_path(batch: PrintBatch) -> Path:
    """Where the finished file is, once the run is done."""
    return directory_of(batch) / f"posters.{batch.packaging}"


def finished_file(batch: PrintBatch) -> Path:
    """Raises `NotPrinted`."""
    path = output_path(batch)
    if batch.state != "done" or not path.exists():
        raise NotPrinted
    return path


def has_ended(public_id: str) -> bool:
    """Whether there is such a run, and nobody prints it or is about to."""
    state = db.session.scalar(sa.select(PrintBatch.state).where(PrintBatch.public_id == public_id))
    db.session.rollback()
    return state in ("done", "failed", "cancelled")


def newest(limit: int = 50) -> list[PrintBatch]:
    return list(db.session.scalars(sa.select(PrintBatch).order_by(PrintBatch.id.desc()).limit(limit)))


def address_of(code: str) -> str:
    """What the symbol of this placement says. Raises `UnknownPlacement`."""
    placement = placement_by_code(code)
    return f"{current_app.config['PUBLIC_URL']}/q/{placement.code}".upper()
