"""Reading Stripe's JSON leniently: ids, texts, times and amounts, each checked before anyone relies on it.

Stripe adds fields and enum values at any time and an endpoint may run another API version than the library, so an
unknown field is ignored and an unknown word is somebody else's decision; only what a fact cannot do without is
demanded.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.clock import from_unix
from core.money import EXPONENTS, MAX_MINOR, Money

# https://docs.stripe.com/currencies: how *Stripe* counts. It differs from ISO 4217 and from other providers: Stripe
# has two decimals for ISK, for one, where we and ISO have none.
# fmt: off
ZERO_DECIMAL = frozenset({
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
})
# fmt: on
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

LAST_SECOND = 4_102_444_800  # the year 2100: later "times" are garbage, and some overflow in a time zone

Json = Mapping[str, Any]


class Malformed(ValueError):
    """An object of Stripe's lacks something we need, or has it in a form that cannot be right."""


def _stripe_exponent(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def to_stripe(money: Money) -> tuple[int, str]:
    """The amount in Stripe's units and the currency in Stripe's spelling. `ValueError` for a part of a unit."""
    shift = _stripe_exponent(money.currency) - EXPONENTS[money.currency]
    if shift >= 0:
        return money.minor * 10**shift, money.currency.lower()
    units, rest = divmod(money.minor, 10**-shift)
    if rest:
        raise ValueError(f"Stripe cannot charge a part of its smallest unit of {money.currency}")
    return units, money.currency.lower()


def from_stripe(units: int, currency: str) -> Money:
    """The reverse of `to_stripe`. `Malformed` for a currency we do not book or a part of our minor unit."""
    code = currency.upper()
    if code not in EXPONENTS:
        raise Malformed("currency")
    shift = EXPONENTS[code] - _stripe_exponent(code)
    minor, rest = (units * 10**shift, 0) if shift >= 0 else divmod(units, 10**-shift)
    if rest or abs(minor) > MAX_MINOR:
        raise Malformed("amount")
    return Money(minor, code)


def inner(obj: Json, key: str) -> Json:
    """The object under `key`, or an empty one: absent, null and not expanded read the same."""
    value = obj.get(key)
    return value if isinstance(value, Mapping) else {}


def objects(obj: Json, key: str) -> list[Json]:
    """The objects listed under `key`; absent and null read as none."""
    listed = obj.get(key)
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(item, Mapping) for item in listed):
        raise Malformed(key)
    return listed


def text(obj: Json, key: str) -> str | None:
    value = obj.get(key)
    return value if isinstance(value, str) and value else None


def needed_text(obj: Json, key: str) -> str:
    value = text(obj, key)
    if value is None:
        raise Malformed(key)
    return value


def ref(obj: Json, key: str) -> str | None:
    """The id under `key`, whether the object was expanded or not."""
    return text(inner(obj, key), "id") or text(obj, key)


def whole(obj: Json, key: str) -> int:
    value = obj.get(key)
    if type(value) is not int or abs(value) > MAX_MINOR:  # a bool is an int, but not a number of anything
        raise Malformed(key)
    return value


def moment(obj: Json, key: str) -> datetime:
    seconds = whole(obj, key)
    if not 0 <= seconds <= LAST_SECOND:
        raise Malformed(key)
    return from_unix(seconds)


def money(obj: Json, key: str) -> Money:
    return from_stripe(whole(obj, key), needed_text(obj, "currency"))


def rate(obj: Json, key: str) -> Decimal | None:
    value = obj.get(key)
    if value is None:
        return None
    if type(value) not in {int, float} or not 0 < value < MAX_MINOR:
        raise Malformed(key)
    return Decimal(str(value))  # by way of its shortest spelling: the digits Stripe wrote, not the binary neighbour
