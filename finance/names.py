"""What states and kinds are called in finance's pages."""

from typing import Any

from flask_babel import lazy_gettext as _l

from core.errors import DomainError
from ledger import periods
from ledger.corrections import TAKEN_BACK, plain_kind
from offices.queries import offices

DONATION_STATUS_NAMES = {
    "pending": _l("Started"),
    "processing": _l("On its way"),
    "paid": _l("Paid"),
    "partially_refunded": _l("Partly refunded"),
    "refunded": _l("Refunded"),
    "disputed": _l("Disputed"),
    "failed": _l("Not charged"),
    "expired": _l("Expired"),
}
PAYMENT_STATE_NAMES = {
    "created": _l("Page opened"),
    "processing": _l("On its way"),
    "succeeded": _l("Paid"),
    "failed": _l("Not charged"),
    "expired": _l("Expired"),
}
REFUND_STATE_NAMES = {
    "proposed": _l("Waits for a second person"),
    "rejected": _l("Rejected"),
    "withdrawn": _l("Withdrawn"),
    "requested": _l("Asked for"),
    "sent": _l("Sent to the provider, not answered yet"),
    "pending": _l("On its way to the donor"),
    "requires_action": _l("Waits for the donor"),
    "succeeded": _l("Given back"),
    "failed": _l("Failed"),
    "canceled": _l("Cancelled"),
}
REFUND_ORIGIN_NAMES = {
    "provider": _l("made at the provider"),
    "surplus": _l("paid twice"),
    "finance": _l("ordered here"),
}
DISPUTE_STATE_NAMES = {
    "inquiry": _l("The bank asks"),
    "open": _l("Still open"),
    "won": _l("Won"),
    "lost": _l("Lost"),
}
CODE_STATUS_NAMES = {
    "issued": _l("Not collected yet"),
    "held": _l("Held while the bank asks"),
    "voided": _l("Void"),
    "redeemed": _l("Handed over"),
    "replaced": _l("Replaced"),
}
PROPOSAL_STATE_NAMES = {
    "proposed": _l("Waits for a second person"),
    "approved": _l("Approved"),
    "rejected": _l("Rejected"),
    "withdrawn": _l("Withdrawn"),
}
ENTRY_NAMES = {
    "gift": _l("Payment"),
    "refund": _l("Refund"),
    "refund_failed": _l("Refund failed"),
    "withdrawn": _l("Dispute: funds withdrawn"),
    "reinstated": _l("Dispute: funds given back"),
    "charge": _l("Settlement of the payment"),
    "refund_failure": _l("Settlement of the failed refund"),
    "dispute": _l("Settlement of the dispute"),
    "dispute_reversal": _l("Settlement of the won dispute"),
    "spent": _l("Payment to a programme"),
    "returned": _l("Money that came back"),
    "placed": _l("Found its donation"),
    "moved": _l("Dispute of a payment that is not ours"),
    "fx": _l("Difference of exchange rates"),
    "fee": _l("Payment provider’s fee"),
    "payout": _l("Payout to the bank"),
    "payout_back": _l("Payout that the bank sent back"),
    "payout_failure": _l("Payout that failed"),
    "other": _l("Other line of the provider"),
    "paid": _l("Payment of the sponsor"),
    "taken_back": _l("Taken back as a mistake"),
    "suspense": _l("Held until it is known what it is"),
}


def entry_name(kind: str) -> Any:
    """What an entry of this kind is called; every kind has a name."""
    if kind in ENTRY_NAMES:
        return ENTRY_NAMES[kind]
    if (plain := plain_kind(kind)) != kind:
        entry = entry_name(plain)
        return (
            _l("Taken back: %(entry)s", entry=entry)
            if TAKEN_BACK in kind
            else _l("Booked anew: %(entry)s", entry=entry)
        )
    return _l("Found what it belongs to") if kind.endswith("_placed") else ENTRY_NAMES["suspense"]


def faults(refusal: DomainError | None, field: str) -> list[str]:
    """What a refusal says about one input."""
    return [refusal.message] if refusal is not None and refusal.field == field else []


def in_templates() -> dict[str, Any]:
    """For the context of every page of this room."""
    return {
        "zone": periods.ZONE,
        "faults": faults,
        "donation_statuses": DONATION_STATUS_NAMES,
        "payment_states": PAYMENT_STATE_NAMES,
        "refund_states": REFUND_STATE_NAMES,
        "refund_origins": REFUND_ORIGIN_NAMES,
        "dispute_states": DISPUTE_STATE_NAMES,
        "code_statuses": CODE_STATUS_NAMES,
        "proposal_states": PROPOSAL_STATE_NAMES,
        "entry_name": entry_name,
        "all_offices": offices,
    }
