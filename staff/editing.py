"""Editing in the console: what was typed is read field by field, and nobody overwrites what another has just changed.

A form carries a fingerprint of what its page showed. When something else is stored by the time it comes back, the
member is told, field by field; all that was typed stays, and saving once more replaces what is stored.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import IntegrityError

from core.db import db
from core.errors import Conflict, DomainError, Invalid
from core.i18n import DEFAULT_LOCALE, LOCALES, Localized
from core.money import EXPONENTS, BadAmount, Money, parse_amount
from staff import audit
from staff.access import Actor

SEEN = "seen"
# Line breaks become spaces before; tabs, invisible controls, halves of characters and turned writing stay out.
_UNWANTED = {"Cc", "Cs", "Co", "Zl", "Zp"}
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_AMOUNT_FAULTS = {
    "not_a_number": _l("Please enter an amount in figures, such as 25 or 25.50."),
    "too_many_decimals": _l("That is more decimals than the currency has."),
    "too_large": _l("This amount is too large."),
}


class FormRefused(Invalid):
    """Something typed is not possible; `errors` says what, field by field."""

    code = "form_refused"


class EditedMeanwhile(Conflict):
    """Somebody changed it since the page was opened; `errors` says for each field what is stored now."""

    code = "edited_meanwhile"
    text = _l(
        "Somebody else has changed this while you were working. What you entered is still here, and each field says "
        "what is stored now. Save again to replace it."
    )


def fingerprint(fields: Mapping[str, str]) -> str:
    """Of what a form shows: equal when the same is shown, in whatever language."""
    return hashlib.sha256(json.dumps(dict(fields), sort_keys=True).encode()).hexdigest()[:32]


def opened_on(stored: Mapping[str, str], typed: Mapping[str, str], refusal: DomainError | None) -> str:
    """What a form that is shown (again) was opened on; who has been told of another's change has seen that one."""
    told = isinstance(refusal, EditedMeanwhile)
    return fingerprint(stored) if told else typed.get(SEEN) or fingerprint(stored)


def require_unchanged(typed: Mapping[str, str], stored: Mapping[str, str]) -> None:
    """Raises `EditedMeanwhile` when the form was opened on something else than `stored`.

    The caller holds the row: nobody else changes it before the unit of work ends.
    """
    if typed.get(SEEN) == fingerprint(stored):
        return
    names = [name for name in stored if name in typed and squeezed(typed[name]) != stored[name]]
    raise EditedMeanwhile(errors={name: [_("Stored now: %(text)s", text=stored[name] or "—")] for name in names})


def record_change(
    actor: Actor, action: str, subject: str, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime
) -> bool:
    """Write down what differs; nothing when nothing does. Whether something did."""
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if changed:
        old, new = ({name: values.get(name) for name in changed} for values in (before, after))
        audit.record(actor.email, action, subject, before=old, after=new, now=now, address=actor.address)
    return bool(changed)


@contextmanager
def refused_as(refusal: DomainError) -> Iterator[None]:
    """What the database refuses inside is told as this: a name that is taken, something that is still needed."""
    try:
        with db.session.begin_nested():
            yield
            db.session.flush()
    except IntegrityError:
        raise refusal from None


def squeezed(text: str) -> str:
    """Without spaces around, line breaks and doubled spaces."""
    return " ".join(text.split())


def localized_fields(name: str, text: Mapping[str, str] | None) -> dict[str, str]:
    """The three inputs of a text, as `Typed.localized` reads them."""
    return {f"{name}_{locale}": (text or {}).get(locale, "") for locale in LOCALES}


def amount_field(minor: int, currency: str) -> str:
    """As a person types it: `25`, `25.50`."""
    plain = f"{Money(minor, currency).major:f}"
    return plain.removesuffix("." + "0" * EXPONENTS[currency]) if EXPONENTS[currency] else plain


def moment_field(moment: datetime | None, zone: str) -> str:
    """As browsers fill in `datetime-local`."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if moment else ""


class Typed:
    """Reads the fields of a form and gathers what is wrong with them; `finish` raises it all at once."""

    def __init__(self, form: Mapping[str, str], wrong: Mapping[str, list[str]] | None = None) -> None:
        """`wrong` is what is known to be wrong already, such as an upload."""
        self.form = form
        self.errors: dict[str, list[str]] = {name: list(messages) for name, messages in (wrong or {}).items()}

    def refuse(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)

    def finish(self) -> None:
        """Raises `FormRefused`."""
        if self.errors:
            raise FormRefused(errors=self.errors)

    def stop(self, name: str, message: str) -> NoReturn:
        self.refuse(name, message)
        raise FormRefused(errors=self.errors)

    def text(self, name: str, limit: int, *, required: bool = False) -> str:
        """On one line, at most `limit` characters."""
        text = unicodedata.normalize("NFC", squeezed(self.form.get(name, "")))
        if required and not text:
            self.refuse(name, _("Please fill this in."))
        elif len(text) > limit:
            self.refuse(name, _("At most %(limit)s characters fit here.", limit=limit))
        elif any(unicodedata.category(char) in _UNWANTED or char in _TURNS for char in text):
            self.refuse(name, _("This has invisible control characters. Please type it anew."))
        return text

    def localized(self, name: str, limit: int, *, required: bool = True) -> Localized | None:
        """The text in the languages that were filled in; None without any. Russian is what all others fall back to."""
        texts = {locale: self.text(f"{name}_{locale}", limit) for locale in LOCALES}
        filled = {locale: text for locale, text in texts.items() if text}
        if DEFAULT_LOCALE in filled:
            return Localized(filled)
        if required or filled:
            self.refuse(f"{name}_{DEFAULT_LOCALE}", _("Please fill in the Russian text: the others fall back to it."))
        return None

    def choice(self, name: str, options: Collection[str]) -> str:
        chosen = self.form.get(name, "")
        if chosen not in options:
            self.refuse(name, _("Please choose one of the list."))
        return chosen

    def pattern(self, name: str, pattern: re.Pattern[str], what: str) -> str:
        """A short name for machines, as `what` describes it."""
        text = self.form.get(name, "").strip()
        if not pattern.fullmatch(text):
            self.refuse(name, what)
        return text

    def number(self, name: str, least: int, most: int) -> int:
        text = self.form.get(name, "").strip()
        if text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most:
            return int(text)
        self.refuse(name, _("Please enter a number from %(least)s to %(most)s.", least=least, most=most))
        return least

    def amount(self, name: str, currency: str, *, required: bool = True) -> int | None:
        """In minor units, and more than nothing; None when it is empty or wrong."""
        text = self.form.get(name, "").strip()
        if not text and not required:
            return None
        try:
            minor = parse_amount(text, currency).minor
        except BadAmount as bad:
            self.refuse(name, str(_AMOUNT_FAULTS[bad.reason]))
            return None
        if not minor:
            self.refuse(name, _("Please enter more than zero."))
        return minor or None

    def moment(self, name: str, zone: str) -> datetime | None:
        """A day and time in that zone; None when it is empty or wrong."""
        text = self.form.get(name, "").strip()
        try:
            moment = datetime.strptime(f"{text[:16]}+0000".replace(" ", "T"), "%Y-%m-%dT%H:%M%z") if text else None
            return moment and moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.refuse(name, _("Please enter day and time as 2026-02-09 10:00."))
            return None
