"""The campaign's form: how it is filled in, and how it is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from flask_babel import gettext as _

from core.i18n import Localized
from core.money import EXPONENTS
from donations.models import Campaign
from staff.editing import Typed, amount_field, localized_fields, moment_field

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SLUG_LIMIT, TITLE_LIMIT, LEAD_LIMIT, USE_TEXT_LIMIT, PARTNERS_LIMIT = 60, 120, 400, 400, 120
DESIGNATION_LIMIT = 200
MOST_USES, SUGGESTIONS = 8, 6
NEW_FUND = "+"
FEES = ("fund", "sponsor")
RESERVED = {"new"}  # pages of the console have these addresses
_CURRENCY = "BYN"


@dataclass(frozen=True)
class Read:
    """What a form says of a campaign: its columns, and its fund by code or as a new one."""

    columns: dict[str, Any]
    fund: str
    new_fund: tuple[str, Localized] | None


@cache
def zones() -> frozenset[str]:
    return frozenset(zone for zone in available_timezones() if len(zone) <= 40)


def empty_fields() -> dict[str, str]:
    return {"currency": _CURRENCY, "zone": "Europe/Minsk", "fees_borne_by": "fund", "uses": "1", "fund": NEW_FUND}


def fields_of(campaign: Campaign) -> dict[str, str]:
    currency, zone = campaign.currency, campaign.zone
    fields = {"slug": campaign.slug, "currency": currency, "fund": campaign.fund.code, "zone": zone}
    fields["fees_borne_by"] = campaign.fees_borne_by
    for name in ("title", "lead", "designation", "partners"):
        fields |= localized_fields(name, getattr(campaign, name))
    for name in ("goal", "min", "max"):
        fields[name] = amount_field(getattr(campaign, f"{name}_minor"), currency)
    for place in range(SUGGESTIONS):
        some = campaign.suggested_minor[place : place + 1]
        fields[f"suggested{place}"] = amount_field(some[0], currency) if some else ""
    for name in ("opens_at", "closes_at", "collect_until"):
        fields[name] = moment_field(getattr(campaign, name), zone)
    fields["uses"] = str(len(campaign.uses))
    for place, use in enumerate(campaign.uses):
        fields |= localized_fields(f"use{place}_title", use["title"]) | localized_fields(
            f"use{place}_text", use["text"]
        )
    return fields


def read(form: Mapping[str, str]) -> Read:
    """Raises `FormRefused`."""
    typed = Typed(form)
    slug = _slug(typed)
    currency = typed.text("currency", 3).upper()
    if currency not in EXPONENTS:
        typed.refuse("currency", _("Please enter the three letters of a currency, such as BYN."))
    columns: dict[str, Any] = {
        "slug": slug,
        "title": typed.localized("title", TITLE_LIMIT),
        "lead": typed.localized("lead", LEAD_LIMIT),
        "designation": typed.localized("designation", DESIGNATION_LIMIT),
        "partners": typed.localized("partners", PARTNERS_LIMIT, required=False),
        "uses": _uses(typed),
        "currency": currency,
        "fees_borne_by": typed.choice("fees_borne_by", FEES),
        **_amounts(typed, currency if currency in EXPONENTS else _CURRENCY),
        **_times(typed),
    }
    fund, new_fund = _fund(typed)
    typed.finish()
    return Read(columns, fund, new_fund)


def _slug(typed: Typed) -> str:
    slug = typed.text("slug", SLUG_LIMIT).lower()
    if not SLUG.fullmatch(slug) or slug in RESERVED:
        typed.refuse("slug", _("Latin letters, figures and single dashes, such as kind-words-2026."))
    return slug


def _uses(typed: Typed) -> list[dict[str, Any]]:
    """Those of which anything is filled in."""
    found = []
    for place in range(use_count(typed.form)):
        names = localized_fields(f"use{place}_title", None) | localized_fields(f"use{place}_text", None)
        if any(typed.form.get(name, "").strip() for name in names):
            title = typed.localized(f"use{place}_title", TITLE_LIMIT)
            found.append({"title": title, "text": typed.localized(f"use{place}_text", USE_TEXT_LIMIT)})
    return found


def use_count(form: Mapping[str, str]) -> int:
    text = form.get("uses", "")
    return min(int(text), MOST_USES) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def with_use(fields: Mapping[str, str]) -> dict[str, str]:
    """The form with one more, empty one."""
    return {**fields, "uses": str(min(use_count(fields) + 1, MOST_USES))}


def without_use(fields: Mapping[str, str], gone: int) -> dict[str, str]:
    """The form without that one; later ones move up."""
    count, moved = use_count(fields), dict(fields)
    for place in range(gone, count):
        for part in ("title", "text"):
            names = localized_fields(f"use{place}_{part}", None)
            for name, following in zip(names, localized_fields(f"use{place + 1}_{part}", None), strict=True):
                moved[name] = fields.get(following, "") if place + 1 < count else ""
    return {**moved, "uses": str(count - 1 if gone < count else count)}


def _amounts(typed: Typed, currency: str) -> dict[str, Any]:
    goal = typed.amount("goal", currency)
    least, most = typed.amount("min", currency), typed.amount("max", currency)
    if least and most and least > most:
        typed.refuse("max", _("The largest donation cannot be below the smallest."))
    suggested = set()
    for place in range(SUGGESTIONS):
        minor = typed.amount(f"suggested{place}", currency, required=False)
        if minor is None:
            continue
        if least and most and not least <= minor <= most:
            typed.refuse(f"suggested{place}", _("This is not between the smallest and the largest donation."))
        suggested.add(minor)
    if not suggested and not any(f"suggested{place}" in typed.errors for place in range(SUGGESTIONS)):
        typed.refuse("suggested0", _("Please suggest at least one amount."))
    return {"goal_minor": goal, "min_minor": least, "max_minor": most, "suggested_minor": sorted(suggested)}


def _times(typed: Typed) -> dict[str, Any]:
    zone = typed.text("zone", 40)
    if zone not in zones():
        typed.refuse("zone", _("Please enter a time zone such as Europe/Minsk."))
        zone = "UTC"
    opens, closes = typed.moment("opens_at", zone), typed.moment("closes_at", zone)
    collect_until = typed.moment("collect_until", zone)
    if opens and closes and opens >= closes:
        typed.refuse("closes_at", _("The end must be after the beginning."))
    if opens and collect_until and collect_until <= opens:
        typed.refuse("collect_until", _("The end must be after the beginning."))
    return {"zone": zone, "opens_at": opens, "closes_at": closes, "collect_until": collect_until}


def _fund(typed: Typed) -> tuple[str, tuple[str, Localized] | None]:
    fund = typed.text("fund", 60, required=True)
    if fund != NEW_FUND:
        return fund, None
    code = typed.text("fund_code", SLUG_LIMIT).lower()
    if not SLUG.fullmatch(code):
        typed.refuse("fund_code", _("Latin letters, figures and single dashes, such as kind-words-2026."))
    name = typed.localized("fund_name", TITLE_LIMIT)
    return code, (code, name) if name else None
