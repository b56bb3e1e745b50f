"""How a bank writes its statements: which column is which, how days and amounts look. Kept with the account as JSON."""

from collections.abc import Mapping as Values
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from finance.bank import errors
from finance.forms import read_day

DAY_FORMATS = {
    "%d.%m.%Y": "28.02.2026",
    "%Y-%m-%d": "2026-02-28",
    "%d/%m/%Y": "28/02/2026",
    "%m/%d/%Y": "02/28/2026",
    "%d.%m.%y": "28.02.26",
    "%Y%m%d": "20260228",
}
DECIMALS = {",": "1 234,56", ".": "1 234.56"}
ROLES = ("day", "amount", "credit", "debit", "reference", "counterparty")
LONGEST = 80


@dataclass(frozen=True, slots=True)
class Mapping:
    """Names of columns are compared without case and outer spaces; an empty one is not in the file.

    `amount` carries a sign, or `credit` (in) and `debit` (out) are two columns. `opening` and `closing` are how the
    lines with the balances begin; without them a cut-off file can hardly be told from a whole one. Lines that begin
    with `closing`, or with one of `skipped`, are no movements.
    """

    day: str
    amount: str = ""
    credit: str = ""
    debit: str = ""
    reference: str = ""
    counterparty: str = ""
    day_format: str = "%d.%m.%Y"
    decimal: str = ","
    opening: str = ""
    closing: str = ""
    skipped: str = ""  # separated by semicolons
    begins: str = ""  # 2026-02-28: no movement is older; empty: than the campaign

    @property
    def columns(self) -> dict[str, str]:
        """What each named column is for, by its name in lower case."""
        return {getattr(self, role).lower(): role for role in ROLES if getattr(self, role)}

    @property
    def first_day(self) -> date | None:
        return date.fromisoformat(self.begins) if self.begins else None

    def is_skipped(self, first_cell: str) -> bool:
        beginnings = [each.strip().lower() for each in self.skipped.split(";") if each.strip()]
        return any(first_cell.lower().startswith(each) for each in beginnings)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_mapping(typed: Values[str, str]) -> Mapping:
    """From a form or the command line.

    Raises `ColumnMissing`, `AmountColumns`, `ColumnTwice`, `ChoiceInvalid`, `DayInvalid`.
    """
    names = Mapping.__slots__
    values = {name: " ".join(typed.get(name, "").split())[:LONGEST] for name in names if name in typed}
    if not values.get("day"):
        raise errors.ColumnMissing(field="day")
    two = bool(values.get("credit")) and bool(values.get("debit"))
    if bool(values.get("amount")) == two or bool(values.get("credit")) != bool(values.get("debit")):
        raise errors.AmountColumns(field="amount")
    named = [name for role in ROLES if (name := values.get(role, "").lower())]
    if twice := next((role for role in ROLES if named.count(values.get(role, "").lower()) > 1), None):
        raise errors.ColumnTwice(field=twice)
    if values.get("begins"):
        read_day(values["begins"], "begins")
    if values.get("day_format", "%d.%m.%Y") not in DAY_FORMATS:
        raise errors.ChoiceInvalid(field="day_format")
    if values.get("decimal", ",") not in DECIMALS:
        raise errors.ChoiceInvalid(field="decimal")
    return Mapping(**values)
