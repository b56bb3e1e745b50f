"""Forms of one office and of one link: read, checked, changed. Services flush; edges commit."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import Flask, current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.db import db
from core.errors import Conflict, DomainError
from core.i18n import LOCALES
from offices.errors import LinkGivenThrough, PlacementNotActive
from offices.models import MEDIA, Office, Placement
from offices.queries import is_given_through, office_by_code, placement_by_code
from offices.schemas import ADDRESS_LIMIT, CODE, NAME_LIMIT, REGION_LIMIT
from offices.services import LABEL_LIMIT
from staff import audit
from staff.access import Actor
from staff.editing import FormRefused, Typed, localized_fields, record_change, refused_as, require_unchanged


class Left(NamedTuple):
    """What is still at an office: `what` for the audit log, `said` to the person who closes it."""

    what: str
    number: int
    said: str


LeftAt = Callable[[int], list[Left]]


class OfficeCodeTaken(Conflict):
    code = "office_code_taken"
    text = _l("Another office has this code.")


def ask_before_closing(app: Flask, left_at: LeftAt) -> None:
    """Rooms above say here what speaks against closing an office just now: `left_at` gets its id."""
    app.extensions.setdefault("office_closing", []).append(left_at)


def still_there(office_id: int) -> list[Left]:
    rooms: list[LeftAt] = current_app.extensions.get("office_closing", [])
    return [left for room in rooms for left in room(office_id)]


def office_fields(office: Office) -> dict[str, str]:
    return described({name: getattr(office, name) for name in ("code", "region", "active", "name", "address")})


def described(office: Mapping[str, Any]) -> dict[str, str]:
    """As the form and the audit log name it."""
    fields = {"code": office["code"], "region": office["region"], "active": "yes" if office["active"] else "no"}
    return fields | localized_fields("name", office["name"]) | localized_fields("address", office["address"])


def left_behind(left: list[Left]) -> dict[str, int]:
    """For the audit log, of an office that was closed all the same."""
    return {f"{each.what} left": each.number for each in left}


def _read_office(form: Mapping[str, str]) -> dict[str, object]:
    """Raises `FormRefused`."""
    typed = Typed(form)
    code = typed.text("code", 20).upper()
    if not CODE.fullmatch(code):
        typed.refuse("code", _("A code has up to 20 Latin letters, figures, dots, dashes and underscores."))
    columns: dict[str, object] = {
        "code": code,
        "name": typed.localized("name", NAME_LIMIT),
        "address": typed.localized("address", ADDRESS_LIMIT),
        "region": typed.text("region", REGION_LIMIT, required=True),
        "active": typed.choice("active", ("yes", "no")) == "yes",
    }
    typed.finish()
    return columns


def make_office(form: Mapping[str, str], actor: Actor, now: datetime) -> Office:
    """Raises `FormRefused`, `OfficeCodeTaken`."""
    office = Office(**_read_office(form))
    with refused_as(OfficeCodeTaken(field="code")):
        db.session.add(office)
    after, subject = office_fields(office), f"office:{office.code}"
    audit.record(actor.email, "office.made", subject, after=after, now=now, address=actor.address)
    return office


def change_office(code: str, form: Mapping[str, str], actor: Actor, now: datetime) -> Office:
    """The code stays: links, sheets and lists outside know the office by it.

    Closing one that still has packs, or some on the way, needs `close_anyway`. Raises `UnknownOffice`,
    `EditedMeanwhile`, `FormRefused`.
    """
    query = sa.select(Office).where(Office.id == office_by_code(code).id).with_for_update()
    office = db.session.scalars(query.execution_options(populate_existing=True)).one()
    before = office_fields(office)
    require_unchanged(form, before)
    columns = _read_office({**form, "code": office.code})
    left = still_there(office.id) if office.active and not columns["active"] else []
    if left and not form.get("close_anyway"):
        raise FormRefused(_l("This office is not empty."), errors={"active": [each.said for each in left]})
    for name, value in columns.items():
        setattr(office, name, value)
    db.session.flush()
    after = office_fields(office) | left_behind(left)
    record_change(actor, "office.changed", f"office:{office.code}", before, after, now)
    return office


def link_fields(placement: Placement) -> dict[str, str]:
    office = placement.office.code if placement.office else ""
    fields = {"medium": placement.medium, "language": placement.language}
    return {**fields, "office": office, "label": placement.label}


def is_printed(placement: Placement) -> bool:
    """A printed poster says its office and language on paper: only what it is called here may change."""
    return placement.batch_id is not None


def change_link(code: str, form: Mapping[str, str], actor: Actor, now: datetime) -> Placement:
    """Its scans so far move along with it; once somebody has given, its medium and its office stay.

    Raises `UnknownPlacement`, `PlacementNotActive`, `EditedMeanwhile`, `FormRefused`, `LinkGivenThrough`.
    """
    query = sa.select(Placement).where(Placement.id == placement_by_code(code).id).with_for_update()
    placement = db.session.scalars(query.execution_options(populate_existing=True)).one()
    if placement.state != "active":
        raise PlacementNotActive
    before = link_fields(placement)
    require_unchanged(form, before)
    columns = _read_link({**before, **form}, placement)
    _require_place_kept(placement, columns)
    for name, value in columns.items():
        setattr(placement, name, value)
    db.session.flush()
    db.session.expire(placement, ["office"])
    record_change(actor, "placement.changed", f"placement:{placement.code}", before, link_fields(placement), now)
    return placement


def _require_place_kept(placement: Placement, columns: Mapping[str, object]) -> None:
    """The link is held, and gifts hold theirs (`hold_for_gift`): none can come unseen. Raises `LinkGivenThrough`."""
    moved = any(columns.get(name, old) != old for name, old in _place_of(placement).items())
    if moved and is_given_through(placement.code):
        raise LinkGivenThrough


def _place_of(placement: Placement) -> dict[str, object]:
    """What reports know the gifts of a link by."""
    return {"medium": placement.medium, "office_id": placement.office_id}


def _read_link(form: Mapping[str, str], placement: Placement) -> dict[str, object]:
    """Raises `FormRefused`."""
    typed = Typed(form)
    columns: dict[str, object] = {"label": typed.text("label", LABEL_LIMIT)}
    if not is_printed(placement):
        columns["medium"] = typed.choice("medium", MEDIA)
        columns["language"] = typed.choice("language", LOCALES)
        columns["office_id"] = _office_id(typed)
    typed.finish()
    return columns


def _office_id(typed: Typed) -> int | None:
    code = typed.text("office", 20)
    try:
        return office_by_code(code).id if code else None
    except DomainError as refusal:
        typed.refuse("office", refusal.message)
        return None
