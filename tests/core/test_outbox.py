"""E-mails: a row is written with the fact and sent afterwards, at least once, under one Message-ID."""

import email
import logging
import smtplib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core import mail, outbox
from core.db import db, unit_of_work
from core.mail import InlineImage, Mail, build
from core.models import OutboxMessage
from core.outbox import LEASE, MAX_ATTEMPTS, deliver, deliver_due, due, put

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DONOR = "alesia@example.org"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
LETTER = Mail(
    to=DONOR,
    subject="Дзякуй! Квітанцыя 2026-000001",
    text="Дзякуй, Алеся.\n",
    html='<p>Дзякуй, <b>Алеся</b>.</p><img src="cid:code-1" alt="">',
    language="be",
    images=(InlineImage("code-1", PNG),),
)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """What the template `test` writes, by subject id: a letter, None, or an exception."""
    written: dict[int, Any] = {}

    def write(subject_id: int) -> Mail | None:
        letter = written.get(subject_id, LETTER)
        if isinstance(letter, Exception):
            raise letter
        return letter

    monkeypatch.setitem(outbox._renderers, "test", write)
    return written


def put_one(subject_id: int = 1, now: datetime = NOW) -> None:
    with unit_of_work():
        put("test", subject_id, now)


def row() -> OutboxMessage:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(sa.select(OutboxMessage)).one()


