"""Console pages of offices and links: lists, import and export, retiring and replacing."""

from collections.abc import Callable, Mapping
from io import StringIO
from typing import BinaryIO, TextIO, cast

from flask import Blueprint, Flask, Response, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError, NotFound
from core.http import takes_upload
from core.i18n import LANGUAGE_NAMES
from core.texts import one_line
from offices import belonging, exporting, importing, labels, listing, queries, services
from offices.models import MEDIA, PLACEMENT_STATES, Placement
from staff import audit, frame
from staff.access import Actor, acting, allowed
from staff.errors import NoSuchMember

blueprint = Blueprint("offices", __name__, template_folder="templates")

UPLOAD_MEGABYTES = 32
FAULTS_SHOWN = 200


@blueprint.context_processor
def names() -> dict[str, object]:
    return {
        "media": labels.MEDIA_NAMES,
        "placement_states": labels.PLACEMENT_STATE_NAMES,
        "batch_states": labels.BATCH_STATE_NAMES,
        "languages": LANGUAGE_NAMES,
        "zone": labels.ZONE,
        "origin": current_app.config["PUBLIC_URL"],
        "campaign_choices": queries.campaign_choices,
    }


def page_number() -> int:
    return request.args.get("page", 1, type=int)


def csv_answer(write: Callable[[TextIO], int], name: str) -> Response:
    """A CSV file as Excel opens it here: with a byte-order mark."""
    text = StringIO(newline="")
    write(text)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text.getvalue(), mimetype="text/csv", headers=headers)


@blueprint.get("/staff/offices")
@allowed("office", "campaign", "admin")
def office_list() -> str:
    actor = acting()
    return render_template(
        "offices/offices.html",
        page=listing.offices_page(actor, request.args, page_number()),
        region_choices=[("", _("All")), *((region, region) for region in queries.regions())],
        of_all=belonging.works_for_all(actor),
    )


@blueprint.get("/staff/offices.csv")
@allowed("campaign", "admin")
def export_offices() -> ResponseReturnValue:
    return csv_answer(exporting.write_offices, "offices.csv")


@blueprint.get("/staff/offices/import")
@allowed("campaign", "admin")
def import_page() -> str:
    return render_template("offices/import.html", columns=exporting.OFFICE_COLUMNS)


