"""Console pages of the counter: scan, look, hand over, undo.

Codes come and go in the bodies of forms: none stands in an address, and so in no log and no history of a browser.
"""

from typing import cast

from flask import Blueprint, Flask, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import unit_of_work
from core.errors import DomainError
from core.http import takes_upload
from core.ids import new_public_id
from offices import belonging
from offices.labels import ZONE
from offices.models import Office
from staff import frame
from staff.access import Actor, acting, allowed
from stickers.codes import show
from stickers.counter import (
    alerts,
    decoding,
    errors,
    guessing,
    letters,  # noqa: F401 - registers how alerts are written
    looks,
    places,
    queries,
    reading,
    services,
    verdicts,
)
from stickers.models import Redemption
from stickers.stock import acts
from stickers.stock.console import typed_number

blueprint = Blueprint("counter", __name__, url_prefix="/staff/counter", template_folder="../templates")

ROLES = ("office", "campaign", "admin")
PHOTO_MEGABYTES = 32
ALERTS_SHOWN = 100


@blueprint.context_processor
def names() -> dict[str, object]:
    return {"zone": ZONE, "show_code": show, "undo_minutes": services.UNDO_MINUTES}


@blueprint.get("", strict_slashes=False)
@allowed(*ROLES)
def counter() -> ResponseReturnValue:
    office = places.office_here(acting())
    return _entry(office) if office else redirect(url_for(".offices"), code=303)


def _entry(office: Office, refusal: DomainError | None = None, typed: str = "") -> str:
    several = places.has_choice(acting())
    return render_template(
        "stickers/counter/counter.html", office=office, several=several, refusal=refusal, typed=typed
    )


@blueprint.get("/office")
@allowed(*ROLES)
def offices() -> str:
    actor = acting()
    closed = belonging.own_closed_offices(actor)
    return render_template("stickers/counter/offices.html", offices=places.choices(actor), closed=closed)


@blueprint.post("/office")
@allowed(*ROLES)
def choose_office() -> ResponseReturnValue:
    office = _office()
    return places.remember(cast(Response, redirect(url_for(".counter"), code=303)), office)


def _office() -> Office:
    """The one that the form names. Raises `UnknownOffice`, `NotYourOffice`."""
    return belonging.office_for(acting(), request.form.get("office", ""))


@blueprint.post("/code")
@allowed(*ROLES)
def check() -> ResponseReturnValue:
    """What was typed or scanned is looked at on a page of its own."""
    return _look_at(_office(), [request.form.get("code", "")], scanned=bool(request.form.get("scanned")))


@blueprint.post("/photo")
@allowed(*ROLES)
@takes_upload(PHOTO_MEGABYTES)
def photo() -> ResponseReturnValue:
    """The same for a photo of the code."""
    office, file = _office(), request.files.get("photo")
    try:
        if file is None or not file.filename:
            raise errors.NoFile(field="photo")
        with file.stream:
            texts = decoding.texts_in(file.stream)
    except DomainError as refusal:
        flash(refusal.message, "bad")
        return redirect(url_for(".counter"), code=303)
    return _look_at(office, texts, scanned=True)


def _look_at(office: Office, texts: list[str], *, scanned: bool = False) -> ResponseReturnValue:
    return redirect(url_for(".look", look=looks.remember(office, texts, scanned=scanned)), code=303)


@blueprint.get("/look/<look>")
@allowed(*ROLES)
def look(look: str) -> ResponseReturnValue:
    """The verdict, as it is by now; on several codes, the choice between them; what cannot be read is typed again."""
    found, actor, now = looks.find(look), acting(), utcnow()
    if found is None:
        flash(_("Please type or scan the code once more."), "warn")
        return redirect(url_for(".counter"), code=303)
    office = belonging.office_for(actor, found.office)
    try:
        meant = verdicts.codes_in(found.texts, scanned=found.scanned, office=office, actor=actor, now=now)
        said = [verdicts.verdict_on(code, office=office, actor=actor, now=now) for code in meant]
    except DomainError as refusal:
        typed = "" if found.scanned else found.texts[0]
        return _entry(office, refusal, typed), refusal.status, refusal.headers
    if len(said) > 1:
        return render_template("stickers/counter/several.html", office=office, verdicts=said)
    return _verdict(office, said[0])


def _verdict(office: Office, verdict: verdicts.Verdict, refusal: DomainError | None = None) -> str:
    return render_template(
        "stickers/counter/verdict.html", office=office, verdict=verdict, refusal=refusal, nonce=new_public_id()
    )


