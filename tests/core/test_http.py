"""What every answer has: an error in the reader's form and nothing of our insides, and the headers that protect."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from itertools import repeat
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from marshmallow import fields
from werkzeug.serving import make_server

from app import create_app
from core.db import db
from core.errors import Conflict, DomainError, Invalid, NotFound, TooMany, Unavailable
from core.http import allow_form_targets, csrf, public_url
from core.schemas import Blueprint, StrictSchema
from tests import databases

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SECRET = "donor@example.org and /srv/secret/path"


def crash() -> str:
    raise RuntimeError(SECRET)


def done() -> str:
    return "done"


def done_without_token() -> str:
    return str(len(request.form))


def broken_sql() -> str:
    return str(db.session.execute(db.text("SELECT :who FROM no_such_table"), {"who": SECRET}))


REFUSALS: list[tuple[type[DomainError], int, str]] = [
    (NotFound, 404, "not_found"),
    (Conflict, 409, "conflict"),
    (Invalid, 422, "invalid"),
    (TooMany, 429, "too_many_requests"),
    (Unavailable, 503, "unavailable"),
    (DomainError, 400, "refused"),
]


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """Each trouble lives below /api/ and, for people, at the root."""
    for prefix, name in (("/api/x", "machine"), ("/x", "people")):
        app.add_url_rule(f"{prefix}/crash", f"{name}.crash", crash)
        app.add_url_rule(f"{prefix}/sql", f"{name}.sql", broken_sql)
        app.add_url_rule(f"{prefix}/post", f"{name}.post", done, methods=["POST"])
        app.add_url_rule(f"{prefix}/exempt", f"{name}.exempt", done_without_token, methods=["POST"])
        app.add_url_rule(f"{prefix}/read", f"{name}.read", done_without_token, methods=["PUT"])
        for refusal, _, code in REFUSALS:

            def refuse(refusal: type[DomainError] = refusal) -> str:
                raise refusal

            app.add_url_rule(f"{prefix}/{code}", f"{name}.{code}", refuse)
    csrf.exempt(done_without_token)
    return app.test_client()


@pytest.mark.parametrize(("refusal", "status", "code"), REFUSALS)
def test_a_refusal_is_json_for_machines_and_a_page_for_people(
    visitor: FlaskClient, refusal: type[DomainError], status: int, code: str
) -> None:
    answer = visitor.get(f"/api/x/{code}")
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert answer.json is not None
    assert answer.json["code"] == code
    assert answer.json["message"]
    assert answer.json["errors"] == {}

    page = visitor.get(f"/x/{code}", headers={"Accept": "application/json"})
    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert answer.json["message"] in page.text


@pytest.mark.parametrize("path", ["crash", "sql"])
def test_a_crash_tells_nobody_anything_but_the_log_everything_but_values(
    visitor: FlaskClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.ERROR):
        answers = [visitor.get(f"{prefix}/{path}") for prefix in ("/api/x", "/x")]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert [answer.mimetype for answer in answers] == ["application/json", "text/html"]
    assert answers[0].json is not None
    assert answers[0].json["code"] == "internal_error"
    for answer in answers:
        for inside in (SECRET, "RuntimeError", "OperationalError", "Traceback", "no_such_table", "SELECT"):
            assert inside not in answer.text
        assert answer.headers["X-Request-Id"]
    assert "request failed" in caplog.text
    if path == "sql":
        assert "no_such_table" in caplog.text
        assert SECRET not in caplog.text


@pytest.mark.parametrize("address", ["sqlite:////nowhere/x.sqlite3", "postgresql+psycopg://nobody@127.0.0.1:9/gone"])
def test_a_database_that_is_gone_is_told_as_unavailable(settings: dict[str, Any], address: str) -> None:
    gone = create_app({**settings, "SQLALCHEMY_DATABASE_URI": address, "SQLALCHEMY_ENGINE_OPTIONS": {}})
    answer = gone.test_client().get("/api/v1/campaigns/any/totals")
    assert (answer.status_code, (answer.json or {})["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_after_a_crash_the_next_request_is_answered(visitor: FlaskClient) -> None:
    assert visitor.get("/x/sql").status_code == 500
    assert visitor.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/api/none", "/webhooks/none/none", "/api/v1/", "/api/%00", "/api/x/%FF%FE"])
def test_an_unknown_address_for_machines_is_json(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status_code, (answer.json or {})["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/none", "/c/none/none", "/%00", "/%2e%2e/etc/passwd", "/" + "a" * 5000, "/x\r\ny"])
def test_an_unknown_address_for_people_is_a_page(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_wrong_method_says_which_are_allowed(visitor: FlaskClient) -> None:
    answer = visitor.get("/api/x/post")
    assert (answer.status_code, (answer.json or {})["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    page = visitor.get("/x/post")
    assert (page.status_code, page.mimetype) == (405, "text/html")
    assert "POST" in page.headers["Allow"]


@pytest.mark.parametrize(("path", "mimetype"), [("/api/x/read", "application/json"), ("/x/read", "text/html")])
def test_a_body_too_large_is_refused(app: Flask, visitor: FlaskClient, path: str, mimetype: str) -> None:
    size = app.config["MAX_CONTENT_LENGTH"] + 1
    answer = visitor.put(path, data=b"a=" + b"x" * size, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.mimetype) == (413, mimetype)
    if answer.json:
        assert answer.json["code"] == "body_too_large"


@pytest.mark.parametrize("path", ["/api/v1/donations", "/webhooks/stripe", "/c/any"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_too_large_is_refused_though_its_length_is_not_told(app: Flask, path: str, content_type: str) -> None:
    with serving(app) as port:
        answer = send_in_chunks(port, path, b"x" * 8192, 90, content_type)
        assert answer.status == 413
        assert path == "/c/any" or json.loads(answer.read())["code"] == "body_too_large"
        assert send_in_chunks(port, path, b"x" * 8192, 2, content_type).status in (400, 415)


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """A real server: the test client tells every length. Yields its port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.port
    server.shutdown()
    thread.join(5)
    server.server_close()


