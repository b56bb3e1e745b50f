"""Console pages of the campaign team: the stock of all offices, what is on the way, what does not agree."""

from typing import TextIO

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.cells import write_table
from offices.console import csv_answer, page_number
from offices.queries import regions
from staff.access import allowed
from stickers.stock import queries
from stickers.stock.console import blueprint, wanted
from stickers.stock.labels import KIND_NAMES

COLUMNS = ("office", "name", "region", "pack", "pack_name", "quantity", "low_mark", "standing", "coming", "moved_at")


def overview() -> str:
    """Every office with every pack; `stock.front` shows it to whoever works for all."""
    return render_template(
        "stickers/stock/overview.html",
        page=queries.places_page(wanted(), page_number()),
        totals=queries.totals(),
        **_choices(),
    )


def _choices() -> dict[str, list[tuple[str, object]]]:
    every: tuple[str, object] = ("", _("All"))
    return {
        "region_choices": [every, *((region, region) for region in regions())],
        "pack_choices": [every, *((pack.code, pack.name) for pack in queries.physical_packs())],
        "level_choices": [every, ("low", _("Running low")), ("none", _("None left")), ("some", _("Some left"))],
        "sort_choices": [
            ("office", _("by office")),
            ("least", _("fewest first")),
            ("most", _("most first")),
            ("region", _("by region")),
        ],
        "kind_choices": [every, *((kind, KIND_NAMES[kind]) for kind in ("variance", "damaged", "counted"))],
    }


@blueprint.get("/all.csv")
@allowed("campaign", "admin")
def export() -> ResponseReturnValue:
    """The list as it is filtered and sorted, all pages of it."""

    def write(file: TextIO) -> int:
        return write_table(file, COLUMNS, (_row(place) for place in queries.places(wanted())))

    return csv_answer(write, "stock.csv")


def _row(place: queries.Place) -> list[object]:
    return [
        place.office,
        place.office_name,
        place.region,
        place.pack,
        place.pack_name,
        place.quantity,
        place.low_mark,
        place.standing,
        place.coming,
        place.moved_at.isoformat(timespec="seconds") if place.moved_at else None,
    ]


@blueprint.get("/differences")
@allowed("campaign", "admin")
def difference_list() -> str:
    page = queries.differences(wanted(), page_number())
    return render_template("stickers/stock/differences.html", page=page, **_choices())


@blueprint.get("/on-the-way")
@allowed("campaign", "admin")
def on_the_way() -> str:
    return render_template("stickers/stock/on_the_way.html", page=queries.all_on_the_way(page_number()))
