"""Offices and placements as CSV. What `write_offices` writes, `offices.importing` reads back as the same."""

from collections.abc import Iterable
from typing import TextIO

from core.cells import write_table
from core.i18n import LOCALES, Localized
from offices import queries
from offices.models import Office, Placement

OFFICE_COLUMNS = (
    "code",
    *(f"name_{locale}" for locale in LOCALES),
    *(f"address_{locale}" for locale in LOCALES),
    "region",
    "active",
)
PLACEMENT_COLUMNS = (
    "code address state replaced_by medium language office region poster label scans campaign created".split()  # noqa: SIM905 - words
)


def address(code: str, origin: str) -> str:
    """The short link as it is printed."""
    return f"{origin}/q/{code}"


def _texts(texts: Localized) -> list[str]:
    return [texts.get(locale, "") for locale in LOCALES]


def _office(office: Office) -> list[str]:
    return [
        office.code,
        *_texts(office.name),
        *_texts(office.address),
        office.region,
        "yes" if office.active else "no",
    ]


def write_offices(file: TextIO, separator: str = ",", offices: Iterable[Office] | None = None) -> int:
    """All offices, or these; how many."""
    chosen = queries.offices() if offices is None else offices
    return write_table(file, OFFICE_COLUMNS, map(_office, chosen), separator=separator)


def write_placements(
    file: TextIO, separator: str = ",", origin: str = "", placements: Iterable[Placement] | None = None
) -> int:
    """All placements, or these, with the address that each is printed with; how many."""
    slugs, codes = queries.campaign_slugs(), queries.replacement_codes()
    rows = (
        [
            each.code,
            address(each.code, origin),
            each.state,
            codes.get(each.replaced_by_id or 0, ""),
            each.medium,
            each.language,
            each.office.code if each.office else "",
            each.office.region if each.office else "",
            each.poster_number,
            each.label,
            each.scans,
            slugs[each.campaign_id],
            each.created_at.isoformat(timespec="seconds"),
        ]
        for each in (queries.placements() if placements is None else placements)
    )
    return write_table(file, PLACEMENT_COLUMNS, rows, separator=separator)
