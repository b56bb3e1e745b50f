"""What finance may be refused."""

from flask_babel import lazy_gettext as _l

from core.errors import Conflict, Invalid, NotFound

# Months


class MonthInvalid(Invalid):
    code = "month_invalid"
    text = _l("A month is written as 2026-02.")


class MonthNotOver(Conflict):
    code = "month_not_over"
    text = _l("This month is not over yet. It can be closed from its last midnight on.")


class MonthNotNext(Conflict):
    code = "month_not_next"
    text = _l("Months are closed in order: the next one is %(month)s.")


class NothingToClose(Conflict):
    code = "nothing_to_close"
    text = _l("There is nothing in the books yet that could be closed.")


class MonthNotLastClosed(Conflict):
    code = "month_not_last_closed"
    text = _l("Only the month that was closed last can be reopened.")


class UnknownMonth(NotFound):
    code = "unknown_month"
    text = _l("This month has not been closed.")


class ReasonMissing(Invalid):
    code = "reason_missing"
    text = _l("Please say why, in a few words.")


# Two people


class SamePerson(Conflict):
    code = "same_person"
    text = _l("You proposed this yourself: somebody else has to decide.")


class NotYours(Conflict):
    code = "not_yours"
    text = _l("Only the person who proposed this can withdraw it.")


class Decided(Conflict):
    code = "already_decided"
    text = _l("This has been decided meanwhile. The page shows how it stands now.")


# Amounts and days


class AmountInvalid(Invalid):
    code = "amount_invalid"
    text = _l("An amount is more than zero and written as 1250.00.")


class AmountTooLarge(Invalid):
    code = "amount_too_large"
    text = _l("This is more than the %(left)s that are left.")


class BankAmountDiffers(Invalid):
    code = "bank_amount_differs"
    text = _l("In one and the same currency both amounts are the same.")


class CurrencyUnknown(Invalid):
    code = "currency_unknown"
    text = _l("A currency is written as BYN or EUR.")


class DayToCome(Invalid):
    code = "day_to_come"
    text = _l("This day is still to come.")


class DayTooOld(Invalid):
    code = "day_too_old"
    text = _l("This day is before the campaign began.")


class CameBackTooEarly(Invalid):
    code = "came_back_too_early"
    text = _l("Money cannot come back before it was paid.")


class TextMissing(Invalid):
    code = "text_missing"
    text = _l("Please fill this in.")


class TextTooLong(Invalid):
    code = "text_too_long"
    text = _l("At most %(limit)s characters fit here.")


class CountInvalid(Invalid):
    code = "count_invalid"
    text = _l("A whole number from 0 to %(limit)s is needed.")


# Disbursements


class UnknownDisbursement(NotFound):
    code = "unknown_disbursement"
    text = _l("There is no such payment to a programme.")


class NotAvailable(Conflict):
    code = "not_available"
    text = _l("Only %(available)s are available now: %(amount)s cannot be spent.")


class NotToReverse(Conflict):
    code = "not_to_reverse"
    text = _l("Only a payment that was made can come back, and only once.")


class AttachmentRefused(Invalid):
    code = "attachment_refused"
    text = _l("A PDF, PNG or JPEG file of up to %(megabytes)s MB is needed; this file is something else.")


class AttachmentTooLarge(Invalid):
    code = "attachment_too_large"
    text = _l("This file is larger than %(megabytes)s MB.")


class AttachmentGone(NotFound):
    code = "attachment_gone"
    text = _l("The file is not in its place any more. Please bring it back from the backup.")


# Gifts and refunds


class UnknownGift(NotFound):
    code = "unknown_gift"
    text = _l("There is no such donation.")


class UnknownOrder(NotFound):
    code = "unknown_refund_order"
    text = _l("There is no such refund.")


class NothingToRefund(Conflict):
    code = "nothing_to_refund"
    text = _l("No payment has arrived here, so nothing can be given back.")


class PaymentDisputed(Conflict):
    code = "payment_disputed"
    text = _l("The donor’s bank has called this payment back: it cannot be refunded as well.")


class HandedOver(Conflict):
    code = "handed_over"
    text = _l("A sticker pack of this donation has been handed over. Tick that you know it, and send again.")


class FormKeyInvalid(Invalid):
    code = "form_key_invalid"
    text = _l("The form is out of date. Please go back, reload the page and try again.")


class MoreThanOwed(Conflict):
    code = "more_than_owed"
    text = _l("The sponsor owes %(owed)s, and this is more. Tick that it has paid in advance, and send again.")


class UnknownSponsorPayment(NotFound):
    code = "unknown_sponsor_payment"
    text = _l("There is no such payment of the sponsor.")


class StillOpen(Invalid):
    code = "month_still_open"
    text = _l("Matters of this month that do not agree: %(count)s. Resolve them, or say why it is closed all the same.")


class UnknownException(NotFound):
    code = "exception_not_found"
    text = _l("There is no such matter.")


class Resolved(Conflict):
    code = "exception_resolved"
    text = _l("This has been resolved meanwhile. The page shows how it stands now.")


class NotCorrectable(Conflict):
    code = "exception_not_correctable"
    text = _l("No entry would resolve this. The page says what may help.")


class NotBornOut(Conflict):
    code = "correction_not_born_out"
    text = _l("Neither our record nor what is booked is what the provider settled. Compare it at the provider first.")


class FiguresFirst(Conflict):
    code = "correction_figures_first"
    text = _l("The provider says other figures of this line: take those first, from their own matter in this list.")


class LineNotListed(Conflict):
    code = "correction_line_not_listed"
    text = _l(
        "The provider does not list this line: it must not be booked. Take it out, from its own matter in this list."
    )


class EntryEdited(Conflict):
    code = "correction_entry_edited"
    text = _l("An entry of this was changed in the database itself, so no entry can correct it. Tell the operator.")


class NoRate(Conflict):
    code = "fee_without_rate"
    text = _l("No gift of this fund was settled in that currency yet, so there is no rate for the fee.")


class DonationUnknown(Invalid):
    code = "donation_unknown"
    text = _l("There is no donation with this number. Copy it from the address of the donation's page.")


class NoSuchAttempt(Invalid):
    code = "donation_without_attempt"
    text = _l("This donation has no unpaid attempt of this amount. Choose another one, or give the money back.")


class FundUnknown(Invalid):
    code = "fund_unknown"
    text = _l("Please choose a fund.")


class NotExplainable(Conflict):
    code = "not_explainable"
    text = _l("This must never be so, and cannot be explained. It goes away once it is good.")


class NotExplained(Conflict):
    code = "not_explained"
    text = _l("It does not stand as explained, so there is nothing to open again.")
