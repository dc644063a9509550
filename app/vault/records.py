"""The bytes of sealed records, and nothing but bytes: layout, strict parsing, padding. docs/decisions/0002-vault-format.md.

Wrapped key: "KD" | 1 | alg | kid length | kid | salt 32 | nonce 12 | ciphertext 32 + tag 16
Field:       "KD" | 2 | alg | nonce 12 | ciphertext 64, 128, 256 ... + tag 16
"""

import secrets
from dataclasses import dataclass

from app.vault.errors import VaultError
from app.vault.keyring import KeyRing
from app.vault.primitives import KEY_BYTES, NONCE_BYTES, TAG_BYTES, Buffer, decrypt, encrypt, wipe
from app.vault.rootkey import KID, RootKey

AES_256_GCM = 1
RESERVED_ALGORITHMS = {
    2: "AES-256-GCM-SIV",
    3: "HPKE X25519, HKDF-SHA256, AES-256-GCM",
}  # named so that no one reuses the numbers

_MAGIC = b"KD"
_WRAPPED_KEY = 1
_FIELD = 2
_SALT_BYTES = 32
_SMALLEST_BUCKET = 64
_LARGEST_BUCKET = 65_536
_LENGTH_BYTES = 4
_WRAP_LABEL = b"keydeck/v1/wrap"
_MALFORMED = "the record is malformed"


@dataclass(frozen=True, repr=False)
class WrappedKey:
    """A parsed wrapped key; `header` is everything before the ciphertext, and is authenticated with it."""

    kid: str
    salt: bytes
    nonce: bytes
    header: bytes
    body: bytes


def wrap_key(root: RootKey, *, key: Buffer, context: bytes) -> bytes:
    """Seal 32 bytes under a one-time key derived from the root key: the root key itself never meets a nonce."""
    if len(key) != KEY_BYTES:
        raise VaultError("only a 32-byte key can be wrapped")
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    kid = root.kid.encode()
    header = _MAGIC + bytes((_WRAPPED_KEY, AES_256_GCM, len(kid))) + kid + salt + nonce
    one_time = root.derive(salt=salt, info=_WRAP_LABEL)
    try:
        return header + encrypt(one_time, nonce=nonce, plain=key, associated=header + context)
    finally:
        wipe(one_time)


def unwrap_key(ring: KeyRing, record: bytes, *, context: bytes) -> bytearray:
    """Open a wrapped key into a buffer the caller wipes. Raises VaultError, KeyUnavailable."""
    parsed = parse_wrapped_key(record)
    one_time = ring.get(parsed.kid).derive(salt=parsed.salt, info=_WRAP_LABEL)
    try:
        return decrypt(one_time, nonce=parsed.nonce, body=parsed.body, associated=parsed.header + context)
    finally:
        wipe(one_time)


def parse_wrapped_key(record: bytes) -> WrappedKey:
    """Split a wrapped key, refusing every unknown id and wrong length before any cryptography. Raises VaultError."""
    if len(record) < 5 or record[:2] != _MAGIC or record[2] != _WRAPPED_KEY or record[3] != AES_256_GCM:
        raise VaultError(_MALFORMED)
    kid_end = 5 + record[4]
    nonce_start = kid_end + _SALT_BYTES
    header_end = nonce_start + NONCE_BYTES
    kid = record[5:kid_end].decode("latin-1")
    if len(record) != header_end + KEY_BYTES + TAG_BYTES or KID.fullmatch(kid) is None:
        raise VaultError(_MALFORMED)
    return WrappedKey(
        kid=kid,
        salt=record[kid_end:nonce_start],
        nonce=record[nonce_start:header_end],
        header=record[:header_end],
        body=record[header_end:],
    )


def seal_field(data_key: Buffer, *, value: bytes, context: bytes) -> bytes:
    """Seal one padded value under the data key. Raises VaultError when it is too long."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    header = _MAGIC + bytes((_FIELD, AES_256_GCM)) + nonce
    padded = pad(value)
    try:
        return header + encrypt(data_key, nonce=nonce, plain=padded, associated=header + context)
    finally:
        wipe(padded)


def open_field(data_key: Buffer, record: bytes, *, context: bytes) -> bytearray:
    """Open one field into a buffer, still padded, that the caller wipes. Raises VaultError."""
    header_end = 4 + NONCE_BYTES
    if len(record) < header_end or record[:2] != _MAGIC or record[2] != _FIELD or record[3] != AES_256_GCM:
        raise VaultError(_MALFORMED)
    if not _is_bucket(len(record) - header_end - TAG_BYTES):
        raise VaultError(_MALFORMED)
    header = record[:header_end]
    return decrypt(data_key, nonce=header[4:], body=record[header_end:], associated=header + context)


def pad(value: bytes) -> bytearray:
    """Return length, value and zeros up to 64, 128, 256 ... bytes: the stored size tells little of the value's."""
    needed = _LENGTH_BYTES + len(value)
    if needed > _LARGEST_BUCKET:
        raise VaultError("the value is too long to seal")
    padded = bytearray(_bucket_for(needed))
    padded[:_LENGTH_BYTES] = len(value).to_bytes(_LENGTH_BYTES, "big")
    padded[_LENGTH_BYTES:needed] = value
    return padded


def unpad(padded: bytearray) -> memoryview:
    """Return a view of the value inside the padding, without a copy. Raises VaultError for padding that `pad` never makes."""
    end = _LENGTH_BYTES + int.from_bytes(padded[:_LENGTH_BYTES], "big")
    if end > len(padded) or _bucket_for(end) != len(padded) or any(memoryview(padded)[end:]):
        raise VaultError(_MALFORMED)
    return memoryview(padded)[_LENGTH_BYTES:end]


def _bucket_for(size_bytes: int) -> int:
    return int(max(_SMALLEST_BUCKET, 1 << (size_bytes - 1).bit_length()))


def _is_bucket(size_bytes: int) -> bool:
    return _SMALLEST_BUCKET <= size_bytes <= _LARGEST_BUCKET and size_bytes & (size_bytes - 1) == 0
