"""The service and its provider on loopback, and a real Chromium that tolerates no error."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from sandbox.server import SandboxServer
from tests import databases

PHONE, DESK = 390, 1280


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def sandbox(address: str) -> Iterator[SandboxServer]:
    """The provider as in life: it delivers its webhooks itself."""
    with SandboxServer(webhook_url=f"{address}/webhooks/stripe", txn_delay=0) as server:
        yield server


@pytest.fixture
def settings(database_url: str, sandbox: SandboxServer, tmp_path: Path, address: str) -> dict[str, Any]:
    return databases.settings(database_url, tmp_path, STRIPE_API_BASE=sandbox.url, PUBLIC_URL=address)


@pytest.fixture
def site(app: Flask, address: str) -> Iterator[str]:
    server = make_server("127.0.0.1", int(address.rsplit(":", 1)[1]), app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield address
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a window; what its console complains of (policy violations included) fails the test at the end."""
    problems: list[str] = []
    contexts = []

    def complain(message: Any) -> None:
        # That a refused form is answered with 422 is no fault of the page.
        if message.type in ("error", "warning") and "422" not in message.text:
            problems.append(message.text)

    def open_window(width: int = PHONE, *, scripts: bool = True, language: str = "ru", scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            java_script_enabled=scripts,
            locale=language,
            color_scheme=scheme,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", complain)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert not problems
