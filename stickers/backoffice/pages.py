"""Console pages of packs: the list, the form with picture and file, retiring and deleting."""

from collections.abc import Mapping

from flask import Blueprint, Flask, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError, NotFound
from core.http import takes_upload
from core.i18n import LANGUAGE_NAMES
from staff import frame
from staff.access import acting, allowed
from staff.editing import opened_on
from stickers import files
from stickers.backoffice import packs, uploads
from stickers.models import StickerPack
from stickers.stock.errors import UnknownPack

blueprint = Blueprint("packs", __name__)

KIND_NAMES = {"physical": _l("stickers, at an office"), "digital": _l("a file to download")}
BODY_MEGABYTES = 48  # more than both files may have: which one is too large is then said at its field
KEEPERS = {"picture": uploads.keep_picture, "download": uploads.keep_download}


@blueprint.context_processor
def names() -> dict[str, object]:
    return {"kinds": KIND_NAMES, "languages": LANGUAGE_NAMES, "limits": packs, "uploads": uploads}


@blueprint.get("/staff/packs")
@allowed("campaign", "admin")
def pack_list() -> str:
    page = packs.packs_page(request.args, request.args.get("page", 1, type=int))
    promised = {pack.id: packs.promised_by(pack) for pack in page.rows}
    return render_template("stickers/backoffice/packs.html", page=page, promised=promised)


@blueprint.get("/staff/packs/new")
@allowed("campaign", "admin")
def new() -> str:
    return _form(None, {"kind": "physical"})


@blueprint.post("/staff/packs/new")
@allowed("campaign", "admin")
@takes_upload(BODY_MEGABYTES)
def make() -> ResponseReturnValue:
    fields, wrong = _typed()
    try:
        with unit_of_work():
            code = packs.make(fields, wrong, acting(), utcnow()).code
    except DomainError as refusal:
        return _form(None, fields, refusal), refusal.status
    flash(_("Saved. Which gifts earn it is said at each campaign."), "good")
    return redirect(url_for(".edit", code=code), code=303)


def _typed() -> tuple[dict[str, str], dict[str, list[str]]]:
    """The form with the names of files that came with it and are kept, and what is wrong with those that are not.

    A file is kept even when the form is refused: nobody has to choose it again.
    """
    fields, wrong = request.form.to_dict(), {}
    for name, keep in KEEPERS.items():
        file = request.files.get(name)
        if file is None or not file.filename:
            continue
        try:
            fields[f"{name}_kept"] = keep(file.stream)
        except DomainError as refusal:
            wrong.update(refusal.errors)
    return fields, wrong


@blueprint.get("/staff/packs/<code>")
@allowed("campaign", "admin")
def edit(code: str) -> str:
    pack = packs.pack_by_code(code)
    return _form(pack, packs.fields_of(pack))


@blueprint.post("/staff/packs/<code>")
@allowed("campaign", "admin")
@takes_upload(BODY_MEGABYTES)
def save(code: str) -> ResponseReturnValue:
    fields, wrong = _typed()
    try:
        with unit_of_work():
            changed = packs.change(code, fields, wrong, acting(), utcnow()).code
    except UnknownPack:
        raise
    except DomainError as refusal:
        return _form(packs.pack_by_code(code), fields, refusal), refusal.status
    flash(_("Saved."), "good")
    return redirect(url_for(".edit", code=changed), code=303)


def _form(pack: StickerPack | None, fields: Mapping[str, str], refusal: DomainError | None = None) -> str:
    stored = packs.fields_of(pack) if pack else {}
    kept = fields.get("picture_kept", "")
    known = (pack and kept == pack.picture) or files.uploaded_picture(kept)
    return render_template(
        "stickers/backoffice/pack.html",
        pack=pack,
        fields=fields,
        seen=opened_on(stored, fields, refusal),
        refusal=refusal,
        picture=files.picture_url(StickerPack(picture=kept)) if known else None,
        fixed=pack is not None and packs.has_codes(pack),
        promised=packs.promised_by(pack) if pack else [],
    )


@blueprint.get("/staff/packs/<code>/file")
@allowed("campaign", "admin")
def file(code: str) -> ResponseReturnValue:
    """What donors get for a code of this digital pack."""
    pack = packs.pack_by_code(code)
    if not pack.download:
        raise NotFound
    return send_file(files.download_path(pack), as_attachment=True, download_name=files.download_name(pack), max_age=0)


@blueprint.post("/staff/packs/<code>/retire")
@allowed("campaign", "admin")
def retire(code: str) -> ResponseReturnValue:
    with unit_of_work():
        packs.set_retired(code, True, acting(), utcnow())
    flash(_("The pack is retired: no new rule gives it. Codes that donors have stay good."), "good")
    return redirect(url_for(".edit", code=code), code=303)


@blueprint.post("/staff/packs/<code>/use")
@allowed("campaign", "admin")
def use_again(code: str) -> ResponseReturnValue:
    with unit_of_work():
        packs.set_retired(code, False, acting(), utcnow())
    flash(_("Rules may give this pack again."), "good")
    return redirect(url_for(".edit", code=code), code=303)


@blueprint.post("/staff/packs/<code>/delete")
@allowed("campaign", "admin")
def delete(code: str) -> ResponseReturnValue:
    try:
        with unit_of_work():
            packs.delete(code, acting(), utcnow())
    except UnknownPack:
        raise
    except DomainError as refusal:
        pack = packs.pack_by_code(code)
        return _form(pack, packs.fields_of(pack), refusal), refusal.status
    flash(_("The pack is deleted."), "good")
    return redirect(url_for(".pack_list"), code=303)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "packs.pack_list", _l("Packs"), icon="box", order=64)
