"""Console pages of one office's stock: what is on the shelf, what came, went, broke, and was counted."""

from collections.abc import Callable

from flask import Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.errors import DomainError
from offices import belonging
from offices.console import page_number
from offices.models import Office
from offices.queries import office_by_code, offices
from staff import frame
from staff.access import acting, allowed
from stickers.models import StickerPack
from stickers.stock import (  # noqa: F401 - sheet_pages, transfer_pages: for their views, on the same blueprint
    acts,
    cards,
    overview_pages,
    queries,
    sheet_pages,
    transfer_pages,
)
from stickers.stock.acts import By
from stickers.stock.console import blueprint, submit, typed_number, wanted
from stickers.stock.labels import KIND_NAMES

SAID = {
    "receive": _l("The packs are on your stock."),
    "send": _l("The packs are on the way. They left your stock; the other office confirms them."),
    "damage": _l("The damaged packs are off your stock."),
    "count": _l("The count is recorded."),
    "mark": _l("The mark is set."),
}


@blueprint.get("")
@allowed("office", "campaign", "admin")
def front() -> ResponseReturnValue:
    """The one office of a clerk at once; a choice of theirs; all offices for the campaign team."""
    actor = acting()
    if belonging.works_for_all(actor):
        return overview_pages.overview()
    own = belonging.own_offices(actor, limit=50) + belonging.own_closed_offices(actor, limit=50)
    if len(own) == 1:
        return redirect(url_for(".office_stock", code=own[0].code), code=303)
    return render_template("stickers/stock/own_offices.html", offices=own)


@blueprint.get("/<code>")
@allowed("office", "campaign", "admin")
def office_stock(code: str) -> str:
    office = belonging.office_for(acting(), code)
    return render_template(
        "stickers/stock/office.html",
        office=office,
        levels=queries.levels_of(office.id),
        incoming=queries.transfers(to=[office.id]),
        outgoing=queries.transfers(sent_from=[office.id]),
        of_all=belonging.works_for_all(acting()),
    )


@blueprint.get("/<code>/history")
@allowed("office", "campaign", "admin")
def history(code: str) -> str:
    office = belonging.office_for(acting(), code)
    return render_template(
        "stickers/stock/history.html",
        office=office,
        page=queries.history(office.id, wanted(), page_number()),
        pack_choices=[("", _("All")), *((pack.code, pack.name) for pack in queries.physical_packs())],
        kind_choices=[("", _("All")), *KIND_NAMES.items()],
    )


@blueprint.get("/<code>/<pack>/<any(receive, send, damage, count):act>")
@allowed("office", "campaign", "admin")
def act_page(code: str, pack: str, act: str) -> str:
    return _act_page(belonging.office_for(acting(), code), queries.pack_by_code(pack), act)


def _act_page(office: Office, pack: StickerPack, act: str, refusal: DomainError | None = None) -> str:
    return render_template(
        f"stickers/stock/{act}.html",
        act=act,
        office=office,
        level=queries.level_of(office.id, pack),
        others=list(offices(active=True)) if act == "send" else [],
        refusal=refusal,
        errors=refusal.errors if refusal else {},
        typed=request.form,
    )


@blueprint.post("/<code>/<pack>/<any(receive, send, damage, count):act>")
@allowed("office", "campaign", "admin")
def do_act(code: str, pack: str, act: str) -> ResponseReturnValue:
    return _do(code, pack, act)


@blueprint.get("/<code>/<pack>/mark", defaults={"act": "mark"})
@allowed("campaign", "admin")
def mark_page(code: str, pack: str, act: str) -> str:
    return _act_page(belonging.office_for(acting(), code), queries.pack_by_code(pack), act)


@blueprint.post("/<code>/<pack>/mark")
@allowed("campaign", "admin")
def set_mark(code: str, pack: str) -> ResponseReturnValue:
    return _do(code, pack, "mark")


def _do(code: str, pack_code: str, act: str) -> ResponseReturnValue:
    office = belonging.office_for(acting(), code)
    pack = queries.pack_by_code(pack_code)
    try:
        submit(lambda by: ACTS[act](office, pack, by), str(SAID[act]))
    except DomainError as refusal:
        return _act_page(office, pack, act, refusal), refusal.status
    return redirect(url_for(".office_stock", code=office.code), code=303)


def _receive(office: Office, pack: StickerPack, by: By) -> None:
    acts.receive(office, pack, typed_number("quantity"), reference=request.form.get("reference", ""), by=by)


def _send(office: Office, pack: StickerPack, by: By) -> None:
    quantity, note = typed_number("quantity"), request.form.get("note", "")
    other = office_by_code(request.form.get("office", ""))
    acts.send(office, pack, quantity, to_office=other, note=note, by=by)


def _damage(office: Office, pack: StickerPack, by: By) -> None:
    acts.damage(office, pack, typed_number("quantity"), reason=request.form.get("reason", ""), by=by)


def _count(office: Office, pack: StickerPack, by: By) -> None:
    counted, expected = typed_number("counted", least=0), typed_number("expected", least=0)
    acts.count(office, pack, counted, reason=request.form.get("reason", ""), expected=expected, by=by)


def _mark(office: Office, pack: StickerPack, by: By) -> None:
    acts.set_low_mark(office, pack, typed_number("low_mark", least=0), by=by)


ACTS: dict[str, Callable[[Office, StickerPack, By], None]] = {
    "receive": _receive,
    "send": _send,
    "damage": _damage,
    "count": _count,
    "mark": _mark,
}


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "stock.front", _l("Stock"), icon="box", order=5)
    cards.add_to(app)
