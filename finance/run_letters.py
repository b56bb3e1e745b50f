"""E-mails that tell finance of checks and comparisons: what began, or is over, and where to look; nothing of donors."""

from collections.abc import Callable

from flask import render_template
from flask_babel import force_locale

from core.db import db
from core.http import public_url
from core.i18n import DEFAULT_LOCALE
from core.mail import Mail
from core.outbox import renderer
from finance import run_state
from finance.exception_details import check_name, why_unread
from finance.run_alerts import LETTERS
from finance.run_models import RunAlert
from ledger import periods


def _letter_of(about: str) -> Callable[[int], Mail | None]:
    def letter(alert_id: int) -> Mail | None:
        """None when the member is not with us any more."""
        alert = db.session.get_one(RunAlert, alert_id)
        if not alert.member.active:
            return None
        with force_locale(DEFAULT_LOCALE):
            context = {
                "results": [each for each in alert.run.results if each["name"] in alert.names],
                "check_name": check_name,
                "why_unread": why_unread,
                "kind": alert.run.kind,
                "unread": run_state.unread_in(alert.run),
                "done": run_state.last(alert.run.kind),
                "zone": periods.ZONE,
                "url": public_url("exceptions.overview"),
                "locale": DEFAULT_LOCALE,
            }
            name = f"finance/mail/{LETTERS[about]}"
            return Mail(
                to=alert.member.email,
                subject=render_template(f"{name}.subject.txt", **context).strip(),
                text=render_template(f"{name}.txt", **context),
                html=render_template(f"{name}.html", **context),
                language=DEFAULT_LOCALE,
            )

    return letter


for _about, _template in LETTERS.items():
    renderer(_template)(_letter_of(_about))
