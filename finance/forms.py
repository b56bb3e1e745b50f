"""What people type into forms of finance, read and checked. Each function raises a refusal that names its field."""

import re
import uuid
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.clock import local_day
from core.db import db
from core.money import EXPONENTS, BadAmount, Money, parse_amount
from finance import errors
from finance.filters import DayInvalid
from ledger import periods
from ledger.models import JournalEntry

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_day(text: str, field: str) -> date:
    """2026-02-09. Raises `DayInvalid`."""
    try:
        if not _DAY.fullmatch(text.strip()):
            raise ValueError
        return date.fromisoformat(text.strip())
    except ValueError:
        raise DayInvalid(field=field) from None


def past_day(text: str, field: str, now: datetime) -> date:
    """A day of the books that has begun. Raises `DayInvalid`, `DayToCome`, `DayTooOld`."""
    day = read_day(text, field)
    if day > local_day(now, periods.ZONE):
        raise errors.DayToCome(field=field)
    oldest = db.session.scalar(sa.select(sa.func.min(JournalEntry.occurred_at)))
    if oldest is not None and day < local_day(oldest, periods.ZONE):
        raise errors.DayTooOld(field=field)
    return day


def start_of(day: date) -> datetime:
    """The first moment of a day of the books."""
    return datetime.combine(day, time.min, ZoneInfo(periods.ZONE)).astimezone(UTC)


def read_amount(text: str, currency: str, field: str) -> Money:
    """More than zero. Raises `AmountInvalid`."""
    try:
        amount = parse_amount(text, currency)
    except BadAmount:
        raise errors.AmountInvalid(field=field) from None
    if not amount:
        raise errors.AmountInvalid(field=field)
    return amount


def read_bank_amount(text: str, currency: str, amount: Money) -> Money:
    """What moved at the bank, empty when it is the amount itself.

    Raises `CurrencyUnknown`, `AmountInvalid`, `BankAmountDiffers`.
    """
    currency = currency.strip().upper() or amount.currency
    if currency not in EXPONENTS:
        raise errors.CurrencyUnknown(field="bank_currency")
    if not text.strip() and currency == amount.currency:
        return amount
    bank = read_amount(text, currency, "bank_amount")
    if currency == amount.currency and bank != amount:
        raise errors.BankAmountDiffers(field="bank_amount")
    return bank


def read_text(text: str, field: str, *, limit: int, needed: bool = True) -> str:
    """Spaces made single. Raises `TextMissing`, `TextTooLong`."""
    plain = " ".join(_CONTROL.sub(" ", text).split())
    if needed and not plain:
        raise errors.TextMissing(field=field)
    if len(plain) > limit:
        raise errors.TextTooLong(field=field, limit=limit)
    return plain


def read_count(text: str, field: str, *, limit: int) -> int:
    """Raises `CountInvalid`; nothing typed is none."""
    plain = text.strip() or "0"
    if not (plain.isascii() and plain.isdigit() and len(plain) < 10 and int(plain) <= limit):
        raise errors.CountInvalid(field=field, limit=limit)
    return int(plain)


def read_key(text: str) -> str:
    """The key of a form: whoever sends it twice, means one thing. Raises `FormKeyInvalid`."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise errors.FormKeyInvalid from None
