"""What is refused of a gift: always with a stable code and a message, never with a trace in the database."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from core.i18n import LOCALES
from donations.models import Campaign, Donation, Donor, Payment
from ops.demo import SLUG
from tests.house import House

API = "/api/v1/donations"
GIFT = {"campaign": SLUG, "amount": 2500, "currency": "BYN"}


def post(house: House, body: Any, **headers: str) -> TestResponse:
    """`body` as JSON, or as it is when it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return house.client.post(API, data=data, headers={"Content-Type": "application/json", **headers})


def said(answer: TestResponse) -> tuple[int, str]:
    assert answer.mimetype == "application/json"
    assert answer.json is not None
    assert set(answer.json) == {"code", "message", "errors"}
    return answer.status_code, answer.json["code"]


def assert_refused(house: House, body: Any, status: int, code: str, **headers: str) -> None:
    """The same refusal in each language, with a message, and nothing stored."""
    for locale in LOCALES:
        answer = post(house, body, **{"Accept-Language": locale, **headers})
        assert said(answer) == (status, code), answer.json
        assert answer.json is not None
        assert answer.json["message"].strip()
        assert "%(" not in answer.json["message"]
        for inside in ("Traceback", "sqlalchemy", "psycopg", "sqlite", "marshmallow"):
            assert inside not in answer.text.lower()
    assert house.nothing_stored()


def gift(**changes: Any) -> dict[str, Any]:
    """A good gift with changes; ... takes a field out."""
    return {name: value for name, value in {**GIFT, **changes}.items() if value is not ...}


def donor(**values: Any) -> dict[str, Any]:
    return gift(donor=values)


# The API: one field at a time


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (0, "amount_invalid"),
        (-2500, "amount_invalid"),
        (1, "amount_too_small"),
        (499, "amount_too_small"),
        (50001, "amount_too_large"),
        (2**53, "amount_too_large"),
        (2**63, "amount_too_large"),
        (10**30, "amount_too_large"),
        (-(10**30), "amount_invalid"),
        (25.0, "amount_invalid"),
        (2500.0, "amount_invalid"),
        (1e3, "amount_invalid"),
        ("2500", "amount_invalid"),
        ("25,00", "amount_invalid"),
        ("", "amount_invalid"),
        (True, "amount_invalid"),
        (False, "amount_invalid"),
        (None, "amount_invalid"),
        ([2500], "amount_invalid"),
        ({"minor": 2500}, "amount_invalid"),
        (..., "amount_invalid"),
        (float("nan"), "amount_invalid"),
        (float("inf"), "amount_invalid"),
    ],
)
def test_an_amount_that_is_not_within_the_limits_or_no_whole_number(house: House, amount: Any, code: str) -> None:
    assert_refused(house, gift(amount=amount), 422, code)


@pytest.mark.parametrize("amount", [500, 50000])
def test_the_limits_themselves_are_taken(house: House, amount: int) -> None:
    assert post(house, gift(amount=amount)).status_code == 201


@pytest.mark.parametrize("raw", [b"1e3", b"2500.00", b"25E2", b"NaN", b"Infinity", b"-0", b"-0.0"])
def test_numbers_that_are_no_whole_kopecks_in_json(house: House, raw: bytes) -> None:
    body = json.dumps(gift(amount=0)).encode().replace(b'"amount": 0', b'"amount": ' + raw)
    assert_refused(house, body, 422, "amount_invalid")


@pytest.mark.parametrize(
    ("currency", "code"),
    [
        ("XXX", "currency_not_accepted"),
        ("EUR", "currency_not_accepted"),
        ("byn", "currency_not_accepted"),
        ("BYN ", "currency_not_accepted"),
        ("", "currency_not_accepted"),
        ("€" * 1000, "currency_not_accepted"),
        ("BYN\0", "currency_invalid"),
        (933, "currency_invalid"),
        (None, "currency_invalid"),
        (["BYN"], "currency_invalid"),
        (..., "currency_invalid"),
    ],
)
def test_another_currency_than_the_campaigns(house: House, currency: Any, code: str) -> None:
    assert_refused(house, gift(currency=currency), 422, code)


@pytest.mark.parametrize("slug", ["no-such-campaign", "", "a" * 5000, "../..", "'; DROP TABLE donations --", "ёж"])
def test_a_campaign_that_there_is_not(house: House, slug: str) -> None:
    assert_refused(house, gift(campaign=slug), 404, "campaign_not_found")


