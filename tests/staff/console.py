"""A member of staff at a browser: signs in, opens pages, sends forms with the token that the page gave."""

import re
from collections.abc import Iterable
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from offices.models import OfficeStaff
from staff import services

PASSWORD = "correct horse battery"
COMMAND = {"actor": "command line", "address": "-"}
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def make_member(email: str, *roles: str, offices: Iterable[int] = ()) -> str:
    """A member with PASSWORD; the e-mail address."""
    with unit_of_work() as session:
        member = services.create_member(email, "", roles, PASSWORD, now=utcnow(), **COMMAND)
        session.add_all(OfficeStaff(office_id=office, member_id=member.id) for office in offices)
    db.session.remove()
    return email


class Browser:
    """One browser with its cookies. CSRF protection is on, as in production."""

    def __init__(self, app: Flask, *, address: str = "10.0.0.1") -> None:
        self.client = app.test_client()
        self.environ = {"REMOTE_ADDR": address}
        self.token = ""

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._seen(self.client.get(path, environ_overrides=self.environ, **options))

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        body = {"csrf_token": self.token, **(data or {})}
        return self._seen(self.client.post(path, data=body, environ_overrides=self.environ, **options))

    def sign_in(self, email: str, password: str = PASSWORD, next: str = "") -> TestResponse:
        self.get("/staff/login")
        return self.post("/staff/login", {"email": email, "password": password, "next": next})

    def is_signed_in(self) -> bool:
        return self.get("/staff").status_code == 200

    def _seen(self, response: TestResponse) -> TestResponse:
        if response.mimetype == "text/html" and (found := TOKEN.search(response.text)):
            self.token = found[1]
        return response
