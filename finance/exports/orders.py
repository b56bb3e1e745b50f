"""An order: everything that decides the bytes of an export. The same order gives the same file later."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from core.i18n import DEFAULT_LOCALE, LOCALES
from finance.exports import errors
from finance.exports.datasets import DATASETS, Dataset
from finance.exports.formats import WRITERS, Layout
from finance.exports.formats.base import ENCODINGS
from finance.filters import SETTLED, Filters, parse

ALWAYS = frozenset({"first", "last", "as_of"})


@dataclass(frozen=True)
class Order:
    """`language` is the one of the file (`locale` in options: `language` is a filter). `names`: with the personal
    columns. `filters.as_of` is never younger than a minute; `clamped` says that a younger one was asked for."""

    dataset: str
    format: str
    filters: Filters
    language: str = DEFAULT_LOCALE
    encoding: str = "utf-8"
    names: bool = False
    clamped: bool = False

    @property
    def of(self) -> Dataset:
        return DATASETS[self.dataset]

    @property
    def layout(self) -> Layout:
        columns = self.of.columns_for(self.names)
        return Layout(self.of.title, columns, self.filters, self.language, self.encoding, self.of.summed)

    @property
    def file_name(self) -> str:
        days = [day.isoformat() for day in (self.filters.first, self.filters.last) if day]
        moment = f"{self.filters.as_of:%Y%m%dT%H%M%SZ}"
        return f"{'_'.join([self.dataset, *days, moment])}.{WRITERS[self.format].ending}"

    def last_zone(self, now: datetime) -> str:
        """Of the zones that its days are cut in, the one where a day ends last."""
        return min(self.of.zones(self.filters), key=lambda zone: (now.astimezone(ZoneInfo(zone)).utcoffset(), zone))

    def options(self) -> dict[str, Any]:
        """For the export's row; `read` makes the same order of it."""
        return {
            "dataset": self.dataset,
            "format": self.format,
            "locale": self.language,
            "encoding": self.encoding,
            "names": self.names,
            **self.filters.fixed().query(),
        }

    @classmethod
    def read(cls, options: Mapping[str, Any], now: datetime) -> Self:
        """The order that was kept as `options`, or typed into a form.

        Raises `DatasetUnknown`, `FormatUnknown`, `LanguageUnknown`, `EncodingUnknown`, `NamesNotHere`,
        `FilterNotForThis`, `MonthNeeded`, and what `finance.filters.parse` raises.
        """
        dataset = DATASETS.get(str(options.get("dataset") or ""))
        if dataset is None:
            raise errors.DatasetUnknown(field="dataset")
        filters = parse(options, now)
        language = str(options.get("locale") or DEFAULT_LOCALE)
        order = cls(
            dataset=dataset.name,
            format=str(options.get("format") or dataset.formats[0]),
            filters=settled(filters, now),
            language=language,
            encoding=str(options.get("encoding") or "utf-8"),
            names=bool(options.get("names")),
            clamped=filters.as_of_given and not filters.is_settled(now),
        )
        order._check(dataset)
        return order

    def _check(self, dataset: Dataset) -> None:
        if self.format not in dataset.formats:
            raise errors.FormatUnknown(field="format")
        if self.language not in LOCALES:
            raise errors.LanguageUnknown(field="locale")
        if self.encoding not in ENCODINGS or (self.encoding != "utf-8" and self.format != "csv-ru"):
            raise errors.EncodingUnknown(field="encoding")
        if self.names and not dataset.personal:
            raise errors.NamesNotHere(field="names")
        require_filters(dataset, self.filters)
        if dataset.name == "statement" and not self.filters.months():
            raise errors.MonthNeeded(field="first")


def require_filters(dataset: Dataset, filters: Filters) -> None:
    """Raises `FilterNotForThis`: a filter that would silently do nothing is worse than none."""
    given = set(filters.query()) - ALWAYS - dataset.filters
    if given:
        raise errors.FilterNotForThis(field=sorted(given)[0])


def settled(filters: Filters, now: datetime) -> Filters:
    """With a moment after which nothing more is recorded: what is written then is the same for ever."""
    latest = (now - SETTLED).replace(microsecond=0)
    return replace(filters, as_of=min(filters.as_of, latest), as_of_given=True)
