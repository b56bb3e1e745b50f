"""E-mails about alerts, written at the moment they are sent."""

from flask import render_template
from flask_babel import force_locale

from core.db import db
from core.http import public_url
from core.mail import Mail
from core.outbox import renderer
from offices.labels import ZONE
from stickers.counter.alerts import READERS, TEMPLATE
from stickers.counter.models import CounterLetter


@renderer(TEMPLATE)
def alert_letter(letter_id: int) -> Mail | None:
    """None for who has left the team since, and for what somebody has looked into already."""
    letter = db.session.get_one(CounterLetter, letter_id)
    member, alert = letter.member, letter.alert
    if not member.active or member.role_names().isdisjoint(READERS) or alert.seen_at is not None:
        return None
    with force_locale(member.locale):
        context = {
            "alert": alert,
            "link": public_url("counter.alert_list", lang=member.locale),
            "console": public_url("staff.front", lang=member.locale),
            "zone": ZONE,
            "locale": member.locale,
        }
        return Mail(
            to=member.email,
            subject=render_template("stickers/counter/mail/alert.subject.txt", **context).strip(),
            text=render_template("stickers/counter/mail/alert.txt", **context),
            html=render_template("stickers/counter/mail/alert.html", **context),
            language=member.locale,
        )
