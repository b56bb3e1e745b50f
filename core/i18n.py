"""Three languages: which one this reader gets, and texts that exist in all of them."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from babel import Locale
from babel.numbers import format_currency
from flask import Flask, Response, has_request_context, request
from flask_babel import Babel, get_locale, gettext
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from core.money import EXPONENTS, Money

LOCALES = ("ru", "be", "en")
DEFAULT_LOCALE = "ru"
COOKIE = "lang"
COOKIE_SECONDS = 365 * 24 * 3600

LANGUAGE_NAMES = {"ru": "Русский", "be": "Беларуская", "en": "English"}


class Localized(dict[str, str]):
    """One text in several languages; `ru` is always there."""

    def __init__(self, texts: Mapping[str, str] | None = None, **more: str) -> None:
        super().__init__({**(texts or {}), **more})
        if not self.get(DEFAULT_LOCALE):
            raise ValueError(f"a text needs {DEFAULT_LOCALE!r}, the language all others fall back to")
        if unknown := set(self) - set(LOCALES):
            raise ValueError(f"unknown languages: {', '.join(sorted(unknown))}")

    def in_locale(self, locale: str) -> str:
        return self.get(locale) or self[DEFAULT_LOCALE]

    def __str__(self) -> str:
        return self.in_locale(current_locale())


class LocalizedText(TypeDecorator[Localized]):
    """A JSON column of a `Localized`."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Localized | None, dialect: Dialect) -> Any:
        return None if value is None else dict(Localized(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Localized | None:
        return None if value is None else Localized(value)


def current_locale() -> str:
    locale = get_locale()
    return DEFAULT_LOCALE if locale is None else locale.language


def chosen_locale() -> str:
    """`?lang`, then what was chosen before (cookie), then the browser's wish, then Russian."""
    if not has_request_context():
        return DEFAULT_LOCALE
    for wish in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if wish in LOCALES:
            return str(wish)
    return request.accept_languages.best_match(LOCALES) or DEFAULT_LOCALE


def _remember_choice(response: Response) -> Response:
    wish = request.args.get("lang")
    if wish in LOCALES and wish != request.cookies.get(COOKIE):
        response.set_cookie(
            COOKIE, wish, max_age=COOKIE_SECONDS, samesite="Lax", httponly=True, secure=request.is_secure
        )
    return response


def format_money(money: Money, locale: str | None = None) -> str:
    """An amount as its readers write it: `25,00 BYN` in ru, `25,00 Br` in be, `BYN 25.00` in en (Unicode CLDR)."""
    return _spaced(format_currency(money.major, money.currency, locale=locale or current_locale()))


def _spaced(amount: str) -> str:
    # CLDR parts a currency in letters from its figures; Babel does not.
    return re.sub(r"(?<=[A-Za-z])(?=\d)", "\u00a0", amount)


def format_amount_short(money: Money) -> str:
    """As `format_money`, without the decimals when they are zero: for buttons and the thermometer."""
    locale = Locale.parse(current_locale())
    if money.minor % 10 ** EXPONENTS[money.currency]:
        return format_money(money)
    pattern = locale.currency_formats["standard"].pattern.replace("0.00", "0")
    return _spaced(format_currency(money.major, money.currency, format=pattern, locale=locale, currency_digits=False))


def language_links() -> list[tuple[str, str, bool]]:
    """(code, own name, is it the current one) for the language switch."""
    return [(code, LANGUAGE_NAMES[code], code == current_locale()) for code in LOCALES]


babel = Babel()


def init_app(app: Flask) -> None:
    app.config["BABEL_DEFAULT_LOCALE"] = DEFAULT_LOCALE
    babel.init_app(app, locale_selector=chosen_locale, default_translation_directories="translations")
    app.after_request(_remember_choice)
    app.jinja_env.filters["money"] = format_money
    app.jinja_env.filters["money_short"] = format_amount_short
    app.jinja_env.globals.update(language_links=language_links, current_locale=current_locale, _=gettext)
