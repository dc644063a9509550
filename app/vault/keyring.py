"""The key ring: the root keys, kept in one file apart from the database. Losing it loses every stored exchange key."""

import base64
import contextlib
import json
import logging
import os
import secrets
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from app.vault.errors import KeyUnavailable
from app.vault.primitives import KEY_BYTES
from app.vault.rootkey import ALGORITHM, KeyLine, KeyRingError, KeyState, RootKey

__all__ = ["KeyLine", "KeyRing", "KeyRingError", "KeyState", "RootKey", "create_keyring", "load_keyring"]

_LARGEST_FILE_BYTES = 65_536
_FILE_NAMES = frozenset({"v", "keys"})
_KEY_NAMES = frozenset({"kid", "state", "alg", "created", "key", "check"})
_SAMPLE_KEYS = (bytes(range(32)), bytes(range(32, 64)))  # printed in docs and tests, so anyone knows them

_log = logging.getLogger(__name__)


class KeyRing:
    """All root keys of one installation, exactly one of them active. Raises KeyRingError for any other set."""

    __slots__ = ("__keys", "active")

    def __init__(self, keys: Iterable[RootKey]) -> None:
        known: dict[str, RootKey] = {}
        for key in keys:
            if key.kid in known:
                raise KeyRingError(f"key {key.kid} stands in the key ring twice")
            for other in known.values():
                if key.has_same_bytes(other):
                    raise KeyRingError(f"keys {other.kid} and {key.kid} are the same key under two names")
            known[key.kid] = key
        active = [key for key in known.values() if key.state is KeyState.ACTIVE]
        if len(active) != 1:
            names = ", ".join(key.kid for key in active) or "none"
            raise KeyRingError(f"exactly one key of the key ring must be active (active now: {names})")
        self.__keys = known
        self.active: RootKey = active[0]

    def get(self, kid: str) -> RootKey:
        """Return the key that opens records of this kid. Raises KeyUnavailable when it is missing or retired."""
        key = self.__keys.get(kid)
        if key is None:
            raise KeyUnavailable("the record's root key is not in the key ring")
        if key.state is KeyState.RETIRED:
            raise KeyUnavailable("the record's root key is retired")
        return key

    def list_lines(self) -> tuple[KeyLine, ...]:
        """List what may be shown of every key, in the file's order."""
        return tuple(key.line for key in self.__keys.values())

    def describe(self) -> str:
        """Return one line such as `k2026b (active, check 7f3a91c2), k2026a (decrypt, check 0be41d77)`."""
        return ", ".join(f"{line.kid} ({line.state.value}, check {line.check})" for line in self.list_lines())

    def __repr__(self) -> str:
        return f"KeyRing({self.describe()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key ring cannot be pickled or copied")


def load_keyring(path: Path) -> KeyRing:
    """Read and check the key ring file. Raises FileNotFoundError when there is none, KeyRingError when it cannot be used."""
    document = _parse_object(_read_guarded(path), path=path)
    _refuse_unknown_names(document, _FILE_NAMES, where="the key ring")
    if document["v"] != 1 or isinstance(document["v"], bool):
        raise KeyRingError("the key ring has a version this Keydeck does not know")
    if not isinstance(document["keys"], list):
        raise KeyRingError("the key ring's keys must be a list")
    return KeyRing([_parse_key(entry, number=number) for number, entry in enumerate(document["keys"], 1)])


def create_keyring(path: Path, *, created_at: datetime) -> KeyRing:
    """Write a new ring with one active key, mode 0600. Raises FileExistsError rather than touch an existing file."""
    raw = bytearray(secrets.token_bytes(KEY_BYTES))
    ring = KeyRing([RootKey(f"k{created_at.year}a", state=KeyState.ACTIVE, created_at=created_at, key=raw)])
    document = json.dumps({"v": 1, "keys": [ring.active.export_entry()]}, indent=2) + "\n"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_durably(draft, document)
        _link_or_write(draft, path, document)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return ring


