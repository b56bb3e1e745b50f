"""What a report is about: the one definition of filters, for pages, API, commands, exports and their manifests.

    campaign, fund        a campaign's slug, a fund's code (its designation)
    first, last           report days, both included; open where not given. Each entry belongs to the day that it
                          occurred on in the zone of its own campaign (`finance.facts.report_day`)
    as_of                 nothing recorded after this moment is in the report; the present moment when not given
    office, region, medium, channel, placement, provider, language, currency
                          one value of a dimension, as in the keys of the totals

Keys that are no codes: `DIRECT`, a gift that no link led to; `ELSEWHERE`, a link that hangs in no office; `NOBODY`,
an entry of no gift (money spent, differences of exchange).
"""

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from core.clock import require_utc
from core.db import db
from core.errors import Invalid
from core.i18n import LOCALES
from donations import queries
from ledger import periods
from ledger.models import Account, Fund
from offices.models import MEDIA, Office, Placement

NOBODY = "-"
DIRECT = "direct"
ELSEWHERE = "elsewhere"

# Where people meet the campaign, coarser than the medium of a link; a gift that no link led to came online by itself.
CHANNELS = {
    "print": ("office_poster", "counter_card", "window"),
    "outdoor": ("billboard", "metro", "lift", "taxi"),
    "link": ("sms", "blogger", "article", "other"),
    "online": (DIRECT,),
}
VALUES = ("office", "region", "medium", "channel", "placement", "provider", "language", "currency")
NAMES = ("campaign", "fund", "first", "last", "as_of", *VALUES)
SETTLED = timedelta(seconds=60)  # transactions end within 30: what was recorded before that does not change any more

DEFAULT_ZONE = periods.ZONE  # the books'
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EARLIEST, _LATEST = date(1970, 1, 2), date(2999, 12, 30)


class DayInvalid(Invalid):
    code = "day_invalid"
    text = _l("A day is written as 2026-02-09.")


class RangeInvalid(Invalid):
    code = "range_invalid"
    text = _l("The first day comes before the last one.")


class AsOfInvalid(Invalid):
    code = "as_of_invalid"
    text = _l("A moment in the past is written as 2026-02-09T14:05 or 2026-02-09.")


class ValueUnknown(Invalid):
    """A dimension has no such value; `field` says which."""

    code = "value_unknown"
    text = _l("%(value)s is not known here.")


@dataclass(frozen=True, slots=True)
class Filters:
    """See the module. `as_of` is always a moment; `zone`, in which moments are read and shown, is that of the chosen
    campaign, or of the books."""

    as_of: datetime
    zone: str = DEFAULT_ZONE
    campaign: str | None = None
    fund: str | None = None
    first: date | None = None
    last: date | None = None
    office: str | None = None
    region: str | None = None
    medium: str | None = None
    channel: str | None = None
    placement: str | None = None
    provider: str | None = None
    language: str | None = None
    currency: str | None = None
    as_of_given: bool = False  # the moment was asked for, and is not just now

    @property
    def values(self) -> dict[str, str]:
        """The dimensions that are bound to one value."""
        return {name: value for name in VALUES if (value := getattr(self, name)) is not None}

    def query(self, **changes: Any) -> dict[str, str]:
        """For addresses: what `parse` reads back to the same filters. `changes` replace or, with None, leave out.

        The moment stands there only when it was asked for; `fixed` gives filters that always name it.
        """
        own = {name: getattr(self, name) for name in NAMES}
        if not self.as_of_given:
            own["as_of"] = None
        return {name: _written(value) for name, value in {**own, **changes}.items() if value not in (None, "")}

    def fixed(self) -> Self:
        """The same, with its moment named in addresses: what was seen is seen again there."""
        return replace(self, as_of_given=True)

    def describe(self, zones: Sequence[str]) -> dict[str, str]:
        """For manifests: all that decides the content, the zones that days are cut in and the moment too."""
        return {"zone": ", ".join(zones), **self.fixed().query()}

    def is_settled(self, now: datetime) -> bool:
        """Whether the same filters give the same result for ever."""
        return self.as_of <= now - SETTLED

    def days(self) -> int | None:
        """How many days the range has; None when it is open."""
        return (self.last - self.first).days + 1 if self.first and self.last else None

    def months(self) -> bool:
        """Whether the range is one whole month."""
        first, last = self.first, self.last
        return bool(
            first
            and last
            and first.day == 1
            and last == first.replace(day=calendar.monthrange(first.year, first.month)[1])
        )

    def before(self) -> Self | None:
        """The period of equal length before (the month before a whole month); None for an open range."""
        if not self.first or not self.last:
            return None
        last = self.first - timedelta(days=1)
        first = last.replace(day=1) if self.months() else self.first - (self.last - self.first) - timedelta(days=1)
        return replace(self, first=first, last=last) if first >= _EARLIEST else None

    def year_before(self) -> Self | None:
        """The same month of last year, where the range is one whole month."""
        if not self.first or not self.months() or self.first.year <= _EARLIEST.year:
            return None
        first = self.first.replace(year=self.first.year - 1)
        return replace(self, first=first, last=first.replace(day=calendar.monthrange(first.year, first.month)[1]))

    def moments(self, zone: str | None = None) -> tuple[datetime | None, datetime | None]:
        """From when (included) to when (not included) the range lasts in a zone; open where None."""
        return day_start(self.first, zone or self.zone), day_start(self.last, zone or self.zone, days=1)


