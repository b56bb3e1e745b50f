"""No text is missing in any language: catalogues against the sources, the demonstration campaign, the packs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from core.db import db
from core.i18n import LOCALES
from donations.models import Campaign
from ledger.models import Fund
from stickers.models import StickerPack
from tests.house import House

ROOT = Path(__file__).parents[2]
KEYWORDS = {
    "_": None,
    "_l": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "lazy_ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
PLURALS = {"ru": 3, "be": 3, "en": 2}
FOREIGN = {"ru": re.compile("[іўІЎ]"), "be": re.compile("[ищъИЩЪ]"), "en": re.compile("[А-яёЁіўІЎ]")}


@pytest.fixture(scope="module")
def sources() -> dict[Any, str]:
    """Every message that code and templates ask for, and where."""
    with (ROOT / "babel.cfg").open() as config:
        methods, options = parse_mapping_cfg(config)
    found = extract_from_dir(ROOT, methods, options, keywords=KEYWORDS, directory_filter=_is_ours)
    return {message: f"{path}:{line}" for path, line, message, _, _ in found if message}


def _is_ours(directory: str) -> bool:
    return not Path(directory).name.startswith((".", "_", "tests", "sandbox", "benchmarks", "migrations", "node_"))


@pytest.fixture(scope="module", params=LOCALES)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    with (ROOT / f"translations/{request.param}/LC_MESSAGES/messages.po").open("rb") as file:
        return read_po(file, locale=request.param, abort_invalid=True)


def messages(catalogue: Catalog) -> Iterator[Message]:
    return (message for message in catalogue if message.id)


def strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_no_text_is_missing_and_none_is_left_over(sources: dict[Any, str], catalogue: Catalog) -> None:
    known = {message.id for message in messages(catalogue)}
    missing = {message: place for message, place in sources.items() if message not in known}
    assert not missing, f"{catalogue.locale}: not in the catalogue"
    assert not known - set(sources), f"{catalogue.locale}: no longer used"
    assert not catalogue.obsolete


def test_every_text_is_translated_for_sure(catalogue: Catalog) -> None:
    for message in messages(catalogue):
        assert not message.fuzzy, message.id
        assert all(string.strip() for string in strings(message)), message.id


def test_plural_forms_are_all_there(catalogue: Catalog) -> None:
    language = str(catalogue.locale)
    assert catalogue.num_plurals == PLURALS[language]
    for message in messages(catalogue):
        assert len(strings(message)) == (PLURALS[language] if message.pluralizable else 1), message.id


def test_placeholders_and_edges_are_the_same_as_in_the_source(catalogue: Catalog) -> None:
    placeholder = re.compile(r"%(?:\((\w+)\))?[%sd]")
    for message in messages(catalogue):
        source = message.id if isinstance(message.id, str) else message.id[-1]
        for string in strings(message):
            assert sorted(placeholder.findall(string)) == sorted(placeholder.findall(source)), string
            assert string.strip() == string
            assert string[-1] in ".:!?…%" or source[-1] not in ".:!?…", string


def test_no_letters_of_another_alphabet_slipped_in(catalogue: Catalog) -> None:
    for message in messages(catalogue):
        for string in strings(message):
            assert not FOREIGN[str(catalogue.locale)].search(string), string


def test_english_is_what_the_source_says() -> None:
    with (ROOT / "translations/en/LC_MESSAGES/messages.po").open("rb") as file:
        for message in messages(read_po(file, locale="en")):
            assert strings(message) == ([message.id] if isinstance(message.id, str) else list(message.id))


def test_the_demonstration_campaign_speaks_all_languages(house: House) -> None:
    for text in _texts_of_the_campaign():
        assert set(text) == set(LOCALES), text
        for language, string in text.items():
            assert not FOREIGN[language].search(string), string


def _texts_of_the_campaign() -> Iterator[dict[str, str]]:
    for campaign in db.session.scalars(sa.select(Campaign)):
        assert campaign.partners is not None
        yield from (campaign.title, campaign.lead, campaign.designation, campaign.partners)
        yield from (text for use in campaign.uses for text in use.values())
        yield from (text for each in campaign.resources for text in (each.title, each.text))
    for pack in db.session.scalars(sa.select(StickerPack)):
        yield from (pack.name, pack.description)
    yield from (fund.name for fund in db.session.scalars(sa.select(Fund)))
