"""QR codes in photos that people send: decoded here, whatever the phone made of them.

A photo is untrusted. Only formats that cameras write are opened, its size in pixels is looked at before any of them is
decoded, and a JPEG is decoded at a fraction of its size: what a phone takes costs little memory and time.
"""

import struct
import warnings
from collections.abc import Iterator
from typing import IO

import zxingcpp
from PIL import Image, ImageOps

from stickers.counter.errors import NoCodeInPicture, NotAnImage, PictureTooLarge

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MOST_PIXELS = 80_000_000  # of a JPEG, which is reduced while it is decoded
MOST_PIXELS_AT_ONCE = 30_000_000  # of all others
SIDES = (1600, 3200)  # pixels of the longer side: first a quick look, then a close one
QR_CODES = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)

# Pillow only warns of pictures beyond its own limit, which lies above ours.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def texts_in(file: IO[bytes]) -> list[str]:
    """What the QR codes in a photo say, each once. Raises `NotAnImage`, `PictureTooLarge`, `NoCodeInPicture`."""
    for picture in _looks(file):
        found = zxingcpp.read_barcodes(picture, formats=QR_CODES)
        if texts := list(dict.fromkeys(each.text for each in found if each.text)):
            return texts
    raise NoCodeInPicture(field="photo")


def _looks(file: IO[bytes]) -> Iterator[Image.Image]:
    """The picture in grey and upright, from small to large."""
    for side in SIDES:
        try:
            file.seek(0)
            with Image.open(file, formats=FORMATS) as opened:
                _require_size(opened)
                larger = max(opened.size) > side
                opened.draft("L", (side, side))
                picture = ImageOps.exif_transpose(opened).convert("L")
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise PictureTooLarge(field="photo") from None
        except BROKEN:
            raise NotAnImage(field="photo") from None
        picture.thumbnail((side, side))
        yield picture
        if not larger:
            return


def _require_size(picture: Image.Image) -> None:
    most = MOST_PIXELS if picture.format in ("JPEG", "MPO") else MOST_PIXELS_AT_ONCE
    if picture.width * picture.height > most:
        raise PictureTooLarge(field="photo")
