"""The e-mail that says that a pack runs low, written at the moment it is sent."""

from flask import render_template
from flask_babel import force_locale

from core.db import db
from core.http import public_url
from core.mail import Mail
from core.outbox import renderer
from offices.models import Office
from staff.models import StaffMember
from stickers.models import StickerPack
from stickers.stock import services
from stickers.stock.alerts import TEMPLATE
from stickers.stock.models import StockAlert, StockLetter


@renderer(TEMPLATE)
def low_letter(letter_id: int) -> Mail | None:
    """In the member's language. None when it is true no longer, or the member does not work here any more."""
    letter = db.session.get_one(StockLetter, letter_id)
    alert = db.session.get_one(StockAlert, letter.alert_id)
    member = db.session.get_one(StaffMember, letter.member_id)
    if alert.cleared_at is not None or not member.active:
        return None
    office = db.session.get_one(Office, alert.office_id)
    with force_locale(member.locale):
        context = {
            "office": office,
            "pack": db.session.get_one(StickerPack, alert.pack_id),
            "left": services.level_of(alert.office_id, alert.pack_id),
            "address": public_url("stock.office_stock", code=office.code, lang=member.locale),
            "console": public_url("staff.front", lang=member.locale),
            "locale": member.locale,
        }
        return Mail(
            to=member.email,
            subject=render_template("stickers/stock/mail/low.subject.txt", **context).strip(),
            text=render_template("stickers/stock/mail/low.txt", **context),
            html=render_template("stickers/stock/mail/low.html", **context),
            language=member.locale,
        )
