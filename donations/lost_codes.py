"""Codes sent again: whoever gave an e-mail address gets the pages of their donations by a letter to it.

Nobody learns here whether an address is known: what is written, and what is answered, is the same either way.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from flask import Blueprint, Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from sqlalchemy.orm import selectinload

from core import outbox, throttle
from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError, TooMany
from core.http import client_address
from core.i18n import current_locale
from core.jobs import every
from core.mail import Mail
from donations import errors, views
from donations.models import RECEIVED, Donation, Donor, LostCodesRequest

TEMPLATE = "lost_codes"
WINDOW = timedelta(hours=1)
PER_CALLER, PER_ADDRESS = 30, 3
LISTED = 20  # of the latest donations of an address
KEEP = timedelta(days=7)

blueprint = Blueprint("lost_codes", __name__, template_folder="templates")


@blueprint.get("/lost-codes")
def form() -> str:
    return render_template("donations/lost_codes.html", sent="sent" in request.args, typed="", refusal=None)


@blueprint.post("/lost-codes")
def ask() -> ResponseReturnValue:
    typed = request.form.get("email", "")
    try:
        ask_for_codes(typed, caller=client_address(), locale=current_locale(), now=utcnow())
    except DomainError as refusal:
        page = render_template("donations/lost_codes.html", sent=False, typed=typed[:254], refusal=refusal)
        return page, refusal.status
    return redirect(url_for(".form", sent=1), code=303)


def ask_for_codes(typed: str, *, caller: str, locale: str, now: datetime) -> None:
    """Have the pages of its donations sent to this address, if any were given with it. Commits.

    An address gets at most a few letters an hour; more wishes are taken and not followed, without a word. Raises
    `EmailInvalid`, `TooMany`.
    """
    try:
        email = validate_email(typed.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        raise errors.EmailInvalid(field="email") from None
    if throttle.count("lost-codes-caller", caller, WINDOW, now) > PER_CALLER:
        raise TooMany(field="email")
    followed = throttle.count("lost-codes-address", email, WINDOW, now) <= PER_ADDRESS
    newest = sa.select(Donor.id).where(sa.func.lower(Donor.email) == email).order_by(Donor.id.desc()).limit(1)
    with unit_of_work() as session:
        donor_id = session.scalar(newest)
        wish = LostCodesRequest(donor_id=donor_id if followed else None, locale=locale, created_at=now)
        session.add(wish)
        session.flush()
        outbox.put(TEMPLATE, wish.id, now)


@outbox.renderer(TEMPLATE)
def letter(request_id: int) -> Mail | None:
    """None when nobody gave with that address, or it was erased since."""
    wish = db.session.get(LostCodesRequest, request_id)
    donor = db.session.get(Donor, wish.donor_id) if wish and wish.donor_id else None
    if wish is None or donor is None or not donor.email:
        return None
    donations = _donations_of(donor.email)
    if not donations:
        return None
    with force_locale(wish.locale):
        context = {"donations": donations, "address": views.status_url, "locale": wish.locale}
        return Mail(
            to=donor.email,
            subject=render_template("donations/mail/lost_codes.subject.txt", **context).strip(),
            text=render_template("donations/mail/lost_codes.txt", **context),
            html=render_template("donations/mail/lost_codes.html", **context),
            language=wish.locale,
        )


def _donations_of(email: str) -> list[Donation]:
    query = sa.select(Donation).join(Donor, Donor.id == Donation.donor_id)
    query = query.where(sa.func.lower(Donor.email) == email.lower(), Donation.status.in_(RECEIVED))
    query = query.options(selectinload(Donation.receipt), selectinload(Donation.campaign))
    return list(db.session.scalars(query.order_by(Donation.id.desc()).limit(LISTED)))


@every(seconds=3600)
def forget_old_requests() -> None:
    with unit_of_work() as session:
        session.execute(sa.delete(LostCodesRequest).where(LostCodesRequest.created_at < utcnow() - KEEP))


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