@pytest.mark.parametrize("slug", [1, None, [], {}, True, ..., "nul\0", "\ud800"])
def test_a_campaign_that_is_no_name(house: House, slug: Any) -> None:
    assert_refused(house, gift(campaign=slug), 422, "campaign_invalid")


def change_campaign(**values: Any) -> None:
    with unit_of_work() as session:
        campaign = session.query(Campaign).filter_by(slug=SLUG).one()
        for name, value in values.items():
            setattr(campaign, name, value)


def test_a_campaign_that_is_over(house: House) -> None:
    change_campaign(closes_at=utcnow() - timedelta(seconds=1))
    assert_refused(house, GIFT, 409, "campaign_closed")


def test_a_campaign_that_has_not_begun(house: House) -> None:
    change_campaign(opens_at=utcnow() + timedelta(hours=1))
    assert_refused(house, GIFT, 409, "campaign_not_open")


@pytest.mark.parametrize(
    "email",
    [
        "alesia", "alesia@", "@example.org", "a@b", "a b@example.org", "a@example..org", "a@@example.org",
        "a@exa mple.org",
        "a\n@example.org", "a@example.org\r\nBcc: b@example.org", "a\0@example.org", "<a@example.org>", "a@[127.0.0.1]",
        "a@example.org,b@example.org", "mailto:a@example.org", "a@" + "b" * 64 + ".org",
        "a@" + "b." * 200 + "org",
        "a" * 100_000 + "@example.org", "\ud800@example.org", "a@\udfff.org", 5, True, [], {},
    ],
)  # fmt: skip
def test_an_email_address_that_is_none(house: House, email: Any) -> None:
    assert_refused(house, donor(email=email), 422, "email_invalid")


@pytest.mark.parametrize(
    "name",
    [
        "a" * 121, "a" * 100_000, "Ales\x00", "Ales\x07", "Ales\nBcc", "Ales\tia", "\x1b[31mAles", "Ales\u202eia",
        "<script>alert(1)</script>", "Ales <b>", "a>b", "\ufeffAles", "\ud800", "Ales\ue000", 5, True, [], {},
    ],
)  # fmt: skip
def test_a_name_that_is_none(house: House, name: Any) -> None:
    assert_refused(house, donor(name=name), 422, "name_invalid")


@pytest.mark.parametrize(
    "name", ["Алеся", "Ян-Павел О'Нил", "山田 太郎", "Ў" * 120, "Zoe\u0301", "  Алеся  Ян ", "А\u200dБ", "&amp;"]
)
def test_names_of_all_scripts_are_taken(house: House, name: str) -> None:
    assert post(house, donor(name=name)).status_code == 201
    kept = db.session.query(Donor).one().name
    assert kept is not None
    assert kept == kept.strip()


@pytest.mark.parametrize("empty", [None, {}, {"name": None}, {"email": ""}, {"name": "   ", "email": None}])
def test_a_donor_without_name_and_address_is_no_row(house: House, empty: Any) -> None:
    assert post(house, gift(donor=empty)).status_code == 201
    assert house.count(Donor) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (gift(donor="Ales"), "donor"),
        (gift(donor=[]), "donor"),
        (gift(donor=1), "donor"),
        (donor(age=5), "donor"),
        (donor(anonymous="yes"), "donor"),
        (donor(anonymous=1), "donor"),
        (gift(amount_minor=2500), "amount_minor"),
        (gift(status="paid"), "status"),
        (gift(__class__="x"), "__class__"),
        (gift(**{"": 1}), ""),
        (gift(**{"\0\ud800": 1}), None),
    ],
)
def test_fields_that_are_unknown_or_of_another_type_are_named(house: House, body: Any, field: str | None) -> None:
    assert_refused(house, body, 422, "validation_failed")
    errors = (post(house, body).json or {})["errors"]
    assert len(errors) == 1
    assert field is None or field in errors


@pytest.mark.parametrize(("field", "value"), [("email", 5), ("email", "alesia"), ("name", 5), ("name", "<b>")])
def test_a_wrong_field_of_the_donor_is_found_below_donor(house: House, field: str, value: Any) -> None:
    answer = post(house, donor(**{field: value}))
    assert said(answer) == (422, f"{field}_invalid")
    assert answer.json is not None
    assert list(answer.json["errors"]) == ["donor"]
    assert list(answer.json["errors"]["donor"]) == [field]
    assert answer.json["errors"]["donor"][field][0]


