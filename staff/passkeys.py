"""What browser and service say to each other about passkeys (WebAuthn level 2, by py_webauthn).

A challenge is asked for by the page's script, stands in the session, and is answered once within five minutes. The
address that a passkey is bound to is PUBLIC_URL's, whatever host a request named.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
import webauthn
from flask import current_app, session
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    options_to_json_dict,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from core import throttle
from core.db import db
from staff import errors
from staff.models import Passkey, StaffMember

VALID = timedelta(minutes=5)
MOST_BYTES = 16_000  # of an answer; real ones have about one thousand
TRANSPORTS = {each.value for each in AuthenticatorTransport}


@dataclass(frozen=True)
class Answer:
    """A passkey that proved itself, not yet marked as used."""

    passkey: Passkey
    member: StaffMember
    sign_count: int


def origin() -> str:
    parts = urlsplit(current_app.config["PUBLIC_URL"])
    return f"{parts.scheme}://{parts.netloc}"


def _domain() -> str:
    return urlsplit(origin()).hostname or "localhost"


def handle_of(member: StaffMember) -> bytes:
    """What a passkey knows its owner by: the same for ever, and nothing about the person."""
    return hashlib.sha256(f"{member.id}|{member.created_at.isoformat()}|passkeys".encode()).digest()


def to_register(member: StaffMember, now: datetime) -> dict[str, Any]:
    options = webauthn.generate_registration_options(
        rp_id=_domain(),
        rp_name="#BullyingFreeInternet",
        user_name=member.email,
        user_display_name=member.name,
        user_id=handle_of(member),
        challenge=_new_challenge("register", now),
        timeout=_milliseconds(),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=_descriptors(member),
    )
    return options_to_json_dict(options)


def to_prove(purpose: str, member: StaffMember | None, now: datetime) -> dict[str, Any]:
    """Without a member the browser offers every passkey it has for us, and the person must show to be its owner."""
    options = webauthn.generate_authentication_options(
        rp_id=_domain(),
        challenge=_new_challenge(purpose, now),
        timeout=_milliseconds(),
        allow_credentials=_descriptors(member) if member else None,
        user_verification=UserVerificationRequirement.PREFERRED if member else UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def registered(text: str, now: datetime) -> dict[str, Any]:
    """The new credential's columns. Raises `PasskeyRefused`."""
    challenge = _take_challenge("register", now)
    try:
        answer = parse_registration_credential_json(_short(text))
        checked = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_origin=origin(),
            expected_rp_id=_domain(),
            require_user_verification=False,
        )
    except Exception as error:  # whatever somebody sends in place of an answer: the libraries raise of many kinds
        raise errors.PasskeyRefused from error
    transports = [each.value for each in answer.response.transports or [] if each.value in TRANSPORTS]
    return {
        "credential_id": checked.credential_id,
        "public_key": checked.credential_public_key,
        "sign_count": checked.sign_count,
        "transports": transports,
    }


def proved(purpose: str, text: str, member: StaffMember | None, now: datetime) -> Answer:
    """Whose passkey answered; `member`'s own when one is given. Raises `PasskeyRefused`. Commits."""
    challenge = _take_challenge(purpose, now)
    try:
        answer = parse_authentication_credential_json(_short(text))
        passkey = db.session.scalar(sa.select(Passkey).where(Passkey.credential_id == answer.raw_id))
        owner = db.session.get(StaffMember, passkey.member_id) if passkey else None
        if passkey is None or owner is None or not owner.active or (member is not None and owner.id != member.id):
            raise errors.PasskeyRefused
        handle = answer.response.user_handle
        if handle != handle_of(owner) and (handle or member is None):
            raise errors.PasskeyRefused
        checked = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_origin=origin(),
            expected_rp_id=_domain(),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=member is None,
        )
    except Exception as error:
        raise errors.PasskeyRefused from error
    return Answer(passkey, owner, checked.new_sign_count)


def _new_challenge(purpose: str, now: datetime) -> bytes:
    challenge = secrets.token_bytes(32)
    session["passkey"] = {"for": purpose, "at": now.timestamp(), "challenge": bytes_to_base64url(challenge)}
    return challenge


def _take_challenge(purpose: str, now: datetime) -> bytes:
    """The one that this session was given; once, also when somebody sends the session's cookie again."""
    asked: dict[str, Any] = session.pop("passkey", {})
    if asked.get("for") != purpose:
        raise errors.PasskeyRefused
    at = datetime.fromtimestamp(asked["at"], UTC)
    if not now - VALID < at <= now or throttle.count("passkey-challenge", asked["challenge"], VALID, at) != 1:
        raise errors.PasskeyRefused
    return base64url_to_bytes(asked["challenge"])


def _descriptors(member: StaffMember) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=passkey.credential_id, transports=[AuthenticatorTransport(each) for each in passkey.transports]
        )
        for passkey in member.passkeys
    ]


def _milliseconds() -> int:
    return int(VALID.total_seconds() * 1000)


def _short(text: str) -> str:
    if len(text) > MOST_BYTES:
        raise errors.PasskeyRefused
    return text
