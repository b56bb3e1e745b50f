"""What codes are called in files for people (XLSX, CSV for Excel), in the language of the file.

Only words that never change for a code are here: names that people give and may change, such as those of offices and
campaigns, are not, for the same order must give the same bytes next year.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import format_date
from flask_babel import lazy_gettext as _l

from core.i18n import LANGUAGE_NAMES
from finance import strays
from finance.names import ENTRY_NAMES, entry_name
from finance.totals_names import CHANNEL_NAMES, SPECIAL
from ledger.corrections import TAKEN_BACK
from ledger.services import CORRECTED
from offices.labels import MEDIA_NAMES
from payments.base import SettlementKind

LANGUAGES: Mapping[str, Any] = LANGUAGE_NAMES
GIFT_CHANNELS = {"page": _l("Campaign’s page"), "api": _l("API")}
SOURCES = {
    "payment": _l("Payment"),
    "refund": _l("Refund"),
    "dispute": _l("Dispute"),
    "stray_payment": _l("Payment that is not ours"),
    "stray_refund": _l("Refund that is not ours"),
    "stray_dispute": _l("Dispute that is not ours"),
    "settlement": _l("Line of the provider"),
    "settlement_fee": _l("Fee on a line of its own"),
    "bank_match": _l("Line of the bank"),
    "disbursement": _l("Payment to a programme"),
    "sponsor": _l("Payment of the sponsor"),
    "fx_residue": _l("Close of a month"),
}
ACCOUNT_KINDS = {
    "receivable": _l("Charged and not yet settled"),
    "provider": _l("Held by the provider"),
    "conversion": _l("Conversion of currencies"),
    "transit": _l("On the way to the bank"),
    "bank": _l("At the bank"),
    "suspense": _l("Not attributed"),
    "sponsor": _l("Fees owed by the sponsor"),
    "gift": _l("Fund: gifts"),
    "refund": _l("Fund: refunds"),
    "dispute": _l("Fund: disputes"),
    "fee": _l("Fund: fees"),
    "fx": _l("Fund: differences of exchange"),
    "spent": _l("Fund: spent"),
}
PAYOUT_STATES = {
    "pending": _l("Announced"),
    "in_transit": _l("On its way"),
    "paid": _l("Paid out"),
    "failed": _l("Failed"),
    "canceled": _l("Cancelled"),
}


def range_text(options: Mapping[str, Any]) -> str:
    """The days of an order as people write them; empty when it has none."""
    days = [options.get(name) for name in ("first", "last")]
    if not any(days):
        return ""
    return " – ".join(str(format_date(date.fromisoformat(day))) if day else "…" for day in days)


def _entry_kinds() -> dict[str, Any]:
    beside = [prefix + kind for prefix in (strays.PREFIX, strays.ASIDE) for kind in SettlementKind]
    kinds = [*ENTRY_NAMES, *beside]
    kinds += [f"{each}_placed" for each in kinds]
    times = ("", *(f"_{number}" for number in range(2, 10)))
    mended = [each + what + time for each in kinds for what in (TAKEN_BACK, CORRECTED) for time in times]
    return {kind: entry_name(kind) for kind in [*kinds, *mended]}


ENTRY_KINDS = _entry_kinds()
KEYS: dict[str, Mapping[str, Any]] = {
    "channel": {**CHANNEL_NAMES, **SPECIAL},
    "medium": {**MEDIA_NAMES, **SPECIAL},
    "language": {**LANGUAGE_NAMES, **SPECIAL},
    **dict.fromkeys(("office", "region", "placement", "provider", "campaign", "designation"), SPECIAL),
}
