"""Reading a bank statement: every fault is named with its line, and a statement with faults is not imported.

Banks write lines of their own above and below the table. The table begins at the first line that has all mapped
columns; above it only the opening balance is looked for, below and in it the closing one.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from io import BytesIO
from typing import Any

from flask_babel import lazy_gettext as _l

from core import faults
from core.decoding import SEPARATORS, NotText, detect_encoding, opened
from core.money import EXPONENTS, BadAmount, Money, parse_amount
from finance.bank.mapping import Mapping

REFERENCE_LENGTH, COUNTERPARTY_LENGTH = 500, 200
GROUP = 3  # digits between two marks of thousands
_GROUPED = re.compile(rf"[1-9]\d{{0,2}}(?P<mark>[ ,.'’])\d{{{GROUP}}}(?:(?P=mark)\d{{{GROUP}}})*", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)

REASONS = {
    "encoding_unknown": _l("This is text in no encoding that we read: save the file as UTF-8, UTF-16 or Windows-1251."),
    "header_missing": _l("No line has these columns: %(columns)s. Is it the statement of this bank?"),
    "row_malformed": _l("Quotes or separators of this line do not fit."),
    "cells_missing": _l("This line is cut off: %(found)s cells, and %(wanted)s are needed."),
    "day_invalid": _l("%(text)s is no day as this bank writes it."),
    "amount_invalid": _l("%(text)s is no amount as this bank writes it."),
    "amount_missing": _l("This line has no amount."),
    "both_amounts": _l("This line has money in and money out at once."),
    "no_lines": _l("The file has no movements."),
    "opening_missing": _l("The opening balance is missing: the file does not begin where it should."),
    "closing_missing": _l("The closing balance is missing: the file seems to be cut off."),
    "balance_differs": _l("Opening balance and movements make %(made)s, the closing balance says %(said)s."),
}


class Fault(faults.Fault):
    REASONS = REASONS


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of the table, as the bank wrote it; `ordinal` counts those that say the same."""

    line: int
    day: date
    amount: Money
    reference: str
    counterparty: str
    ordinal: int = 1

    @property
    def fingerprint(self) -> str:
        parts = (self.day.isoformat(), str(self.amount.minor), self.amount.currency, self.reference, self.counterparty)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(slots=True)
class Statement:
    movements: list[Movement] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    opening: Money | None = None
    closing: Money | None = None
    encoding: str = ""
    separator: str = ""

    @property
    def good(self) -> bool:
        return not self.faults


class StatementRefused(faults.FileRefused):
    """The file has faults; `statement` names each."""

    code = "statement_refused"

    def __init__(self, statement: Statement) -> None:
        super().__init__(statement.faults)
        self.statement = statement


def read_statement(data: bytes, mapping: Mapping, currency: str) -> Statement:
    """What the file says. Never raises for what it holds."""
    return _Reader(mapping, currency).read(data)


