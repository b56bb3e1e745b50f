"""Photos of codes as phones take them: noise around, a little turned and blurred."""

import io
from typing import Any

from PIL import Image, ImageFilter

from core.qr import png


def symbol(text: str, side: int = 500, angle: float = 0) -> Image.Image:
    drawn = Image.open(io.BytesIO(png(text))).convert("RGB").resize((side, side))
    return drawn.rotate(angle, expand=True, fillcolor="white")


def picture(*texts: str, size: tuple[int, int] = (1600, 1200), angle: float = 7, blur: float = 1.5) -> Image.Image:
    """The codes beside one another on a table."""
    photo = Image.effect_noise(size, 40).convert("RGB")
    side = min(500, size[0] // max(2, len(texts) + 1))
    for number, text in enumerate(texts):
        photo.paste(symbol(text, side, angle), (30 + number * (size[0] // max(1, len(texts))), size[1] // 5))
    return photo.filter(ImageFilter.GaussianBlur(blur))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photo(*texts: str, **options: Any) -> bytes:
    return encoded(picture(*texts, **options), quality=80)