@blueprint.post("/staff/offices/import")
@allowed("campaign", "admin")
@takes_upload(UPLOAD_MEGABYTES)
def import_offices() -> ResponseReturnValue:
    """Check the file, and import it when that button was pressed and every line is good."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return redirect(url_for(".import_page"), code=303)
    if request.form.get("act") != "import":
        return _import_result(importing.check_offices(cast(BinaryIO, file.stream)), done=False)
    actor, anyway = acting(), bool(request.form.get("close_anyway"))
    try:
        with unit_of_work():
            report = importing.import_offices(cast(BinaryIO, file.stream), _changed_by(actor), close_anyway=anyway)
            _record_import(actor, report, file.filename)
    except importing.ImportRefused as refusal:
        return _import_result(refusal.report, done=False), refusal.status
    return _import_result(report, done=True)


def _changed_by(actor: Actor) -> importing.Changed:
    now = utcnow()

    def record(code: str, before: importing.Change, after: importing.Change) -> None:
        by = {"actor": actor.email, "address": actor.address}
        audit.record(action="office.changed", subject=f"office:{code}", before=before, after=after, now=now, **by)

    return record


def _record_import(actor: Actor, report: importing.Report, name: str) -> None:
    after = {"file": one_line(name)[:100], "new": report.new, "changed": report.changed, "same": report.same}
    audit.record(actor.email, "offices.imported", "offices", after=after, now=utcnow(), address=actor.address)


def _import_result(report: importing.Report, *, done: bool) -> str:
    return render_template(
        "offices/import.html",
        report=report,
        done=done,
        faults=(report.faults or report.closing)[:FAULTS_SHOWN],
        columns=exporting.OFFICE_COLUMNS,
    )


@blueprint.get("/staff/links")
@allowed("office", "campaign", "admin")
def link_list() -> str:
    actor = acting()
    return render_template(
        "offices/links.html",
        page=listing.placements_page(actor, request.args, page_number()),
        states=PLACEMENT_STATES,
        of_all=belonging.works_for_all(actor),
        replacements=queries.replacement_codes(),
    )


@blueprint.get("/staff/links.csv")
@allowed("campaign", "admin")
def export_links() -> ResponseReturnValue:
    origin = current_app.config["PUBLIC_URL"]
    return csv_answer(lambda file: exporting.write_placements(file, origin=origin), "links.csv")


@blueprint.get("/staff/links/new")
@allowed("campaign", "admin")
def new_link() -> str:
    return render_template("offices/new_link.html", chosen=request.args)


@blueprint.post("/staff/links/new")
@allowed("campaign", "admin")
def make_link() -> ResponseReturnValue:
    try:
        with unit_of_work():
            [made] = services.add_placements([_place()], utcnow())
            _record("placement.made", made, after={"medium": made.medium, "label": made.label})
    except DomainError as refusal:
        return render_template("offices/new_link.html", chosen=request.form, refusal=refusal), refusal.status
    flash(_("The link is made: %(address)s", address=exporting.address(made.code, current_app.config["PUBLIC_URL"])))
    return redirect(url_for(".link_list", code=made.code), code=303)


def campaign_of_console() -> int:
    """The id of the campaign that links and posters are made for: the one that was chosen, else the front one.

    Raises `NotFound` when there is none like this."""
    found = queries.campaign_id(request.values.get("campaign") or None)
    if found is None:
        raise NotFound
    return found


def _place() -> services.Place:
    code = request.form.get("office", "").strip()
    return services.Place(
        campaign_id=campaign_of_console(),
        medium=request.form.get("medium", ""),
        language=request.form.get("language", ""),
        office_id=queries.office_by_code(code).id if code else None,
        label=request.form.get("label", ""),
    )


@blueprint.post("/staff/links/<code>/retire")
@allowed("office", "campaign", "admin")
def retire_link(code: str) -> ResponseReturnValue:
    with unit_of_work():
        belonging.require_office(acting(), queries.placement_by_code(code).office_id)
        retired = services.retire(code)
        _record("placement.retired", retired, before={"state": "active"}, after={"state": "retired"})
    flash(_("%(code)s is retired. Whoever scans it can still give.", code=retired.code), "good")
    return redirect(url_for(".link_list", code=retired.code), code=303)


@blueprint.post("/staff/links/<code>/replace")
@allowed("office", "campaign", "admin")
def replace_link(code: str) -> ResponseReturnValue:
    with unit_of_work():
        old = queries.placement_by_code(code)
        belonging.require_office(acting(), old.office_id)
        new = services.replace(code, utcnow())
        _record("placement.replaced", old, before={"state": "active"}, after={"replaced_by": new.code})
    flash(_("%(old)s is replaced by %(new)s.", old=old.code, new=new.code), "good")
    return redirect(url_for(".link_list", code=new.code), code=303)


@blueprint.post("/staff/offices/<code>/staff")
@allowed("admin")
def change_staff(code: str) -> ResponseReturnValue:
    """Let a member work for the office, or no longer."""
    act = belonging.release if request.form.get("act") == "release" else belonging.assign
    actor = acting()
    try:
        with unit_of_work():
            office, email = queries.office_by_code(code), request.form.get("email", "")
            act(office, email, actor=actor.email, address=actor.address, now=utcnow())
    except NoSuchMember as refusal:
        flash(refusal.message, "bad")
    return redirect(url_for("prints.office_page", code=code) + "#staff", code=303)


def _record(action: str, placement: Placement, **values: Mapping[str, object]) -> None:
    actor = acting()
    subject = f"placement:{placement.code}"
    audit.record(actor.email, action, subject, now=utcnow(), address=actor.address, **values)


def _campaign_card(actor: Actor) -> str:
    offices, links = listing.count_offices()
    return render_template("offices/_campaign_card.html", offices=offices, links=links)


def init_app(app: Flask) -> None:
    assert set(labels.MEDIA_NAMES) == set(MEDIA)
    app.register_blueprint(blueprint)
    frame.add_entry(app, "offices.office_list", _l("Offices"), icon="office", order=20)
    frame.add_entry(app, "offices.link_list", _l("Links"), icon="link", order=30)
    frame.add_card(app, _campaign_card, "campaign", "admin", order=30)
