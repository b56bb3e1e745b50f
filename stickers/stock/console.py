"""What the console pages of stock have in common."""

import secrets
from collections.abc import Callable

from flask import Blueprint, flash, request
from flask_babel import gettext as _

from core.clock import utcnow
from core.db import unit_of_work
from offices.labels import ZONE
from staff.access import acting
from stickers.stock import forms, labels, services
from stickers.stock.acts import By
from stickers.stock.errors import QuantityInvalid

blueprint = Blueprint("stock", __name__, url_prefix="/staff/stock", template_folder="../templates")


@blueprint.context_processor
def names() -> dict[str, object]:
    return {
        "kinds": labels.KIND_NAMES,
        "transfer_states": labels.STATE_NAMES,
        "standings": labels.STANDING_NAMES,
        "acts": labels.ACT_NAMES,
        "zone": ZONE,
        "most": services.MOST,
        "text_limit": services.TEXT_LIMIT,
        # Of the form that is answered, or a new one: a form sent twice is known by it.
        "nonce": request.form.get("nonce") or secrets.token_urlsafe(16),
    }


def wanted() -> dict[str, str]:
    """The filters of a list, without what PostgreSQL cannot even look for."""
    return {name: value.replace("\0", "") for name, value in request.args.items()}


def submit(act: Callable[[By], object], said: str) -> None:
    """Do what a form asks for, in one unit of work, and say so; told quietly when it was done before."""
    actor, now = acting(), utcnow()
    content = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    with unit_of_work():
        new = forms.take(request.form.get("nonce", ""), [("to", request.path), *content], now)
        if new:
            act(By(actor.email, actor.address, now))
    flash(said if new else _("This was recorded already, and nothing was changed twice."), "good")


def typed_number(name: str, *, least: int = 1) -> int:
    """Raises `QuantityInvalid` for what is no number."""
    text = request.form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QuantityInvalid(field=name, least=least, most=services.MOST)
    return int(text)
