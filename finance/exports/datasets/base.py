"""What can be exported: a name, columns, and rows in a fixed order. A new one is a module that makes a `Dataset`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from finance.exports.columns import Column, Query, Row
from finance.facts import zones_of
from finance.filters import VALUES, Filters

GIFTS = frozenset(VALUES) | {"campaign", "fund"}
TABLES = ("csv", "csv-ru", "xlsx", "jsonl")


@dataclass(frozen=True)
class Dataset:
    """Rows of a database query, in order of its first column `key`, which is not exported; or (`table`) a few rows
    that are reckoned. Either gives what was recorded up to `filters.as_of`, the same whenever it is asked.

    `page` answers the next rows after a key, as many as asked for or fewer, and the key to go on after: where the rows
    of `query` alone would be reckoned anew for each page. `personal` are columns that hold data of donors, given only
    on request, after all others. `control` answers the number of rows and sums by another way than the rows
    themselves: {currency: {column: minor units}}. `about` answers what the manifest says of the whole, whether or not
    there are rows; `zones`, those that its days are cut in.
    """

    name: str
    title: Any
    columns: tuple[Column, ...]
    query: Callable[[Filters, bool], Query] | None = None
    page: Callable[[Filters, int, int], tuple[Query, int | None]] | None = None
    table: Callable[[Filters], Sequence[Row]] | None = None
    control: Callable[[Filters], tuple[int, dict[str, dict[str, int]]]] | None = None
    about: Callable[[Filters], dict[str, Any]] | None = None
    zones: Callable[[Filters], tuple[str, ...]] = zones_of
    personal: tuple[Column, ...] = ()
    filters: frozenset[str] = GIFTS
    formats: tuple[str, ...] = TABLES
    summed: bool = True  # whether a line of totals says something

    def columns_for(self, names: bool) -> tuple[Column, ...]:
        return self.columns + self.personal if names else self.columns
