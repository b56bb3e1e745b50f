"""Money: whole minor units of one currency. Never a float, never two currencies in one sum."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Self

from babel.numbers import list_currencies

# Minor units by ISO 4217: two, with these exceptions (the fifths of MGA are not in use).
# How a *provider* counts units is the adapter's business.
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW MGA PYG RWF UGX UYI VND VUV XAF XOF XPF".split()  # noqa: SIM905 - words
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND".split()  # noqa: SIM905 - words
EXPONENTS = {
    **dict.fromkeys(list_currencies(), 2),
    **dict.fromkeys(_NO_DECIMALS, 0),
    **dict.fromkeys(_THREE_DECIMALS, 3),
}

MAX_MINOR = 2**53 - 1  # what every JSON reader still holds exactly

_PLAIN_AMOUNT = re.compile(r"[0-9]+(?:[.,][0-9]+)?", re.ASCII)
_MAX_DIGITS = 12  # before the separator: with three decimals still below MAX_MINOR
_SPACES = str.maketrans("", "", " \u00a0\u202f\u2009")


class CurrencyMismatch(ValueError):
    """Two currencies met in one operation."""


class BadAmount(ValueError):
    """Text that is not an amount. `reason` is `not_a_number`, `too_many_decimals` or `too_large`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`minor` whole minor units (kopecks, cents) of `currency` (ISO 4217, upper case)."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are whole numbers, not {type(self.minor).__name__}")
        if self.currency not in EXPONENTS:
            raise ValueError(f"unknown currency {self.currency!r}")

    def _same(self, other: "Money") -> int:
        if not isinstance(other, Money):
            raise TypeError("money goes only with money")
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")
        return other.minor

    def __add__(self, other: "Money") -> Self:
        return type(self)(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> Self:
        return type(self)(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Self:
        return type(self)(-self.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._same(other)

    def __bool__(self) -> bool:
        return self.minor != 0

    @property
    def major(self) -> Decimal:
        """The amount in whole units, exact; for showing, never for reckoning."""
        return Decimal(self.minor).scaleb(-EXPONENTS[self.currency])

    def split(self, weights: Sequence[int]) -> list["Money"]:
        """Parts in proportion to `weights` that sum to exactly this amount (largest remainder, ties to the first).

        Raises `ValueError` when there is no positive weight or a negative one.
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise ValueError("weights are not negative and at least one is positive")
        sign = -1 if self.minor < 0 else 1
        size = abs(self.minor)
        shares = [size * weight // total for weight in weights]
        by_remainder = sorted(range(len(weights)), key=lambda i: (-(size * weights[i] % total), i))
        for index in by_remainder[: size - sum(shares)]:
            shares[index] += 1
        return [Money(sign * share, self.currency) for share in shares]

    def at_ratio(self, numerator: "Money", denominator: "Money") -> "Money":
        """This amount times numerator/denominator, in the numerator's currency, half-even to a whole unit.

        The denominator is in this amount's currency: a fee of 46 EUR cents in a transaction of 735 EUR cents
        for 2500 kopecks is `fee.at_ratio(Money(2500, "BYN"), Money(735, "EUR"))` = 156 kopecks.
        """
        # A fraction is exact at any size; Decimal would round to its context's digits before we do.
        exact = Fraction(self.minor * numerator.minor, self._same(denominator))
        return Money(round(exact), numerator.currency)


def parse_amount(text: str, currency: str) -> Money:
    """What a person typed: `25`, `25.00`, `25,5`, `1 000,00`. ASCII digits only, one decimal separator.

    Raises `BadAmount`: `1e3`, signs, digits of other scripts and grouping commas are not guessed at.
    """
    plain = text.strip().translate(_SPACES)
    if not _PLAIN_AMOUNT.fullmatch(plain):
        raise BadAmount("not_a_number")
    whole, _, fraction = plain.replace(",", ".").partition(".")
    exponent = EXPONENTS[currency]
    if len(fraction) > exponent:
        raise BadAmount("too_many_decimals")
    if len(whole) > _MAX_DIGITS:  # told by its length: reckoning with a million digits takes long
        raise BadAmount("too_large")
    return Money(int(whole + fraction.ljust(exponent, "0")), currency)
