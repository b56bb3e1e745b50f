"""The donation form. Its rules are those of `donations.services`; here is only what the page collects."""

import secrets

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField

from core.money import BadAmount, Money, parse_amount
from donations import errors
from donations.models import Campaign


class DonationForm(FlaskForm):
    """`choice` is a suggested amount in minor units or `own`; then `amount` is what the donor typed."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(16))
    placement = HiddenField()
    choice = StringField()
    amount = StringField(_l("Another amount"))
    name = StringField(_l("Your name"))
    email = StringField(_l("E-mail for the receipt"))
    anonymous = BooleanField(_l("Do not show my name anywhere"))

    def money(self, campaign: Campaign) -> Money:
        """What the donor wants to give. Raises `AmountInvalid`."""
        choice = (self.choice.data or "").strip()
        typed = (self.amount.data or "").strip()
        if not typed and choice.isascii() and choice.isdigit() and len(choice) < 12:
            return Money(int(choice), campaign.currency)
        try:
            return parse_amount(typed, campaign.currency)
        except BadAmount:
            raise errors.AmountInvalid(field="amount") from None
