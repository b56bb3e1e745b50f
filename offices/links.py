"""Codes of short links: how they are drawn, and read back however a person types them.

A code has 6 random characters and one check character (ISO 7064) of an alphabet of 26, all of them upper case and in
QR's alphanumeric set, which keeps the symbol small. The alphabet has no two characters that people take for one
another; the ones left out are read as the one that stayed, and Cyrillic letters that look Latin as their twins.
The check character tells what was typed wrong or made up from a code of ours without asking the database: 25 of 26.
"""

import re
import secrets
import unicodedata

from stdnum.iso7064 import mod_37_36

ALPHABET = "0123456789ACEFHJKMNPRTVWXY"
RANDOM_LENGTH = 6
LENGTH = RANDOM_LENGTH + 1

COOKIE = "placement"  # carries the code of the link that somebody came by, and nothing else
COOKIE_SECONDS = 24 * 3600

_SHAPE = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")
_LATIN = {"O": "0", "D": "0", "Q": "0", "I": "1", "L": "1", "Z": "2", "S": "5", "G": "6", "B": "8", "U": "V"}
_TWINS = dict(zip("АВСЕНКМОРТХІЈЅУЗ", "ABCEHKMOPTXIJSY3", strict=True))
_READ = str.maketrans({**_LATIN, **{cyrillic: _LATIN.get(latin, latin) for cyrillic, latin in _TWINS.items()}})
_DROPPED = str.maketrans("", "", " \t\r\n-\u00a0\u00ad\u200b\u2010\u2011\u2012\u2013\u2014\u2212._/")


def new_code() -> str:
    """A new random code as it is stored and printed. Whether it is taken already is the database's to say."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + mod_37_36.calc_check_digit(body, ALPHABET)


def read_code(typed: str) -> str | None:
    """The stored form of what a person typed or a scanner read; None for what can be no code of ours."""
    if not _SHAPE.fullmatch(typed):  # what is printed needs no second look
        folded = unicodedata.normalize("NFKC", typed[:60]).upper()
        typed = folded.translate(_DROPPED).translate(_READ)
        if not _SHAPE.fullmatch(typed):
            return None
    return typed if mod_37_36.checksum(typed, ALPHABET) == 1 else None
