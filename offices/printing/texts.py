"""What a poster says. Campaigns live in a room above this one: it registers how their texts are read."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from flask import Flask, current_app
from flask_babel import force_locale
from flask_babel import gettext as _


@dataclass(frozen=True)
class PosterText:
    """A campaign on a poster, in one language. `designation` continues the words "What your money does:"."""

    title: str
    lead: str
    designation: str
    partners: str = ""
    helpline_title: str = ""
    helpline: str = ""


@dataclass(frozen=True)
class Campaigns:
    """How this room learns of campaigns: their id by slug (None: there is none), their text by id and language."""

    find: Callable[[str], int | None]
    text: Callable[[int, str], PosterText]


def register_campaigns(
    app: Flask, *, find: Callable[[str], int | None], text: Callable[[int, str], PosterText]
) -> None:
    app.extensions["poster_campaigns"] = Campaigns(find, text)


def campaigns() -> Campaigns:
    registered: Campaigns = current_app.extensions["poster_campaigns"]
    return registered


def words_in(locale: str) -> dict[str, str]:
    """What every poster says, in `locale`."""
    with force_locale(locale):
        return {
            "headline": _("Help in under a minute"),
            "scan": _("Scan the code"),
            "scan_more": _("The campaign page opens: there is nothing to install."),
            "give": _("Give what you can"),
            "give_more": _("By bank card, any amount that suits you."),
            "collect": _("Collect your stickers"),
            "collect_more": _("Show the code on your phone in any MTS office."),
            "purpose": _("What your money does:"),
            "genuine": _("The code is genuine if it opens"),
            "poster": _("Poster"),
            "symbol": _("QR code:"),
            "sticker": _("Scan and help a child"),
        }


def spoken(text: PosterText, words: dict[str, str], domain: str) -> str:
    """The frame of a poster as it is read aloud."""
    steps = [f"{n}. {words[key]}: {words[key + '_more']}" for n, key in enumerate(("scan", "give", "collect"), start=1)]
    parts = [text.partners, text.title, text.lead, words["headline"], *steps, f"{words['purpose']} {text.designation}"]
    parts += [f"{text.helpline_title}: {text.helpline}" if text.helpline else "", f"{words['genuine']} {domain}"]
    return ". ".join(part.strip().rstrip(".") for part in parts if part.strip()) + "."


def as_values(text: PosterText) -> dict[str, str]:
    return asdict(text)