def send_in_chunks(port: int, path: str, chunk: bytes, count: int, content_type: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, repeat(chunk, count), {"Content-Type": content_type})
    return connection.getresponse()


@pytest.fixture
def strict(app: Flask) -> FlaskClient:
    class Body(StrictSchema):
        field_codes = {"word": "word_invalid"}  # noqa: RUF012 - a schema of one test

        number = fields.Integer(required=True)
        word = fields.String()

    blueprint = Blueprint("strict", __name__, url_prefix="/api/strict")

    @blueprint.post("/")
    @blueprint.arguments(Body)
    @blueprint.response(200)
    def take(body: dict[str, Any]) -> dict[str, Any]:
        return body

    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)
    return app.test_client()


def post(client: FlaskClient, data: Any, content_type: str = "application/json") -> tuple[int, str]:
    answer = client.post("/api/strict/", data=data, content_type=content_type)
    return answer.status_code, str((answer.json or {}).get("code"))


def test_a_json_body_of_the_right_shape_is_taken(strict: FlaskClient) -> None:
    assert strict.post("/api/strict/", json={"number": 1, "word": "Ў"}).json == {"number": 1, "word": "Ў"}


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "application/xml", "json"],
)
def test_a_body_that_is_not_json_is_refused_as_such(strict: FlaskClient, content_type: str) -> None:
    assert post(strict, b'{"number": 1}', content_type) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "data",
    [
        b"{", b"number=1", b"\xff\xfe", b"{'number': 1}", b'{"number": 1,}', b"[" * 100_000, b'{"a":' * 100_000,
        b'{"number": ' + b"9" * 5000 + b"}", b"\x00", '{"number": 1}'.encode("utf-16"), b"NaN1",
    ],
)  # fmt: skip
def test_a_body_that_only_claims_to_be_json_is_refused(strict: FlaskClient, data: bytes) -> None:
    assert post(strict, data) == (400, "malformed_json")
    assert (strict.post("/api/strict/", data=data, content_type="application/json").json or {})["errors"] == {}


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"1", b'"text"', b"{}", b"NaN", b'{"number": NaN}', b"[{}]"])
def test_json_of_another_shape_is_refused_by_the_schema(strict: FlaskClient, data: bytes) -> None:
    assert post(strict, data) == (422, "validation_failed")


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800", "\\udfff\\ud800", "ok\\udc00"])
def test_text_that_no_database_keeps_is_refused_under_the_code_of_its_field(strict: FlaskClient, text: str) -> None:
    body = '{"number": 1, "word": "%s"}' % text  # noqa: UP031 - braces of JSON
    assert post(strict, body.encode()) == (422, "word_invalid")
    assert post(strict, b'{"number": 1, "word": "\\ud83d\\ude00"}') == (200, "None")


