"""A real server on loopback and the real `stripe` library against it."""

from collections.abc import Callable, Iterator

import pytest
import stripe

from sandbox.server import SandboxServer
from tests.sandbox.support import HOOK, SECRET, Inbox, client_of, close


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def make_server(inbox: Inbox) -> Iterator[Callable[..., SandboxServer]]:
    """Servers that do nothing by themselves, unless asked to with auto_deliver=True."""
    running: list[SandboxServer] = []

    def make(**options: object) -> SandboxServer:
        chosen = {
            "webhook_url": HOOK,
            "webhook_secret": SECRET,
            "transport": inbox,
            "auto_deliver": False,
            "txn_delay": 0,
        }
        server = SandboxServer(**{**chosen, **options}).start()
        running.append(server)
        return server

    yield make
    for server in running:
        server.stop()


@pytest.fixture
def server(make_server: Callable[..., SandboxServer]) -> SandboxServer:
    return make_server()


@pytest.fixture
def client(server: SandboxServer) -> Iterator[stripe.StripeClient]:
    made = client_of(server)
    yield made
    close(made)
