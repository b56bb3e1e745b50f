"""Console pages of transfers: the receiver confirms or declines, the sender may cancel until then."""

from collections.abc import Callable

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.errors import DomainError
from offices import belonging
from offices.console import page_number
from offices.errors import NotYourOffice
from staff.access import Actor, acting, allowed
from stickers.stock import acts, queries, transfers
from stickers.stock.acts import By
from stickers.stock.console import blueprint, submit, typed_number
from stickers.stock.models import StockTransfer


def _reaches(actor: Actor, office_id: int) -> bool:
    try:
        belonging.require_office(actor, office_id)
    except NotYourOffice:
        return False
    return True


@blueprint.get("/<code>/transfers")
@allowed("office", "campaign", "admin")
def transfer_list(code: str) -> str:
    office = belonging.office_for(acting(), code)
    page = queries.transfers_of(office.id, page_number())
    return render_template("stickers/stock/transfers.html", office=office, page=page)


@blueprint.get("/transfers/<public_id>")
@allowed("office", "campaign", "admin")
def transfer(public_id: str) -> str:
    return _transfer_page(transfers.find(public_id))


def _transfer_page(found: StockTransfer, refusal: DomainError | None = None) -> str:
    actor = acting()
    receives, sends = _reaches(actor, found.to_office_id), _reaches(actor, found.from_office_id)
    if not (receives or sends):
        raise NotYourOffice
    return render_template(
        "stickers/stock/transfer.html",
        transfer=found,
        most_arrive=transfers.most_of(found),
        receives=receives,
        sends=sends,
        refusal=refusal,
        errors=refusal.errors if refusal else {},
        typed=request.form,
    )


@blueprint.post("/transfers/<public_id>/confirm")
@allowed("office", "campaign", "admin")
def confirm(public_id: str) -> ResponseReturnValue:
    return _end(public_id, "arrived", _confirm, _("The packs are on your stock."))


@blueprint.post("/transfers/<public_id>/decline")
@allowed("office", "campaign", "admin")
def decline(public_id: str) -> ResponseReturnValue:
    return _end(public_id, "declined", _decline, _("The packs are the sender's again. Please give them back."))


@blueprint.post("/transfers/<public_id>/cancel")
@allowed("office", "campaign", "admin")
def cancel(public_id: str) -> ResponseReturnValue:
    return _end(public_id, "cancelled", _cancel, _("The transfer is cancelled. The packs are on your stock again."))


def _end(public_id: str, state: str, act: Callable[[StockTransfer, By], None], said: str) -> ResponseReturnValue:
    """Receivers confirm and decline, senders cancel."""
    found = transfers.find(public_id)
    mine = found.from_office if state == "cancelled" else found.to_office
    belonging.require_office(acting(), mine.id)
    try:
        submit(lambda by: act(found, by), said)
    except DomainError as refusal:
        return _transfer_page(transfers.find(public_id), refusal), refusal.status
    return redirect(url_for(".office_stock", code=mine.code), code=303)


def _confirm(found: StockTransfer, by: By) -> None:
    arrived, reason = typed_number("arrived", least=0), request.form.get("reason", "")
    acts.confirm(found, arrived, reason=reason, by=by)


def _decline(found: StockTransfer, by: By) -> None:
    acts.decline(found, reason=request.form.get("decline_reason", ""), by=by)


def _cancel(found: StockTransfer, by: By) -> None:
    acts.cancel(found, reason=request.form.get("cancel_reason", ""), by=by)