def test_a_form_without_its_token_is_refused(visitor: FlaskClient) -> None:
    page = visitor.post("/x/post")
    assert (page.status_code, page.mimetype) == (400, "text/html")
    assert page.headers["Content-Security-Policy"]
    answer = visitor.post("/api/x/post")
    assert (answer.status_code, (answer.json or {})["code"]) == (400, "csrf_failed")
    assert visitor.post("/x/exempt").status_code == 200


def policy(client: FlaskClient, path: str = "/none") -> dict[str, list[str]]:
    header = client.get(path).headers["Content-Security-Policy"]
    return {words[0]: words[1:] for words in (part.split() for part in header.split(";"))}


def test_every_answer_carries_the_headers_that_protect(visitor: FlaskClient) -> None:
    for path in ("/none", "/healthz", "/x/crash", "/api/x/crash"):
        headers = visitor.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in headers
        found = policy(visitor, path)
        assert found["default-src"] == found["frame-ancestors"] == found["base-uri"] == ["'none'"]
        assert found["script-src"] == ["'self'"]
        assert "unsafe" not in str(found)
    secure = visitor.get("/healthz", base_url="https://give.test").headers
    assert "max-age=" in secure["Strict-Transport-Security"]


def test_forms_may_lead_to_the_payment_page_and_nowhere_else(app: Flask, visitor: FlaskClient) -> None:
    pages = {origin for provider in app.extensions["payments"].values() for origin in provider.page_origins}
    assert pages
    assert policy(visitor)["form-action"] == ["'self'", *sorted(pages)]
    allow_form_targets(app, ["https://pay.example.by"])
    assert "https://pay.example.by" in policy(visitor)["form-action"]


def test_every_request_has_an_id_of_its_own(visitor: FlaskClient) -> None:
    ids = {visitor.get("/healthz").headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


def test_addresses_for_the_outside_do_not_depend_on_the_host_that_a_request_names(
    app: Flask, visitor: FlaskClient
) -> None:
    app.add_url_rule("/where", "where", lambda: public_url("health.alive"))
    told = visitor.get("/where", headers={"Host": "evil.example"}).text
    assert told == app.config["PUBLIC_URL"] + "/healthz"
    assert public_url("health.alive") == told


@pytest.mark.parametrize(("proxies", "address"), [("0", "127.0.0.1"), ("1", "203.0.113.9"), ("2", "198.51.100.1")])
def test_the_callers_address_is_believed_from_as_many_proxies_as_are_trusted(
    database_url: str, tmp_path: Any, proxies: str, address: str
) -> None:
    app = create_app(databases.settings(database_url, tmp_path, TRUSTED_PROXIES=proxies))
    app.add_url_rule("/me", "me", lambda: request.remote_addr or "")
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    assert app.test_client().get("/me", headers=forwarded).text == address


def test_nothing_asks_a_machine_for_a_token_it_cannot_have(app: Flask) -> None:
    """Every address for machines that takes a POST works without a form's token."""
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        if "POST" in (rule.methods or ()) and rule.rule.startswith(("/api/", "/webhooks/")):
            path = rule.rule.replace("<", "").replace(">", "")
            answer = client.post(path, data=b"{}", content_type="application/json")
            assert (answer.json or {}).get("code") != "csrf_failed", rule
