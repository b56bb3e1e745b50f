"""What can be refused about a gift."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, Invalid, NotFound, TooMany


class UnknownCampaign(NotFound):
    code = "campaign_not_found"
    text = _l("There is no such campaign.")


class UnknownDonation(NotFound):
    code = "donation_not_found"
    text = _l("We do not know this donation. Please check the address.")


class CampaignNotOpen(Conflict):
    code = "campaign_not_open"
    text = _l("This campaign has not begun yet.")


class CampaignClosed(Conflict):
    code = "campaign_closed"
    text = _l("This campaign is over. Thank you to everyone who gave.")


class AmountInvalid(Invalid):
    code = "amount_invalid"
    text = _l("Please enter an amount in figures, such as 25 or 25.50.")


class AmountTooSmall(Invalid):
    code = "amount_too_small"
    text = _l("The smallest donation is %(limit)s.")


class AmountTooLarge(Invalid):
    code = "amount_too_large"
    text = _l("The largest donation is %(limit)s.")


class CurrencyNotAccepted(Invalid):
    code = "currency_not_accepted"
    text = _l("This campaign takes %(currency)s only.")


class EmailInvalid(Invalid):
    code, within = "email_invalid", "donor"
    text = _l("This e-mail address is not complete or has a typing mistake.")


class NameInvalid(Invalid):
    code, within = "name_invalid", "donor"
    text = _l("Please enter a name of at most %(limit)s characters, without the characters < and >.")


class KeyInvalid(Invalid):
    code, status = "idempotency_key_invalid", 400
    text = _l("Idempotency-Key takes 1 to 255 printable ASCII characters.")


class KeyReused(Conflict):
    code = "idempotency_key_reused"
    text = _l("This Idempotency-Key was used for another request.")


class NotPayable(Conflict):
    code = "donation_not_payable"
    text = _l("This donation needs no further payment.")


class TooManyStarts(TooMany):
    code = "too_many_donations"
    text = _l("Too many donations were started from here. Please wait a few minutes.")
