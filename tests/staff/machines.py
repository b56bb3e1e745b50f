"""Machines at the API: a token of a member, sent with every request."""

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from core.clock import utcnow
from core.db import db, unit_of_work
from staff import services, tokens
from tests.staff.console import COMMAND


def make_token(email: str, scope: str = "codes:redeem", label: str = "till") -> str:
    """The secret of a new token of this member."""
    with unit_of_work():
        member = services.require_member(email)
        _, secret = tokens.make_token(member, label, [scope], None, now=utcnow(), **COMMAND)
    db.session.remove()
    return secret


class Machine:
    """Asks as the member whose token it has."""

    def __init__(self, app: Flask, email: str, scope: str) -> None:
        self.client = app.test_client()
        self.headers = {"Authorization": f"Bearer {make_token(email, scope)}"}

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, headers=self.headers, **options)
