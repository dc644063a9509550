"""One root key of the key ring: what it may do, what may be shown of it, and the keys it derives."""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NoReturn

from app.vault.primitives import KEY_BYTES, derive, wipe

ALGORITHM = "A256"
KID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

_CHECK_LABEL = b"keydeck/v1/check"
_SAME_LABEL = b"keydeck/v1/same"


class KeyState(StrEnum):
    """What a root key may be used for: pending opens only, active writes, decrypt opens only, retired nothing."""

    PENDING = "pending"
    ACTIVE = "active"
    DECRYPT = "decrypt"
    RETIRED = "retired"


class KeyRingError(Exception):
    """A key ring that cannot be used: one line naming kids and check values, never key bytes."""


@dataclass(frozen=True)
class KeyLine:
    """What may be shown of a root key. `check` is 8 hex characters that tell two keys of the same name apart."""

    kid: str
    state: KeyState
    check: str
    created_at: datetime


class RootKey:
    """One root key. It never meets a record itself: every use derives a key of its own."""

    __slots__ = ("__key", "created_at", "kid", "state")

    def __init__(self, kid: str, *, state: KeyState, created_at: datetime, key: bytearray) -> None:
        if KID.fullmatch(kid) is None:
            raise KeyRingError("a kid must be 1 to 32 characters of a-z, 0-9 and -")
        if len(key) != KEY_BYTES:
            raise KeyRingError(f"key {kid} must be {KEY_BYTES} bytes long")
        self.kid = kid
        self.state = state
        self.created_at = created_at
        self.__key = key

    def derive(self, *, salt: bytes | None, info: bytes) -> bytearray:
        """Derive a 32-byte key for one purpose. The caller wipes it."""
        return derive(self.__key, salt=salt, info=info)

    def has_same_bytes(self, other: "RootKey") -> bool:
        return hmac.compare_digest(self.derive(salt=None, info=_SAME_LABEL), other.derive(salt=None, info=_SAME_LABEL))

    @property
    def check(self) -> str:
        """8 hex characters of a keyed hash: compare them with a backup's. They tell nothing about the key."""
        key = self.derive(salt=None, info=_CHECK_LABEL)
        try:
            return hmac.digest(key, self.kid.encode(), "sha256")[:4].hex()
        finally:
            wipe(key)

    @property
    def line(self) -> KeyLine:
        return KeyLine(kid=self.kid, state=self.state, check=self.check, created_at=self.created_at)

    def export_entry(self) -> dict[str, str]:
        """Return the key's entry of the key ring file, key bytes included: for writing that file and nothing else."""
        return {
            "kid": self.kid,
            "state": self.state.value,
            "alg": ALGORITHM,
            "created": self.created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "key": base64.urlsafe_b64encode(self.__key).rstrip(b"=").decode(),
            "check": self.check,
        }

    def __repr__(self) -> str:
        return f"RootKey({self.kid!r}, state={self.state.value!r}, check={self.check!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a root key cannot be pickled or copied")
