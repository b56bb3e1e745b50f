"""Donors see which offices have packs, and never how many."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from core.db import unit_of_work
from offices.models import Office

Stocked = Callable[[str, str, int], tuple[int, int]]


def listed(client: FlaskClient, query: str = "") -> list[str]:
    parts = client.get(f"/offices?lang=en{query}").text.split('data-office="')[1:]
    return [part.split('"', 1)[0] for part in parts]


def test_offices_say_yes_few_or_no(client: FlaskClient, stocked: Stocked) -> None:
    stocked("MINSK-02", "kind-words", 37)
    stocked("MINSK-02", "brave-hearts", 2)
    page = client.get("/offices?lang=en&region=Минск").text
    card = page.split('data-office="MINSK-02"')[1].split("data-office")[0]
    assert "In stock" in card
    assert "Only a few" in card
    assert "37" not in re.sub(r"<link[^>]*>", "", page)  # fingerprints of files are no figures
    other = page.split('data-office="MINSK-01"')[1]
    assert other.count("None at present") == 2
    assert "No packs here at present" in other
    assert listed(client, "&region=Минск") == ["MINSK-02", "MINSK-01"]  # with packs first


@pytest.mark.parametrize("typed", ["брест", "BREST", "Брэст", "советская"])
def test_a_city_or_street_is_found_in_any_language(client: FlaskClient, offices: dict[str, int], typed: str) -> None:
    assert listed(client, f"&place={typed}") == ["BREST-01"]


def test_a_place_without_an_office_says_what_to_do(client: FlaskClient, offices: dict[str, int]) -> None:
    page = client.get("/offices?lang=en&place=Atlantis").text
    assert "We found no office there" in page
    assert 'value="Atlantis"' in page


def test_a_closed_office_is_not_shown(client: FlaskClient, stocked: Stocked, offices: dict[str, int]) -> None:
    stocked("BREST-01", "kind-words", 5)
    with unit_of_work() as session:
        session.get_one(Office, offices["BREST-01"]).active = False
    assert "BREST-01" not in listed(client)


def test_one_campaign_and_one_pack_can_be_asked_for(client: FlaskClient, stocked: Stocked) -> None:
    stocked("BREST-01", "kind-words", 5)
    page = client.get("/offices?lang=en&campaign=bullying-free-internet&pack=brave-hearts").text
    assert "Kind words" not in page
    assert "Brave hearts" in page
    assert client.get("/offices?campaign=nothing").status_code == 404
    assert client.get("/offices?campaign=%00").status_code == 404
    assert client.get("/offices?pack=nothing&page=99&region=%00&place=%00").status_code == 200


def test_the_page_is_cached_by_language(client: FlaskClient, offices: dict[str, int]) -> None:
    answer = client.get("/offices", headers={"Accept-Language": "be"})
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert {"Accept-Language", "Cookie"} <= set(answer.vary)
    assert "Set-Cookie" not in answer.headers
    again = client.get("/offices", headers={"Accept-Language": "be", "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert client.get("/offices?lang=en").headers["Cache-Control"] == "private, max-age=60"
