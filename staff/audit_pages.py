"""Console pages of administrators: the audit log, as a list, as CSV, and whether its chain is whole."""

import csv
import json
from collections.abc import Iterator
from io import StringIO

from flask import Blueprint, Flask, Response, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.cells import neutral
from core.clock import utcnow
from core.db import unit_of_work
from staff import audit, audit_checks, audit_queries, frame, labels
from staff.access import Actor, acting, allowed
from staff.audit_names import name_of
from staff.audit_queries import Wanted

blueprint = Blueprint("staff_audit", __name__)

COLUMNS = ("number", "at", "actor", "via", "address", "action", "subject", "before", "after", "hash")


@blueprint.get("/staff/audit")
@allowed("admin")
def entries() -> str:
    wanted = Wanted.read(request.args)
    part = audit_queries.part_of_log(wanted, request.args.get("before", type=int))
    named = [(action, str(name_of(action))) for action in audit_queries.actions()]
    return render_template(
        "staff/audit.html",
        wanted=wanted,
        part=part,
        action_choices=[("", _("All")), *sorted(named, key=lambda choice: choice[1].casefold())],
        name_of=name_of,
        changes=audit_queries.changes,
        check=audit_queries.last_check(),
        zone=labels.ZONE,
    )


@blueprint.get("/staff/audit.csv")
@allowed("admin")
def export() -> Response:
    """The same entries as the list shows, all of them, with the hash of each and the present head of the chain."""
    wanted = Wanted.read(request.args)
    headers = {
        "Content-Disposition": f'attachment; filename="audit-{utcnow():%Y%m%d-%H%M}.csv"',
        "X-Audit-Head": str(audit.head()),
    }
    return Response(stream_with_context(_lines(wanted)), mimetype="text/csv", headers=headers)


def _lines(wanted: Wanted) -> Iterator[str]:
    """In pieces of a few hundred lines: each line by itself would be a write to the network."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    text.write("\ufeff")
    writer.writerow(COLUMNS)
    for number, entry in enumerate(audit_queries.whole_log(wanted), 1):
        writer.writerow([_cell(getattr(entry, name)) for name in COLUMNS])
        if number % 200 == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return neutral(text)


@blueprint.get("/staff/audit/chain")
@allowed("admin")
def chain() -> str:
    noted = request.args.get("head", "")
    return render_template(
        "staff/audit_chain.html",
        head=audit.head(),
        check=audit_queries.last_check(),
        waiting=audit_queries.open_check(),
        noted=noted,
        compared=_compared(noted) if noted else None,
        zone=labels.ZONE,
    )


def _compared(noted: str) -> str:
    """`whole`, `broken` or `unreadable`."""
    try:
        return "broken" if audit.compare(audit.read_head(noted)) else "whole"
    except ValueError:
        return "unreadable"


@blueprint.post("/staff/audit/chain")
@allowed("admin")
def verify() -> ResponseReturnValue:
    actor = acting()
    with unit_of_work():
        audit_checks.ask(actor.email, utcnow())
    audit_checks.check_soon.enqueue()
    return redirect(url_for(".chain"), code=303)


def _card(_actor: Actor) -> str:
    newest = audit_queries.part_of_log(Wanted(), size=3).entries
    check = audit_queries.last_check()
    return render_template("staff/_audit_card.html", newest=newest, check=check, name_of=name_of, zone=labels.ZONE)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "staff_audit.entries", _l("Audit log"), icon="clock", order=92)
    frame.add_card(app, _card, "admin", order=60)
