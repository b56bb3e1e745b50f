"""Console pages of one office's stock: what is on the shelf, what came, went, broke, and was counted."""

from collections.abc import Callable
from datetime import datetime

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
from staff.access import Actor, acting, allowed
from stickers.models import StickerPack
from stickers.stock import (  # noqa: F401 - sheet_pages, transfer_pages: for their views, on the same blueprint
    cards,
    overview_pages,
    queries,
    services,
    sheet_pages,
    transfer_pages,
    transfers,
)
from stickers.stock.console import blueprint, record, submit, typed_number, wanted
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
    own = belonging.own_offices(actor, limit=50)
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
        submit(lambda actor, now: ACTS[act](office, pack, actor, now), str(SAID[act]))
    except DomainError as refusal:
        return _act_page(office, pack, act, refusal), refusal.status
    return redirect(url_for(".office_stock", code=office.code), code=303)


def _receive(office: Office, pack: StickerPack, actor: Actor, now: datetime) -> None:
    quantity, reference = typed_number("quantity"), request.form.get("reference", "")
    services.receive(office.id, pack.id, quantity, reference=reference, actor=actor.email, now=now)
    record(actor, "stock.received", office, pack, now, quantity=quantity, reference=reference)


def _send(office: Office, pack: StickerPack, actor: Actor, now: datetime) -> None:
    quantity, note = typed_number("quantity"), request.form.get("note", "")
    other = office_by_code(request.form.get("office", "").replace("\0", ""))
    sent = transfers.send(office.id, pack.id, quantity, to_office=other, note=note, actor=actor.email, now=now)
    record(actor, "stock.sent", office, pack, now, quantity=quantity, to=other.code, transfer=sent.public_id)


def _damage(office: Office, pack: StickerPack, actor: Actor, now: datetime) -> None:
    quantity, reason = typed_number("quantity"), request.form.get("reason", "")
    services.damage(office.id, pack.id, quantity, reason=reason, actor=actor.email, now=now)
    record(actor, "stock.damaged", office, pack, now, quantity=quantity, reason=reason)


def _count(office: Office, pack: StickerPack, actor: Actor, now: datetime) -> None:
    counted, expected = typed_number("counted", least=0), typed_number("expected", least=0)
    reason = request.form.get("reason", "")
    difference = services.count(
        office.id, pack.id, counted, reason=reason, actor=actor.email, now=now, expected=expected
    )
    record(actor, "stock.counted", office, pack, now, counted=counted, difference=difference, reason=reason)


def _mark(office: Office, pack: StickerPack, actor: Actor, now: datetime) -> None:
    low_mark = typed_number("low_mark", least=0)
    before = services.set_low_mark(office.id, pack.id, low_mark, now=now)
    record(actor, "stock.low_mark", office, pack, now, low_mark=low_mark, was=before)


ACTS: dict[str, Callable[[Office, StickerPack, Actor, datetime], None]] = {
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
