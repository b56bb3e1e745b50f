"""From scan to hand-over on a phone, with and without scripts, with and without a detector of codes in the browser."""

import base64
import io
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from flask import Flask
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE
from tests.browser.sight import fits
from tests.conftest import CHROMIUM_ARGUMENTS, chromium
from tests.counter.conftest import Counter, NewClerk, counter, new_clerk, own
from tests.counter.photos import encoded, photo, symbol
from tests.staff.console import PASSWORD

__all__ = ["NewClerk", "counter", "new_clerk", "own"]

pytestmark = [
    pytest.mark.browser,
    # The tests' own plain web server does not close a picture of which the browser wanted a part.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

log = logging.getLogger(__name__)

OpenPage = Callable[..., Any]
AT_MOST = 2  # presses after the scan

# What browsers have that have it: frames of the camera go in, texts come out. Here zxing looks at the frames.
DETECTOR = """
window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["qr_code"]; }
  async detect(video) {
    if (!video.videoWidth) return [];
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    return (await window.zxing(canvas.toDataURL("image/jpeg"))).map((rawValue) => ({ rawValue }));
  }
};
"""


def zxing(frame: str) -> list[str]:
    picture = Image.open(io.BytesIO(base64.b64decode(frame.partition(",")[2])))
    return [each.text for each in zxingcpp.read_barcodes(picture.convert("L"))]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees: JPEGs one after another."""
    return tmp_path_factory.mktemp("camera") / "film.mjpeg"


@pytest.fixture(scope="module")
def browser(playwright: Any, film: Path) -> Iterator[Any]:
    """A Chromium whose camera plays the film, and whose user allows it to."""
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    camera.append(f"--use-file-for-fake-video-capture={film}")
    running = playwright.chromium.launch(executable_path=chromium(), args=[*CHROMIUM_ARGUMENTS, *camera])
    yield running
    running.close()


@pytest.fixture
def code(counter: Counter) -> str:
    [code] = counter.many_codes(1)
    return code


def sign_in(page: Any, site: str, email: str) -> None:
    page.goto(f"{site}/staff/login?lang=en")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(f"{site}/staff")


class Thumb:
    """Counts presses."""

    def __init__(self, page: Any) -> None:
        self.page, self.presses = page, 0

    def press(self, what: str) -> None:
        self.presses += 1
        self.page.click(what)


def hand_over(thumb: Thumb, start: float) -> None:
    thumb.page.wait_for_selector("[data-verdict=valid]")
    thumb.press("button.hand-over")
    thumb.page.wait_for_selector("[data-verdict=done]")
    log.info("%.2f s from scan to hand-over", time.monotonic() - start)
    assert thumb.presses <= AT_MOST
    assert thumb.page.evaluate("document.activeElement.id") == "code", "ready for the next one"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_photo_of_the_code_is_a_pack_in_two_presses(
    site: str,
    open_page: OpenPage,
    counter: Counter,
    code: str,
    tmp_path: Path,
    scripts: bool,
) -> None:
    page = open_page(PHONE, scripts=scripts, language="en")
    sign_in(page, site, counter.actor.email)
    page.goto(f"{site}/staff/counter")
    assert page.locator("[data-scan]").is_hidden(), "this browser detects no codes"
    (tmp_path / "photo.jpg").write_bytes(photo(code, size=(4000, 3000), angle=8, blur=2))
    thumb, start = Thumb(page), time.monotonic()
    page.set_input_files("#photo", tmp_path / "photo.jpg")
    if not scripts:
        thumb.press("form.photo-entry button")
    hand_over(thumb, start)
    assert (counter.status(code), counter.stock()) == ("redeemed", 9)


@pytest.mark.parametrize(("start", "scripts"), [("/staff", True), ("/staff/counter", True), ("/staff/counter", False)])
def test_a_scanner_at_a_counter_pc_and_enter_hand_over(
    site: str, open_page: OpenPage, counter: Counter, code: str, start: str, scripts: bool
) -> None:
    page = open_page(DESK, scripts=scripts, scheme="dark", language="en")
    sign_in(page, site, counter.actor.email)
    page.goto(f"{site}{start}")
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type(code)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-verdict=valid]")
    expect(page.locator(".hand-over")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-verdict=done]")
    page.click(".undo summary")
    red = page.locator(".undo button").evaluate("button => getComputedStyle(button).color")
    assert red == "rgb(255, 180, 168)", "the red that stands out from a dark background"
    assert counter.status(code) == "redeemed"


def test_a_code_before_the_camera_is_a_pack_in_one_press(
    site: str,
    open_page: OpenPage,
    counter: Counter,
    code: str,
    film: Path,
) -> None:
    scene = Image.new("RGB", (640, 480), "grey")
    scene.paste(symbol(code, 300, angle=6), (150, 80))
    film.write_bytes(encoded(scene, quality=90) * 30)
    page = open_page(PHONE, language="en")
    page.expose_function("zxing", zxing)
    page.add_init_script(DETECTOR)
    sign_in(page, site, counter.actor.email)
    page.goto(f"{site}/staff/counter")
    page.click("[data-scan]")
    thumb, start = Thumb(page), time.monotonic()
    hand_over(thumb, start)
    assert thumb.presses == 1
    assert counter.status(code) == "redeemed"


def test_a_typed_code_is_a_pack_with_the_keyboard_alone(
    site: str, open_page: OpenPage, counter: Counter, code: str
) -> None:
    """As a scanner at a counter PC does it: the code, Enter; then Enter once more."""
    page = open_page(DESK, language="en")
    sign_in(page, site, counter.actor.email)
    page.goto(f"{site}/staff/counter")
    page.wait_for_selector("#code:focus")
    page.keyboard.type(code.lower())
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-verdict=valid]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-verdict=done]")
    assert counter.status(code) == "redeemed"


def test_back_after_a_hand_over_shows_pages_and_no_error(
    site: str, open_page: OpenPage, counter: Counter, code: str
) -> None:
    page = open_page(PHONE, language="en")
    sign_in(page, site, counter.actor.email)
    page.goto(f"{site}/staff/counter")
    for typed in (code[:-1], code):  # a mistake first
        page.fill("#code", typed)
        page.press("#code", "Enter")
        page.wait_for_selector("#code-error" if typed != code else "[data-verdict=valid]")
    page.click("button.hand-over")
    page.wait_for_selector("[data-verdict=done]")
    page.go_back()
    page.wait_for_selector("[data-verdict=redeemed]")
    page.go_back()
    page.wait_for_selector("#code-error")
    page.go_back()
    page.wait_for_selector("#code:focus")
    page.go_forward()
    page.go_forward()
    page.wait_for_selector("[data-verdict=redeemed]")
    page.reload()
    page.wait_for_selector("[data-verdict=redeemed]")
    assert (counter.status(code), counter.stock()) == ("redeemed", 9)


def test_a_foreign_code_before_the_camera_is_no_typing_mistake(
    site: str, open_page: OpenPage, counter: Counter, film: Path
) -> None:
    scene = Image.new("RGB", (640, 480), "grey")
    scene.paste(symbol("4006381333931", 300), (150, 80))
    film.write_bytes(encoded(scene, quality=90) * 30)
    page = open_page(PHONE, language="en")
    page.expose_function("zxing", zxing)
    page.add_init_script(DETECTOR)
    sign_in(page, site, counter.actor.email)
    page.goto(f"{site}/staff/counter")
    page.click("[data-scan]")
    page.get_by_text("This is no sticker code").wait_for()
    page.fill("#code", "4006381333931")
    page.press("#code", "Enter")
    page.get_by_text("This code has a typing mistake").wait_for()


def test_a_camera_that_is_refused_leaves_the_other_ways(
    site: str, open_page: OpenPage, counter: Counter, code: str
) -> None:
    page = open_page(PHONE, language="en")
    page.add_init_script(DETECTOR + "navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no'));")
    sign_in(page, site, counter.actor.email)
    page.goto(f"{site}/staff/counter")
    page.click("[data-scan]")
    page.get_by_text("The camera could not be opened").wait_for()
    page.fill("#code", code)
    page.press("#code", "Enter")
    page.wait_for_selector("[data-verdict=valid]")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_page_of_the_counter_is_wider_than_the_screen(
    app: Flask, site: str, open_page: OpenPage, counter: Counter, width: int
) -> None:
    page = open_page(width, language="en")
    sign_in(page, site, counter.actor.email)
    [good], [empty] = counter.many_codes(1), counter.many_codes(1, pack="brave-hearts")
    pages = ["/staff", "/staff/counter", "/staff/counter/shift", "/staff/counter/office"]
    for path in pages:
        page.goto(f"{site}{path}")
        assert fits(page), path
    page.goto(f"{site}/staff/counter")
    for typed in (good, empty, good[:-1]):
        page.fill("#code", typed)
        page.press("#code", "Enter")
        page.wait_for_load_state()
        assert fits(page), typed
