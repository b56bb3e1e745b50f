"""Pictures of packs for everybody, and the files of digital packs for those who hold a code."""

from datetime import timedelta

from flask import Blueprint, Flask, Response, render_template, request, send_file
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l

from core import throttle
from core.clock import utcnow
from core.errors import Conflict, DomainError, NotFound, TooMany
from core.http import client_address
from stickers import codes, files
from stickers.models import RedemptionCode
from stickers.passing import kept_codes
from stickers.services import code_by_text

WINDOW, TRIES = timedelta(minutes=15), 30  # an office has one address for all its visitors
PICTURE_SECONDS = 365 * 24 * 3600

blueprint = Blueprint(
    "stickers", __name__, template_folder="templates", static_folder="static", static_url_path="/static/stickers"
)


class NoSuchPack(NotFound):
    code = "sticker_pack_not_found"
    text = _l("There is no such pack to download here.")


class PackWithheld(Conflict):
    code = "sticker_pack_withheld"
    text = _l("This pack cannot be downloaded at present: its code is on hold or no longer valid.")


class NothingForThisCode(NotFound):
    code = "sticker_pack_not_found"
    text = _l("There is no pack to download with this code. The page of the donation says what became of its codes.")


def download_of(donation_id: int, typed: str) -> Response:
    """The file of the digital pack that this code of this donation opens. Raises `NoSuchPack`, `PackWithheld`."""
    code = codes.read(typed)
    return file_of(next((each for each in kept_codes(donation_id) if each.code == code), None))


def file_of(code: RedemptionCode | None) -> Response:
    """The file that this code opens. Raises `NoSuchPack`, `PackWithheld`."""
    if code is None or code.pack.kind != "digital" or not code.pack.download:
        raise NoSuchPack
    if code.status not in ("issued", "redeemed"):
        raise PackWithheld
    path, name = files.download_path(code.pack), files.download_name(code.pack)
    return send_file(path, as_attachment=True, download_name=name, max_age=0)


@blueprint.get("/packs/pictures/<name>")
def picture(name: str) -> Response:
    """A picture that the campaign team uploaded. It is named by what is in it: browsers may keep it for ever."""
    path = files.uploaded_picture(name)
    if path is None:
        raise NotFound
    answer = send_file(path, mimetype="image/webp", max_age=PICTURE_SECONDS, etag=False)
    answer.cache_control.public, answer.cache_control.immutable = True, True
    return answer


@blueprint.get("/packs")
def by_code() -> ResponseReturnValue:
    return render_template("stickers/download.html", refusal=None, typed="")


@blueprint.post("/packs")
def download() -> ResponseReturnValue:
    """The file of a digital pack for whoever types its code; every other code gets one answer, one on hold too: who
    tries codes learns of none that it exists, and its owner reads more on the page of the donation."""
    typed = request.form.get("code", "")
    try:
        if throttle.count("pack-download", client_address(), WINDOW, utcnow()) > TRIES:
            raise TooMany
        return file_of(code_by_text(typed))
    except DomainError as error:
        refusal = NothingForThisCode() if isinstance(error, (NoSuchPack, PackWithheld)) else error
        return render_template("stickers/download.html", refusal=refusal, typed=typed[:60]), refusal.status


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    app.jinja_env.globals["pack_picture_url"] = files.picture_url
