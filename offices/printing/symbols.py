"""QR symbols for print: the shortest form of an address, drawn as one path.

The address is written in upper case, so that it fits QR's alphanumeric mode: a smaller symbol with larger modules.
Error correction Q bears a quarter of the symbol damaged: a scratch, a crease, a bit of sticky tape. Where H, which
bears a third, needs no more modules, it is H: that is so for addresses of 27 to 35 characters such as ours.
"""

import io
from functools import cache

import qrcode
from PIL import Image
from qrcode.constants import ERROR_CORRECT_H, ERROR_CORRECT_Q
from qrcode.exceptions import DataOverflowError

QUIET_ZONE = 4  # modules, as ISO/IEC 18004 asks for
# Trying all eight masks takes most of the time. One that suits addresses as well as the best does, measured by decoding
# pages that were blurred, turned and partly covered.
MASK = 3


def matrix_of(address: str) -> list[list[bool]]:
    """The modules of the symbol without its quiet zone; `address` must be upper case (raises `ValueError`)."""
    if address != address.upper():
        raise ValueError("lower case would leave QR's alphanumeric mode: a larger symbol")
    version, level = _size_for(len(address))
    code = qrcode.QRCode(version=version, error_correction=level, border=0, mask_pattern=MASK)
    code.add_data(address.encode(), optimize=0)
    code.make(fit=False)
    modules: list[list[bool]] = code.modules
    return modules


def path_of(matrix: list[list[bool]]) -> str:
    """SVG path data of the dark modules, a module being one unit: runs along the rows, all in one path."""
    steps = []
    for y, row in enumerate(matrix):
        x = 0
        while x < len(row):
            if not row[x]:
                x += 1
                continue
            start = x
            while x < len(row) and row[x]:
                x += 1
            steps.append(f"M{start} {y}h{x - start}v1H{start}z")
    return "".join(steps)


def svg(address: str) -> str:
    """A symbol on white with its quiet zone as an SVG document; scales without loss."""
    matrix = matrix_of(address)
    side = len(matrix) + 2 * QUIET_ZONE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-{QUIET_ZONE} -{QUIET_ZONE} {side} {side}">'
        f'<path fill="#fff" d="M-{QUIET_ZONE}-{QUIET_ZONE}h{side}v{side}h-{side}z"/>'
        f'<path d="{path_of(matrix)}"/></svg>'
    )


def png(address: str, module: int = 24) -> bytes:
    """A symbol with its quiet zone as a black-and-white PNG, `module` pixels to a module."""
    matrix = matrix_of(address)
    side = len(matrix) + 2 * QUIET_ZONE
    picture = Image.new("1", (side, side), 1)
    for y, row in enumerate(matrix):
        for x, dark in enumerate(row):
            if dark:
                picture.putpixel((x + QUIET_ZONE, y + QUIET_ZONE), 0)
    out = io.BytesIO()
    picture.resize((side * module, side * module), Image.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()


@cache
def _size_for(length: int) -> tuple[int, int]:
    """(version, error correction) of the smallest symbol that holds so many alphanumeric characters."""
    version = _fit(length, ERROR_CORRECT_Q, 1)
    try:
        return version, ERROR_CORRECT_H if _fit(length, ERROR_CORRECT_H, version) == version else ERROR_CORRECT_Q
    except DataOverflowError:
        return version, ERROR_CORRECT_Q


def _fit(length: int, level: int, start: int) -> int:
    code = qrcode.QRCode(error_correction=level)
    code.add_data(b"A" * length, optimize=0)
    return int(code.best_fit(start=start))


@cache
def modules_for(length: int) -> int:
    """How many modules wide the symbol of an address of `length` characters is."""
    return len(matrix_of("A" * length))
