"""Every page is read back by a decoder that is not ours, under conditions that offices and phones make."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter

from offices.printing.formats import FORMATS
from offices.printing.pages import Poster
from offices.printing.symbols import QUIET_ZONE, matrix_of, png, svg
from tests.offices import printed

SAMPLES = {"a4": 200, "a6": 200, "a3": 5, "a5": 20}
ORIGIN = {"poster": (12, 115), "card": (16, 83)}  # of the symbol's quiet zone, in mm of the layout
MODULES = 29
QR = zxingcpp.BarcodeFormat.QRCode

Printed = tuple[str, pypdfium2.PdfDocument, list[Poster]]


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Printed]:
    format, language = request.param, {"a4": "ru", "a6": "be"}.get(request.param, "en")
    posters = printed.some_posters(SAMPLES[format])
    path = printed.printed(printed.a_run(format, language), posters, tmp_path_factory.mktemp("print"))
    document = pypdfium2.PdfDocument(path)
    yield format, document, posters
    document.close()


def _as_it_is(picture: Image.Image, box: tuple[float, ...], seed: int) -> Image.Image:
    return picture


def _blurred(picture: Image.Image, box: tuple[float, ...], seed: int) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1.5))


def _rotated(picture: Image.Image, box: tuple[float, ...], seed: int) -> Image.Image:
    return picture.rotate(7, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def _covered(picture: Image.Image, box: tuple[float, ...], seed: int) -> Image.Image:
    left, top, module = box
    rng = random.Random(seed)
    x, y, side = printed.patch_off_finders(rng, MODULES)
    corner = left + x * module, top + y * module
    ends = (*corner, corner[0] + side * module, corner[1] + side * module)
    ImageDraw.Draw(picture).rectangle(ends, fill=rng.choice((0, 128, 255)))
    return picture


def _symbol_box(format: str, dpi: float) -> tuple[float, float, float]:
    """(left, top, one module) in pixels of the symbol without its quiet zone."""
    page = FORMATS[format]
    pixels = page.unit * dpi / 25.4
    module = page.symbol / (MODULES + 2 * QUIET_ZONE) * pixels
    left, top = ORIGIN[page.layout]
    return left * pixels + QUIET_ZONE * module, top * pixels + QUIET_ZONE * module, module


@pytest.mark.parametrize(
    ("dpi", "change"),
    [
        pytest.param(100, _as_it_is, id="100dpi"),
        pytest.param(50, _as_it_is, id="50dpi"),
        pytest.param(100, _blurred, id="blurred"),
        pytest.param(100, _rotated, id="rotated"),
        pytest.param(100, _covered, id="covered"),
    ],
)
def test_every_page_is_read_to_its_own_address(
    sample: Printed, dpi: float, change: Callable[[Image.Image, tuple[float, ...], int], Image.Image]
) -> None:
    format, document, posters = sample
    wrong = []
    for index, poster in enumerate(posters):
        picture = change(printed.page_picture(document, index, dpi), _symbol_box(format, dpi), index)
        read = [each.text for each in zxingcpp.read_barcodes(picture, formats=QR)]
        if read != [f"HTTPS://GIVE.EXAMPLE.BY/Q/{poster.code}"]:
            wrong.append((poster.code, read))
    assert len(document) == len(posters)
    assert not wrong, f"{len(wrong)} of {len(posters)}"


def test_the_quiet_zone_is_white(sample: Printed) -> None:
    format, document, _ = sample
    left, top, module = _symbol_box(format, 200)
    picture = printed.page_picture(document, 0, 200)
    zone, side = QUIET_ZONE * module, MODULES * module
    ring = picture.crop((round(left - zone), round(top - zone), round(left + side + zone), round(top + side + zone)))
    ImageDraw.Draw(ring).rectangle((zone - 1, zone - 1, zone + side + 1, zone + side + 1), fill=255)
    assert min(ring.getextrema()) > 250
    assert picture.getpixel((round(left + module / 2), round(top + module / 2))) == 0  # where the test believes it is


def test_nothing_is_printed_where_printers_cannot(sample: Printed) -> None:
    _, document, _ = sample
    picture = printed.page_picture(document, 0, 127)
    edge = round(6 / 25.4 * 127)
    ImageDraw.Draw(picture).rectangle((edge, edge, picture.width - edge - 1, picture.height - edge - 1), fill=255)
    assert picture.getextrema() == (255, 255)


def test_stickers_are_read(tmp_path: Path) -> None:
    posters = printed.some_posters(42)
    document = pypdfium2.PdfDocument(printed.printed(printed.a_run("labels"), posters, tmp_path))
    read = [each.text for n in range(2) for each in zxingcpp.read_barcodes(printed.page_picture(document, n, 150))]
    document.close()
    assert sorted(read) == sorted(f"HTTPS://GIVE.EXAMPLE.BY/Q/{poster.code}" for poster in posters)


def test_a_symbol_is_as_small_as_its_address_allows() -> None:
    assert len(matrix_of("HTTPS://GIVE.EXAMPLE.BY/Q/ABC2345")) == MODULES
    with pytest.raises(ValueError, match="lower case"):
        matrix_of("https://give.example.by/q/abc2345")


def test_single_symbols_are_read(tmp_path: Path) -> None:
    address = "HTTPS://GIVE.EXAMPLE.BY/Q/ABC2345"
    (tmp_path / "symbol.png").write_bytes(png(address))
    assert [each.text for each in zxingcpp.read_barcodes(Image.open(tmp_path / "symbol.png"))] == [address]
    assert svg(address).startswith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -4 37 37">')
