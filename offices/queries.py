"""Reads of offices and placements for links, pages, print runs and exports."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased, joinedload

from core.db import db
from core.i18n import LocalizedText
from offices.errors import UnknownOffice, UnknownPlacement
from offices.links import read_code
from offices.models import Office, Placement, PrintBatch

PAGE = 1000

# Campaigns are a room above this one: here only the foreign key's target and what stands in its page's address.
campaigns = sa.table(
    "campaigns",
    sa.column("id"),
    sa.column("slug"),
    sa.column("title", LocalizedText()),
    sa.column("front_since"),
)
donations = sa.table("donations", sa.column("id"), sa.column("placement"))
_successor = aliased(Placement)


class Link(NamedTuple):
    """Where a short link leads. A replaced one leads on as its replacement: `id` and `code` are that one's."""

    id: int
    code: str
    state: str
    language: str
    campaign: str  # slug


# The one read of a scan: an index look-up for the code, two by primary key. Replacements of replacements need no
# third, since `replace` lets all earlier ones point at the newest.
_heir = {name: sa.func.coalesce(getattr(_successor, name), getattr(Placement, name)) for name in Link._fields[:4]}
FIND_LINK = (
    sa.select(*(column.label(name) for name, column in _heir.items()), campaigns.c.slug.label("campaign"))
    .select_from(Placement)
    .outerjoin(_successor, _successor.id == Placement.replaced_by_id)
    .join(campaigns, campaigns.c.id == sa.func.coalesce(_successor.campaign_id, Placement.campaign_id))
    .where(Placement.code == sa.bindparam("code"))
)


def find_link(code: str) -> Link | None:
    """The link of a stored code, in any state; None for one that was never given out."""
    row = db.session.execute(FIND_LINK, {"code": code}).first()
    return None if row is None else Link._make(row)


def attributed_code(typed: str | None) -> str | None:
    """The code that a gift led here by `typed` is booked under; None when it belongs to no link in use.

    Replaced links count as their replacement, as their scans do. Never raises: no gift is refused for its link.
    """
    code = read_code(typed) if typed else None
    link = find_link(code) if code else None
    return link.code if link and link.state == "active" else None


def hold_for_gift(code: str) -> None:
    """Until the transaction ends, nobody changes what reports know a link by; its scans are counted meanwhile.

    Whoever records a gift of this link calls it first. `is_given_through`, asked by who holds the link, misses none.
    """
    db.session.execute(sa.select(Placement.id).where(Placement.code == code).with_for_update(read=True, key_share=True))


def is_given_through(code: str) -> bool:
    """Whether anybody has begun to give by this link."""
    return db.session.scalar(sa.select(donations.c.id).where(donations.c.placement == code).limit(1)) is not None


def office_by_code(code: str) -> Office:
    """Raises `UnknownOffice`."""
    office = db.session.scalar(sa.select(Office).where(Office.code == code.strip().upper()))
    if office is None:
        raise UnknownOffice(field="office")
    return office


def offices(*, active: bool | None = None, region: str | None = None) -> Iterator[Office]:
    """All of them by code, or those in use (or not), or those of a region. Read in parts, never all at once."""
    query = sa.select(Office).order_by(Office.code)
    if active is not None:
        query = query.where(Office.active == active)
    if region:
        query = query.where(Office.region == region)
    yield from db.session.scalars(query.execution_options(yield_per=PAGE))


def regions() -> list[str]:
    return list(db.session.scalars(sa.select(Office.region).distinct().order_by(Office.region)))


def placement_by_code(typed: str) -> Placement:
    """Raises `UnknownPlacement`."""
    placement = db.session.scalar(sa.select(Placement).where(Placement.code == read_code(typed)))
    if placement is None:
        raise UnknownPlacement(field="code")
    return placement


def placements(**equal: Any) -> Iterator[Placement]:
    """In the order they were made, with their offices; `equal` names columns and values. Read in parts."""
    query = sa.select(Placement).options(joinedload(Placement.office)).order_by(Placement.id)
    query = query.filter_by(**{name: value for name, value in equal.items() if value is not None})
    yield from db.session.scalars(query.execution_options(yield_per=PAGE))


def taken_codes(codes: Iterable[str]) -> set[str]:
    """Which of these codes have been given out."""
    return set(db.session.scalars(sa.select(Placement.code).where(Placement.code.in_(list(codes)))))


def campaign_id(slug: str | None) -> int | None:
    """The id of this campaign, or of the one at the front; None when there is none."""
    query = _front_first(sa.select(campaigns.c.id)).limit(1)
    found: int | None = db.session.scalar(query if slug is None else query.where(campaigns.c.slug == slug))
    return found


def _front_first(query: sa.Select[Any]) -> sa.Select[Any]:
    """The campaign that was chosen for the front page last, then by age."""
    return query.order_by(campaigns.c.front_since.is_(None), campaigns.c.front_since.desc(), campaigns.c.id)


def campaign_choices() -> list[tuple[str, str]]:
    """(slug, title) of all campaigns, the front one first."""
    query = _front_first(sa.select(campaigns.c.slug, campaigns.c.title))
    return [(slug, str(title)) for slug, title in db.session.execute(query)]


def campaign_slugs() -> dict[int, str]:
    return {row.id: row.slug for row in db.session.execute(sa.select(campaigns.c.id, campaigns.c.slug))}


def count_of_run(batch: PrintBatch) -> int:
    """How many codes were made for it."""
    return db.session.scalar(sa.select(sa.func.count(Placement.id)).where(Placement.batch_id == batch.id)) or 0


def replacement_codes(only: int | None = None) -> dict[int, str]:
    """Codes of links that replaced others, or of this one, by id."""
    query = sa.select(_successor.id, _successor.code).join(Placement, Placement.replaced_by_id == _successor.id)
    if only is not None:
        query = query.where(_successor.id == only)
    return {row.id: row.code for row in db.session.execute(query)}
