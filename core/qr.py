"""QR symbols on screens and in e-mails. Printed posters have rules of their own."""

import io

import qrcode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.image.pil import PilImage
from qrcode.image.svg import SvgPathImage

QUIET_ZONE = 4  # modules, as ISO/IEC 18004 asks for


def _symbol(text: str) -> qrcode.QRCode:
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE, box_size=8)
    code.add_data(text)
    code.make(fit=True)
    return code


def png(text: str) -> bytes:
    """A PNG with a quiet zone, for e-mail programs, which show no SVG."""
    out = io.BytesIO()
    _symbol(text).make_image(image_factory=PilImage).save(out, "PNG")
    return out.getvalue()


def svg(text: str) -> str:
    """An inline `<svg>` element with a quiet zone; scales to its box."""
    drawn = str(_symbol(text).make_image(image_factory=SvgPathImage).to_string(encoding="unicode"))
    return drawn.replace(' id="qr-path"', "")  # several stand on one page
