"""A real browser on a phone's screen: the policy lets the donor through, and nothing is loaded from elsewhere."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.sandbox.support import donation, paid

pytestmark = pytest.mark.browser


class Thanks(BaseHTTPRequestHandler):
    """The service's page that donors come back to, on another origin than the sandbox."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<title>back</title><p>{self.path}</p>".encode())

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def shop() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Thanks)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def phone(browser) -> Iterator:
    page = browser.new_page(viewport={"width": 320, "height": 640})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.problems = problems
    yield page
    page.context.close()


@pytest.mark.parametrize(("button", "ends_at"), [("pay", "/ok"), ("delay", "/ok"), ("cancel", "/no")])
def test_donor_is_led_back_to_the_service(server, client, shop, phone, button, ends_at):
    urls = {"success_url": f"{shop}/ok?s={{CHECKOUT_SESSION_ID}}", "cancel_url": f"{shop}/no"}
    session = client.v1.checkout.sessions.create(donation(**urls))
    phone.goto(session.url)
    overflow = phone.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert not overflow
    assert min(box["height"] for box in [item.bounding_box() for item in phone.locator("button").all()]) >= 44
    phone.click(f"button[value={button}]")
    phone.wait_for_url(f"{shop}{ends_at}**")
    assert [text for text in phone.problems if "favicon" not in text] == []


def test_declined_donor_is_told_so_and_may_try_again(server, client, shop, phone):
    session = client.v1.checkout.sessions.create(donation(success_url=f"{shop}/ok"))
    phone.goto(session.url)
    phone.click("button[value=decline]")
    assert "отклонена" in phone.locator("[role=alert]").inner_text()
    phone.click("button[value=pay]")
    phone.wait_for_url(f"{shop}/ok")


def test_drills_are_pressed_on_the_page(server, client, phone):
    paid(server, client)
    phone.goto(server.url)
    assert not phone.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    phone.get_by_role("button", name="Refund half").click()
    phone.wait_for_url("**/?done=refund")
    assert server.state()["payments"][0]["amount_refunded"] == 1250
    assert [text for text in phone.problems if "favicon" not in text] == []
