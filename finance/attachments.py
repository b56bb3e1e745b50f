"""Files that prove a payment to a programme: kept below INSTANCE_DIR under the hash of what they hold.

What a file is, is told by its first bytes and must agree with its name. It is only ever served as a download.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from flask import current_app
from PIL import Image, UnidentifiedImageError

from core.errors import Unavailable
from core.files import write_whole
from finance import errors

MOST_MEGABYTES = 10
TYPES = {"pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg"}
_STARTS = {"pdf": b"%PDF-", "png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}
_ENDINGS = {"pdf": "pdf", "png": "png", "jpg": "jpg", "jpeg": "jpg"}
_KEPT = re.compile(r"[0-9a-f]{64}\.(pdf|png|jpg)")
_UNSAFE = re.compile(r"[^\w .()№,-]+")


@dataclass(frozen=True, slots=True)
class Attachment:
    """`kept` is the file's name below the directory, `name` what it was called where it came from."""

    kept: str
    name: str


def keep(content: bytes, name: str) -> Attachment:
    """Write the file down. Raises `AttachmentTooLarge`, `AttachmentRefused`, and `Unavailable` for a full disk.

    Nobody finds a file whose form is not sent in the end; sent again, it is the same file.
    """
    if len(content) > MOST_MEGABYTES * 1024 * 1024:
        raise errors.AttachmentTooLarge(field="attachment", megabytes=MOST_MEGABYTES)
    kind = _kind(content)
    if kind is None or _ENDINGS.get(name.rpartition(".")[2].lower()) != kind or not _whole(content, kind):
        raise errors.AttachmentRefused(field="attachment", megabytes=MOST_MEGABYTES)
    kept = f"{hashlib.sha256(content).hexdigest()}.{kind}"
    try:
        directory().mkdir(parents=True, exist_ok=True)
        if not (directory() / kept).exists():
            write_whole(directory() / kept, content)
    except OSError:
        raise Unavailable(field="attachment") from None
    return Attachment(kept, safe_name(name, kind))


def kept_before(kept: str, name: str) -> Attachment | None:
    """A file that an earlier try of the same form has left here; None when it is not there."""
    if not _KEPT.fullmatch(kept) or not (directory() / kept).exists():
        return None
    return Attachment(kept, safe_name(name, kept.rpartition(".")[2]))


def path_of(kept: str) -> Path:
    """Raises `AttachmentGone`."""
    path = directory() / kept
    if not _KEPT.fullmatch(kept) or not path.exists():
        raise errors.AttachmentGone
    return path


def type_of(kept: str) -> str:
    return TYPES[kept.rpartition(".")[2]]


def directory() -> Path:
    return Path(current_app.config["INSTANCE_DIR"]) / "attachments"


def safe_name(name: str, kind: str) -> str:
    """A name that is only a name: no directories, no control characters, the ending that the content has."""
    stem = name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    stem = _UNSAFE.sub("_", stem).strip(" ._")[:100]
    return f"{stem or 'document'}.{kind}"


def _kind(content: bytes) -> str | None:
    return next((kind for kind, start in _STARTS.items() if content.startswith(start)), None)


def _whole(content: bytes, kind: str) -> bool:
    """Whether it is what its first bytes say, to its end."""
    if kind == "pdf":
        return b"%%EOF" in content[-2048:]
    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as picture:
            picture.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True
