"""Console pages of gifts: the search, everything of one gift, and giving money back."""

from collections.abc import Callable

from flask import Blueprint, Flask, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.clock import utcnow
from core.db import db, unit_of_work
from core.errors import DomainError
from core.ids import new_public_id
from core.money import Money
from donations.models import Donation, Payment
from finance import gifts, names, refunds
from finance.forms import read_amount, read_key, read_text
from finance.models import RefundOrder
from finance.refunds import Wish
from offices.labels import MEDIA_NAMES
from staff import audit, frame
from staff.access import Actor, acting, allowed
from stickers.services import codes_of

blueprint = Blueprint("gifts", __name__, template_folder="templates")
blueprint.context_processor(names.in_templates)

LONGEST_REASON = 200


@blueprint.get("/staff/donations")
@allowed("finance", "admin")
def search_page() -> ResponseReturnValue:
    """Gifts by what finance knows of them, page by page."""
    found, refusal = gifts.Found([], None), None
    try:
        found = gifts.search(gifts.wanted(request.args))
    except DomainError as error:
        refusal = error
    page = render_template("finance/gifts.html", found=found, refusal=refusal, asked=request.args)
    return page, refusal.status if refusal else 200


@blueprint.get("/staff/donations/<public_id>")
@allowed("finance", "admin")
def gift_page(public_id: str) -> str:
    return _gift_page(gifts.gift(public_id))


def _gift_page(donation: Donation, refusal: DomainError | None = None, *, with_donor: bool = False) -> str:
    orders = refunds.orders_of(donation)
    return render_template(
        "finance/gift.html",
        gift=donation,
        place=gifts.place_of(donation),
        media=MEDIA_NAMES,
        journal=gifts.entries_of(donation),
        happened=gifts.happened,
        lines=gifts.lines_of(donation),
        codes=codes_of(donation.id),
        handed_over=refunds.was_handed_over(donation),
        orders=orders,
        standing=refunds.standing,
        standing_of_refund=refunds.standing_of_refund,
        refundable=[(payment, refunds.left_of(payment)) for payment in donation.payments if _refundable(payment)],
        disputed=any(refunds.is_disputed(payment) for payment in donation.payments),
        alone_up_to=Money(current_app.config["REFUND_ALONE_UP_TO"], donation.currency),
        me=acting().id,
        key=request.form.get("key") or new_public_id(),
        typed=request.form,
        money=Money,
        refusal=refusal,
        donor=donation.donor if with_donor else None,
        with_donor=with_donor,
        page_path=url_for(".gift_page", public_id=donation.public_id),
    )


def _refundable(payment: Payment) -> bool:
    return refunds.left_of(payment) > 0 and not refunds.is_disputed(payment)


@blueprint.post("/staff/donations/<public_id>/donor")
@allowed("finance", "admin")
def donor(public_id: str) -> str:
    """Who gave it: shown this once, and written down that it was looked at."""
    actor = acting()
    with unit_of_work():
        audit.record(
            actor.email,
            "donor.shown",
            f"donation:{gifts.gift(public_id).public_id}",
            now=utcnow(),
            address=actor.address,
        )
    return _gift_page(gifts.gift(public_id), with_donor=True)


@blueprint.post("/staff/donations/<public_id>/refunds")
@allowed("finance", "admin")
def order_refund(public_id: str) -> ResponseReturnValue:
    """Give back all or a part: at once, or after somebody else has approved it."""
    donation = gifts.gift(public_id)
    try:
        wish = _wish(donation)
        with unit_of_work():
            limit = current_app.config["REFUND_ALONE_UP_TO"]
            order = refunds.propose(donation, wish, acting(), alone_up_to=limit, now=utcnow())
    except DomainError as refusal:
        db.session.expire_all()
        return _gift_page(gifts.gift(public_id), refusal), refusal.status
    if order.needs_second:
        flash(_("Somebody else has to approve this refund now."), "good")
    else:
        flash(_("The provider is being asked for the refund. This page shows when it has confirmed it."), "good")
    return redirect(url_for(".gift_page", public_id=public_id), code=303)


def _wish(donation: Donation) -> Wish:
    """What the form says. Raises `AmountInvalid`, `TextMissing`, `TextTooLong`, `FormKeyInvalid`."""
    number = request.form.get("payment", "")
    chosen = [payment for payment in donation.payments if payment.public_id == number]
    payment = chosen[0] if chosen else donation.payments[-1]
    return Wish(
        payment_id=payment.id,
        amount=read_amount(request.form.get("amount", ""), payment.currency, "amount"),
        reason=read_text(request.form.get("reason", ""), "reason", limit=LONGEST_REASON),
        knows=request.form.get("knows") == "yes",
        key=read_key(request.form.get("key", "")),
    )


@blueprint.post("/staff/refunds/<public_id>/approve")
@allowed("finance", "admin")
def approve(public_id: str) -> ResponseReturnValue:
    knows = request.form.get("knows") == "yes"
    return _decide(public_id, lambda order, actor: refunds.approve(order, actor, knows=knows, now=utcnow()))


@blueprint.post("/staff/refunds/<public_id>/reject")
@allowed("finance", "admin")
def reject(public_id: str) -> ResponseReturnValue:
    return _decide(public_id, lambda order, actor: refunds.reject(order, actor, utcnow()))


@blueprint.post("/staff/refunds/<public_id>/withdraw")
@allowed("finance", "admin")
def withdraw(public_id: str) -> ResponseReturnValue:
    return _decide(public_id, lambda order, actor: refunds.withdraw(order, actor, utcnow()))


def _decide(public_id: str, act: Callable[[RefundOrder, Actor], object]) -> ResponseReturnValue:
    number = refunds.find(public_id).payment.donation.public_id
    try:
        with unit_of_work():
            act(refunds.find(public_id), acting())
    except DomainError as refusal:
        db.session.expire_all()
        return _gift_page(gifts.gift(number), refusal), refusal.status
    return redirect(url_for(".gift_page", public_id=number), code=303)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    frame.add_entry(app, "gifts.search_page", _l("Donations"), icon="heart", order=42)
