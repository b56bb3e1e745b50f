"""Files of packs: those that came with the package, and those that the campaign team uploaded.

Uploaded ones lie below INSTANCE_DIR/packs and are named by what is in them, so they never change and browsers may keep
them; what people call their files is never part of a path. Several machines need this folder in common.
"""

import re
from pathlib import Path

from flask import current_app, url_for

from stickers.models import StickerPack

# Not below `static`: only a valid code opens them.
SHIPPED_DOWNLOADS = Path(__file__).parent / "downloads"
PICTURE = re.compile(r"[0-9a-f]{32}\.webp")
DOWNLOAD = re.compile(r"[0-9a-f]{32}\.(?:zip|pdf|png|jpg|webp|gif)")


def folder() -> Path:
    return Path(current_app.config["INSTANCE_DIR"]) / "packs"


def picture_url(pack: StickerPack) -> str:
    if PICTURE.fullmatch(pack.picture):
        return url_for("stickers.picture", name=pack.picture)
    return url_for("stickers.static", filename=f"packs/{pack.picture}")


def uploaded_picture(name: str) -> Path | None:
    path = folder() / "pictures" / name
    return path if PICTURE.fullmatch(name) and path.is_file() else None


def uploaded_download(name: str) -> Path | None:
    path = folder() / "downloads" / name
    return path if DOWNLOAD.fullmatch(name) and path.is_file() else None


def download_path(pack: StickerPack) -> Path:
    """Where the file of a digital pack lies."""
    name = str(pack.download)
    return folder() / "downloads" / name if DOWNLOAD.fullmatch(name) else SHIPPED_DOWNLOADS / name


def download_name(pack: StickerPack) -> str:
    """What the donor's browser saves it as."""
    return f"{pack.code}{Path(str(pack.download)).suffix}"
