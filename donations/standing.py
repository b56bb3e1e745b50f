"""What the status page says: the one true sentence about a donation, and when to look again."""

from donations.models import Donation, Payment

# Seconds between looks of a page that waits; after the last (about two minutes) the donor asks by hand.
PAUSES = (2, 3, 5, 8, 13, 21, 34, 34)
WAITING = ("confirming", "processing")
UNOPENED = ("checkout_not_opened", "refused_")  # attempts that never led to a payment page

# Reasons that a donor can act on; all others read as "declined".
DECLINE_REASONS = {
    "insufficient_funds": "funds",
    "card_velocity_exceeded": "limit",
    "withdrawal_count_limit_exceeded": "limit",
    "expired_card": "expired",
    "incorrect_number": "details",
    "invalid_number": "details",
    "incorrect_cvc": "details",
    "invalid_cvc": "details",
    "invalid_expiry_month": "details",
    "invalid_expiry_year": "details",
    "authentication_required": "authentication",
    "payment_intent_authentication_failure": "authentication",
    "processing_error": "technical",
    "try_again_later": "technical",
    "issuer_not_available": "technical",
}


def standing_of(donation: Donation, *, came_back: bool = False) -> str:
    """The donation's status, where it says too little told apart by its last payment.

    pending becomes `unopened`, `declined`, `back` or `confirming`; either may be `review`; failed may be `unopened`;
    disputed is `lost` once no bank asks any more.
    """
    payment = donation.payments[-1]
    if any(each.review for each in donation.payments) and donation.status in ("pending", "processing"):
        return "review"
    if donation.status == "pending":
        return _standing_of_open(payment, came_back)
    if donation.status == "failed" and never_opened(payment):
        return "unopened"
    if donation.status == "disputed" and not _bank_still_asks(donation):
        return "lost"
    return donation.status


def _bank_still_asks(donation: Donation) -> bool:
    return any(dispute.state == "open" for payment in donation.payments for dispute in payment.disputes)


def _standing_of_open(payment: Payment, came_back: bool) -> str:
    if payment.state != "created" or payment.checkout_url is None:
        return "unopened"
    if payment.failure_code:
        return "declined"
    return "back" if came_back else "confirming"


def never_opened(payment: Payment) -> bool:
    return (payment.failure_code or "").startswith(UNOPENED)


def decline_reason(payment: Payment) -> str:
    """Why a try failed, in one of the few words that the page has a sentence for."""
    return DECLINE_REASONS.get(payment.failure_code or "", "declined")


def next_look(standing: str, looks: int) -> int | None:
    """Seconds until the page looks again, after that many looks; None when it does not by itself."""
    if standing not in WAITING or not 0 <= looks < len(PAUSES):
        return None
    return PAUSES[looks]
