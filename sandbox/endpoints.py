"""What each endpoint accepts: the parameters Stripe knows in API version 2026-10-28.endive.

Taken from the parameter types of the `stripe` library 16.1.0, which are generated from Stripe's OpenAPI
description. What is not listed is refused as unknown, as Stripe refuses it.
"""

from sandbox.checks import (
    MAX_AMOUNT,
    Check,
    anything,
    array,
    boolean,
    email,
    integer,
    metadata,
    one_of,
    shape,
    text,
    time_range,
    unmodelled,
    url,
)

# fmt: off
LOCALES = [
    "auto", "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hi-IN",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk",
    "sl", "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
]
# fmt: on

_EXPAND = array(text(500), max_items=20)

# fmt: off
_UNMODELLED_SESSION = [
    "after_expiration", "allow_promotion_codes", "automatic_tax", "consent_collection", "custom_fields", "customer",
    "customer_account", "customer_update", "discounts", "invoice_creation", "managed_payments", "optional_items",
    "payment_method_data", "permissions", "redirect_on_completion", "return_url", "saved_payment_method_options",
    "setup_intent_data", "shipping_address_collection", "shipping_options", "subscription_data",
    "tax_id_collection",
]
# fmt: on

# fmt: off
_PRESENTATION = [
    "branding_settings", "excluded_payment_method_types", "allowed_payment_method_types", "name_collection",
    "origin_context", "payment_method_configuration", "payment_method_options", "wallet_options",
]
# fmt: on


def _note(length: int) -> Check:
    return shape({"message": text(length)}, ["message"])


def _only(modelled: str, known: list[str]) -> Check:
    """One of Stripe's choices, of which this server plays a single one."""

    def check(value: object, name: str) -> str:
        chosen = one_of(known)(value, name)
        return modelled if chosen == modelled else unmodelled(chosen, name)

    return check


_PRODUCT = shape(
    {
        "name": text(),
        "description": text(),
        "images": array(url, max_items=8),
        "metadata": metadata,
        "tax_code": anything,
        "tax_details": unmodelled,
        "unit_label": text(12),
    },
    ["name"],
)

_LINE_ITEM = shape(
    {
        "adjustable_quantity": unmodelled,
        "metadata": metadata,
        "price": unmodelled,
        "price_data": shape(
            {
                "currency": lambda value, name: text(3)(value, name).lower(),
                "product": unmodelled,
                "product_data": _PRODUCT,
                "recurring": unmodelled,
                "tax_behavior": one_of(["exclusive", "inclusive", "unspecified"]),
                "unit_amount": integer(0, MAX_AMOUNT),
                "unit_amount_decimal": unmodelled,
            },
            ["currency", "product_data", "unit_amount"],
        ),
        "quantity": integer(1, 999_999),
        "tax_rates": unmodelled,
    },
    ["price_data", "quantity"],
)

_INTENT_DATA = shape(
    {
        "application_fee_amount": unmodelled,
        "capture_method": one_of(["automatic", "automatic_async"]),
        "description": text(1000),
        "metadata": metadata,
        "on_behalf_of": unmodelled,
        "receipt_email": email,
        "setup_future_usage": unmodelled,
        "shipping": unmodelled,
        "statement_descriptor": unmodelled,  # refused for cards at Stripe; the suffix is what they allow
        "statement_descriptor_suffix": text(22),
        "transfer_data": unmodelled,
        "transfer_group": unmodelled,
    }
)

SESSION_CREATE = shape(
    {
        **dict.fromkeys(_UNMODELLED_SESSION, unmodelled),
        **dict.fromkeys(_PRESENTATION, anything),
        "adaptive_pricing": shape({"enabled": boolean}),
        "billing_address_collection": one_of(["auto", "required"]),
        "cancel_url": url,
        "client_reference_id": text(200),
        "currency": text(3),
        "custom_text": shape(
            {
                name: _note(1200)
                for name in ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
            }
        ),
        "customer_creation": one_of(["always", "if_required"]),
        "customer_email": email,
        "expand": _EXPAND,
        "expires_at": integer(0),
        "integration_identifier": text(),
        "line_items": array(_LINE_ITEM),
        "locale": one_of(LOCALES),
        "metadata": metadata,
        "mode": _only("payment", ["payment", "setup", "subscription"]),
        "payment_intent_data": _INTENT_DATA,
        "payment_method_collection": one_of(["always", "if_required"]),
        "phone_number_collection": shape({"enabled": boolean}, ["enabled"]),
        "submit_type": one_of(["auto", "book", "donate", "pay", "subscribe"]),
        "success_url": url,
        "ui_mode": _only("hosted_page", ["elements", "embedded_page", "form", "hosted_page"]),
    },
    ["line_items", "mode", "success_url"],
)

REFUND_CREATE = shape(
    {
        "amount": integer(1, MAX_AMOUNT),
        "charge": text(),
        "currency": unmodelled,
        "customer": unmodelled,
        "expand": _EXPAND,
        "instructions_email": email,
        "metadata": metadata,
        "origin": unmodelled,
        "payment_intent": text(),
        "reason": one_of(["duplicate", "fraudulent", "requested_by_customer"]),
        "refund_application_fee": unmodelled,
        "reverse_transfer": unmodelled,
    }
)

NOTHING = shape({"expand": _EXPAND})


def listing(**filters: Check) -> Check:
    """Parameters of a list: its own filters and those of every list."""
    return shape(
        {
            "created": time_range,
            "ending_before": text(),
            "expand": _EXPAND,
            "limit": integer(1, 100),
            "starting_after": text(),
            **filters,
        }
    )
