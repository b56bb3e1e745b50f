"""What the PDFs are made of: fonts, text, tags; and that joining keeps all of it."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdf
import pytest

from core.i18n import LOCALES
from offices.printing.joining import NotOurs, join
from offices.printing.pages import Typesetter
from offices.printing.texts import spoken
from tests.offices import printed

PAGES = 25


@pytest.fixture(scope="module", params=LOCALES)
def document(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pypdf.PdfReader:
    run = printed.a_run("a4", request.param)
    path = printed.printed(run, printed.some_posters(PAGES), tmp_path_factory.mktemp("pdf"), part=10)
    return pypdf.PdfReader(path, strict=True)


def _fonts(resources: Any) -> Iterator[Any]:
    for font in (resources.get("/Font") or {}).values():
        yield from (each.get_object() for each in font.get_object()["/DescendantFonts"])
    for form in (resources.get("/XObject") or {}).values():
        yield from _fonts(form.get_object().get("/Resources") or {})


def test_all_fonts_are_embedded_and_ours(document: pypdf.PdfReader) -> None:
    fonts = [font for page in document.pages for font in _fonts(page["/Resources"])]
    assert fonts
    assert all("/FontFile2" in font["/FontDescriptor"] for font in fonts)
    assert {re.sub(r"^/[A-Z]{6}\+(\w+)-.*", r"\1", font["/BaseFont"]) for font in fonts} == {"Rubik"}


def test_text_can_be_searched_on_every_page(document: pypdf.PdfReader) -> None:
    language = document.root_object["/Lang"]
    text = printed.TEXTS[str(language)]
    for number, page in enumerate(document.pages, start=1):
        words = " ".join(page.extract_text().split())
        assert text.lead in words.replace("- ", "-")
        assert text.designation in words
        assert all(part in words for part in (text.helpline, "give.example.by", f"Плакат № {number} ·"))


@pytest.mark.parametrize("format", ["a3", "a4", "a5", "a6", "labels"])
def test_titles_break_between_what_belongs_together(format: str) -> None:
    setter = Typesetter()
    for language, lines in (
        ("ru", ["Интернет", "без травли"]),
        ("be", ["Інтэрнэт", "без цкавання"]),
        ("en", ["A bullying-free", "internet"]),
    ):
        page = setter.pages(printed.a_run(format, language), printed.some_posters(1))
        text = [line.strip() for line in pypdf.PdfReader(io.BytesIO(page)).pages[0].extract_text().splitlines()]
        start = text.index(lines[0])
        assert text[start : start + 2] == lines


def test_pages_are_tagged_and_read_aloud(document: pypdf.PdfReader) -> None:
    root = document.root_object
    assert root["/MarkInfo"]["/Marked"]
    text = printed.TEXTS[str(root["/Lang"])]
    tags: dict[int, list[Any]] = {}
    for leaf in root["/StructTreeRoot"]["/ParentTree"]["/Kids"]:
        pairs = leaf.get_object()["/Nums"]
        tags |= {int(key): each.get_object() for key, each in zip(pairs[::2], pairs[1::2], strict=True)}
    assert sorted(tags) == list(range(PAGES))
    for page in document.pages:
        elements = [element.get_object() for element in tags[page["/StructParents"]]]
        assert all(element["/Pg"].get_object() == page for element in elements)
        spoken_texts = [str(element["/Alt"]) for element in elements if "/Alt" in element]
        assert spoken_texts[0] == spoken(text, printed.WORDS, "give.example.by")
        assert "give.example.by/q/" in spoken_texts[1]


def test_the_same_run_gives_the_same_file(tmp_path: Path) -> None:
    posters = printed.some_posters(3)
    first = printed.printed(printed.a_run(), posters, tmp_path).read_bytes()
    assert printed.printed(printed.a_run(), posters, tmp_path).read_bytes() == first


@pytest.mark.parametrize("damage", [b"", b"%PDF-1.7\n", b"startxref\n9\n%%EOF", None])
def test_damaged_parts_are_refused(tmp_path: Path, damage: bytes | None) -> None:
    part = printed.printed(printed.a_run(), printed.some_posters(1), tmp_path)
    part.write_bytes(part.read_bytes()[:-300] if damage is None else damage)
    with pytest.raises(NotOurs):
        join([part], io.BytesIO())
