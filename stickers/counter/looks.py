"""What was typed or scanned a moment ago, for the page that says what it is.

Codes come in the body of a form and stand in no address. The answer to that form leads to a page with a random id in
its address, so that a browser may go back to it and reload it: what is true by then is looked up anew. What it is about
stands in the signed cookie of the session, for its member alone and until they sign out; only the newest few are kept.
"""

import secrets
from dataclasses import dataclass

from flask import session

from core.errors import DomainError
from offices.models import Office
from stickers.counter import reading

KEPT = 5
TEXTS = 8  # codes and pages in one photo
TEXT_LENGTH = 100  # of what cannot be read; a cookie has no room for more
_KEY = "counter_looks"


@dataclass(frozen=True)
class Look:
    """`texts` mean codes or pages of donations, or are one text that means neither."""

    office: str
    texts: list[str]
    scanned: bool


def remember(office: Office, texts: list[str], *, scanned: bool) -> str:
    """The id of the look, for its address."""
    look = secrets.token_urlsafe(8)
    kept = session.get(_KEY, [])[1 - KEPT :]
    session[_KEY] = [*kept, [look, office.code, _brief(texts, scanned), scanned]]
    return look


def find(look: str) -> Look | None:
    """None when it was another session's, or too many others came since."""
    for known, office, texts, scanned in session.get(_KEY, []):
        if known == look:
            return Look(office, texts, scanned)
    return None


def _brief(texts: list[str], scanned: bool) -> list[str]:
    """The same in few characters: what can be read, or the first text that cannot."""
    found = []
    for text in texts[:TEXTS]:
        try:
            found.append(reading.read(text, scanned=scanned).text)
        except DomainError:
            continue
    return list(dict.fromkeys(found)) or [text[:TEXT_LENGTH] for text in texts[:1]]