def test_several_faults_are_all_told_at_once(house: House) -> None:
    answer = post(house, {"amount": "x", "currency": 5, "donor": {"email": 1}, "extra": 1})
    assert said(answer) == (422, "validation_failed")
    assert set((answer.json or {})["errors"]) == {"amount", "currency", "campaign", "donor", "extra"}


@pytest.mark.parametrize("locale", ["de", "RU", "", "ru\0", "\ud800", 5, True, [], "r" * 10_000])
def test_a_language_that_we_do_not_speak(house: House, locale: Any) -> None:
    assert_refused(house, gift(locale=locale), 422, "locale_invalid")


@pytest.mark.parametrize("placement", ["a\0b", "\ud800", 5, True, [], {}])
def test_a_placement_that_is_no_text(house: House, placement: Any) -> None:
    assert_refused(house, gift(placement=placement), 422, "placement_invalid")


@pytest.mark.parametrize("placement", ["office7", "minsk-1", "a/b", "x" * 5000, "<b>", "плакат", "a b", "", None])
def test_a_placement_that_there_is_not_loses_no_gift(house: House, placement: Any) -> None:
    assert post(house, gift(placement=placement)).status_code == 201


# The API: the body as a whole


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "validation_failed"),
        (b"null", 422, "validation_failed"),
        (b"[]", 422, "validation_failed"),
        (b"{}", 422, "validation_failed"),
        (b'"text"', 422, "validation_failed"),
        (b"25", 422, "validation_failed"),
        (b"not json", 400, "malformed_json"),
        (b"campaign=x&amount=2500", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"\xff\xfe\x00", 400, "malformed_json"),
        (b"[" * 50_000, 400, "malformed_json"),
        (b'{"amount": ' + b"9" * 10_000 + b"}", 400, "malformed_json"),
        (b'{"campaign": "' + b"x" * 600_000 + b'"}', 413, "body_too_large"),
    ],
    ids=[
        "empty", "null", "list", "no fields", "text", "number", "words", "a form", "half", "bytes", "deep",
        "long number", "too large",
    ],
)  # fmt: skip
def test_a_body_that_is_no_gift(house: House, body: bytes, status: int, code: str) -> None:
    assert_refused(house, body, status, code)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/x"]
)
def test_a_body_of_another_content_type(house: House, content_type: str) -> None:
    assert_refused(house, GIFT, 415, "unsupported_media_type", **{"Content-Type": content_type})


def test_other_methods_say_which_is_allowed(house: House) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = house.client.open(API, method=method)
        assert said(answer) == (405, "method_not_allowed")
        assert "POST" in answer.headers["Allow"]


# The key


@pytest.mark.parametrize("key", ["", "k" * 256, "k" * 10_000, "\t", "ключ", "k\x7f", "k\xa0"])
def test_a_key_that_is_none(house: House, key: str) -> None:
    raw = key.encode().decode("latin-1")  # as it travels
    assert_refused(house, GIFT, 400, "idempotency_key_invalid", **{"Idempotency-Key": raw})


def test_the_same_key_with_the_same_gift_gets_the_same_answer(house: House) -> None:
    first, second = (post(house, GIFT, **{"Idempotency-Key": "k" * 255}) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json == second.json
    assert (house.count(Donation), house.count(Payment)) == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 2600},
        {"amount": 1},
        {"currency": "EUR"},
        {"campaign": "another"},
        {"locale": "en"},
        {"placement": "p1"},
        {"donor": {"email": "a@example.org"}},
        {"donor": {"name": "Ales"}},
        {"donor": {"anonymous": True}},
    ],
)
def test_the_same_key_with_another_gift_is_refused_and_changes_nothing(house: House, changes: dict[str, Any]) -> None:
    first = post(house, GIFT, **{"Idempotency-Key": "mine"})
    assert first.status_code == 201
    for locale in LOCALES:
        answer = post(house, gift(**changes), **{"Idempotency-Key": "mine", "Accept-Language": locale})
        assert said(answer) == (409, "idempotency_key_reused")
        assert (answer.json or {})["message"]
        assert "Idempotency-Key" in (answer.json or {})["errors"]
    assert (house.count(Donation), house.count(Payment), house.count(Donor)) == (1, 1, 0)
    assert house.state(first.json or {})["amount"] == 2500