def files(app: Flask) -> list[Path]:
    return sorted((Path(app.config["INSTANCE_DIR"]) / "mail").glob("*"))


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@given(st.lists(st.sampled_from(["новы", "эл.", "«Добрыя", "словы»", "R&D", '"Угол"', "2026-000001", "=?utf-8?q?x?="])))
@example(["Пацвердзіце,", "калі", "ласка,", "новы", "адрас", "эл.", "пошты"])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_subject_arrives_as_it_was_written(app: Flask, words: list[str]) -> None:
    subject = " ".join(words)
    for to in (DONOR, "алеся@example.org"):
        data = build(replace(LETTER, to=to, subject=subject), "<1@example.org>").as_bytes()
        assert read(data)["Subject"] == subject
        assert all(len(line) <= 78 for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n"))


# The row


def test_one_row_for_each_template_and_subject_however_often_it_is_put(app: Flask, letters: dict[int, Any]) -> None:
    put_one()
    first = row().message_id
    put_one()
    assert row().message_id == first
    assert app.extensions["jobs"].run_queued() == 1


def test_nothing_is_put_when_the_fact_is_taken_back(app: Flask, letters: dict[int, Any]) -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work():
        put("test", 1, NOW)
        raise ZeroDivisionError
    assert due(NOW) == []
    assert app.extensions["jobs"].run_queued() == 0


def test_a_row_holds_no_personal_data(app: Flask, letters: dict[int, Any]) -> None:
    put_one()
    letters[1] = OSError(f"{DONOR} refused")
    deliver(row().id, NOW)
    values = [str(getattr(row(), column.key)) for column in sa.inspect(OutboxMessage).columns]
    assert not any("alesia" in value.lower() or "example.org" in value for value in values)


def test_a_letter_is_sent_once(app: Flask, letters: dict[int, Any]) -> None:
    put_one()
    assert deliver(row().id, NOW)
    assert not deliver(row().id, NOW)
    assert not deliver(row().id, NOW + timedelta(days=1))
    assert (row().outcome, row().attempts, row().done_at, row().last_error) == ("sent", 1, NOW, None)
    assert due(NOW + timedelta(days=1)) == []
    assert len(files(app)) == 1


def test_a_letter_is_not_sent_before_its_time(app: Flask, letters: dict[int, Any]) -> None:
    put_one(now=NOW)
    assert not deliver(row().id, NOW - timedelta(seconds=1))
    assert files(app) == []


def test_a_lost_queue_loses_no_letter(app: Flask, letters: dict[int, Any]) -> None:
    put_one()
    app.extensions["jobs"].queue.flush()
    app.extensions["jobs"].sweeps["core.outbox.sweep"].function()
    assert row().outcome == "sent"


def test_a_letter_with_nobody_to_write_to_is_dropped(app: Flask, letters: dict[int, Any]) -> None:
    letters[1] = None
    put_one()
    assert not deliver(row().id, NOW)
    assert (row().outcome, row().done_at) == ("dropped", NOW)
    assert files(app) == []
    assert due(NOW + timedelta(days=1)) == []


def test_a_message_id_is_of_the_domain_that_mail_comes_from(app: Flask, letters: dict[int, Any]) -> None:
    app.config["MAIL_FROM"] = "Campaign <give@прыклад.бел>"
    put_one()
    assert row().message_id.endswith("@xn--80aiqesg1f.xn--90ais>")


def test_a_failure_is_kept_without_its_text_and_tried_again_later_and_later(
    app: Flask, letters: dict[int, Any], caplog: pytest.LogCaptureFixture
) -> None:
    letters[1] = OSError(f"550 {DONOR} Алеся unknown")
    put_one()
    now, pauses = NOW, []
    with caplog.at_level(logging.DEBUG):
        for attempt in range(1, MAX_ATTEMPTS + 1):
            assert row().outcome is None
            assert not deliver(row().id, now)
            assert (row().attempts, row().last_error) == (attempt, "OSError")
            pauses.append(row().next_attempt_at - now)
            now = row().next_attempt_at
    assert pauses[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert pauses == sorted(pauses)
    assert max(pauses) <= timedelta(hours=6)
    assert row().outcome == "dead"
    assert not deliver(row().id, now + timedelta(days=9))
    assert due(now + timedelta(days=9)) == []
    assert "OSError" in caplog.text
    assert DONOR not in caplog.text
    assert "Алеся" not in caplog.text


def test_a_failure_is_overcome(app: Flask, letters: dict[int, Any]) -> None:
    letters[1] = OSError()
    put_one()
    deliver(row().id, NOW)
    letters[1] = LETTER
    assert deliver(row().id, row().next_attempt_at)
    assert (row().outcome, row().attempts, row().last_error) == ("sent", 2, None)


def test_a_template_nobody_knows_any_more_fails_and_stops_nothing(app: Flask, letters: dict[int, Any]) -> None:
    with unit_of_work():
        put("gone", 1, NOW)
        put("test", 2, NOW)
    deliver_due()
    found = db.session.execute(sa.select(OutboxMessage.template, OutboxMessage.outcome))
    assert {template: outcome for template, outcome in found} == {"gone": None, "test": "sent"}  # noqa: C416


def test_a_worker_that_died_while_sending_is_followed_by_another_when_its_lease_ends(
    app: Flask, letters: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_one()
    ids: list[str] = []

    def die(_mail: Mail, *, message_id: str, name: str) -> None:
        ids.append(message_id)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(mail, "send", die)
        with pytest.raises(SystemExit):
            deliver(row().id, NOW)
    db.session.rollback()
    assert not deliver(row().id, NOW + LEASE - timedelta(seconds=1))
    assert deliver(row().id, NOW + LEASE)
    [sent] = files(app)
    assert read(sent.read_bytes())["Message-ID"] == ids[0] == row().message_id


def test_a_slow_worker_does_not_undo_what_another_has_done_meanwhile(
    app: Flask, letters: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_one()
    message_id, send = row().id, mail.send

    def slow(letter: Mail, **names: str) -> None:
        monkeypatch.setattr(mail, "send", send)
        assert deliver(message_id, NOW + LEASE)
        raise OSError

    monkeypatch.setattr(mail, "send", slow)
    deliver(message_id, NOW)
    assert (row().outcome, row().done_at, row().last_error) == ("sent", NOW + LEASE, None)


def test_workers_that_tick_at_once_send_one_letter(
    app: Flask, letters: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_one()
    message_id, gate, sent = row().id, threading.Barrier(3), []
    monkeypatch.setattr(mail, "send", lambda _mail, **names: sent.append(names["name"]))

    def tick() -> None:
        with app.app_context():
            gate.wait(timeout=20)
            deliver(message_id, NOW)

    threads = [threading.Thread(target=tick) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(sent) == 1


# The file


def test_without_a_server_letters_are_files_named_from_the_row(app: Flask, letters: dict[int, Any]) -> None:
    put_one()
    deliver(row().id, NOW)
    [path] = files(app)
    assert path.name == f"test-{row().id}.eml"
    message = read(path.read_bytes())
    assert (message["To"], message["Subject"]) == (DONOR, LETTER.subject)
    assert message["Message-ID"] == row().message_id
    assert message["Content-Language"] == "be"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.utcoffset() == timedelta(0)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert plain.get_content().strip() == LETTER.text.strip()
    assert html is not None
    assert html.get_content().strip() == LETTER.html
    [image] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<code-1>"
    assert image.get_content() == PNG


def test_a_second_sending_replaces_the_file(app: Flask) -> None:
    for number in (1, 2):
        mail.send(replace(LETTER, subject=f"try {number}"), message_id="<1@x>", name="letter-1")
    [path] = files(app)
    assert read(path.read_bytes())["Subject"] == "try 2"


@pytest.mark.parametrize("field", ["to", "subject"])
def test_no_header_can_be_smuggled_in(app: Flask, field: str) -> None:
    hostile: dict[str, Any] = {field: "a@example.org\r\nBcc: everybody@example.org"}
    with pytest.raises(ValueError, match=r"(?i)linefeed|newline|header"):
        mail.send(replace(LETTER, **hostile), message_id="<1@x>", name="letter-1")
    assert files(app) == []


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("почта@пример.бел", "почта@xn--e1afmkfd.xn--90ais"),
        ("alesia@прыклад.бел", "alesia@xn--80aiqesg1f.xn--90ais"),
        ("o'neil+tag@example.org", "o'neil+tag@example.org"),
    ],
)
def test_addresses_of_all_scripts_are_written_as_servers_read_them(app: Flask, address: str, written: str) -> None:
    mail.send(replace(LETTER, to=address), message_id="<1@x>", name="letter-1")
    [path] = files(app)
    assert f"To: {written}\r\n".encode() in path.read_bytes()


# The server


class Postman:
    """Takes letters, or refuses them."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refuse = False
        self.logins = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse:
            return f"550 5.1.1 <{address}> no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 OK"


@pytest.fixture
def postman(app: Flask) -> Iterator[Postman]:
    found = Postman()
    controller = Controller(found, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=False)
    controller.start()
    app.config.update(MAIL_HOST="127.0.0.1", MAIL_PORT=controller.port)
    yield found
    controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_letter_goes_to_the_server(app: Flask, letters: dict[int, Any], postman: Postman) -> None:
    put_one()
    assert deliver(row().id, NOW)
    [envelope] = postman.taken
    assert envelope.rcpt_tos == [DONOR]
    assert envelope.mail_from == "no-reply@localhost"
    assert isinstance(envelope.content, bytes)
    assert read(envelope.content)["Message-ID"] == row().message_id
    assert files(app) == []


def test_a_domain_in_cyrillic_reaches_a_server_that_knows_ascii_only(app: Flask, postman: Postman) -> None:
    mail.send(replace(LETTER, to="alesia@прыклад.бел"), message_id="<1@x>", name="letter-1")
    assert postman.taken[0].rcpt_tos == ["alesia@xn--80aiqesg1f.xn--90ais"]


def test_an_address_that_ascii_cannot_write_goes_through_servers_that_take_it(app: Flask, postman: Postman) -> None:
    letter = replace(LETTER, to="почта@пример.бел")
    with pytest.raises(smtplib.SMTPNotSupportedError):
        mail.send(letter, message_id="<1@x>", name="letter-1")
    server = Controller(postman, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True)
    server.start()
    app.config["MAIL_PORT"] = server.port
    mail.send(letter, message_id="<1@x>", name="letter-1")
    server.stop()
    [envelope] = postman.taken
    assert envelope.rcpt_tos == ["почта@xn--e1afmkfd.xn--90ais"]
    assert "SMTPUTF8" in envelope.mail_options


def test_every_try_carries_the_same_message_id(
    app: Flask, letters: dict[int, Any], postman: Postman, caplog: pytest.LogCaptureFixture
) -> None:
    put_one()
    postman.refuse = True
    with caplog.at_level(logging.DEBUG, logger="core"):
        assert not deliver(row().id, NOW)
    assert row().last_error == "SMTPRecipientsRefused"
    assert DONOR not in caplog.text
    postman.refuse = False
    assert deliver(row().id, row().next_attempt_at)
    [envelope] = postman.taken
    assert isinstance(envelope.content, bytes)
    assert read(envelope.content)["Message-ID"] == row().message_id


def test_a_server_that_is_not_there_is_tried_again_later(app: Flask, letters: dict[int, Any]) -> None:
    app.config.update(MAIL_HOST="127.0.0.1", MAIL_PORT=free_port())
    put_one()
    assert not deliver(row().id, NOW)
    assert (row().last_error, row().outcome) == ("ConnectionRefusedError", None)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has vouched for, with its key."""
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", directory / "key.pem", "-out", directory / "cert.pem",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return directory


def knock(controller: Controller) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", controller.port), 5) as plain, trusting.wrap_socket(plain) as secure:
        secure.recv(1024)


@pytest.fixture(params=["starttls", "implicit"])
def encrypted(request: pytest.FixtureRequest, app: Flask, certificate: Path) -> Iterator[Postman]:
    """A server that speaks TLS only and takes a password."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    found = Postman()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"give", b"pass")
        found.logins += right
        return AuthResult(success=right)

    options: dict[str, Any] = {"authenticator": check}
    if request.param == "starttls":
        options |= {"tls_context": tls, "require_starttls": True}
    else:
        options |= {"ssl_context": tls, "auth_require_tls": False}
    controller = Controller(found, hostname="127.0.0.1", port=free_port(), **options)
    if request.param == "implicit":
        controller._trigger_server = partial(knock, controller)  # its own way trusts no certificate of ours
    controller.start()
    app.config.update(
        MAIL_HOST="127.0.0.1",
        MAIL_PORT=controller.port,
        MAIL_TLS=request.param,
        MAIL_USER="give",
        MAIL_PASSWORD="pass",
    )
    yield found
    controller.stop()


one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@one_database
def test_a_server_with_a_known_certificate_gets_password_and_letter(
    app: Flask, letters: dict[int, Any], encrypted: Postman, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    put_one()
    assert deliver(row().id, NOW), row().last_error
    assert (len(encrypted.taken), encrypted.logins) == (1, 1)


@one_database
def test_a_server_with_an_unknown_certificate_gets_neither(
    app: Flask, letters: dict[int, Any], encrypted: Postman
) -> None:
    put_one()
    assert not deliver(row().id, NOW)
    assert row().last_error == "SSLCertVerificationError"
    assert (encrypted.taken, encrypted.logins) == ([], 0)


@one_database
def test_a_server_without_encryption_gets_neither_when_it_was_asked_for(
    app: Flask, letters: dict[int, Any], postman: Postman
) -> None:
    app.config.update(MAIL_TLS="starttls", MAIL_USER="give", MAIL_PASSWORD="pass")
    put_one()
    assert not deliver(row().id, NOW)
    assert row().last_error == "SMTPNotSupportedError"
    assert postman.taken == []
