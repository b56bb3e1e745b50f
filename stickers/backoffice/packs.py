"""The rules of packs: made, changed, retired, deleted while nobody has one. Services flush; edges commit."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from flask_babel import gettext as _

from core.db import db
from core.paging import Page, page_of
from offices.queries import campaigns
from staff import audit
from staff.access import Actor
from staff.editing import Typed, localized_fields, record_change, refused_as, require_unchanged
from stickers import files
from stickers.backoffice import errors
from stickers.models import RedemptionCode, StickerPack, StickerRule
from stickers.stock.errors import UnknownPack

CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CODE_LIMIT, NAME_LIMIT, DESCRIPTION_LIMIT = 40, 80, 300
KINDS = ("physical", "digital")
RESERVED = {"new"}


def packs_page(wanted: Mapping[str, str], number: int) -> Page[StickerPack]:
    """By code; `wanted` may name a kind, a state (used or retired), and `q`, a part of the code or of a name."""
    query = sa.select(StickerPack).order_by(StickerPack.code)
    if (kind := wanted.get("kind")) in KINDS:
        query = query.where(StickerPack.kind == kind)
    if state := wanted.get("state"):
        retired = StickerPack.retired_at.is_not(None)
        query = query.where(retired if state == "retired" else ~retired)
    if sought := wanted.get("q", "").strip()[:80].casefold():
        every = db.session.execute(sa.select(StickerPack.id, StickerPack.code, StickerPack.name))
        ids = [row.id for row in every if any(sought in text.casefold() for text in (row.code, *row.name.values()))]
        query = query.where(StickerPack.id.in_(ids))
    return page_of(query, number)


def packs_in_use(*, lock: bool = False) -> list[StickerPack]:
    """Those that new rules may give; with `lock`, none of them is retired before the unit of work ends."""
    query = sa.select(StickerPack).where(StickerPack.retired_at.is_(None)).order_by(StickerPack.code)
    return list(db.session.scalars(query.with_for_update(read=True) if lock else query))


def pack_by_code(code: str) -> StickerPack:
    """Raises `UnknownPack`."""
    found = db.session.scalar(sa.select(StickerPack).where(StickerPack.code == code))
    if found is None:
        raise UnknownPack
    return found


def held(code: str) -> StickerPack:
    """The pack, read anew and held until the unit of work ends. Raises `UnknownPack`."""
    query = sa.select(StickerPack).where(StickerPack.id == pack_by_code(code).id).with_for_update()
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def has_codes(pack: StickerPack) -> bool:
    """Whether any donor got one: from then on its code and kind stay."""
    return db.session.scalar(sa.select(RedemptionCode.id).where(RedemptionCode.pack_id == pack.id).limit(1)) is not None


def promised_by(pack: StickerPack) -> list[str]:
    """Addresses of the campaigns whose rules give it."""
    query = sa.select(campaigns.c.slug).join(StickerRule, StickerRule.campaign_id == campaigns.c.id)
    return list(db.session.scalars(query.where(StickerRule.pack_id == pack.id).distinct().order_by(campaigns.c.slug)))


def fields_of(pack: StickerPack) -> dict[str, str]:
    fields = {"code": pack.code, "kind": pack.kind, "picture_kept": pack.picture, "download_kept": pack.download or ""}
    return fields | localized_fields("name", pack.name) | localized_fields("description", pack.description)


def _read(form: Mapping[str, str], wrong: Mapping[str, list[str]], pack: StickerPack | None) -> dict[str, object]:
    """Raises `FormRefused`."""
    typed = Typed(form, wrong)
    code = typed.text("code", CODE_LIMIT).lower()
    if not CODE.fullmatch(code) or code in RESERVED:
        typed.refuse("code", _("Latin letters, figures and single dashes, such as kind-words."))
    kind = typed.choice("kind", KINDS)
    if pack is not None and has_codes(pack):
        for name, new, old in (("code", code, pack.code), ("kind", kind, pack.kind)):
            if new != old:
                typed.refuse(name, _("Donors have codes for this pack: this stays as it is."))
    columns: dict[str, object] = {
        "code": code,
        "kind": kind,
        "name": typed.localized("name", NAME_LIMIT),
        "description": typed.localized("description", DESCRIPTION_LIMIT),
        "picture": _kept(form, "picture_kept", pack.picture if pack else None, files.uploaded_picture),
        "download": _kept(form, "download_kept", pack.download if pack else None, files.uploaded_download),
    }
    if not columns["picture"] and "picture" not in typed.errors:
        typed.refuse("picture", str(errors.PictureMissing.text))
    if kind == "physical":
        columns["download"] = None
    elif not columns["download"] and "download" not in typed.errors:
        typed.refuse("download", str(errors.FileMissing.text))
    typed.finish()
    return columns


def _kept(
    form: Mapping[str, str], name: str, present: str | None, uploaded: Callable[[str], Path | None]
) -> str | None:
    """The file that the form names, if it is the present one or one that was uploaded; a form may say anything."""
    said = form.get(name, "")
    return said if said and (said == present or uploaded(said)) else None


def make(form: Mapping[str, str], wrong: Mapping[str, list[str]], actor: Actor, now: datetime) -> StickerPack:
    """`picture_kept` and `download_kept` of the form name files that are kept already, `wrong` says what is wrong with
    those that were not. Raises `FormRefused`, `PackCodeTaken`."""
    pack = StickerPack(**_read(form, wrong, None))
    with refused_as(errors.PackCodeTaken(field="code")):
        db.session.add(pack)
    subject = f"pack:{pack.code}"
    audit.record(actor.email, "pack.made", subject, after=fields_of(pack), now=now, address=actor.address)
    return pack


def change(
    code: str, form: Mapping[str, str], wrong: Mapping[str, list[str]], actor: Actor, now: datetime
) -> StickerPack:
    """As `make`. Raises `UnknownPack`, `EditedMeanwhile`, `FormRefused`, `PackCodeTaken`."""
    pack = held(code)
    before = fields_of(pack)
    require_unchanged(form, before)
    columns = _read(form, wrong, pack)
    with refused_as(errors.PackCodeTaken(field="code")):
        for name, value in columns.items():
            setattr(pack, name, value)
    record_change(actor, "pack.changed", f"pack:{code}", before, fields_of(pack), now)
    return pack


def set_retired(code: str, retired: bool, actor: Actor, now: datetime) -> None:
    """Whether new rules may give it; rules, codes and stock that are there stay. Raises `UnknownPack`."""
    pack = held(code)
    before = {"retired": pack.retired_at is not None}
    if before["retired"] != retired:
        pack.retired_at = now if retired else None
    action = "pack.retired" if retired else "pack.used_again"
    record_change(actor, action, f"pack:{code}", before, {"retired": retired}, now)


def delete(code: str, actor: Actor, now: datetime) -> None:
    """Raises `UnknownPack`, and `PackNeeded` for one that has codes, rules or stock."""
    pack = held(code)
    before = fields_of(pack)
    with refused_as(errors.PackNeeded()):
        db.session.delete(pack)
    audit.record(actor.email, "pack.deleted", f"pack:{code}", before=before, now=now, address=actor.address)
