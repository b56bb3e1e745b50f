"""E-mails to donors, written at the moment they are sent."""

from flask import render_template
from flask_babel import force_locale

from core.db import db
from core.mail import InlineImage, Mail
from core.outbox import renderer
from core.qr import png
from donations import receipts, views
from donations.models import Donation
from donations.standing import standing_of
from stickers.passing import kept_codes


@renderer(receipts.TEMPLATE)
def receipt_letter(donation_id: int) -> Mail | None:
    """The receipt in the donor's language; None when there is no address (any more)."""
    donation = db.session.get_one(Donation, donation_id)
    if donation.donor is None or not donation.donor.email or donation.receipt is None:
        return None
    codes = kept_codes(donation.id)
    shown = (code for code in codes if code.status == "issued" and code.pack.kind == "physical")
    images = tuple(InlineImage(f"code-{code.ordinal}", png(code.code)) for code in shown)
    with force_locale(donation.locale):
        context = {
            "donation": donation,
            "campaign": donation.campaign,
            "receipt": donation.receipt,
            "codes": codes,
            "status_url": views.status_url(donation),
            "locale": donation.locale,
            "standing": standing_of(donation),
        }
        return Mail(
            to=donation.donor.email,
            subject=render_template("donations/mail/receipt.subject.txt", **context).strip(),
            text=render_template("donations/mail/receipt.txt", **context),
            html=render_template("donations/mail/receipt.html", **context),
            language=donation.locale,
            images=images,
        )
