"""Pages of codes that were given to a friend, for the donor who gives and the friend who holds."""

from flask import Blueprint, Flask, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.clock import utcnow
from core.db import db, unit_of_work
from core.http import public_url
from core.qr import svg
from donations import queries
from donations.models import Donation
from donations.state import lock_donation
from stickers.models import RedemptionCode
from stickers.pages import file_of
from stickers.passing import NotToPassOn, kept_codes, pass_on, passed_by_token, passed_on

blueprint = Blueprint("friends", __name__, template_folder="templates")


def address_of(code: RedemptionCode) -> str | None:
    """The page of the friend that this code was given to, as it is sent to them."""
    passed = passed_on(code)
    return public_url("friends.friend", token=passed.token) if passed else None


@blueprint.post("/d/<token>/codes/<int:ordinal>/friend")
def give(token: str, ordinal: int) -> ResponseReturnValue:
    donation, now = queries.donation_by_token(token), utcnow()
    with unit_of_work():
        lock_donation(donation.id)
        code = next((each for each in kept_codes(donation.id) if each.ordinal == ordinal), None)
        if code is None:
            raise NotToPassOn
        pass_on(code, now, until=donation.campaign.collect_until)
    return redirect(url_for("donations.status", token=token, _anchor=f"code-{ordinal}"), code=303)


@blueprint.get("/g/<token>")
def friend(token: str) -> ResponseReturnValue:
    passed = passed_by_token(token)
    donation = db.session.get_one(Donation, passed.code.donation_id)
    return render_template(
        "donations/friend.html",
        token=token,
        code=passed.code,
        campaign=donation.campaign,
        friend_url=address_of,
        qr=svg,
    )


@blueprint.post("/g/<token>/friend")
def give_further(token: str) -> ResponseReturnValue:
    now = utcnow()
    with unit_of_work():
        donation_id = passed_by_token(token).code.donation_id
        lock_donation(donation_id)
        until = db.session.get_one(Donation, donation_id).campaign.collect_until
        pass_on(passed_by_token(token).code, now, until=until)
    return redirect(url_for(".friend", token=token), code=303)


@blueprint.get("/g/<token>/pack")
def pack(token: str) -> ResponseReturnValue:
    """The file of a digital pack, for whoever has the friend's address."""
    return file_of(passed_by_token(token).code)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
