"""The e-mail that tells finance of a check that began to fail: its name and where to look, nothing of donors."""

from flask import render_template
from flask_babel import force_locale

from core.db import db
from core.http import public_url
from core.i18n import DEFAULT_LOCALE
from core.mail import Mail
from core.outbox import renderer
from finance.run_models import RunAlert
from finance.runs import ALERT


@renderer(ALERT)
def failed_letter(alert_id: int) -> Mail | None:
    """None when the member is not with us any more."""
    alert = db.session.get_one(RunAlert, alert_id)
    if not alert.member.active:
        return None
    with force_locale(DEFAULT_LOCALE):
        results = [each for each in alert.run.results if each["name"] in alert.names]
        context = {"results": results, "url": public_url("exceptions.overview"), "locale": DEFAULT_LOCALE}
        return Mail(
            to=alert.member.email,
            subject=render_template("finance/mail/check_failed.subject.txt", **context).strip(),
            text=render_template("finance/mail/check_failed.txt", **context),
            html=render_template("finance/mail/check_failed.html", **context),
            language=DEFAULT_LOCALE,
        )
