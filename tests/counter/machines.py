"""Tokens of machines at the counter."""

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
