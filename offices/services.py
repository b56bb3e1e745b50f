"""The rules of placements: made with a code of their own, retired, replaced. Services flush; edges commit."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.db import db, rows_changed
from core.i18n import LOCALES
from offices import errors, links
from offices.models import MEDIA, Placement
from offices.queries import placement_by_code, taken_codes

LABEL_LIMIT = 120
CODES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Where a link is to hang."""

    campaign_id: int
    medium: str
    language: str
    office_id: int | None = None
    label: str = ""
    batch_id: int | None = None
    number: int | None = None


def new_codes(count: int) -> list[str]:
    """As many codes that differ and that nobody has. To be used in the same unit of work."""
    found: list[str] = []
    while len(found) < count:
        drawn = {links.new_code() for _ in range(min(count - len(found), CODES_AT_ONCE))}
        found += sorted(drawn - taken_codes(drawn) - set(found))
    return found


def add_placements(places: list[Place], now: datetime) -> list[Placement]:
    """Make a placement for each, in this order.

    Raises `MediumUnknown`, `LanguageUnknown`, `LabelInvalid` and adds none then.
    """
    for place in places:
        _check(place)
    codes = new_codes(len(places))
    made = [
        Placement(
            code=code,
            campaign_id=place.campaign_id,
            medium=place.medium,
            language=place.language,
            office_id=place.office_id,
            label=place.label.strip(),
            batch_id=place.batch_id,
            number=place.number,
            created_at=now,
        )
        for place, code in zip(places, codes, strict=True)
    ]
    db.session.add_all(made)
    db.session.flush()
    return made


def _check(place: Place) -> None:
    if place.medium not in MEDIA:
        raise errors.MediumUnknown(field="medium")
    if place.language not in LOCALES:
        raise errors.LanguageUnknown(field="language")
    if len(place.label) > LABEL_LIMIT or not place.label.isprintable():
        raise errors.LabelInvalid(field="label", limit=LABEL_LIMIT)


def retire(typed: str) -> Placement:
    """Take a link out of use: from now on it counts no scan and brings no gift to its place.

    Raises `UnknownPlacement`, and `PlacementNotActive` when it was retired or replaced before.
    """
    placement = placement_by_code(typed)
    _leave_active(placement, state="retired")
    return placement


def replace(typed: str, now: datetime) -> Placement:
    """A new link for the same place, with a code of its own; the old one leads on as the new one from now on.

    Scans and gifts so far stay with the old code, later ones are the new one's, whichever is scanned. Raises as
    `retire` does.
    """
    old = placement_by_code(typed)
    place = Place(old.campaign_id, old.medium, old.language, office_id=old.office_id, label=old.label)
    [new] = add_placements([place], now)
    _leave_active(old, state="replaced", replaced_by_id=new.id)
    # What the old one replaced leads straight to the new one, so that a scan never follows a chain.
    db.session.execute(sa.update(Placement).where(Placement.replaced_by_id == old.id).values(replaced_by_id=new.id))
    return new


def _leave_active(placement: Placement, **values: object) -> None:
    """One guarded update: of two who retire or replace the same link, one is told that it is done."""
    changed = db.session.execute(
        sa.update(Placement).where(Placement.id == placement.id, Placement.state == "active").values(**values)
    )
    if rows_changed(changed) != 1:
        raise errors.PlacementNotActive(field="code")
    db.session.refresh(placement)