def _link_or_write(draft: Path, path: Path, document: str) -> None:
    """Make the ring appear whole or not at all, and never in place of another process's ring."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: still never replaces a file
        _write_durably(path, document)


def _write_durably(path: Path, document: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(document)
        file.flush()
        os.fsync(file.fileno())


def _read_guarded(path: Path) -> bytes:
    """Read the file unless others could read or change it. Raises FileNotFoundError, KeyRingError."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a named pipe must not hang the start
            _refuse_open_permissions(path, file.fileno())
            content = file.read(_LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyRingError(f"key ring file {path} cannot be read: {error.strerror or 'input error'}") from None
    if len(content) > _LARGEST_FILE_BYTES:
        raise KeyRingError(f"key ring file {path} is larger than a key ring can be")
    return content


def _refuse_open_permissions(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise KeyRingError(f"key ring {path} is not a file")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022:
        raise KeyRingError(f"key ring file {path} may be changed by others (mode {mode:04o}): run chmod 600 on it")
    if mode & 0o044 and os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        _log.warning(
            "key ring file %s is readable by others (mode %04o), accepted because it lies on a read-only mount", path, mode
        )
    elif mode & 0o044:
        raise KeyRingError(f"key ring file {path} may be read by others (mode {mode:04o}): run chmod 600 on it")


def _parse_object(content: bytes, *, path: Path) -> dict[str, Any]:
    document: object = None
    with contextlib.suppress(ValueError, RecursionError):  # their own texts and fields hold the file's content
        document = json.loads(content.decode(), object_pairs_hook=_refuse_repeated_names)
    if not isinstance(document, dict):
        raise KeyRingError(f"key ring file {path} is not a JSON object with every name once")
    return document


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("repeated name")
    return dict(pairs)


def _refuse_unknown_names(entry: dict[str, Any], expected: frozenset[str], *, where: str) -> None:
    if set(entry) != expected:
        names = ", ".join(sorted(expected))
        raise KeyRingError(f"{where} must have exactly the names {names}")


def _parse_key(entry: object, *, number: int) -> RootKey:
    """Check one entry. Messages name the entry by its number until its kid is known to be well formed."""
    where = f"key {number} of the key ring"
    if not isinstance(entry, dict):
        raise KeyRingError(f"{where} must be a JSON object")
    _refuse_unknown_names(entry, _KEY_NAMES, where=where)
    if not all(isinstance(value, str) for value in entry.values()):
        raise KeyRingError(f"{where} must have text for every name")
    if entry["alg"] != ALGORITHM:
        raise KeyRingError(f"{where} has an alg other than {ALGORITHM}")
    if entry["state"] not in list(KeyState):
        raise KeyRingError(f"{where} has a state other than {', '.join(KeyState)}")
    raw = _parse_key_bytes(entry["key"], where=where)
    created_at = _parse_moment(entry["created"], where=where)
    key = RootKey(entry["kid"], state=KeyState(entry["state"]), created_at=created_at, key=bytearray(raw))
    if len(set(raw)) == 1:
        raise KeyRingError(f"key {key.kid} is one byte repeated, not a random key")
    if raw in _SAMPLE_KEYS:
        raise KeyRingError(f"key {key.kid} is a sample key from the documentation, known to everyone")
    if entry["check"] != key.check:
        raise KeyRingError(f"key {key.kid} does not match its check value: its bytes give {key.check}, so it was copied wrongly")
    return key


def _parse_key_bytes(text: str, *, where: str) -> bytes:
    raw = b""
    with contextlib.suppress(ValueError):
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(raw) != KEY_BYTES or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise KeyRingError(f"{where} must hold {KEY_BYTES} bytes as base64url without padding (43 characters)")
    return raw


def _parse_moment(text: str, *, where: str) -> datetime:
    moment: datetime | None = None
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
    if moment is None or moment.tzinfo is None:
        raise KeyRingError(f"{where} must say when it was created, such as 2026-11-21T00:00:00Z")
    return moment