def test_without_a_key_every_request_is_a_gift(house: House) -> None:
    assert [post(house, GIFT).status_code for _ in range(2)] == [201, 201]
    assert house.count(Donation) == 2


def test_a_refused_gift_leaves_its_key_free(house: House) -> None:
    assert said(post(house, gift(amount=1), **{"Idempotency-Key": "mine"})) == (422, "amount_too_small")
    assert post(house, GIFT, **{"Idempotency-Key": "mine"}).status_code == 201


# Donations that there are not


STRANGE = [
    "x",
    "a" * 4000,
    "%00",
    "a%00b",
    "%FF%FE",
    "%ED%A0%80",
    "%F0%9F%98%80",
    "%2e%2e",
    "%0d%0aX:%20y",
    "'--",
    "%25",
    "ж",
]


@pytest.mark.parametrize("token", STRANGE)
def test_an_unknown_donation(house: House, token: str) -> None:
    status, code = said(house.client.get(f"{API}/{token}"))
    assert (status, code) in [(404, "donation_not_found"), (404, "not_found")]
    page = house.client.get(f"/d/{token}")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert house.client.post(f"/d/{token}/pay", data=csrf(house)).status_code == 404
    assert house.nothing_stored()


@pytest.mark.parametrize("slug", STRANGE)
def test_an_unknown_campaign(house: House, slug: str) -> None:
    status, code = said(house.client.get(f"/api/v1/campaigns/{slug}/totals"))
    assert (status, code) in [(404, "campaign_not_found"), (404, "not_found")]
    assert house.client.get(f"/c/{slug}").status_code == 404
    assert house.client.post(f"/c/{slug}", data=csrf(house)).status_code == 404
    assert house.nothing_stored()


# The page


def csrf(house: House) -> dict[str, str]:
    """What the form carries by itself."""
    page = house.client.get("/").text
    fields = re.findall(r'<input[^>]*name="(csrf_token|key)"[^>]*value="([^"]*)"', page)
    assert {name for name, _ in fields} == {"csrf_token", "key"}
    return dict(fields)


def give(house: House, locale: str = "ru", **fields: str) -> TestResponse:
    return house.client.post(f"/c/{SLUG}?lang={locale}", data={**csrf(house), **fields})


@pytest.mark.parametrize(
    ("typed", "minor"),
    [("25", 2500), ("25,00", 2500), ("25.00", 2500), ("25,5", 2550), (" 25 ", 2500), ("5", 500), ("500\u00a0", 50000)],
)
def test_amounts_as_people_type_them_are_taken(house: House, typed: str, minor: int) -> None:
    answer = give(house, choice="own", amount=typed)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(house.sandbox.url)
    assert db.session.query(Donation).one().amount_minor == minor


BAD_CHOICES = ("", "1", "0", "-2500", "50001", "own", "2500.0", "1e3", "٢٥٠٠", "9" * 400, "25\x00")


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": typed}
        for typed in (
            "", "0", "-25", "+25", "4,99", "500,01", "25,000", "25.001", "1e3", "1E3", "٢٥", "२५", "２５", "²⁵", "NaN",
            "0x19",             "1,000.00", "25 BYN", "25\x00", "9" * 12, "9" * 400,
            "9" * 100_000, "<b>25</b>", "=25", "25;",
        )
    ]
    + [{"choice": choice} for choice in BAD_CHOICES]
    + [{}],
    ids=str,
)  # fmt: skip
def test_the_page_says_what_is_wrong_with_an_amount_in_its_own_language(house: House, fields: dict[str, str]) -> None:
    messages = set()
    for locale in LOCALES:
        answer = give(house, locale, **fields)
        assert (answer.status_code, answer.mimetype) == (422, "text/html")
        assert f'lang="{locale}"' in answer.text
        alerts = re.findall(r'<(\w+)[^>]*role="alert"[^>]*>(.*?)</\1>', answer.text, re.S)
        assert alerts
        messages.add(re.sub(r"<[^>]*>|\s+", " ", alerts[0][1]).strip())
    assert all(messages)
    assert house.nothing_stored()


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "alesia"},
        {"email": "a@example.org\r\nBcc: b@example.org"},
        {"email": "a" * 300 + "@example.org"},
        {"name": "<script>alert(1)</script>"},
        {"name": '"><img src=x onerror=alert(1)>'},
        {"name": "a" * 121},
        {"name": "Ales\x07"},
    ],
)
def test_the_page_refuses_names_and_addresses_that_are_none_and_shows_them_harmlessly(
    house: House, fields: dict[str, str]
) -> None:
    for locale in LOCALES:
        answer = give(house, locale, choice="2500", **fields)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
    assert house.nothing_stored()


