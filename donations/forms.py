"""The donation form. Its rules are those of `donations.services`; here is only what the page collects."""

import secrets

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField

from core.i18n import format_money
from core.money import BadAmount, Money, parse_amount
from donations import errors, views
from donations.models import Campaign

PRESELECTED = 1  # index of the suggested amount that is chosen at first


class DonationForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """`choice` is a suggested amount in minor units; what is typed as `amount` counts instead of it."""

    key = HiddenField(default=lambda: secrets.token_urlsafe(16))
    placement = HiddenField(default=views.followed_link)
    choice = StringField()
    amount = StringField(_l("Another amount"))
    name = StringField(_l("Your name"))
    email = StringField(_l("E-mail for the receipt"))
    anonymous = BooleanField(_l("Do not show my name anywhere"))

    def chosen(self, campaign: Campaign) -> int | None:
        """The suggested amount to show as chosen; None when the donor typed one."""
        if (self.amount.data or "").strip():
            return None
        suggested, asked = campaign.suggested_minor, self._choice()
        if asked in suggested:
            return asked
        return suggested[min(PRESELECTED, len(suggested) - 1)] if suggested else None

    def _choice(self) -> int | None:
        text = (self.choice.data or "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None

    def money(self, campaign: Campaign) -> Money:
        """What the donor wants to give. Raises `AmountInvalid`, `AmountTooLarge`."""
        typed, choice = (self.amount.data or "").strip(), self._choice()
        if not typed and choice is not None:
            return Money(choice, campaign.currency)
        try:
            return parse_amount(typed, campaign.currency)
        except BadAmount as bad:
            if bad.reason == "too_large":
                limit = format_money(campaign.money(campaign.max_minor))
                raise errors.AmountTooLarge(field="amount", limit=limit) from None
            raise errors.AmountInvalid(field="amount") from None
