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
OLDEST = date(2000, 1, 1)  # months of the books are counted from here
FIRST_SHOWN, LAST_SHOWN = 10, 3
GROUP = 3  # digits between two marks of thousands
_GROUPED = re.compile(rf"[1-9]\d{{0,2}}(?P<mark>[ ,.'’])\d{{{GROUP}}}(?:(?P=mark)\d{{{GROUP}}})*", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
# How banks write currencies beside their code; what begins or ends with another one stands before it.
SIGNS = {
    "BYN": ("бел. руб.", "бел.руб.", "руб.", "руб", "р.", "р", "br"),
    "RUB": ("руб.", "руб", "р.", "р", "₽"),
    "EUR": ("евро", "€"),
    "USD": ("$",),
}

REASONS = {
    "encoding_unknown": _l("This is text in no encoding that we read: save the file as UTF-8, UTF-16 or Windows-1251."),
    "cut_off": _l("The file is cut off in the middle of a letter: fetch it from the bank once more."),
    "header_missing": _l("No line has these columns: %(columns)s. Is it the statement of this bank?"),
    "row_malformed": _l("Quotes or separators of this line do not fit."),
    "cells_missing": _l("This line is cut off: %(found)s cells, and %(wanted)s are needed."),
    "cells_extra": _l("This line has %(found)s cells, and its heading %(wanted)s: something is cut in two."),
    "column_doubled": _l("Two columns are called so: nobody can tell which one is meant."),
    "day_invalid": _l("%(text)s is no day as this bank writes it."),
    "day_too_early": _l("%(text)s is before %(first)s: nothing of ours can have happened then."),
    "day_to_come": _l("%(text)s is still to come."),
    "amount_invalid": _l("%(text)s is no amount as this bank writes it."),
    "amount_missing": _l("This line has no amount."),
    "both_amounts": _l("This line has money in and money out at once."),
    "no_lines": _l("The file has no movements."),
    "quiet_differs": _l("The file has no movements, but its balances differ: %(made)s and %(said)s."),
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
    named_days: list[date] = field(default_factory=list)  # that stand above or below the table

    @property
    def days(self) -> list[date]:
        """Of its movements; of a quiet time those that the file names, if it names any."""
        return [each.day for each in self.movements] or self.named_days

    @property
    def shown(self) -> list[Movement | None]:
        """Enough to see whether it is read rightly: the first and the last ones, None for those between."""
        if len(self.movements) <= FIRST_SHOWN + LAST_SHOWN:
            return list(self.movements)
        return [*self.movements[:FIRST_SHOWN], None, *self.movements[-LAST_SHOWN:]]

    @property
    def good(self) -> bool:
        return not self.faults


class StatementRefused(faults.FileRefused):
    """The file has faults; `statement` names each."""

    code = "statement_refused"

    def __init__(self, statement: Statement) -> None:
        super().__init__(statement.faults)
        self.statement = statement


def read_statement(
    data: bytes, mapping: Mapping, currency: str, first: date = OLDEST, last: date = date.max
) -> Statement:
    """What the file says; days before `first` and after `last` are faults. Never raises for what it holds."""
    return _Reader(mapping, currency, first, last).read(data)


class _Reader:
    def __init__(self, mapping: Mapping, currency: str, first: date, last: date) -> None:
        self.mapping, self.currency, self.first, self.last = mapping, currency, first, last
        self.statement = Statement()
        self.columns: list[str] = []
        self._alike: Counter[str] = Counter()

    def read(self, data: bytes) -> Statement:
        stream = BytesIO(data)
        try:
            self.statement.encoding = detect_encoding(stream)
        except NotText as bad:
            self._fault(bad.line, "", "cut_off" if bad.cut_off else "encoding_unknown")
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
        if not self.columns or self._is_balance(first, self.mapping.closing) or self.mapping.is_skipped(first):
            self.statement.named_days += self._named_days(cells)
        if self._is_balance(first, self.mapping.opening):
            self.statement.opening = self._balance(line, cells)
        elif self._is_balance(first, self.mapping.closing):
            self.statement.closing = self._balance(line, cells)
        elif not self.columns:
            names = [_name(cell) for cell in cells]
            if set(self.mapping.columns) <= set(names):
                self._head(line, names)
        elif not self.mapping.is_skipped(first):
            self._movement(line, cells)

    def _head(self, line: int, names: list[str]) -> None:
        self.columns = names
        for name in self.mapping.columns:
            if names.count(name) > 1:
                self._fault(line, name, "column_doubled")

    def _named_days(self, cells: list[str]) -> Iterator[date]:
        """Days in a line of the bank's own, such as: for 24.02.2026."""
        for word in " ".join(cells).split():
            try:
                day = self._parsed(word.strip(".,:;()"))
            except ValueError:
                continue
            if self.first <= day <= self.last:
                yield day

    def _parsed(self, text: str) -> date:
        # The bank writes days of its own zone; a time behind the day is of no use here.
        return datetime.strptime(text, self.mapping.day_format).date()  # noqa: DTZ007

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
        if self._has_too_many(cells):
            self._fault(line, "", "cells_extra", found=len(cells), wanted=len(self.columns))
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

    def _has_too_many(self, cells: list[str]) -> bool:
        """Empty ones at the end do no harm, unless the separator may stand within an amount."""
        extra = cells[len(self.columns) :]
        return any(extra) or (bool(extra) and self.statement.separator in ",.")

    def _day(self, line: int, text: str) -> date | None:
        try:
            day = self._parsed(text.split(" ")[0])
        except ValueError:
            self._fault(line, self.mapping.day, "day_invalid", text=text[:40])
            return None
        if day < self.first:
            self._fault(line, self.mapping.day, "day_too_early", text=text[:40], first=self.first.isoformat())
            return None
        if day > self.last:
            self._fault(line, self.mapping.day, "day_to_come", text=text[:40])
            return None
        return day

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
        elif not statement.movements and not statement.faults and not self._is_quiet():
            self._fault(0, "", "no_lines")
        if self.mapping.opening and statement.opening is None and self.columns:
            self._fault(0, "", "opening_missing")
        if self.mapping.closing and statement.closing is None and self.columns:
            self._fault(0, "", "closing_missing")
        if statement.good and statement.opening is not None and statement.closing is not None:
            made = sum((each.amount for each in statement.movements), start=statement.opening)
            if made != statement.closing:
                values = {"made": str(made.major), "said": str(statement.closing.major)}
                self._fault(0, "", "balance_differs" if statement.movements else "quiet_differs", **values)

    def _is_quiet(self) -> bool:
        """No movements, and the balances say so too: a day on which nothing happened."""
        return self.statement.opening is not None and self.statement.closing is not None


def _name(cell: str) -> str:
    return " ".join(cell.split()).lower()


def _without_currency(text: str, currency: str) -> str:
    """Without the account's own currency before or behind it; another one stays, and is no amount."""
    for name in (currency.lower(), *SIGNS.get(currency, ())):
        if text.lower().endswith(name):
            return text[: -len(name)].rstrip()
        if text.lower().startswith(name):
            return text[len(name) :].lstrip()
    return text


def _read_amount(text: str, decimal: str, currency: str) -> Money:
    """`1 234,56`, `-1.234,56`, `(12,00)`, `12,00-`, `12,00 р.`. Raises `BadAmount`.

    Marks of thousands stand in groups of three, all the same: `25.00` of a bank with decimal commas is not 2500.
    """
    bare = text.replace("\u2212", "-").strip()
    bare = _without_currency(bare, currency)
    negative = bare.startswith(("-", "(")) or bare.endswith("-")
    bare = _without_currency(bare.strip("+-() "), currency)
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
