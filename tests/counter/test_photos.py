"""Photos are untrusted: decoded when they hold a code, refused in clear words when not, cheap in every case."""

import io
import struct
import zlib
from html import unescape

import pytest
from flask_babel import force_locale
from PIL import Image, ImageOps
from werkzeug.test import TestResponse

from core.errors import DomainError
from stickers import codes
from stickers.counter import errors
from stickers.counter.decoding import texts_in
from tests.counter.conftest import OWN, Counter, press, verdict_of
from tests.counter.photos import encoded, photo, picture, symbol
from tests.staff.console import Browser

CODE = codes.draw()


def read(data: bytes) -> list[str]:
    return texts_in(io.BytesIO(data))


@pytest.mark.parametrize("angle", [0, 7, -25, 90, 180])
@pytest.mark.parametrize("blur", [0, 2])
def test_a_turned_and_blurred_photo_is_read(angle: float, blur: float) -> None:
    assert read(photo(CODE, angle=angle, blur=blur)) == [CODE]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP"])
def test_other_formats_of_cameras_and_screens_are_read(kind: str) -> None:
    assert read(encoded(picture(CODE, size=(800, 600)), kind)) == [CODE]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_however_the_phone_was_held_it_is_read(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read(encoded(picture(CODE), exif=exif.tobytes())) == [CODE]


def test_a_dark_screen_and_a_transparent_picture_are_read() -> None:
    assert read(encoded(ImageOps.invert(symbol(CODE)))) == [CODE]
    assert read(encoded(symbol(CODE).convert("RGBA"), "PNG")) == [CODE]


def test_a_small_code_in_a_large_photo_is_found_at_the_second_look() -> None:
    large = Image.new("RGB", (4000, 3000), "grey")
    large.paste(symbol(CODE, 130), (1800, 1400))
    assert read(encoded(large)) == [CODE]


def test_codes_are_told_once_each() -> None:
    other = codes.draw()
    assert sorted(read(photo(CODE, other, CODE))) == sorted([CODE, other])


def png_of(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims to be so large."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(bytes(1000))) + part(b"IEND", b"")


@pytest.mark.parametrize("size", [(6000, 6000), (10_000, 9_000), (30_000, 30_000)])
def test_a_pixel_bomb_is_refused_before_it_goes_off(size: tuple[int, int]) -> None:
    with pytest.raises(errors.PictureTooLarge):
        read(png_of(*size))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"code",
        b"%PDF-1.4",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"GIF89a" + b"\xff" * 40,
        png_of(100, 100)[:60],
        photo(CODE)[:3000],
    ],
    ids=["empty", "text", "pdf", "eps", "svg", "jpeg head", "gif head", "png head", "half a jpeg"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(errors.NotAnImage):
        read(data)


@pytest.mark.parametrize("image", [Image.new("RGB", (3000, 2000), "white"), Image.new("L", (1, 1))])
def test_a_photo_without_a_code_says_so(image: Image.Image) -> None:
    with pytest.raises(errors.NoCodeInPicture):
        read(encoded(image))


# --- at the counter


def send(till: Browser, data: bytes) -> TestResponse:
    """As a browser sends it; the test client's own encoder leaves a temporary file of a large one open."""
    fields = {"csrf_token": till.token, "office": OWN}
    head = "".join(
        f'--line\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    head += '--line\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
    body = head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n--line--\r\n"
    options = {"data": body, "content_type": "multipart/form-data; boundary=line", "environ_overrides": till.environ}
    return till.client.post("/staff/counter/photo", follow_redirects=True, **options)


def test_a_photo_is_judged_as_a_typed_code_is(till: Browser, counter: Counter) -> None:
    assert verdict_of(send(till, photo(counter.new_code()))) == "valid"
    assert verdict_of(send(till, photo(codes.draw()))) == "unknown"


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", errors.NotAnImage),
        (b"no picture", errors.NotAnImage),
        (png_of(30_000, 30_000), errors.PictureTooLarge),
        (encoded(Image.new("L", (400, 400), "white")), errors.NoCodeInPicture),
        (photo("https://example.org/"), errors.LinkScanned),
        (photo("WIFI:S:Guests;T:WPA;P:secret;;"), errors.WifiScanned),
        (photo("4006381333931"), errors.NotACode),
    ],
    ids=["empty", "no image", "bomb", "no code", "a link", "a network", "something else"],
)
def test_what_cannot_be_read_is_told_and_the_input_is_there(
    till: Browser, data: bytes, refusal: type[DomainError]
) -> None:
    answer = send(till, data)
    assert answer.status_code == (422 if issubclass(refusal, errors.NotACode) else 200)
    with force_locale("en"):
        assert str(refusal.text) in unescape(answer.text)
    assert 'name="code"' in answer.text


def test_no_file_at_all_is_told(till: Browser) -> None:
    assert "choose a photo" in press(till, "photo", {"office": OWN}).text


def test_a_photo_of_20_megabytes_is_read(till: Browser, counter: Counter) -> None:
    data = photo(counter.new_code())
    assert verdict_of(send(till, data + bytes(20_000_000 - len(data)))) == "valid"


def test_a_photo_beyond_all_measure_is_refused(till: Browser) -> None:
    assert send(till, bytes(33 * 1024 * 1024)).status_code == 413


def test_of_three_codes_in_a_photo_one_is_chosen(till: Browser, counter: Counter) -> None:
    first, second = counter.new_code(), counter.new_code()
    counter.redeem(second)
    page = send(till, photo(first, second, codes.draw(), size=(2400, 1200), angle=3))
    assert sorted(part.split('"')[0] for part in page.text.split('data-verdict="')[1:]) == [
        "redeemed",
        "unknown",
        "valid",
    ]


def test_another_qr_code_beside_the_code_does_not_disturb(till: Browser, counter: Counter) -> None:
    code = counter.new_code()
    assert verdict_of(send(till, photo(code, "http://give.test/q/ABCD234"))) == "valid"
