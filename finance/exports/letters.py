"""E-mails about exports: a link that asks to sign in, never the file."""

from flask import render_template
from flask_babel import force_locale

from core.db import db
from core.http import public_url
from core.mail import Mail
from core.outbox import renderer
from finance.exports.datasets import DATASETS
from finance.exports.errors import failure
from finance.exports.models import Export
from finance.exports.services import may_have_exports
from finance.exports.words import range_text

READY, FAILED = "export_ready", "export_failed"


@renderer(READY)
def ready_letter(export_id: int) -> Mail | None:
    """None when there is nobody to write to, or nothing to open any more."""
    export = db.session.get_one(Export, export_id)
    return _letter(export, "ready") if export.state == "done" else None


@renderer(FAILED)
def failed_letter(export_id: int) -> Mail | None:
    export = db.session.get_one(Export, export_id)
    return _letter(export, "failed") if export.state == "failed" else None


def _letter(export: Export, kind: str) -> Mail | None:
    member = export.member
    if not member.active or not may_have_exports(member.role_names()):
        return None
    language = str(export.options["locale"])
    with force_locale(language):
        context = {
            "export": export,
            "days": range_text(export.options),
            "title": str(DATASETS[export.options["dataset"]].title),
            "url": public_url("exports.show", public_id=export.public_id),
            "reason": failure(export.error).message if kind == "failed" else "",
            "locale": language,
        }
        return Mail(
            to=export.member.email,
            subject=render_template(f"finance/mail/export_{kind}.subject.txt", **context).strip(),
            text=render_template(f"finance/mail/export_{kind}.txt", **context),
            html=render_template(f"finance/mail/export_{kind}.html", **context),
            language=language,
        )
