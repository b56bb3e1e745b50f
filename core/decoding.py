"""Which encoding and separator a CSV file came in: people send what their spreadsheet saved.

UTF-8 and UTF-16 (with and without a byte-order mark) and cp1251 are told apart by what the bytes say; the file is read
in parts and never held as a whole.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

CHUNK = 1 << 16
ASCII = 0x7F
SEPARATORS = (",", ";", "\t", "|")

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CYRILLIC = set("абвгдеёжзийклмнопрстуфхцчшщъыьэюяіў")
_CYRILLIC |= {letter.upper() for letter in _CYRILLIC} | set("«»„“”’‘–—…№°·•\u00a0")
_CREDIBLE = 0.9  # of what cp1251 makes of the bytes beyond ASCII is Russian or Belarusian
_COMMON = "оеаинтсрвлі"  # two letters of three
_UPPER, _LOWER = "А-ЯЁІЎ", "а-яёіў"
_CAPITAL_FIRST, _CAPITAL_LATER = re.compile(f"[{_UPPER}][{_LOWER}]"), re.compile(f"[{_LOWER}][{_UPPER}]")
_BESIDE_LATIN = re.compile(f"[A-Za-z](?=[{_UPPER}{_LOWER}])|[{_UPPER}{_LOWER}](?=[A-Za-z])")


class NotText(Exception):
    """The bytes are text in no encoding that is read here; `line` is the first that shows it.

    `cut_off`: all of it is text but for the last letter, which is not whole.
    """

    def __init__(self, line: int, cut_off: bool = False) -> None:
        super().__init__(line)
        self.line, self.cut_off = line, cut_off


def detect_encoding(stream: BinaryIO) -> str:
    """The name of the encoding. Raises `NotText`."""
    stream.seek(0)
    head = stream.read(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _checked(stream, encoding)
    if plain := _plain_utf16(stream):
        return _checked(stream, plain)
    if 0 in head and len(head) == 4:  # UTF-16 of Latin names of columns has a NUL in each character
        return _checked(stream, "utf-16-le" if head[1] == 0 else "utf-16-be")
    broken = _broken(stream, "utf-8")
    if broken is None:
        return "utf-8"
    if broken.cut_off:
        raise broken
    if _broken(stream, "cp1251") is None and _reads_as_cyrillic(stream):
        return "cp1251"
    raise broken


def _checked(stream: BinaryIO, encoding: str) -> str:
    if (broken := _broken(stream, encoding)) is not None:
        raise broken
    return encoding


def _plain_utf16(stream: BinaryIO) -> str | None:
    """UTF-16 without its mark: separators and ends of lines have a NUL, always on the same side of the character."""
    stream.seek(0)
    part = stream.read(CHUNK)
    sides = (0 in part[0::2], 0 in part[1::2])
    if sides[0] == sides[1]:
        return None
    encoding = "utf-16-be" if sides[0] else "utf-16-le"
    text = part[: len(part) // 2 * 2].decode(encoding, "replace")
    known = sum(letter in _CYRILLIC or (letter.isascii() and letter != "\0") for letter in text)
    return encoding if known >= len(text) * _CREDIBLE else None


def _parts(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while part := stream.read(CHUNK):
        yield part


def _broken(stream: BinaryIO, encoding: str) -> NotText | None:
    """What keeps the stream from being read, if anything does."""
    decoder, line, beyond_ascii = codecs.getincrementaldecoder(encoding)(), 1, False
    for part in _parts(stream):
        try:
            text = decoder.decode(part)
        except UnicodeDecodeError as fault:
            return NotText(line + fault.object[: fault.start].decode(encoding, "replace").count("\n"))
        line += text.count("\n")
        beyond_ascii = beyond_ascii or not text.isascii()
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        # A single letter of cp1251 at the end of a Latin text looks like the beginning of one of UTF-8.
        return NotText(line, cut_off=beyond_ascii or encoding != "utf-8")
    return None


def _reads_as_cyrillic(stream: BinaryIO) -> bool:
    """Whether cp1251 makes plausible words of it. Western text would have Cyrillic letters within Latin words (Cafй),
    KOI8 has capitals and small letters the other way round (лХМЯЙ), and read as itself it has more common letters."""
    bytes_seen: Counter[int] = Counter()
    beside_latin = first = later = 0
    before = ""
    for part in _parts(stream):
        bytes_seen.update(part)
        text = before + part.decode("cp1251", "replace")
        beside_latin += len(_BESIDE_LATIN.findall(text))
        first, later = first + len(_CAPITAL_FIRST.findall(text)), later + len(_CAPITAL_LATER.findall(text))
        before = text[-1:]
    beyond = {byte: count for byte, count in bytes_seen.items() if byte > ASCII}

    def seen(letters: Container[str], encoding: str) -> int:
        return sum(count for byte, count in beyond.items() if bytes([byte]).decode(encoding, "replace") in letters)

    credible = seen(_CYRILLIC, "cp1251") - beside_latin
    if credible < sum(beyond.values()) * _CREDIBLE:
        return False
    if later and later >= first:
        return False
    common = {*_COMMON, *_COMMON.upper()}
    return seen(common, "cp1251") >= max(seen(common, other) for other in ("koi8-u", "iso8859-5"))


@contextmanager
def opened(stream: BinaryIO, encoding: str) -> Iterator[TextIO]:
    """The stream as text from its beginning. It stays open afterwards."""
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")
    try:
        yield text
    finally:
        text.detach()


def detect_separator(header: str, names: frozenset[str]) -> str:
    """The one that cuts the first line into the most known names of columns; a comma if none does."""

    def known(separator: str) -> int:
        cells = next(csv.reader([header], delimiter=separator), [])
        return sum(cell.strip().lower() in names for cell in cells)

    return max(SEPARATORS, key=known)
