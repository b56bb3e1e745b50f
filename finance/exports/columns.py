"""What stands in an export: columns with types, and the totals that prove that nothing is missing.

Vocabulary
    code    a text that the service made itself: an id, a state. No spreadsheet can take it for a formula.
    text    a text that people typed. Formats that spreadsheets open must make it harmless.
    whole   a whole number
    money   minor units; `currency` names the column that says of which currency
    moment  a point in time; shown in the zone of the export
    day     a calendar day, or the moment whose day in that zone is meant
    rate    an exact decimal number as text
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

KINDS = ("code", "text", "whole", "money", "moment", "day", "rate")
Row = Sequence[Any]
Query = sa.Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Column:
    """`name` is for machines and stays; `title` is for people; `words` says what codes are called for people.

    `counted`: of a whole number that lines of totals show, the column that says for which currency.
    """

    name: str
    kind: str
    title: Any = field(hash=False)
    currency: str = ""
    words: Mapping[str, Any] = field(default_factory=dict, hash=False)
    summed: bool = True  # of money: whether its sum says something
    counted: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.kind == "money") != bool(self.currency):
            raise ValueError(f"{self.name}: {self.kind} {self.currency}")


class ControlTotals:
    """How many rows there are, and what each column of money adds up to in each currency (minor units).

    `counts` are sums of whole numbers that stand in lines of totals: they prove nothing.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        names = [column.name for column in columns]
        self._money = [
            (column.name, index, names.index(column.currency))
            for index, column in enumerate(columns)
            if column.kind == "money" and column.summed
        ]
        self._counted = [
            (column.name, index, names.index(column.counted)) for index, column in enumerate(columns) if column.counted
        ]
        self.rows = 0
        self.counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.sums: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        for name, index, currency_index in self._money:
            amounts = [row[index] for row in rows]
            currencies = {row[currency_index] for row in rows}
            if len(currencies) == 1 and None not in amounts:  # nearly always
                self.sums[currencies.pop()][name] += sum(amounts)
                continue
            for row in rows:
                if (amount := row[index]) is not None:
                    self.sums[row[currency_index]][name] += amount
        for name, index, currency_index in self._counted:
            for row in rows:
                self.counts[row[currency_index]][name] += row[index] or 0

    def as_values(self) -> dict[str, dict[str, int]]:
        """{currency: {column: minor units}}, in a fixed order."""
        order = [name for name, _, _ in self._money]
        return {
            currency: {name: sums[name] for name in order if name in sums}
            for currency, sums in sorted(self.sums.items())
        }
