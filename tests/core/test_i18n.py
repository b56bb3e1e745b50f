"""Three languages: which one a reader gets, and texts that exist in all of them."""

import pytest
import sqlalchemy as sa
from flask import Flask, jsonify
from flask.testing import FlaskClient

from core.db import db, unit_of_work
from core.i18n import Localized, current_locale, format_amount_short, format_money
from core.money import Money
from ledger.models import Fund


@pytest.fixture
def speaking(app: Flask) -> FlaskClient:
    app.add_url_rule("/which", "which", lambda: jsonify(current_locale()))
    return app.test_client()


def language(client: FlaskClient, query: str = "", **headers: str) -> str:
    return str(client.get("/which" + query, headers=headers).json)


one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@one_database
@pytest.mark.parametrize(
    ("accepted", "locale"),
    [
        ("be-BY,be;q=0.9,ru;q=0.8", "be"),
        ("en-GB,en;q=0.9", "en"),
        ("de-DE,de;q=0.9,en;q=0.5", "en"),
        ("ru;q=0.1, be;q=0.9", "be"),
        ("de-DE", "ru"),
        ("*", "ru"),
        ("", "ru"),
        ("en;q=0", "ru"),
        ("\x80\xff;;;q=,,", "ru"),
    ],
)
def test_the_browser_is_asked_and_russian_is_the_default(speaking: FlaskClient, accepted: str, locale: str) -> None:
    assert language(speaking, **{"Accept-Language": accepted}) == locale


@one_database
def test_a_choice_in_the_address_wins_and_is_remembered(speaking: FlaskClient) -> None:
    assert language(speaking, "?lang=be", **{"Accept-Language": "en"}) == "be"
    assert language(speaking, **{"Accept-Language": "en"}) == "be"
    assert language(speaking, "?lang=en") == "en"
    assert language(speaking) == "en"


@one_database
@pytest.mark.parametrize("wish", ["de", "RU", "", "../../etc", "be\x00", "b" * 5000, "ру"])
def test_a_language_we_do_not_speak_is_neither_used_nor_remembered(speaking: FlaskClient, wish: str) -> None:
    answer = speaking.get("/which", query_string={"lang": wish}, headers={"Accept-Language": "be"})
    assert answer.json == "be"
    assert "Set-Cookie" not in answer.headers


@one_database
def test_a_forged_cookie_is_ignored(speaking: FlaskClient) -> None:
    speaking.set_cookie("lang", "xx")
    assert language(speaking) == "ru"


@one_database
def test_without_a_request_it_is_russian(app: Flask) -> None:
    assert current_locale() == "ru"


def test_a_text_falls_back_to_russian() -> None:
    text = Localized(ru="рус", be="бел")
    assert [text.in_locale(locale) for locale in ("ru", "be", "en")] == ["рус", "бел", "рус"]
    assert Localized(ru="рус", en="").in_locale("en") == "рус"


@pytest.mark.parametrize("texts", [{}, {"en": "only"}, {"ru": ""}])
def test_a_text_without_russian_is_refused(texts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="'ru'"):
        Localized(texts)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown languages: de, pl"):
        Localized(ru="а", de="a", pl="a")


def test_a_text_is_kept_in_the_database_in_all_its_languages(app: Flask) -> None:
    with unit_of_work() as session:
        session.add(Fund(code="a", name=Localized(ru="Ўсё «добра»", en="All good"), currency="BYN"))
    db.session.expire_all()
    found = db.session.scalars(sa.select(Fund)).one()
    assert isinstance(found.name, Localized)
    assert found.name == {"ru": "Ўсё «добра»", "en": "All good"}
    assert str(found.name) == "Ўсё «добра»"


def test_the_database_takes_no_text_without_russian(app: Flask) -> None:
    with pytest.raises(sa.exc.StatementError), unit_of_work() as session:
        session.add(Fund(code="a", name={"en": "only"}, currency="BYN"))


@one_database
@pytest.mark.parametrize(
    ("locale", "long", "short"),
    [
        ("ru", "1\u00a0234,00\u00a0BYN", "1\u00a0234\u00a0BYN"),
        ("be", "1\u00a0234,00\u00a0Br", "1\u00a0234\u00a0Br"),
        ("en", "BYN\u00a01,234.00", "BYN\u00a01,234"),
    ],
)
def test_money_is_written_as_its_readers_write_it(app: Flask, locale: str, long: str, short: str) -> None:
    assert format_money(Money(123400, "BYN"), locale) == long
    with app.test_request_context("/?lang=" + locale):
        assert format_amount_short(Money(123400, "BYN")) == short
        assert format_amount_short(Money(123450, "BYN")) == long.replace("00", "50", 1)
