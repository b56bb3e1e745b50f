"""The public page of offices that have packs."""

from flask import Blueprint, Flask, Response, make_response, render_template, request

from core.errors import NotFound
from offices.queries import campaign_id
from stickers.models import StickerPack
from stickers.stock import near
from stickers.stock.labels import PLENTY_NAMES

FRESH_SECONDS = 60

blueprint = Blueprint("offices_near", __name__, template_folder="../templates")


@blueprint.get("/offices")
def offices() -> Response:
    """Donors choose a region or type a place; `campaign` and `pack` narrow the packs down. Without JavaScript."""
    slug = request.args.get("campaign") or None
    packs = _chosen_packs(slug)
    region, place = request.args.get("region", ""), request.args.get("place", "").strip()
    page = near.offices_near(packs, region=region, place=place, number=request.args.get("page", 1, type=int))
    html = render_template(
        "stickers/stock/near.html",
        page=page,
        packs=packs,
        region=region,
        place=place,
        regions=near.regions(),
        plenty=PLENTY_NAMES,
        slug=slug,
    )
    return _kept_for_a_minute(make_response(html))


def _chosen_packs(slug: str | None) -> list[StickerPack]:
    campaign = campaign_id(slug) if slug and "\0" not in slug else None
    if slug and campaign is None:
        raise NotFound
    packs, wanted = near.packs_of(campaign), request.args.get("pack")
    return [pack for pack in packs if pack.code == wanted] or packs


def _kept_for_a_minute(answer: Response) -> Response:
    """In a cache of everybody, by language; who has just chosen one gets a cookie, which belongs to one alone."""
    audience = "private" if "lang" in request.args else "public"
    answer.headers["Cache-Control"] = f"{audience}, max-age={FRESH_SECONDS}"
    answer.vary.update(("Accept-Language", "Cookie"))
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
