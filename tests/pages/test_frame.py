"""What all pages share: languages, errors, static files, the description of the API."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core import openapi
from tests.pages.donor import CAMPAIGN, Donor


@pytest.mark.parametrize(("language", "text"), [("ru", "ничего нет"), ("be", "нічога няма"), ("en", "nothing at")])
def test_an_unknown_address_is_told_in_the_readers_language(donor: Donor, language: str, text: str) -> None:
    donor.language = language
    page = donor.read("/nowhere", status=404)
    assert text in page
    assert f'<html lang="{language}">' in page
    assert re.search(r"<code>[0-9a-f]{12}</code>", page), "the request's number"
    assert 'href="/"' in page


def test_the_wrong_method_is_a_page_too(client: FlaskClient) -> None:
    answer = client.get("/d/some-token/pay?lang=en")
    assert answer.status_code == 405
    assert "does not work that way" in answer.text


def test_too_much_data_is_a_page_too(client: FlaskClient) -> None:
    answer = client.post(f"{CAMPAIGN}?lang=en", data={"name": "x" * 600_000})
    assert answer.status_code == 413
    assert "too much data" in answer.text


def test_too_many_starts_are_told_and_nothing_was_charged(app: Flask, donor: Donor) -> None:
    app.config["STARTS_PER_ADDRESS"] = 1
    donor.give(choice="2500")
    answer = donor.give(choice="2500")
    assert answer.status_code == 429
    assert "Too many donations were started from here" in answer.text


def test_a_crash_shows_a_number_and_nothing_internal(app: Flask, client: FlaskClient) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.view_functions["donations.front"] = lambda: 1 / 0
    answer = client.get("/?lang=en")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "ZeroDivision" not in answer.text


def test_every_file_that_a_page_names_is_there_and_fingerprinted(donor: Donor) -> None:
    page = donor.read("/")
    files = set(re.findall(r'(?:src|href)="([^"]*static[^"]*)"', page))
    assert len(files) >= 7
    for file in files:
        answer = donor.client.get(file)
        assert answer.status_code == 200, file
        assert re.search(r"\?v=[0-9a-f]{8}$", file), file
        answer.close()


def test_nothing_is_loaded_from_elsewhere(donor: Donor) -> None:
    for path in ("/", "/api/docs", "/nowhere"):
        page = donor.client.get(path).text
        assert not re.search(r'<(?:script|img|link rel="(?:stylesheet|icon)")[^>]+(?:src|href)="(?:https?:)?//', page)


def test_the_api_page_shows_every_operation_and_schema_of_the_document(donor: Donor) -> None:
    document, page = donor.client.get("/api/openapi.json").json, donor.read("/api/docs")
    for path, operations in document["paths"].items():
        assert path in page
        for method in set(operations) & set(openapi.METHODS):
            assert f'class="method method-{method}"' in page
    for link in re.findall(r'href="#(schema-[^"]+)"', page):
        assert f'id="{link}"' in page
    assert '"amount": 2500' in page
    assert "Idempotency-Key" in page
