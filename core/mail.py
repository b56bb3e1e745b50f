"""E-mail: an SMTP server when one is set, `.eml` files in INSTANCE_DIR/mail otherwise."""

import os
import smtplib
import ssl
from dataclasses import dataclass, field
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from pathlib import Path

import idna
from flask import current_app

from core.clock import utcnow
from core.ids import new_public_id

SMTP_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class InlineImage:
    """A PNG shown in the HTML part as `<img src="cid:…">`."""

    content_id: str
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Mail:
    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    language: str = "ru"
    images: tuple[InlineImage, ...] = ()


def _routable(address: str) -> str:
    """The address with its domain in ASCII, which every mail server understands."""
    local, at, domain = address.rpartition("@")
    try:
        return local + at + idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return address


def new_message_id() -> str:
    """Unique in the world, as RFC 5322 wants it: below the domain that our mail comes from."""
    domain = _routable(parseaddr(current_app.config["MAIL_FROM"])[1]).rpartition("@")[2]
    return f"<{new_public_id()}@{domain}>"


def _encoded(subject: str) -> str:
    """Raises `ValueError` for more than one line, which could smuggle another header in."""
    if len(subject.splitlines()) > 1:
        raise ValueError("a subject has no linefeed")
    as_it_is = subject.isascii() and "=?" not in subject
    return Header(subject, None if as_it_is else "utf-8", header_name="Subject").encode()


def build(mail: Mail, message_id: str) -> EmailMessage:
    to = _routable(mail.to)
    # Before the @ nothing can be written in ASCII: such a letter goes as UTF-8, through servers that take SMTPUTF8.
    policy = SMTP if to.isascii() else SMTPUTF8
    message = EmailMessage(policy=policy.clone(max_line_length=78))
    message["From"] = current_app.config["MAIL_FROM"]
    message["To"] = to
    # Written out here: the library's own folding loses spaces between words that are not ASCII.
    message.set_raw("Subject", _encoded(mail.subject))
    message["Date"] = format_datetime(utcnow())
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    message["Content-Language"] = mail.language  # after the parts: the first one takes what begins with Content- along
    html_part = message.get_payload()[1]  # type: ignore[index]
    for image in mail.images:
        html_part.add_related(  # type: ignore[union-attr]
            image.png,
            "image",
            "png",
            cid=f"<{image.content_id}>",
            disposition="inline",
            filename=f"{image.content_id}.png",
        )
    return message


def send(mail: Mail, *, message_id: str, name: str) -> None:
    """Hand `mail` over. Raises `OSError` or `smtplib.SMTPException` when it could not be.

    The file's name comes from the row, so that a second try replaces the first and never doubles it.
    """
    message = build(mail, message_id)
    if host := current_app.config["MAIL_HOST"]:
        _send_smtp(message, host)
    else:
        _write_file(message, Path(current_app.config["INSTANCE_DIR"]) / "mail" / f"{name}.eml")


def _send_smtp(message: EmailMessage, host: str) -> None:
    config = current_app.config
    with _connect(host, config["MAIL_PORT"], config["MAIL_TLS"]) as smtp:
        if config["MAIL_USER"]:
            smtp.login(config["MAIL_USER"], config["MAIL_PASSWORD"])
        smtp.send_message(message)


def _connect(host: str, port: int, tls: str) -> smtplib.SMTP:
    # smtplib's own default context takes any certificate, and anybody could read our mail and password.
    if tls == "implicit":
        return smtplib.SMTP_SSL(host, port, timeout=SMTP_TIMEOUT_SECONDS, context=ssl.create_default_context())
    smtp = smtplib.SMTP(host, port, timeout=SMTP_TIMEOUT_SECONDS)
    if tls == "starttls":
        try:
            smtp.starttls(context=ssl.create_default_context())
        except BaseException:
            smtp.close()
            raise
    return smtp


def _write_file(message: EmailMessage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    partial.write_bytes(message.as_bytes())
    partial.replace(path)
