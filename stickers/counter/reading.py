"""What a clerk typed or scanned, taken for what it is: a sticker code, the address of a donation's page, or neither.

A scanner at a counter PC types as a keyboard does, also when the Russian or Belarusian layout is on; so does a tired
person. What reads as no code is therefore read once more as if the same keys had been pressed in the Latin layout.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from stickers import codes
from stickers.counter.errors import NotACode, PosterScanned

_RUSSIAN = dict(zip("йцукенгшщзфывапролдячсмить", "qwertyuiopasdfghjklzxcvbnm", strict=True))
_KEYS = {**_RUSSIAN, "і": "s", "ў": "o"}  # the two of the Belarusian layout
_IN_LATIN = str.maketrans({**_KEYS, **{key.upper(): value.upper() for key, value in _KEYS.items()}})
_LIMIT = 2000  # characters of an address


@dataclass(frozen=True)
class Read:
    """A code in its stored form, or the token of a page that shows codes: a donation's, or a friend's."""

    code: str = ""
    token: str = ""


def read(text: str) -> Read:
    """Raises `MistypedCode`, and `NotACode` for addresses that hold none."""
    text = text.strip()[:_LIMIT]
    if "/" in text and ("://" in text or text.startswith("/") or "." in text.partition("/")[0]):
        return _read_address(text)
    return Read(code=read_code(text))


def read_code(text: str) -> str:
    """Raises `MistypedCode`."""
    try:
        return codes.read(text)
    except codes.MistypedCode:
        return codes.read(text.translate(_IN_LATIN))


def _read_address(address: str) -> Read:
    """A code anywhere in the address is what was meant; the page of a donation leads to its codes."""
    try:
        parts = urlsplit(address)
    except ValueError:
        raise NotACode(field="code") from None
    steps = [unquote(step) for step in parts.path.split("/") if step]
    for candidate in (*reversed(steps), *(value for _name, value in parse_qsl(parts.query)), unquote(parts.fragment)):
        try:
            return Read(code=codes.read(candidate))
        except codes.MistypedCode:
            continue
    match steps[-2:]:
        case ["d" | "g", token] if token.isascii() and token.isprintable():
            return Read(token=token)
        case ["q" | "Q", _code]:
            raise PosterScanned(field="code")
    raise NotACode(field="code")
