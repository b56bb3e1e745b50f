"""What the campaign team uploads for packs: pictures drawn anew, files for donors looked at and kept as they are.

An upload is untrusted. A picture is opened as one of three formats only, its size in pixels is looked at before any of
them is decoded, and what is kept is drawn anew: whatever else was in the file (places, scripts, second files) is gone.
"""

import hashlib
import io
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from PIL import Image, ImageOps

from stickers import files
from stickers.backoffice import errors

PICTURE_MEGABYTES, FILE_MEGABYTES = 10, 20
FORMATS = ("PNG", "JPEG", "WEBP")
SIZE = (960, 660)  # as wide and high as pages show it at most, twice over
LEAST = (240, 165)
MOST_PIXELS = 40_000_000
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
CLEAR = (0, 0, 0, 0)
BEGINNINGS = (
    (b"PK\x03\x04", "zip"),
    (b"%PDF-", "pdf"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
_MEGA = 1024 * 1024

# Pillow only warns of pictures beyond its own limit, which lies above ours.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def keep_picture(file: IO[bytes]) -> str:
    """Its name among the uploaded pictures. Raises `PictureUnreadable`, `PictureTooLarge`, `PictureTooSmall`."""
    data = file.read(PICTURE_MEGABYTES * _MEGA + 1)
    too_large = errors.PictureTooLarge(field="picture", megabytes=PICTURE_MEGABYTES, pixels=MOST_PIXELS // 1_000_000)
    if len(data) > PICTURE_MEGABYTES * _MEGA:
        raise too_large
    try:
        drawn = _drawn_anew(data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large from None
    except BROKEN:
        raise errors.PictureUnreadable(field="picture") from None
    return _keep("pictures", drawn, "webp")


def _drawn_anew(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        if opened.width < LEAST[0] or opened.height < LEAST[1]:
            raise errors.PictureTooSmall(field="picture", width=LEAST[0], height=LEAST[1])
        opened.draft("RGB", (SIZE[0] * 2, SIZE[1] * 2))
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    written = io.BytesIO()
    ImageOps.pad(upright, SIZE, color=CLEAR).save(written, "WEBP", quality=88, method=4)
    return written.getvalue()


def keep_download(file: IO[bytes]) -> str:
    """Its name among the uploaded files. Raises `FileUnknown`, `FileUnsafe`, `FileTooLarge`."""
    data = file.read(FILE_MEGABYTES * _MEGA + 1)
    if len(data) > FILE_MEGABYTES * _MEGA:
        raise errors.FileTooLarge(field="download", megabytes=FILE_MEGABYTES)
    kind = _kind_of(data)
    if kind == "zip":
        _require_safe_zip(data)
    return _keep("downloads", data, kind)


def _kind_of(data: bytes) -> str:
    """By what it is, whatever its name says."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    kind = next((kind for beginning, kind in BEGINNINGS if data.startswith(beginning)), None)
    if kind is None:
        raise errors.FileUnknown(field="download")
    return kind


def _require_safe_zip(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, *BROKEN, NotImplementedError):
        raise errors.FileUnsafe(field="download") from None
    locked = any(each.flag_bits & 1 for each in entries)
    if locked or not entries or any(_leads_out(each.filename) for each in entries):
        raise errors.FileUnsafe(field="download")


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in name


def _keep(folder: str, data: bytes, kind: str) -> str:
    """Written as a whole or not at all; the same content twice is one file."""
    name = f"{hashlib.sha256(data).hexdigest()[:32]}.{kind}"
    path = files.folder() / folder / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{os.getpid()}-{name}")
        beside.write_bytes(data)
        Path(beside).replace(path)
    return name
