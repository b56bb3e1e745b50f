"""Console pages of printing: one office's posters at once, larger runs in the background."""

from collections.abc import Callable, Mapping
from functools import partial

from flask import Blueprint, Flask, Response, current_app, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import DEFAULT_LOCALE, LOCALES
from offices import belonging, exporting, labels, listing, previews, print_jobs, print_services, queries
from offices.console import campaign_of_console, names, page_number
from offices.models import PrintBatch
from offices.print_errors import CopiesOutOfRange, failure
from offices.printing import symbols
from offices.printing.formats import FORMATS
from staff import audit, frame
from staff.access import Actor, acting, allowed

blueprint = Blueprint("prints", __name__, template_folder="templates")
blueprint.context_processor(names)

AT_ONCE = 20  # pages that are printed while the browser waits
STILL_GOING = ("queued", "running")
SYMBOL_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


@blueprint.context_processor
def choices() -> dict[str, object]:
    return {"formats": labels.FORMAT_NAMES, "most_copies": print_services.MOST_COPIES}


@blueprint.get("/staff/offices/<code>")
@allowed("office", "campaign", "admin")
def office_page(code: str) -> str:
    return _office_page(code)


def _office_page(code: str, refusal: DomainError | None = None) -> str:
    office = belonging.office_for(acting(), code)
    return render_template(
        "offices/office.html",
        office=office,
        links=listing.newest_placements(office),
        of_all=belonging.works_for_all(acting()),
        runs=listing.newest_runs(office),
        members=belonging.staff_of(office) if acting().has("admin") else None,
        copies=request.values.get("copies", "1"),
        refusal=refusal,
        **_chosen(),
    )


def _chosen() -> dict[str, str]:
    """The format and the language that the address or the form names, or the usual ones."""
    format, language = request.values.get("format", ""), request.values.get("language", "")
    return {
        "format": format if format in FORMATS else "a4",
        "language": language if language in LOCALES else DEFAULT_LOCALE,
    }


@blueprint.get("/staff/offices/<code>/preview.png")
@allowed("office", "campaign", "admin")
def preview(code: str) -> Response:
    """What the poster of this office looks like."""
    office = belonging.office_for(acting(), code)
    picture = previews.preview(campaign_of_console(), office=office, **_chosen())
    return Response(picture, mimetype="image/png", headers={"Cache-Control": "private, max-age=600"})


@blueprint.post("/staff/offices/<code>/print")
@allowed("office", "campaign", "admin")
def print_office(code: str) -> ResponseReturnValue:
    """A few copies are made at once and downloaded; many in the background."""
    office = belonging.office_for(acting(), code)
    try:
        [batch] = _make([request.form.get("format", "")], [office.code], "pdf")
    except DomainError as refusal:
        return _office_page(code, refusal), refusal.status
    return _print_now_or_soon(batch)


def _print_now_or_soon(batch: PrintBatch) -> ResponseReturnValue:
    if batch.total <= AT_ONCE and print_jobs.print_batch(batch.id):
        return redirect(url_for(".download", public_id=batch.public_id), code=303)
    print_jobs.print_soon.enqueue(batch.id)
    return redirect(url_for(".run", public_id=batch.public_id), code=303)


