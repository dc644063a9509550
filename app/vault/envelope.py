"""Sealing and opening a credential's secrets: a fresh data key per secret version, wrapped by the active root key.

Every record is bound to where it belongs (instance, credential, user, exchange, environment, version, field), so a row
or a column put in another's place does not open.
"""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol, Self

from app.masking import Secret
from app.vault.errors import KeyUnavailable, VaultError
from app.vault.keyring import KeyLine, KeyRing
from app.vault.primitives import KEY_BYTES, decode_text, encode_text, length_prefixed, wipe
from app.vault.records import open_field, parse_wrapped_key, seal_field, unpad, unwrap_key, wrap_key

__all__ = ["KeyUnavailable", "SealedSecrets", "SealingContext", "ValueContext", "Vault", "VaultError"]

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SECRETS_LABEL = "keydeck/cred/1"
_VALUE_LABEL = "keydeck/value/1"
_FINGERPRINT_LABEL = "keydeck/fp/1"
_FINGERPRINT_BYTES = 16


class Context(Protocol):
    """Where something sealed belongs: its own label first, so that no kind of record passes for another."""

    @property
    def instance_id(self) -> str: ...

    def encode(self, *further: str) -> bytes: ...


@dataclass(frozen=True)
class SealingContext:
    """Where sealed secrets belong. Opening needs exactly the context that sealing had."""

    instance_id: str
    credential_id: str
    user_id: str
    exchange: str
    environment: str
    secret_version: int

    def encode(self, *further: str) -> bytes:
        """Return the context as bytes to authenticate; `further` is the field's name for a field."""
        return length_prefixed(
            (
                _SECRETS_LABEL,
                self.instance_id,
                self.credential_id,
                self.user_id,
                self.exchange,
                self.environment,
                str(self.secret_version),
                *further,
            )
        )


@dataclass(frozen=True)
class ValueContext:
    """Where a secret of Keydeck's own belongs, such as a second factor. `owner_id` is empty for the installation's."""

    instance_id: str
    value_id: str
    owner_id: str
    purpose: str

    def encode(self, *further: str) -> bytes:
        """Return the context as bytes to authenticate; `further` is the field's name for a field."""
        return length_prefixed((_VALUE_LABEL, self.instance_id, self.value_id, self.owner_id, self.purpose, *further))


@dataclass(frozen=True)
class SealedSecrets:
    """What is stored of a credential's secrets: the root key's id, the wrapped data key, and one record per field."""

    kid: str
    wrapped_key: bytes = field(repr=False)
    fields: Mapping[str, bytes] = field(repr=False)

    @property
    def fields_text(self) -> dict[str, str]:
        """The fields as base64 text, for the JSON column `credential_secrets.fields`."""
        return {name: base64.b64encode(record).decode() for name, record in self.fields.items()}

    @classmethod
    def from_row(cls, kid: str, *, wrapped_key: bytes, fields: object) -> Self:
        """Rebuild from a row of `credential_secrets`. Raises VaultError when the row is damaged."""
        if not isinstance(fields, Mapping):
            raise VaultError("the stored fields are malformed")
        return cls(kid=kid, wrapped_key=bytes(wrapped_key), fields={name: _decode_record(text) for name, text in fields.items()})


class Vault:
    """Seals and opens secrets with one key ring for one database. Every failure to open is a VaultError."""

    __slots__ = ("__fingerprint_key", "__instance_id", "__ring")

    def __init__(self, *, ring: KeyRing, instance_id: str, fingerprint_key: bytearray) -> None:
        self.__ring = ring
        self.__instance_id = instance_id
        self.__fingerprint_key = fingerprint_key

    @property
    def instance_id(self) -> str:
        """The database's random identity, part of every context."""
        return self.__instance_id

    @property
    def active_kid(self) -> str:
        return self.__ring.active.kid

    def list_keys(self) -> tuple[KeyLine, ...]:
        """List what may be shown of the root keys: kid, state, check value."""
        return self.__ring.list_lines()

    def seal(self, values: Mapping[str, Secret], *, context: Context) -> SealedSecrets:
        """Seal all secrets of one credential version under a fresh data key. Raises VaultError for what cannot be stored."""
        self._refuse_other_instance(context)
        if not values or not all(_FIELD_NAME.fullmatch(name) for name in values):
            raise VaultError("secrets to seal need field names like api_key")
        data_key = bytearray(secrets.token_bytes(KEY_BYTES))
        try:
            fields = {
                name: seal_field(data_key, value=encode_text(value.reveal()), context=context.encode(name))
                for name, value in values.items()
            }
            wrapped = wrap_key(self.__ring.active, key=data_key, context=context.encode())
        finally:
            wipe(data_key)
        return SealedSecrets(kid=self.__ring.active.kid, wrapped_key=wrapped, fields=fields)

    def open(self, sealed: SealedSecrets, *, context: Context) -> dict[str, Secret]:
        """Open all fields. Raises VaultError if anything differs from what was sealed, KeyUnavailable without its root key."""
        data_key = self._unwrap(sealed, context=context)
        try:
            return {name: _open_secret(data_key, record, context=context.encode(name)) for name, record in sealed.fields.items()}
        finally:
            wipe(data_key)

    def rewrap(self, sealed: SealedSecrets, *, context: Context) -> SealedSecrets:
        """Wrap the same data key by the active root key and prove it; the secrets stay sealed. Raises VaultError."""
        data_key = self._unwrap(sealed, context=context)
        try:
            wrapped = wrap_key(self.__ring.active, key=data_key, context=context.encode())
            renewed = replace(sealed, kid=self.__ring.active.kid, wrapped_key=wrapped)
            again = self._unwrap(renewed, context=context)
            matches = hmac.compare_digest(data_key, again)
            wipe(again)
        finally:
            wipe(data_key)
        if not matches:
            raise VaultError("the renewed record does not open to the same key")
        return renewed

    def fingerprint(self, *, exchange: str, environment: str, api_key: Secret) -> str:
        """Return 32 hex characters that are equal for equal API keys of one exchange and environment, and tell nothing else."""
        message = length_prefixed((_FINGERPRINT_LABEL, exchange, environment, api_key.reveal()))
        return hmac.digest(self.__fingerprint_key, message, "sha256")[:_FINGERPRINT_BYTES].hex()

    def _unwrap(self, sealed: SealedSecrets, *, context: Context) -> bytearray:
        self._refuse_other_instance(context)
        if parse_wrapped_key(sealed.wrapped_key).kid != sealed.kid:
            raise VaultError("the record names another root key than its row")
        return unwrap_key(self.__ring, sealed.wrapped_key, context=context.encode())

    def _refuse_other_instance(self, context: Context) -> None:
        if context.instance_id != self.__instance_id:
            raise VaultError("the context names another database")

    def __repr__(self) -> str:
        return f"Vault(instance_id={self.__instance_id!r}, ring={self.__ring!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault cannot be pickled or copied")


def _open_secret(data_key: bytearray, record: bytes, *, context: bytes) -> Secret:
    padded = open_field(data_key, record, context=context)
    try:
        return Secret(decode_text(unpad(padded)))
    finally:
        wipe(padded)


def _decode_record(text: object) -> bytes:
    if not isinstance(text, str):
        raise VaultError("the stored field is malformed")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VaultError("the stored field is malformed") from None