@blueprint.post("/hand-over")
@allowed(*ROLES)
def hand_over() -> ResponseReturnValue:
    """One press; the same press once more leads to the same page. A refusal is told where the code is looked at."""
    office, actor, now = _office(), acting(), utcnow()
    nonce = request.form.get("nonce") or new_public_id()
    typed = request.form.get("code", "")
    try:
        code = reading.read_code(typed)
        redemption = guessing.redeem(code, office=office, actor=actor, nonce=nonce, now=now)
    except (errors.NonceReused, errors.NonceInvalid):
        flash(_("Nothing was handed over: this page was used before. Please look once more, and press again."), "bad")
        return _look_at(office, [typed])
    except DomainError:
        return _look_at(office, [typed])
    return redirect(url_for(".done", public_id=redemption.public_id), code=303)


@blueprint.post("/counted")
@allowed(*ROLES)
def counted() -> ResponseReturnValue:
    """The system says there is none left, the shelf says otherwise: counted, written down, and on with the code."""
    office, actor, now = _office(), acting(), utcnow()
    code = reading.read_code(request.form.get("code", ""))
    verdict = verdicts.verdict_on(code, office=office, actor=actor, now=now)
    if verdict.kind != "empty" or verdict.pack is None:
        return _look_at(office, [code])
    try:
        number, reason = typed_number("counted", least=0), request.form.get("reason", "")
        by = acts.By(actor.email, actor.address, now)
        with unit_of_work():
            acts.count(office, verdict.pack, number, reason=reason, expected=verdict.stock, by=by)
    except DomainError as refusal:
        return _verdict(office, verdict, refusal), refusal.status
    return _look_at(office, [code])


@blueprint.get("/done/<public_id>")
@allowed(*ROLES)
def done(public_id: str) -> str:
    return _done(queries.redemption_for(acting(), public_id))


def _done(redemption: Redemption, refusal: DomainError | None = None) -> str:
    return render_template(
        "stickers/counter/done.html",
        redemption=redemption,
        office=redemption.office,
        refusal=refusal,
        left=queries.stock_of(redemption.office_id, redemption.code.pack_id),
        can_be_undone=services.can_be_undone(redemption, utcnow()),
        reason=request.form.get("reason", ""),
    )


@blueprint.post("/done/<public_id>/undo")
@allowed(*ROLES)
def undo(public_id: str) -> ResponseReturnValue:
    actor, reason = acting(), request.form.get("reason", "")
    try:
        with unit_of_work():
            redemption = queries.redemption_for(actor, public_id)
            services.undo_redemption(redemption, actor=actor, reason=reason, now=utcnow())
    except (errors.UndoReasonMissing, errors.TooLateToUndo) as refusal:
        return _done(queries.redemption_for(actor, public_id), refusal), refusal.status
    return redirect(url_for(".done", public_id=public_id), code=303)


@blueprint.get("/shift")
@allowed(*ROLES)
def shift() -> ResponseReturnValue:
    """What I handed over today at the office where I am, or was until it was closed."""
    actor, office, now = acting(), places.office_here(acting(), closed=True), utcnow()
    if office is None:
        return redirect(url_for(".offices"), code=303)
    history = queries.handed_over_by(actor.id, office.id, since=queries.start_of_day(now, ZONE))
    return render_template(
        "stickers/counter/shift.html", office=office, history=history, sums=queries.sums_by_pack(history), now=now
    )


@blueprint.get("/alerts")
@allowed("campaign", "admin")
def alert_list() -> str:
    return render_template("stickers/counter/alerts.html", alerts=alerts.newest(ALERTS_SHOWN))


@blueprint.post("/alerts/<public_id>/seen")
@allowed("campaign", "admin")
def alert_seen(public_id: str) -> ResponseReturnValue:
    with unit_of_work():
        alerts.mark_seen(public_id, actor=acting(), now=utcnow())
    return redirect(url_for(".alert_list"), code=303)


def _counter_card(actor: Actor) -> str:
    office = places.office_here(actor)
    return render_template("stickers/counter/_counter_card.html", office=office, own=belonging.own_offices(actor, 1))


def _alerts_card(_actor: Actor) -> str:
    number = alerts.unseen()
    return render_template("stickers/counter/_alerts_card.html", number=number) if number else ""


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "counter.counter", _l("Counter"), icon="counter", order=5)
    frame.add_card(app, _counter_card, "office", order=0)
    frame.add_card(app, _alerts_card, "campaign", "admin", order=1)
