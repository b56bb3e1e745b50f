"""Currencies, conversion and fees. Amounts are integers in minor units throughout.

Minor units follow https://docs.stripe.com/currencies (zero-decimal and three-decimal currencies).
"""

from decimal import ROUND_HALF_UP, Decimal

# fmt: off
ZERO_DECIMAL = frozenset([
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf",
])
# fmt: on
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
MINIMUM_SETTLED = 50  # half a unit of the settlement currency


def exponent(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def converted(amount: int, currency: str, to: str, rate: float) -> int:
    """`amount` of `currency` in minor units of `to`, half up; `rate` is per whole unit."""
    shift = Decimal(10) ** (exponent(to) - exponent(currency))
    return rounded(Decimal(amount) * Decimal(str(rate)) * shift)


def rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def shown(amount: int, currency: str) -> str:
    """For people: `25.00 BYN`, with spaces that do not break."""
    digits = exponent(currency)
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency.upper()}".replace(",", " ").replace(" ", "\u00a0")