class _Reader:
    def __init__(self, mapping: Mapping, currency: str) -> None:
        self.mapping, self.currency = mapping, currency
        self.statement = Statement()
        self.columns: list[str] = []
        self._alike: Counter[str] = Counter()

    def read(self, data: bytes) -> Statement:
        stream = BytesIO(data)
        try:
            self.statement.encoding = detect_encoding(stream)
        except NotText as bad:
            self._fault(bad.line, "", "encoding_unknown")
            return self.statement
        with opened(stream, self.statement.encoding) as file:
            text = file.read()
        self.statement.separator = self._separator_of(text)
        for line, cells in self._records(text):
            self._take(line, cells)
        self._check_whole()
        return self.statement

    def _fault(self, line: int, column: str, code: str, **values: Any) -> None:
        self.statement.faults.append(Fault(line, column, code, values))

    def _separator_of(self, text: str) -> str:
        """The one that cuts some line into the most mapped columns."""
        wanted = self.mapping.columns

        def known(separator: str) -> int:
            rows = csv.reader(text.splitlines()[:200], delimiter=separator)
            return max((sum(_name(cell) in wanted for cell in row) for row in rows), default=0)

        return max(SEPARATORS, key=known)

    def _records(self, text: str) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(text.splitlines(keepends=True), delimiter=self.statement.separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = [" ".join(cell.split()) for cell in next(reader)]
            except StopIteration:
                return
            except csv.Error:
                self._fault(line, "", "row_malformed")
                continue
            if any(cells):
                yield line, cells

    def _take(self, line: int, cells: list[str]) -> None:
        first = next(cell for cell in cells if cell)
        if self._is_balance(first, self.mapping.opening):
            self.statement.opening = self._balance(line, cells)
        elif self._is_balance(first, self.mapping.closing):
            self.statement.closing = self._balance(line, cells)
        elif not self.columns:
            names = [_name(cell) for cell in cells]
            if set(self.mapping.columns) <= set(names):
                self.columns = names
        elif not self.mapping.is_skipped(first):
            self._movement(line, cells)

    def _is_balance(self, first: str, beginning: str) -> bool:
        return bool(beginning) and first.lower().startswith(beginning.lower())

    def _balance(self, line: int, cells: list[str]) -> Money | None:
        """The last cell with anything in it; of one cell, what stands behind the colon."""
        last = [cell for cell in cells if cell][-1].rpartition(":")[2].strip()
        return self._amount(line, "", last)

    def _movement(self, line: int, cells: list[str]) -> None:
        if len(cells) < len(self.columns) and any(self.columns[len(cells) :]):
            self._fault(line, "", "cells_missing", found=len(cells), wanted=len(self.columns))
            return
        values = {
            role: cells[self.columns.index(name)] for name, role in self.mapping.columns.items() if name in self.columns
        }
        day, amount = self._day(line, values["day"]), self._signed_amount(line, values)
        if day is None or amount is None:
            return
        reference = values.get("reference", "")[:REFERENCE_LENGTH]
        counterparty = values.get("counterparty", "")[:COUNTERPARTY_LENGTH]
        movement = Movement(line, day, amount, reference, counterparty)
        self._alike[movement.fingerprint] += 1
        ordinal = self._alike[movement.fingerprint]
        self.statement.movements.append(Movement(line, day, amount, reference, counterparty, ordinal))

    def _day(self, line: int, text: str) -> date | None:
        try:
            # The bank writes days of its own zone; a time behind the day is of no use here.
            return datetime.strptime(text.split(" ")[0], self.mapping.day_format).date()  # noqa: DTZ007
        except ValueError:
            self._fault(line, self.mapping.day, "day_invalid", text=text[:40])
            return None

    def _signed_amount(self, line: int, values: dict[str, str]) -> Money | None:
        if self.mapping.amount:
            amount = self._amount(line, self.mapping.amount, values["amount"])
        else:
            amount = self._of_two(line, values)
        if amount is not None and not amount:
            self._fault(line, self.mapping.amount, "amount_missing")
            return None
        return amount

    def _of_two(self, line: int, values: dict[str, str]) -> Money | None:
        """Money in less money out; one of the two stands in the line, the other is empty or zero."""
        credit, debit = (
            self._amount(line, getattr(self.mapping, role), values[role] or "0") for role in ("credit", "debit")
        )
        if credit is None or debit is None:
            return None
        if credit and debit:
            self._fault(line, "", "both_amounts")
            return None
        return credit or -debit

    def _amount(self, line: int, column: str, text: str) -> Money | None:
        try:
            return _read_amount(text, self.mapping.decimal, self.currency)
        except BadAmount:
            self._fault(line, column, "amount_invalid", text=text[:40])
            return None

    def _check_whole(self) -> None:
        statement = self.statement
        if not self.columns:
            self._fault(0, "", "header_missing", columns=", ".join(self.mapping.columns))
        elif not statement.movements and not statement.faults:
            self._fault(0, "", "no_lines")
        if self.mapping.opening and statement.opening is None and self.columns:
            self._fault(0, "", "opening_missing")
        if self.mapping.closing and statement.closing is None and self.columns:
            self._fault(0, "", "closing_missing")
        if statement.good and statement.opening is not None and statement.closing is not None:
            made = sum((each.amount for each in statement.movements), start=statement.opening)
            if made != statement.closing:
                values = {"made": str(made.major), "said": str(statement.closing.major)}
                self._fault(0, "", "balance_differs", **values)


def _name(cell: str) -> str:
    return " ".join(cell.split()).lower()


def _read_amount(text: str, decimal: str, currency: str) -> Money:
    """`1 234,56`, `-1.234,56`, `(12,00)`, `12,00-`. Raises `BadAmount`.

    Marks of thousands stand in groups of three, all the same: `25.00` of a bank with decimal commas is not 2500.
    """
    bare = text.replace("\u2212", "-").strip()
    negative = bare.startswith(("-", "(")) or bare.endswith("-")
    bare = bare.strip("+-() ").removesuffix(currency).strip()
    whole, has_fraction, fraction = bare.partition(decimal)
    grouped = _GROUPED.fullmatch(whole)
    if grouped is None and not _DIGITS.fullmatch(whole):
        raise BadAmount("not_a_number")
    if has_fraction and not _DIGITS.fullmatch(fraction):
        raise BadAmount("not_a_number")
    if grouped and grouped["mark"] in ",." and not has_fraction and EXPONENTS[currency] == GROUP:
        raise BadAmount("not_a_number")  # 1.234 dinars may be one and a bit, or more than a thousand
    digits = "".join(character for character in whole if character.isdigit())
    amount = parse_amount(f"{digits}.{fraction}" if has_fraction else digits, currency)
    return -amount if negative else amount
