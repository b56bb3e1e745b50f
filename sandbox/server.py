"""The running sandbox: storage, API, pages, drills and webhook workers put together.

For tests::

    with SandboxServer(webhook_url="http://127.0.0.1:5000/webhooks/stripe", auto_deliver=False) as server:
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": server.url})
        ...
        server.deliver_pending()
"""

import logging
import threading
from types import TracebackType
from typing import Any

from sandbox import delivery, overview, timers
from sandbox.account import Account
from sandbox.api import Api
from sandbox.clock import Clock
from sandbox.console import Console
from sandbox.delivery import Dispatcher, Transport
from sandbox.drills import Drills
from sandbox.errors import ApiError
from sandbox.faults import Faults
from sandbox.hosted import PREFIX, HostedPage
from sandbox.settings import DEFAULT_SECRET, Endpoint, Settings
from sandbox.store import Json
from sandbox.web import DropConnection, Request, Response, Server

logger = logging.getLogger(__name__)

_SHUTDOWN_POLL = 0.02


class SandboxServer:
    """One stand-in Stripe on loopback; a context manager. `options` are fields of `Settings`.

    With `auto_deliver=False` neither webhooks nor timers run by themselves: `deliver_pending()` does both,
    and every API request runs the timers that are due. `transport` replaces HTTP for webhooks.
    """

    def __init__(
        self,
        db_path: str = ":memory:",
        webhook_url: str | None = None,
        webhook_secret: str = DEFAULT_SECRET,
        *,
        transport: Transport | None = None,
        **options: Any,
    ) -> None:
        if webhook_url is not None:
            options["endpoints"] = (*options.get("endpoints", ()), Endpoint(webhook_url, webhook_secret))
        self.settings = Settings(db_path=str(db_path), **options)
        self.account = Account(self.settings)
        self.faults = Faults()
        self.dispatcher = Dispatcher(self.account, transport)
        self.drills = Drills(self.account, self.faults, self.dispatcher)
        self._ticker = timers.Ticker(self.account)
        self._api = Api(self.account, self.faults)
        self._hosted = HostedPage(self.account)
        self._console = Console(self.account, self.drills, self._api, self.faults)
        self._http = Server(self.settings.host, self.settings.port, self._route)
        self.url = f"http://{_bracketed(self.settings.host)}:{self._http.port}"
        if self.settings.public_url is None:
            self.account.base_url = self.url
        self._thread: threading.Thread | None = None

    # Running

    def start(self) -> "SandboxServer":
        if self.settings.auto_deliver:
            self._ticker.start()
            self.dispatcher.start()
        self._thread = threading.Thread(target=self._serve, name="sandbox-http", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop promptly; undelivered webhooks stay in the file."""
        if self._thread is None:
            self._http.server_close()
        else:
            self._http.stop()
            self._thread.join()
            if self.settings.auto_deliver:
                self._ticker.stop()
        self.dispatcher.stop()
        self.account.close()

    def _serve(self) -> None:
        self._http.serve_forever(poll_interval=_SHUTDOWN_POLL)

    def __enter__(self) -> "SandboxServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # For tests

    @property
    def clock(self) -> Clock:
        return self.account.clock

    def add_webhook(self, url: str, secret: str = DEFAULT_SECRET, events: tuple[str, ...] = ()) -> None:
        """Send events to one more endpoint from now on; `events` ("*": all) or the usual ones."""
        endpoint = Endpoint(url, secret, events) if events else Endpoint(url, secret)
        self.account.add_endpoint(endpoint)

    def deliver_pending(self, transport: Transport | None = None) -> int:
        """Run due timers, then send due webhooks one by one in order; how many attempts were made.

        `transport(url, body, headers) -> status` takes them instead of HTTP, e.g. a test client's post.
        Refused ones are due again only after the retry schedule: advance the clock.
        """
        timers.run_due(self.account)
        return self.dispatcher.drain(transport)

    def events(self, payment: str | None = None) -> list[Json]:
        """All events in the order they happened, or those of one payment (id of session, intent or charge)."""
        timers.run_due(self.account)
        return self.account.events(self.drills.session_of(payment) if payment else None)

    def signed(self, event: Json, secret: str = DEFAULT_SECRET) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a webhook request for an event, as the server would send it now."""
        return delivery.signed(self.account, event, secret)

    def requests(self) -> list[Json]:
        """API requests received, oldest first."""
        return list(self._api.log)

    def state(self) -> Json:
        timers.run_due(self.account)
        return overview.state(self.account, self.faults)

    # Routing

    def _route(self, request: Request) -> Response:
        try:
            if request.path.startswith("/v1/") or request.path == "/v1":
                return self._api(request)
            if request.path.startswith(PREFIX):
                return self._hosted(request)
            return self._console(request)
        except DropConnection:
            raise
        except ApiError as error:
            return Response(error.message.encode(), error.status, "text/plain; charset=utf-8")
        except Exception:
            logger.exception("The sandbox failed at %s %s", request.method, request.path)
            return Response(b"The sandbox failed; see its log.", 500, "text/plain")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