@pytest.mark.parametrize(
    "fields", [{"placement": "a\0b"}, {"placement": "x" * 9000}, {"anonymous": "x"}, {"extra": "1"}]
)
def test_what_the_page_does_not_need_loses_no_gift(house: House, fields: dict[str, str]) -> None:
    assert give(house, choice="2500", **fields).status_code == 303
    assert house.count(Donation) == 1


@pytest.mark.parametrize("key", ["ключ", "\0", "k\n"])
def test_a_tampered_form_key_is_refused(house: House, key: str) -> None:
    answer = give(house, choice="2500", key=key)
    assert answer.status_code == 400
    assert house.nothing_stored()


@pytest.mark.parametrize("token", [None, "", "forged", "Ij\0", "ж" * 100])
def test_a_form_without_its_token_is_refused(house: House, token: str | None) -> None:
    data = {**csrf(house), "choice": "2500"}
    del data["csrf_token"]
    if token is not None:
        data["csrf_token"] = token
    for locale in LOCALES:
        answer = house.client.post(f"/c/{SLUG}?lang={locale}", data=data)
        assert (answer.status_code, answer.mimetype) == (400, "text/html")
        assert answer.headers["Content-Security-Policy"]
    assert house.nothing_stored()


@pytest.mark.parametrize(
    ("dates", "status"),
    [
        ({"closes_at": datetime(2022, 1, 1, tzinfo=UTC)}, 409),
        ({"opens_at": datetime(2999, 1, 1, tzinfo=UTC)}, 409),
    ],
)
def test_the_page_of_a_campaign_that_takes_nothing_refuses_a_form_that_was_open(
    house: House, dates: dict[str, datetime], status: int
) -> None:
    form = csrf(house)
    change_campaign(**dates)
    assert house.client.get(f"/c/{SLUG}").status_code == 200
    for locale in LOCALES:
        answer = house.client.post(f"/c/{SLUG}?lang={locale}", data={**form, "choice": "2500"})
        assert answer.status_code == status
    assert house.nothing_stored()


def test_a_form_that_is_too_large_is_refused(house: House) -> None:
    answer = give(house, choice="2500", name="a" * 600_000)
    assert (answer.status_code, answer.mimetype) == (413, "text/html")
    assert house.nothing_stored()


# Anything at all


texts = st.text(max_size=30) | st.sampled_from(["\0", "\ud800", "a" * 300, SLUG, "BYN", "ru", "a@example.org"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
nearly_gifts = st.fixed_dictionaries(
    {},
    optional={
        "campaign": st.just(SLUG) | anything,
        "amount": st.integers(400, 600) | anything,
        "currency": st.just("BYN") | anything,
        "donor": st.fixed_dictionaries({}, optional={"name": anything, "email": anything, "anonymous": anything})
        | anything,
        "locale": st.sampled_from(LOCALES) | anything,
        "placement": anything,
    },
)
headers = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nearly_gifts | anything, st.none() | headers)
@example({**GIFT, "donor": {"name": "\0"}}, None)
@example({**GIFT, "campaign": "\0"}, None)
def test_no_json_at_all_makes_the_api_fail(house: House, body: Any, key: str | None) -> None:
    before = house.count(Donation)
    answer = post(house, body, **({} if key is None else {"Idempotency-Key": key}))
    assert answer.status_code in (201, 400, 404, 409, 422), answer.json
    if answer.status_code != 201:
        assert said(answer)[1]
        assert house.count(Donation) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["choice", "amount", "name", "email", "placement", "key", "anonymous"]), texts))
def test_no_form_at_all_makes_the_page_fail(house: House, fields: dict[str, str]) -> None:
    sent = {name: value.encode(errors="surrogatepass").decode("latin-1") for name, value in fields.items()}
    before = house.count(Donation)
    answer = give(house, **sent)
    assert answer.status_code in (303, 400, 409, 422)
    if answer.status_code != 303:
        assert house.count(Donation) == before
