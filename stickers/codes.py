"""Sticker codes: how they are drawn, written, and read back however a person types them.

A code has 13 random characters and one check character of an alphabet of 26, 61 random bits, shown as 5-4-5. The
alphabet has no two characters that people take for one another; the ones left out are read as the one that stayed
(O, D and Q as 0, I and L as 1, S as 5, B as 8 …), and Cyrillic letters that look Latin as their twins.
"""

import itertools
import secrets
import unicodedata

from flask_babel import lazy_gettext as _l
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_37_36

from core.errors import DomainError

ALPHABET = "0123456789ACEFHJKMNPRTVWXY"
RANDOM_LENGTH = 13
LENGTH = RANDOM_LENGTH + 1
GROUPS = (5, 4, 5)

# What was left out of the alphabet, and what it is taken for.
_LOOK_ALIKES = {"O": "0", "D": "0", "Q": "0", "I": "1", "L": "1", "Z": "2", "S": "5", "G": "6", "B": "8", "U": "V"}
_CYRILLIC = dict(zip("АВСЕНКМОРТХІЈЅУЗ", "ABCEHKMOPTXIJSY3", strict=True))
_READ = str.maketrans({**_CYRILLIC, **{cyr: _LOOK_ALIKES.get(lat, lat) for cyr, lat in _CYRILLIC.items()}})
_READ_LATIN = str.maketrans(_LOOK_ALIKES)
# White space, dashes, invisible characters, dots and slashes; marks on letters, which no code has.
_SEPARATORS = {"Zs", "Zl", "Zp", "Pd", "Cf", "Cc", "Po", "Pc", "Mn", "Me"}
_SEPARATING = set("\u2212\u2796\u02d7\u2500\u2501\u2043\u30fc~\u1160\u115f")  # taken for a dash, or not seen at all


class MistypedCode(DomainError):
    """Not a code of ours, whatever is in the database: wrong length, foreign characters or check character."""

    code, status = "sticker_code_mistyped", 422
    text = _l("This code has a typing mistake. Please compare it character by character.")


def draw() -> str:
    """A new random code in its stored form: 14 characters of the alphabet, the last one checks the others."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + mod_37_36.calc_check_digit(body, ALPHABET)


def show(code: str) -> str:
    """In groups, for people: `K7M2P-4XR9-TC3VA`."""
    cuts = [sum(GROUPS[:index]) for index in range(len(GROUPS) + 1)]
    return "-".join(code[start:end] for start, end in itertools.pairwise(cuts))


def _separates(char: str) -> bool:
    return char in _SEPARATING or unicodedata.category(char) in _SEPARATORS


def read(typed: str) -> str:
    """The stored form of what a person typed or a scanner read. Raises `MistypedCode`."""
    folded = unicodedata.normalize("NFKC", typed[:200]).upper()
    bare = "".join(char for char in folded if not _separates(char))
    code = bare.translate(_READ).translate(_READ_LATIN)
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        raise MistypedCode(field="code")
    try:
        mod_37_36.validate(code, ALPHABET)
    except ValidationError:
        raise MistypedCode(field="code") from None
    return code
