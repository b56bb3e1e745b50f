"""A connection goes on after an answer that was given before the request's body was read: a real web process."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from tests import databases
from tests.drills.processes import Service

POSTS = 200
REFUSED_EARLY = {
    "/staff/counter/code": 303,  # to the sign-in page
    "/api/v1/sticker-codes/x/redemptions": 401,
    "/no-such-page": 404,
    "/healthz": 405,
}


@pytest.fixture(scope="module")
def service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    instance = tmp_path_factory.mktemp("keep_alive")
    url = databases.copy_sqlite(sqlite_template, instance / "test.sqlite3")
    environ = {"APP_ENV": "development", "DATABASE_URL": url, "INSTANCE_DIR": str(instance)}
    running = Service(environ, instance, webs=1)
    del running.commands["worker"]
    try:
        running.start()
        yield running
    finally:
        running.stop()


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 1000):
        yield b"x" * 1000


@pytest.mark.parametrize("path", REFUSED_EARLY)
def test_a_connection_outlives_refusals(service: Service, path: str) -> None:
    with requests.Session() as session:
        for number in range(POSTS):
            form = {"office": "MINSK-01", "code": "x" * (1 + number * 97)}
            answer = session.post(service.urls[0] + path, data=form, allow_redirects=False, timeout=10)
            assert answer.status_code == REFUSED_EARLY[path]
            assert "Connection" not in answer.headers


def test_a_body_of_unknown_length_breaks_nothing(service: Service) -> None:
    with requests.Session() as session:
        for number in range(POSTS // 4):
            answer = session.post(f"{service.urls[0]}/no-such-page", data=chunks(1000 * number), timeout=10)
            assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/donations", "/no-such-page", "/staff/counter/code"])
def test_a_body_that_is_too_large_is_not_read_and_the_answer_says_that_the_connection_ends(
    client: FlaskClient, path: str
) -> None:
    for size, ends in ((1000, None), (2_000_000, "close")):
        body = BytesIO(b"x" * size)
        answer = client.post(path, input_stream=body, content_length=size, content_type="application/json")
        assert answer.headers.get("Connection") == ends
        assert answer.status_code < 500
