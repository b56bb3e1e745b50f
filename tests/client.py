"""A client whose requests meet the application as in production: each with a context, and so a session, of its own."""

import contextvars
from typing import Any

from flask.testing import FlaskClient


class SeparateClient(FlaskClient):
    """Flask reuses an application context that is open around a request. A test's own would lend every request the
    language, the identity map and the open transaction of the one before.

    What is streamed is read in that context, too.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return contextvars.Context().run(super().open, *args, **{"buffered": True, **kwargs})