def day_start(day: date | None, zone: str, *, days: int = 0) -> datetime | None:
    """The first moment, in UTC, of a day (or of one so many days later) in a zone."""
    if day is None:
        return None
    return require_utc(datetime.combine(day + timedelta(days=days), time.min, ZoneInfo(zone)))


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def parse(values: Mapping[str, Any], now: datetime) -> Filters:
    """Filters from a query string, a JSON body or options of a command; empty ones count as not given.

    Names that are no filters are not looked at. Raises `DayInvalid`, `RangeInvalid`, `AsOfInvalid`, `ValueUnknown`
    (each with the `field` it is about) and `UnknownCampaign`.
    """
    given = {name: text for name in NAMES if (text := str(values.get(name) or "").strip())}
    for name, text in given.items():
        if not text.isprintable():  # PostgreSQL stores no NUL, and asks for none
            raise ValueUnknown(field=name, value=ascii(text[:60]))
    slug = given.get("campaign")
    zone = queries.campaign_by_slug(slug).zone if slug else DEFAULT_ZONE
    first, last = _day(given, "first"), _day(given, "last")
    if first and last and first > last:
        raise RangeInvalid(field="last")
    return Filters(
        as_of=parse_moment(given.get("as_of"), zone, now),
        as_of_given="as_of" in given,
        zone=zone,
        campaign=slug,
        fund=_fund(given.get("fund")),
        first=first,
        last=last,
        **{name: _CHECKS[name](given[name]) for name in VALUES if name in given},
    )


def parse_day(text: str, field: str) -> date:
    """Raises `DayInvalid`."""
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        day = date.fromisoformat(text)
    except ValueError:
        raise DayInvalid(field=field) from None
    if not _EARLIEST <= day <= _LATEST:
        raise DayInvalid(field=field)
    return day


def _day(given: Mapping[str, str], name: str) -> date | None:
    return parse_day(given[name], name) if name in given else None


def parse_moment(text: str | None, zone: str, now: datetime, field: str = "as_of") -> datetime:
    """A moment; without an offset it is the zone's, and a day alone is meant to its end (today until now).

    Raises `AsOfInvalid`, for what is still to come too.
    """
    if not text:
        return now
    try:
        if _DAY.fullmatch(text):
            day = parse_day(text, field)
            start, end = day_start(day, zone), day_start(day, zone, days=1)
            assert start is not None
            assert end is not None
            if start > now:
                raise AsOfInvalid(field=field)
            return min(end - timedelta(microseconds=1), now)
        # In addresses a plus is a space: +03:00 that was not quoted comes in like this.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        moment = require_utc(moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone)))
    except (ValueError, OverflowError, DayInvalid):
        raise AsOfInvalid(field=field) from None
    if moment > now:
        raise AsOfInvalid(field=field)
    return moment


def _fund(code: str | None) -> str | None:
    return _stored("fund", Fund.code)(code) if code else None


def _stored(name: str, column: Any, *others: str) -> Any:
    """A check that the value stands in a column, or is one of the others."""

    def check(value: str) -> str:
        if value not in others and db.session.scalar(sa.select(column).where(column == value).limit(1)) is None:
            raise ValueUnknown(field=name, value=value[:60])
        return value

    return check


def _one_of(name: str, *known: str) -> Any:
    def check(value: str) -> str:
        if value not in known:
            raise ValueUnknown(field=name, value=value[:60])
        return value

    return check


def _provider(value: str) -> str:
    """Of whom the ledger has a receivable account."""
    codes = sa.select(Account.id).where(Account.code.startswith(f"receivable:{value}:", autoescape=True)).limit(1)
    if value != NOBODY and (not value.isalnum() or db.session.scalar(codes) is None):
        raise ValueUnknown(field="provider", value=value[:60])
    return value


_PLACES = (DIRECT, NOBODY)
_CHECKS: Mapping[str, Any] = {
    "office": _stored("office", Office.code, *_PLACES, ELSEWHERE),
    "region": _stored("region", Office.region, *_PLACES, ELSEWHERE),
    "medium": _one_of("medium", *MEDIA, *_PLACES),
    "channel": _one_of("channel", *CHANNELS, NOBODY),
    "placement": _stored("placement", Placement.code, *_PLACES),
    "provider": _provider,
    "language": _one_of("language", *LOCALES, NOBODY),
    "currency": _stored("currency", Account.currency),  # the provider's and the bank's too
}
