"""What a clerk typed or scanned, taken for what it is: a sticker code, the address of a donation's page, or neither.

A scanner at a counter PC types as a keyboard does, also when the Russian or Belarusian layout is on; so does a tired
person. What reads as no code is therefore read once more as if the same keys had been pressed in the Latin layout.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from stickers import codes
from stickers.counter.errors import LinkScanned, NotACode, PosterScanned, WifiScanned

_RUSSIAN = dict(zip("йцукенгшщзфывапролдячсмить", "qwertyuiopasdfghjklzxcvbnm", strict=True))
_KEYS = {**_RUSSIAN, "і": "s", "ў": "o"}  # the two of the Belarusian layout
_IN_LATIN = str.maketrans({**_KEYS, **{key.upper(): value.upper() for key, value in _KEYS.items()}})
_LIMIT = 2000  # characters of an address
_TOKEN_LIMIT = 40
# What other QR codes begin with that are no address: a scanner that works as a keyboard types them, too.
_FOREIGN = re.compile(r"(wifi|begin|mecard|bizcard|matmsg|mailto|tel|sms|smsto|geo|bitcoin):", re.IGNORECASE)


@dataclass(frozen=True)
class Read:
    """A code in its stored form, or the token of a page that shows codes: a donation's, or a friend's."""

    code: str = ""
    token: str = ""

    @property
    def text(self) -> str:
        """The shortest text that is read as this."""
        return self.code or f"/d/{self.token}"


def read(text: str, *, scanned: bool = False) -> Read:
    """Raises `MistypedCode` for what a person typed wrong, and `NotACode` for addresses and other things that hold no
    code; what was `scanned` is never a typing mistake."""
    text = text.strip()[:_LIMIT]
    if _FOREIGN.match(text):
        raise (WifiScanned if text[:4].lower() == "wifi" else NotACode)(field="code")
    if "/" in text and ("://" in text or text.startswith("/") or "." in text.partition("/")[0]):
        return _read_address(text)
    try:
        return Read(code=read_code(text))
    except codes.MistypedCode:
        if scanned:
            raise NotACode(field="code") from None
        raise


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
        raise LinkScanned(field="code") from None
    steps = [unquote(step) for step in parts.path.split("/") if step]
    for candidate in (*reversed(steps), *(value for _name, value in parse_qsl(parts.query)), unquote(parts.fragment)):
        try:
            return Read(code=codes.read(candidate))
        except codes.MistypedCode:
            continue
    match steps[-2:]:
        case ["d" | "g", token] if len(token) <= _TOKEN_LIMIT and token.isascii() and token.isprintable():
            return Read(token=token)
        case ["q" | "Q", _code]:
            raise PosterScanned(field="code")
    raise (LinkScanned if parts.scheme.lower() in ("", "http", "https") else NotACode)(field="code")
