"""E-mail: an SMTP server when one is set, `.eml` files in INSTANCE_DIR/mail otherwise."""

import os
import smtplib
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from flask import current_app

from core.clock import utcnow

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


def build(mail: Mail, message_id: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP.clone(max_line_length=78))
    message["From"] = current_app.config["MAIL_FROM"]
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(utcnow())
    message["Message-ID"] = message_id
    message["Content-Language"] = mail.language
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
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
    connect = smtplib.SMTP_SSL if config["MAIL_TLS"] == "implicit" else smtplib.SMTP
    with connect(host, config["MAIL_PORT"], timeout=SMTP_TIMEOUT_SECONDS) as smtp:
        if config["MAIL_TLS"] == "starttls":
            smtp.starttls()
        if config["MAIL_USER"]:
            smtp.login(config["MAIL_USER"], config["MAIL_PASSWORD"])
        smtp.send_message(message)


def _write_file(message: EmailMessage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    partial.write_bytes(message.as_bytes())
    partial.replace(path)
