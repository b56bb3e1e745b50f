"""Console pages of exports: what to export, how far it is, the file with its manifest, and what is made regularly."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, Response, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import local_day, utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.i18n import LANGUAGE_NAMES, current_locale
from core.money import Money
from finance import names
from finance.exports import jobs, schedules, services
from finance.exports.datasets import DATASETS
from finance.exports.datasets.statement import STATES, note_on_days
from finance.exports.errors import NotMade, NotYourExport, failure
from finance.exports.formats import WRITERS
from finance.exports.models import Export, ExportSchedule
from finance.exports.orders import Order
from finance.exports.words import range_text
from finance.filters import CHANNELS, DEFAULT_ZONE, NAMES
from offices import queries
from offices.labels import MEDIA_NAMES
from staff import audit, frame
from staff.access import MEMBERS, Actor, acting, allowed

blueprint = Blueprint("exports", __name__, template_folder="../templates")
blueprint.context_processor(names.in_templates)

FORMAT_NAMES = {
    "xlsx": _l("Excel workbook (XLSX)"),
    "csv-ru": _l("CSV for Excel and 1C (semicolons)"),
    "csv": _l("CSV (international)"),
    "jsonl": _l("JSON Lines, for machines"),
    "pdf": _l("PDF to sign (month statement)"),
}
RHYTHM_NAMES = {"": _l("Now"), "daily": _l("Every day"), "weekly": _l("Every week"), "monthly": _l("Every month")}
STATE_NAMES = {
    "queued": _l("Waiting"),
    "running": _l("Being made"),
    "done": _l("Ready"),
    "failed": _l("Failed"),
    "cancelled": _l("Cancelled"),
    "expired": _l("Expired"),
}
CHANNEL_NAMES = {
    "print": _l("Printed in an office"),
    "outdoor": _l("Outdoor"),
    "link": _l("Sent links"),
    "online": _l("Online by itself"),
}
OPTION_NAMES = {
    "first": _l("From"),
    "last": _l("To"),
    "as_of": _l("As of"),
    "campaign": _l("Campaign"),
    "fund": _l("Fund"),
    "office": _l("Office"),
    "region": _l("Region"),
    "medium": _l("Medium"),
    "channel": _l("Channel"),
    "placement": _l("Link"),
    "provider": _l("Provider"),
    "language": _l("Language of the donor"),
    "currency": _l("Currency"),
}
MORE = tuple(name for name in NAMES if name not in ("first", "last"))
STILL_GOING = ("queued", "running")


@blueprint.context_processor
def choices() -> dict[str, Any]:
    return {
        "datasets": {name: dataset.title for name, dataset in DATASETS.items()},
        "formats": FORMAT_NAMES,
        "rhythms": RHYTHM_NAMES,
        "states": STATE_NAMES,
        "channels": {channel: CHANNEL_NAMES[channel] for channel in CHANNELS},
        "media": MEDIA_NAMES,
        "languages": LANGUAGE_NAMES,
        "months": STATES,
        "money": Money,
        "option_names": OPTION_NAMES,
        "range_text": range_text,
    }


def _last_month() -> dict[str, str]:
    last = local_day(utcnow(), DEFAULT_ZONE).replace(day=1) - timedelta(days=1)
    return {"first": last.replace(day=1).isoformat(), "last": last.isoformat()}


@blueprint.get("/staff/exports")
@allowed("finance", "admin")
def list_page() -> str:
    """The form as the address fills it in; with the last month when it says nothing."""
    asked = {name: value for name, value in request.args.items() if name != "lang"}
    return _list_page(asked or _last_month())


def _list_page(typed: Mapping[str, str], refusal: DomainError | None = None) -> str:
    actor = acting()
    return render_template(
        "finance/exports.html",
        typed=typed,
        refusal=refusal,
        opened=any(typed.get(name) for name in (*MORE, "names")) or typed.get("encoding") == "cp1251",
        regions=[(region, region) for region in queries.regions()],
        exports=services.newest(actor),
        schedules=schedules.running(actor, utcnow()),
        last_month=_last_month(),
        locale=current_locale(),
        page_path=url_for(".list_page"),
    )


@blueprint.post("/staff/exports")
@allowed("finance", "admin")
def order() -> ResponseReturnValue:
    """A small one is made at once and downloaded; a large one in the background; a regular one from now on."""
    try:
        if rhythm := request.form.get("rhythm", ""):
            return _add_schedule(rhythm)
        export_id, public_id, small, clamped = _order()
    except DomainError as refusal:
        db.session.rollback()
        return _list_page(request.form, refusal), refusal.status
    if clamped:
        flash(_("Exports reach up to a minute ago, so that the same file can be made again."), "good")
    if small and jobs.make_export(export_id):
        made = services.find_export(public_id).manifest
        # A file without rows opens as an empty table: its page says that this is all.
        view = ".download" if made and made["rows"] else ".show"
        return redirect(url_for(view, public_id=public_id), code=303)
    jobs.make_soon.enqueue(export_id)
    return redirect(url_for(".show", public_id=public_id), code=303)


def _order() -> tuple[int, str, bool, bool]:
    actor, now = acting(), utcnow()
    with unit_of_work():
        wanted = Order.read(request.form, now)
        small = services.is_small(wanted)
        export = services.order_export(wanted, actor.id, now, by_mail=not small)
        _record(actor, "export.ordered", export, after=export.options)
    return export.id, export.public_id, small, wanted.clamped


def _record(actor: Actor, action: str, export: Export, **values: Mapping[str, object]) -> None:
    audit.record(actor.email, action, f"export:{export.public_id}", now=utcnow(), address=actor.address, **values)


def _add_schedule(rhythm: str) -> ResponseReturnValue:
    actor, now = acting(), utcnow()
    with unit_of_work():
        schedule = schedules.add_schedule(request.form, rhythm, actor, now)
        _record_of_schedule(actor, "export_schedule.added", schedule, after={"rhythm": rhythm, **schedule.options})
    flash(_("From now on you get an e-mail with a link each time."), "good")
    return redirect(url_for(".list_page"), code=303)


@blueprint.post("/staff/exports/schedules/<public_id>/end")
@allowed("finance", "admin")
def end_schedule(public_id: str) -> ResponseReturnValue:
    actor, now = acting(), utcnow()
    with unit_of_work():
        schedule = schedules.find_schedule(public_id)
        if not schedules.is_shown(schedule, schedules.why_stopped(schedule, now), actor):
            raise NotYourExport
        schedules.end_schedule(schedule, now)
        _record_of_schedule(actor, "export_schedule.ended", schedule)
    flash(_("It will not be made again."), "good")
    return redirect(url_for(".list_page"), code=303)


@blueprint.post("/staff/exports/schedules/<public_id>/take-over")
@allowed("finance", "admin")
def take_over_schedule(public_id: str) -> ResponseReturnValue:
    """What was made for somebody who may no longer have it goes on for this member."""
    actor = acting()
    with unit_of_work():
        schedule = schedules.find_schedule(public_id)
        before = {"member": schedule.member.email}
        schedules.take_over(schedule, actor, utcnow())
        _record_of_schedule(actor, "export_schedule.taken_over", schedule, before=before, after={"member": actor.email})
    flash(_("From now on you get an e-mail with a link each time."), "good")
    return redirect(url_for(".list_page"), code=303)


def _record_of_schedule(actor: Actor, act: str, schedule: ExportSchedule, **values: Mapping[str, object]) -> None:
    subject = f"export_schedule:{schedule.public_id}"
    audit.record(actor.email, act, subject, now=utcnow(), address=actor.address, **values)


def _export_for(actor: Actor, public_id: str) -> Export:
    """Raises `UnknownExport`, and `NotYourExport` after it is written down who tried."""
    export = services.find_export(public_id)
    try:
        services.require_access(export, actor)
    except NotYourExport:
        with unit_of_work():
            _record(actor, "export.refused", export)
        raise
    return export


@blueprint.get("/staff/exports/<public_id>")
@allowed(*MEMBERS)
def show(public_id: str) -> str:
    export = _export_for(acting(), public_id)
    return render_template(
        "finance/export.html",
        export=export,
        as_of=datetime.fromisoformat(export.options["as_of"]),
        summed=DATASETS[export.options["dataset"]].summed,
        going=export.state in STILL_GOING,
        there=services.is_there(export, utcnow()),
        note=_note(export),
        reason=failure(export.error).message if export.state == "failed" else "",
    )


def _note(export: Export) -> str:
    of_month = export.options["dataset"] == "statement"
    return note_on_days(services.order_of(export, utcnow()).filters) if of_month else ""


@blueprint.get("/staff/exports/<public_id>/file")
@allowed(*MEMBERS)
def download(public_id: str) -> ResponseReturnValue:
    """Each download is written down: the file may hold data of donors."""
    actor = acting()
    export = _export_for(actor, public_id)
    path = services.finished_file(export, utcnow())
    with unit_of_work():
        _record(actor, "export.downloaded", export, after={"sha256": (export.manifest or {}).get("sha256")})
    mimetype = WRITERS[export.options["format"]].mimetype
    answer = send_file(path, mimetype=mimetype, as_attachment=True, download_name=path.name, max_age=0)
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@blueprint.get("/staff/exports/<public_id>/manifest.json")
@allowed(*MEMBERS)
def manifest(public_id: str) -> Response:
    export = _export_for(acting(), public_id)
    if export.manifest is None:
        raise NotMade
    name = f"{export.manifest['file']}.{jobs.MANIFEST}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(jobs.manifest_text(export.manifest), mimetype="application/json", headers=headers)


@blueprint.post("/staff/exports/<public_id>/cancel")
@allowed(*MEMBERS)
def cancel(public_id: str) -> ResponseReturnValue:
    answer = _act(public_id, "export.cancelled", lambda export: services.cancel(export, utcnow()))
    services.remove_files(services.find_export(public_id))
    return answer


@blueprint.post("/staff/exports/<public_id>/again")
@allowed(*MEMBERS)
def again(public_id: str) -> ResponseReturnValue:
    """The same file once more: after a failure, or when it has expired."""
    answer = _act(public_id, "export.ordered_again", lambda export: services.make_again(export, utcnow()))
    jobs.make_soon.enqueue(services.find_export(public_id).id)
    return answer


def _act(public_id: str, action: str, do: Callable[[Export], None]) -> ResponseReturnValue:
    actor = acting()
    _export_for(actor, public_id)
    with unit_of_work():
        export = services.find_export(public_id)
        before = {"state": export.state}
        do(export)
        _record(actor, action, export, before=before, after={"state": export.state})
    return redirect(url_for(".show", public_id=public_id), code=HTTPStatus.SEE_OTHER)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "exports.list_page", _l("Exports"), icon="download", order=48)
