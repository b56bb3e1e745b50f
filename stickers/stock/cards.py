"""What the front page of the console says about stock."""

from datetime import timedelta

from flask import Flask, render_template

from core.clock import utcnow
from offices import belonging
from offices.forms import still_there
from staff import frame
from staff.access import Actor
from stickers.stock import queries
from stickers.stock.labels import STANDING_NAMES

LATELY = timedelta(days=7)


def _office_card(actor: Actor) -> str:
    """The packs of each of the member's offices, and transfers that wait for them; of closed ones what is left."""
    own = belonging.own_offices(actor)
    own += [office for office in belonging.own_closed_offices(actor) if still_there(office.id)]
    if not own:
        return ""
    waiting = queries.transfers(to=[office.id for office in own])
    shelves = [(office, queries.levels_of(office.id)) for office in own]
    return render_template(
        "stickers/stock/_office_card.html", shelves=shelves, waiting=waiting, standings=STANDING_NAMES
    )


def _campaign_card(_actor: Actor) -> str:
    differences = queries.differences_since(utcnow() - LATELY)
    return render_template("stickers/stock/_campaign_card.html", totals=queries.totals(), differences=differences)


def add_to(app: Flask) -> None:
    frame.add_card(app, _office_card, "office", order=5)
    frame.add_card(app, _campaign_card, "campaign", "admin", order=20)
