"""The few cryptographic steps the vault is made of, over buffers that can be wiped. Nothing here knows a format."""

from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.vault.errors import VaultError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

Buffer = bytes | bytearray


def derive(key: Buffer, *, salt: bytes | None, info: bytes, length_bytes: int = KEY_BYTES) -> bytearray:
    """Derive a key by HKDF-SHA256 (RFC 5869). The caller wipes the result."""
    derived = bytearray(length_bytes)
    HKDF(algorithm=hashes.SHA256(), length=length_bytes, salt=salt, info=info).derive_into(key, derived)
    return derived


def encrypt(key: Buffer, *, nonce: bytes, plain: Buffer, associated: bytes) -> bytes:
    """Encrypt by AES-256-GCM and return ciphertext and tag."""
    return AESGCM(key).encrypt(nonce, plain, associated)


def decrypt(key: Buffer, *, nonce: bytes, body: bytes, associated: bytes) -> bytearray:
    """Decrypt ciphertext and tag into a fresh buffer, which the caller wipes. Raises VaultError when the tag is wrong."""
    if len(body) < TAG_BYTES:
        raise VaultError("the record cannot be opened")
    plain = bytearray(len(body) - TAG_BYTES)
    try:
        AESGCM(key).decrypt_into(nonce, body, associated, plain)
    except InvalidTag:
        wipe(plain)  # a failed open may leave unproven text in the buffer
        raise VaultError("the record cannot be opened") from None
    return plain


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros, in place."""
    buffer[:] = bytes(len(buffer))


def length_prefixed(parts: Iterable[str]) -> bytes:
    """Join texts so that no two different lists give the same bytes. Raises VaultError for text that is not Unicode."""
    joined = bytearray()
    for part in parts:
        encoded = encode_text(part)
        joined += len(encoded).to_bytes(4, "big") + encoded
    return bytes(joined)


def encode_text(text: str) -> bytes:
    """Encode as UTF-8. Raises VaultError for lone surrogates, outside the handler: the codec's error carries the text."""
    encoded: bytes | None
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        encoded = None
    if encoded is None:
        raise VaultError("the text holds characters that cannot be stored")
    return encoded


def decode_text(view: memoryview) -> str:
    """Decode UTF-8 straight from a buffer, without another copy in between. Raises VaultError."""
    text: str | None
    try:
        text = str(view, "utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise VaultError("the record cannot be opened")
    return text
