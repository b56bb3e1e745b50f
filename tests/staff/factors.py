"""What members hold in their hands: an authenticator app and a passkey, made here from the standards alone."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.staff.console import Browser

APP = "/staff/account/second-factors/app"
PASSKEY = "/staff/account/second-factors/passkey"
SECRET = re.compile(r'<code class="secret">([A-Z2-7 ]+)</code>')
RECOVERY = re.compile(r"<li><code>([A-Z2-7-]{19})</code></li>")
HERE, PERSON_CHECKED, NEW = 0x01, 0x04, 0x40


def code(secret: str, *, steps: int = 0) -> str:
    """RFC 6238: the six digits of now, or of some half minutes later."""
    key = base64.b32decode(secret.replace(" ", ""))
    counter = struct.pack(">Q", int(time.time()) // 30 + steps)
    digest = hmac.new(key, counter, hashlib.sha1).digest()
    at = digest[-1] & 15
    number = struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def set_up_app(browser: Browser) -> tuple[str, list[str]]:
    """The secret and the recovery codes. The code of now is used up afterwards."""
    found = SECRET.search(browser.get(APP).text)
    assert found is not None
    answer = browser.post(APP, {"code": code(found[1])})
    assert answer.status_code in (200, 303), answer.text
    return found[1], RECOVERY.findall(answer.text)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """A security key of ES256 with one credential, as WebAuthn describes it."""

    origin: str = "http://give.test"
    domain: str = "give.test"
    checks_person: bool = True
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    user_handle: bytes = b""

    def _flags(self, more: int = 0) -> int:
        return HERE | more | (PERSON_CHECKED if self.checks_person else 0)

    def _head(self, flags: int) -> bytes:
        return hashlib.sha256(self.domain.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def create(self, options: dict[str, Any]) -> str:
        self.user_handle = unb64(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", 32) + self.credential_id + cbor2.dumps(cose)
        data = self._head(self._flags(NEW)) + attested
        return self._written(
            {
                "clientDataJSON": b64(self._client_data("webauthn.create", options["challenge"])),
                "attestationObject": b64(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
                "transports": ["internal", "hybrid"],
            }
        )

    def get(self, options: dict[str, Any], *, as_user: bytes | None = None) -> str:
        self.count += 1
        client, data = self._client_data("webauthn.get", options["challenge"]), self._head(self._flags())
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._written(
            {
                "clientDataJSON": b64(client),
                "authenticatorData": b64(data),
                "signature": b64(signature),
                "userHandle": b64(self.user_handle if as_user is None else as_user),
            }
        )

    def _written(self, response: dict[str, Any]) -> str:
        known = b64(self.credential_id)
        return json.dumps({"id": known, "rawId": known, "type": "public-key", "response": response})


def challenge(browser: Browser, path: str) -> dict[str, Any]:
    answer = browser.post(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def add_passkey(browser: Browser, authenticator: Authenticator, name: str = "my telephone") -> Any:
    browser.get(PASSKEY)
    asked = challenge(browser, f"{PASSKEY}/challenge")
    return browser.post(PASSKEY, {"name": name, "credential": authenticator.create(asked)})
