"""Public pages of short links. Staff pages of offices and prints are elsewhere."""

from flask import Blueprint, Flask, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from core.i18n import LOCALES
from offices import redirect as hot
from offices.links import COOKIE, read_code
from offices.queries import Link, find_link
from offices.scans import ScanBuffer

blueprint = Blueprint("links", __name__, template_folder="templates")


@blueprint.get("/q/")
@blueprint.get("/Q/")
@blueprint.get("/q/<path:typed>")
@blueprint.get("/Q/<path:typed>")
def follow(typed: str = "") -> ResponseReturnValue:
    """What `offices.redirect` did not answer: links typed oddly, retired, unknown, forged."""
    code = read_code(typed)
    link = find_link(code) if code else None
    if link is None or link.state != "active":
        return _no_link(link)
    if request.method == "GET":
        current_app.extensions["scans"].add(link.id)
    answer = redirect(request.script_root + hot.target(link))
    answer.headers.add("Set-Cookie", hot.cookie(link, secure=_secure()))
    return answer


def _no_link(link: Link | None) -> ResponseReturnValue:
    """A page that says so and still lets people give; a link followed earlier that day is forgotten.

    A retired link's page speaks the language of its poster, as the campaign's page would have done.
    """
    if link is None:
        page, status = render_template("offices/no_link.html", give=url_for("donations.front"), retired=False), 404
    else:
        wish = request.args.get("lang")
        language = wish if wish in LOCALES else link.language
        give = url_for("donations.campaign", slug=link.campaign, lang=language)
        with force_locale(language):
            page, status = render_template("offices/no_link.html", give=give, retired=True), 410
    answer = current_app.make_response((page, status))
    if COOKIE in request.cookies:
        answer.delete_cookie(COOKIE, httponly=True, samesite="Lax", secure=_secure())
    return answer


def _secure() -> bool:
    return request.is_secure or str(current_app.config["PUBLIC_URL"]).startswith("https://")


def init_app(app: Flask) -> None:
    """Call after `core.http`: its proxy headers are for the framework, this path needs none of them."""
    scans = app.extensions["scans"] = ScanBuffer(app)
    app.wsgi_app = hot.ShortLinks(app, app.wsgi_app, scans)  # type: ignore[method-assign]
    app.register_blueprint(blueprint)