def _copies() -> int:
    """Raises `CopiesOutOfRange` for what is no number."""
    text = request.form.get("copies", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise CopiesOutOfRange(field="copies", limit=print_services.MOST_COPIES)
    return int(text)


def _make(formats: list[str], offices: list[str] | None, packaging: str) -> list[PrintBatch]:
    """A run for each format, in one unit of work."""
    actor, now = acting(), utcnow()
    with unit_of_work():
        create = partial(
            print_services.create_batch,
            campaign_id=campaign_of_console(),
            language=request.form.get("language", ""),
            copies=_copies(),
            offices=offices,
            packaging=packaging,
            created_by=actor.email,
            now=now,
        )
        batches = [create(format=format) for format in formats]
        for batch in batches:
            after = {"format": batch.format, "language": batch.language, "copies": batch.copies, "pages": batch.total}
            _record(actor, "posters.ordered", batch, after=after)
    return batches


def _record(actor: Actor, action: str, batch: PrintBatch, **values: Mapping[str, object]) -> None:
    subject = f"print_run:{batch.public_id}"
    audit.record(actor.email, action, subject, now=utcnow(), address=actor.address, **values)


@blueprint.get("/staff/prints")
@allowed("office", "campaign", "admin")
def run_list() -> str:
    """Office staff see the runs of their offices."""
    actor = acting()
    page, of_all = listing.batches_page(actor, page_number()), belonging.works_for_all(actor)
    return render_template("offices/prints.html", page=page, of_all=of_all)


@blueprint.get("/staff/prints/new")
@allowed("campaign", "admin")
def new_run() -> str:
    return _new_run()


def _new_run(refusal: DomainError | None = None) -> str:
    return render_template(
        "offices/new_print.html",
        refusal=refusal,
        chosen=request.form,
        chosen_formats=request.form.getlist("format") or ["a4"],
        region_choices=[(region, region) for region in queries.regions()],
        offices=listing.count_offices()[0],
    )


@blueprint.post("/staff/prints/new")
@allowed("campaign", "admin")
def order_run() -> ResponseReturnValue:
    """A run for each chosen format, printed in the background."""
    try:
        batches = _make(request.form.getlist("format") or [""], _wanted_offices(), request.form.get("packaging", ""))
    except DomainError as refusal:
        return _new_run(refusal), refusal.status
    for batch in batches:
        print_jobs.print_soon.enqueue(batch.id)
    only = batches[0].public_id if len(batches) == 1 else None
    return redirect(url_for(".run", public_id=only) if only else url_for(".run_list"), code=303)


def _wanted_offices() -> list[str] | None:
    """Codes as typed, or those of a region, or None for all offices."""
    typed = request.form.get("offices", "").replace(",", " ").replace(";", " ").upper().split()
    region = request.form.get("region", "")
    if typed:
        return typed
    return [office.code for office in queries.offices(active=True, region=region)] if region else None


def _batch_for(actor: Actor, public_id: str) -> PrintBatch:
    """Raises `UnknownBatch`, `NotYourOffice`."""
    batch = print_services.find_batch(public_id)
    belonging.require_run(actor, batch)
    return batch


@blueprint.get("/staff/prints/<public_id>")
@allowed("office", "campaign", "admin")
def run(public_id: str) -> str:
    batch = _batch_for(acting(), public_id)
    there = batch.state == "done" and print_services.output_path(batch).exists()
    may_cancel = batch.state in (*STILL_GOING, "failed")
    codes = queries.count_of_run(batch)
    retires = codes if batch.finished_at is None else 0
    return render_template(
        "offices/print.html",
        batch=batch,
        going=batch.state in STILL_GOING,
        may_cancel=may_cancel,
        codes=codes,
        retires=retires,
        asking=may_cancel and retires > 0 and "cancel" in request.args,
        size=print_services.output_path(batch).stat().st_size if there else None,
        reason=failure(batch.error).message if batch.state == "failed" else "",
    )


@blueprint.get("/staff/prints/<public_id>/file")
@allowed("office", "campaign", "admin")
def download(public_id: str) -> ResponseReturnValue:
    batch = _batch_for(acting(), public_id)
    file = print_services.finished_file(batch)
    asked = batch.selection["offices"]
    place = asked[0] if isinstance(asked, list) and len(asked) == 1 else _("offices")
    name = f"{place}-{batch.format}-{batch.language}-{batch.total}.{batch.packaging}"
    return send_file(file, as_attachment=True, download_name=name, max_age=0)


@blueprint.post("/staff/prints/<public_id>/cancel")
@allowed("office", "campaign", "admin")
def cancel(public_id: str) -> ResponseReturnValue:
    return _act(public_id, "posters.cancelled", lambda batch: print_services.cancel(batch, utcnow()))


@blueprint.post("/staff/prints/<public_id>/again")
@allowed("office", "campaign", "admin")
def again(public_id: str) -> ResponseReturnValue:
    """The same posters with the same codes once more: after a failure, or when the file is gone."""
    _act(public_id, "posters.ordered_again", lambda batch: print_services.print_again(batch, utcnow()))
    batch = print_services.find_batch(public_id)
    if batch.state == "done":  # its file is there
        return redirect(url_for(".run", public_id=public_id), code=303)
    return _print_now_or_soon(batch)


def _act(public_id: str, action: str, do: Callable[[PrintBatch], None]) -> ResponseReturnValue:
    actor = acting()
    with unit_of_work():
        batch = _batch_for(actor, public_id)
        before = {"state": batch.state}
        do(batch)
        _record(actor, action, batch, before=before, after={"state": batch.state})
    db.session.expire_all()
    return redirect(url_for(".run", public_id=public_id), code=303)


@blueprint.post("/staff/links/<code>/print")
@allowed("office", "campaign", "admin")
def print_link(code: str) -> ResponseReturnValue:
    """A poster or card for exactly this link."""
    actor, now = acting(), utcnow()
    belonging.require_office(actor, queries.placement_by_code(code).office_id)
    try:
        with unit_of_work():
            format = request.form.get("format", "")
            batch = print_services.print_link(code, format=format, created_by=actor.email, now=now)
            _record(actor, "posters.ordered", batch, after={"format": batch.format, "link": batch.selection["link"]})
    except DomainError as refusal:
        return _link_page(code, refusal), refusal.status
    return _print_now_or_soon(batch)


@blueprint.get("/staff/links/<code>")
@allowed("office", "campaign", "admin")
def link_page(code: str) -> str:
    return _link_page(code)


def _link_page(code: str, refusal: DomainError | None = None) -> str:
    placement = queries.placement_by_code(code)
    belonging.require_office(acting(), placement.office_id)
    return render_template(
        "offices/link.html",
        link=placement,
        address=exporting.address(placement.code, current_app.config["PUBLIC_URL"]),
        heir=queries.replacement_codes(placement.replaced_by_id).get(placement.replaced_by_id or 0),
        single_formats=[(key, labels.FORMAT_NAMES[key]) for key in FORMATS if FORMATS[key].per_page == 1],
        usual_format="a6" if placement.medium == "counter_card" else "a4",
        refusal=refusal,
    )


@blueprint.get("/staff/links/<code>.<any(svg, png):kind>")
@allowed("office", "campaign", "admin")
def symbol(code: str, kind: str) -> Response:
    """The code of one link, for whoever designs a billboard or a card of their own."""
    placement = queries.placement_by_code(code)
    belonging.require_office(acting(), placement.office_id)
    address = exporting.address(placement.code, current_app.config["PUBLIC_URL"]).upper()
    drawn = symbols.svg(address) if kind == "svg" else symbols.png(address)
    headers = {"Content-Disposition": f'attachment; filename="{placement.code}.{kind}"'}
    return Response(drawn, mimetype=SYMBOL_TYPES[kind], headers=headers)


def _office_card(actor: Actor) -> str:
    own, closed = belonging.own_offices(actor), belonging.own_closed_offices(actor)
    return render_template("offices/_office_card.html", offices=own, closed=closed)


def _runs_card(_actor: Actor) -> str:
    return render_template("offices/_runs_card.html", runs=print_services.newest(3), **names())


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "prints.run_list", _l("Printing"), icon="print", order=10)
    frame.add_card(app, _office_card, "office", order=10)
    frame.add_card(app, _runs_card, "campaign", "admin", order=15)
