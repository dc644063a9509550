"""A software passkey for tests: makes and uses ES256 credentials as a browser with an authenticator would."""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One passkey at a time. Every part of an answer can be spoilt by setting it first."""

    origin: str = "http://localhost:8000"
    rp_id: str = ""  # as the options say, unless set
    is_verified: bool = True
    sign_count: int = 0
    step: int = 1
    credential_id: bytes = b"credential-1"
    user_handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: dict[str, Any]) -> str:
        """Answer navigator.credentials.create()."""
        self.user_handle = options["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + cbor2.dumps(cose)
        data = self._write_data(options["rp"]["id"], flags=_ATTESTED) + attested
        document = {"fmt": "none", "attStmt": {}, "authData": data}
        response = {
            "clientDataJSON": to_text(self._write_client_data("webauthn.create", options["challenge"])),
            "attestationObject": to_text(cbor2.dumps(document)),
            "transports": ["internal"],
        }
        return self._write_answer(response)

    def get(self, options: dict[str, Any]) -> str:
        """Answer navigator.credentials.get()."""
        self.sign_count += self.step
        client_data = self._write_client_data("webauthn.get", options["challenge"])
        data = self._write_data(options["rpId"])
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": to_text(client_data),
            "authenticatorData": to_text(data),
            "signature": to_text(signature),
            "userHandle": self.user_handle,
        }
        return self._write_answer(response)

    def _write_answer(self, response: dict[str, Any]) -> str:
        name = to_text(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})

    def _write_client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _write_data(self, rp_id: str, *, flags: int = 0) -> bytes:
        flags |= _PRESENT | (_VERIFIED if self.is_verified else 0)
        return hashlib.sha256((self.rp_id or rp_id).encode()).digest() + struct.pack(">BI", flags, self.sign_count)
