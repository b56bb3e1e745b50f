"""What dimensions, figures and their values are called on pages and in files."""

from collections.abc import Iterable
from datetime import date, timedelta

import sqlalchemy as sa
from flask_babel import format_date
from flask_babel import lazy_gettext as _l

from core.db import db
from core.i18n import LANGUAGE_NAMES
from donations.models import Campaign
from finance.filters import DIRECT, ELSEWHERE, NOBODY
from finance.totals import Row
from ledger.models import Fund
from offices.labels import MEDIA_NAMES
from offices.models import Office, Placement

DIMENSION_NAMES = {
    "day": _l("Day"),
    "week": _l("Week"),
    "month": _l("Month"),
    "campaign": _l("Campaign"),
    "designation": _l("Designation"),
    "currency": _l("Currency"),
    "channel": _l("Channel"),
    "medium": _l("Medium"),
    "office": _l("Office"),
    "region": _l("Region"),
    "placement": _l("Link"),
    "provider": _l("Payment provider"),
    "language": _l("Language"),
}
CHANNEL_NAMES = {
    "print": _l("Posters and cards in offices"),
    "outdoor": _l("Outdoor: billboards, metro, lifts, taxi"),
    "link": _l("Links: SMS, bloggers, articles"),
    "online": _l("Online, by no link"),
}
FIGURE_NAMES = {
    "gross": _l("Raised"),
    "refunds": _l("Refunds"),
    "disputes": _l("Disputes"),
    "fees": _l("Fees"),
    "net": _l("Net"),
    "earmarked": _l("Earmarked"),
    "disbursed": _l("Disbursed"),
    "sponsored": _l("Fees borne by the sponsor"),
}
SPECIAL = {NOBODY: _l("Of no gift"), DIRECT: _l("No link led here"), ELSEWHERE: _l("In no office")}


def labels(by: str, rows: Iterable[Row]) -> dict[str, str]:
    """What people call the values of a dimension, in the reader's language, for these rows' keys."""
    keys = {row.key for row in rows}
    names = {key: str(SPECIAL[key]) for key in keys & SPECIAL.keys()}
    return {**{key: _label(by, key) for key in keys - names.keys()}, **_stored(by, keys), **names}


def _label(by: str, key: str) -> str:
    match by:
        case "day":
            return str(format_date(date.fromisoformat(key), "d MMM yyyy"))
        case "week":
            first = date.fromisoformat(key)
            return f"{format_date(first, 'd MMM')} – {format_date(first + timedelta(days=6), 'd MMM yyyy')}"
        case "month":
            return str(format_date(date.fromisoformat(key), "LLLL yyyy"))
        case "medium":
            return str(MEDIA_NAMES.get(key, key))
        case "channel":
            return str(CHANNEL_NAMES.get(key, key))
        case "language":
            return LANGUAGE_NAMES.get(key, key)
        case "provider":
            return key.capitalize()
    return key


def short_label(by: str, key: str) -> str:
    """For below a bar."""
    if by in ("day", "week"):
        return str(format_date(date.fromisoformat(key), "d.MM"))
    return str(format_date(date.fromisoformat(key), "LLL yy")) if by == "month" else ""


def _stored(by: str, keys: set[str]) -> dict[str, str]:
    """Names that stand in tables."""
    match by:
        case "campaign":
            query = sa.select(Campaign.slug, Campaign.title).where(Campaign.slug.in_(keys))
            return {slug: str(title) for slug, title in db.session.execute(query)}
        case "designation":
            return {code: str(name) for code, name in db.session.execute(sa.select(Fund.code, Fund.name))}
        case "office":
            query = sa.select(Office.code, Office.name).where(Office.code.in_(keys))
            return {code: f"{name} · {code}" for code, name in db.session.execute(query)}
        case "placement":
            return {row.code: _placement(row) for row in db.session.execute(_places(keys))}
    return {}


def _places(keys: set[str]) -> "sa.Select[str, str, str, str | None]":
    query = sa.select(Placement.code, Placement.label, Placement.medium, Office.code.label("office"))
    return query.outerjoin(Office, Office.id == Placement.office_id).where(Placement.code.in_(keys))


def _placement(row: "sa.Row[str, str, str, str | None]") -> str:
    return " · ".join(filter(None, [row.code, str(MEDIA_NAMES[row.medium]), row.office or "", row.label]))
