"""Pictures of packs for everybody, and the files of digital packs for those who hold a code."""

from pathlib import Path

from flask import Blueprint, Flask
from flask_babel import lazy_gettext as _l

from core.errors import Conflict, NotFound
from stickers import codes
from stickers.services import codes_of

# Not below `static`: only a valid code opens them.
DOWNLOADS = Path(__file__).parent / "downloads"

blueprint = Blueprint("stickers", __name__, static_folder="static", static_url_path="/static/stickers")


class NoSuchPack(NotFound):
    code = "sticker_pack_not_found"
    text = _l("There is no such pack to download here.")


class PackWithheld(Conflict):
    code = "sticker_pack_withheld"
    text = _l("This pack cannot be downloaded at present: its code is on hold or no longer valid.")


def download_of(donation_id: int, typed: str) -> Path:
    """The file of the digital pack that this code of this donation opens. Raises `NoSuchPack`, `PackWithheld`."""
    code = codes.read(typed)
    found = next((each for each in codes_of(donation_id) if each.code == code), None)
    if found is None or found.pack.kind != "digital" or not found.pack.download:
        raise NoSuchPack
    if found.status not in ("issued", "redeemed"):
        raise PackWithheld
    return DOWNLOADS / found.pack.download


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
