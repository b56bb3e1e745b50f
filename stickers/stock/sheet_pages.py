"""Console pages of the shift's end: count everything once, keep the sheet, print it."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.errors import DomainError
from offices import belonging
from offices.models import Office
from staff.access import acting, allowed
from stickers.stock import acts, queries, sheets
from stickers.stock.acts import By
from stickers.stock.console import blueprint, submit, typed_number
from stickers.stock.sheets import Counted


@blueprint.get("/<code>/close")
@allowed("office", "campaign", "admin")
def close_page(code: str) -> str:
    return _close_page(belonging.office_for(acting(), code))


def _close_page(office: Office, refusal: DomainError | None = None) -> str:
    return render_template(
        "stickers/stock/close.html",
        office=office,
        levels=[level for level in queries.levels_of(office.id) if level.opened],
        refusal=refusal,
        errors=refusal.errors if refusal else {},
        typed=request.form,
    )


@blueprint.post("/<code>/close")
@allowed("office", "campaign", "admin")
def close(code: str) -> ResponseReturnValue:
    office = belonging.office_for(acting(), code)
    try:
        submit(lambda by: _close(office, by), _("The shift is closed. This is its sheet."))
    except DomainError as refusal:
        return _close_page(office, refusal), refusal.status
    newest = sheets.of_office(office.id, limit=1)
    return redirect(url_for(".sheet", public_id=newest[0].public_id), code=303)


def _close(office: Office, by: By) -> None:
    lines = [
        Counted(
            pack_id=level.pack.id,
            expected=typed_number(f"expected-{level.pack.id}", least=0),
            counted=typed_number(f"counted-{level.pack.id}", least=0),
            reason=request.form.get(f"reason-{level.pack.id}", ""),
        )
        for level in queries.levels_of(office.id)
        if f"expected-{level.pack.id}" in request.form
    ]
    acts.close_shift(office, lines, note=request.form.get("note", ""), by=by)


@blueprint.get("/<code>/sheets")
@allowed("office", "campaign", "admin")
def sheet_list(code: str) -> str:
    office = belonging.office_for(acting(), code)
    found = sheets.of_office(office.id)
    return render_template("stickers/stock/sheets.html", office=office, sheets=found, names=sheets.closers(found))


@blueprint.get("/sheets/<public_id>")
@allowed("office", "campaign", "admin")
def sheet(public_id: str) -> str:
    found = sheets.find(public_id)
    belonging.require_office(acting(), found.office_id)
    return render_template("stickers/stock/sheet.html", sheet=found, names=sheets.closers([found]))
