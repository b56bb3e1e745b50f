"""The letters that members of staff find in their mailbox."""

import email
import re
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from flask import Flask

from core.db import db

LINK = re.compile(r"http://give\.test(/staff/[a-z]+/[^\s?]+)")


def letters(app: Flask) -> list[EmailMessage]:
    """Everything that was sent so far, in the order it was asked for; the worker runs first."""
    db.session.remove()
    while app.extensions["jobs"].run_queued():
        pass
    db.session.remove()
    folder = Path(app.config["INSTANCE_DIR"]) / "mail"
    files = sorted(folder.glob("*.eml"), key=lambda path: int(path.stem.rpartition("-")[2]))
    return [email.message_from_bytes(path.read_bytes(), policy=default) for path in files]


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(letter: EmailMessage) -> str:
    """The path of the one link that the letter is about."""
    [found] = LINK.findall(text_of(letter))
    return str(found)


def last_link(app: Flask) -> str:
    return link_in(letters(app)[-1])
