"""What people type, made fit to be kept."""

import unicodedata

# Letters and symbols to Unicode, empty space to whoever looks.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def one_line(typed: str) -> str:
    """In one line, composed, without what cannot be seen or stored; empty when nothing of it could be seen."""
    seen = "".join(char if char.isprintable() and char not in _BLANK else " " for char in typed)
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def storable(text: str) -> str:
    """No database of ours can hold NUL: it is read as what bytes that are no text are read as."""
    return text.replace("\0", "\ufffd")
