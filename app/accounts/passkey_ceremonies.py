"""The two WebAuthn ceremonies, by the webauthn library: what a browser is asked, and the strict reading of what it answers.

Pure: challenges are remembered and used up by accounts.passkeys.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app.settings import is_loopback

_NAME = "Keydeck"
_TIMEOUT_MS = 300_000
_LONGEST_ANSWER = 32_768  # characters of JSON
_LONGEST_ID = 1023  # bytes, by the standard
_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})


class UnusablePasskey(Exception):
    """What the browser answered is not a good answer to this ceremony. It carries no text of the answer."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The name passkeys are bound to, and the one origin that may use them."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What is stored of a passkey that was just made."""

    credential_id: str
    public_key: bytes
    sign_count: int
    is_synced: bool
    transports: list[str]


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """A browser's answer, read but not verified: which challenge, which passkey and, if told, whose."""

    document: dict[str, Any]
    challenge: bytes
    credential_id: str
    user_id: str | None


def find_relying_party(public_url: str) -> RelyingParty | None:
    """Return the name for passkeys; None where people open an address without one, to which browsers bind no passkey.

    This machine's own address stands for `localhost`, the one name browsers trust without https.
    """
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port not in (None, 80 if parts.scheme == "http" else 443) else ""
    if is_loopback(host):
        return RelyingParty("localhost", f"{parts.scheme}://localhost{port}")
    if parts.scheme != "https" or _is_address(host):
        return None
    return RelyingParty(host, f"https://{host}{port}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def ask_to_create(
    party: RelyingParty, *, challenge: bytes, user_id: str, email: str, known: Iterable[tuple[str, list[str]]]
) -> dict[str, Any]:
    """Return the options for navigator.credentials.create(): a passkey that can sign in by itself, with the person verified."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=_NAME,
        user_name=email,
        user_id=user_id.encode(),
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[_describe(credential_id) for credential_id, _ in known],
    )
    return options_to_json_dict(options)


def ask_to_use(party: RelyingParty, *, challenge: bytes, known: Iterable[str] = ()) -> dict[str, Any]:
    """Return the options for navigator.credentials.get(); with `known` passkeys only those will do."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        allow_credentials=[_describe(credential_id) for credential_id in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def _describe(credential_id: str) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(credential_id))


def read_answer(text: str) -> PasskeyAnswer:
    """Read what a browser sent. Raises UnusablePasskey."""
    if len(text) > _LONGEST_ANSWER:
        raise UnusablePasskey
    try:
        document = from_json(text)  # its errors, unlike those of json, do not carry the text along
        response = document["response"]
        client_data = parse_client_data_json(base64url_to_bytes(response["clientDataJSON"]))
        handle = response.get("userHandle")
        user_id = base64url_to_bytes(handle).decode() if handle else None
        credential_id = bytes_to_base64url(base64url_to_bytes(document["rawId"]))
    except Exception:  # noqa: BLE001  # whatever a stranger's bytes make the parsers stumble over is a refusal
        raise UnusablePasskey from None
    return PasskeyAnswer(document, client_data.challenge, credential_id, user_id)


def verify_creation(party: RelyingParty, answer: PasskeyAnswer) -> NewPasskey:
    """Return the passkey that was made for us, here, by a verified person. Raises UnusablePasskey."""
    try:
        found = verify_registration_response(
            credential=answer.document,
            expected_challenge=answer.challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        told = answer.document["response"].get("transports") or []
        transports = [name for name in told if name in _TRANSPORTS]
    except Exception:  # noqa: BLE001  # as above: the library's parsers raise many kinds
        raise UnusablePasskey from None
    if len(found.credential_id) > _LONGEST_ID:
        raise UnusablePasskey
    credential_id = bytes_to_base64url(found.credential_id)
    return NewPasskey(credential_id, found.credential_public_key, found.sign_count, found.credential_backed_up, transports)


def verify_use(party: RelyingParty, answer: PasskeyAnswer, *, public_key: bytes, sign_count: int) -> int:
    """Return the passkey's new counter if this answer is good. Raises UnusablePasskey, also for a counter that went back."""
    try:
        found = verify_authentication_response(
            credential=answer.document,
            expected_challenge=answer.challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001  # as above
        raise UnusablePasskey from None
    return int(found.new_sign_count)
