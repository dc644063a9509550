"""Opening the vault at start: prove that the key ring is the one that wrote this database, or refuse to start.

A ring is made only for a database that holds no identity and no credential. A database that lost its ring gets a clear
refusal, never a new ring: that would leave every stored key unreadable and look like a working installation.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Clock
from app.db import Database
from app.identifiers import create_id
from app.vault import repository
from app.vault.envelope import Vault
from app.vault.errors import VaultError
from app.vault.keyring import KeyRing, KeyRingError, create_keyring, load_keyring
from app.vault.models import VaultCanary, VaultInstance
from app.vault.primitives import KEY_BYTES, length_prefixed, wipe
from app.vault.records import unwrap_key, wrap_key

CONFIGURATION_EXIT_CODE = 78

_FINGERPRINT_KEY_LABEL = "keydeck/fingerprint-key/1"
_CANARY_LABEL = "keydeck/canary/1"

_log = logging.getLogger(__name__)


class VaultRefusal(Exception):
    """Keydeck must not start with this key ring and database. One line for the operator; exit code 78, configuration."""

    exit_code = CONFIGURATION_EXIT_CODE


@dataclass(frozen=True)
class _Stored:
    """What the database says about the keys that wrote it."""

    instance: VaultInstance
    canaries: Sequence[VaultCanary]
    kids_in_use: Sequence[str]

    def describe(self) -> str:
        return ", ".join(f"{canary.kid} (check {canary.check_value})" for canary in self.canaries) or "none"


async def open_vault(database: Database, *, keyring_path: Path, clock: Clock) -> Vault:
    """Open the vault; on a new database make its identity first, and a key ring if there is none. Raises VaultRefusal."""
    stored = await _fetch_stored(database)
    if stored is None:
        try:
            async with database.write() as session:
                await _found(session, keyring_path=keyring_path, clock=clock)
        except IntegrityError:
            pass  # another process was first, and its identity is the one that counts
        stored = await _fetch_stored(database)
    return _open_stored(stored, keyring_path=keyring_path)


async def open_known_vault(database: Database, *, keyring_path: Path) -> Vault:
    """Open the vault of a database that has one, and never make anything. Raises VaultRefusal."""
    return _open_stored(await _fetch_stored(database), keyring_path=keyring_path)


async def _fetch_stored(database: Database) -> _Stored | None:
    async with database.read() as session:
        instance = await repository.get_instance(session)
        if instance is None:
            return None
        return _Stored(instance, await repository.list_canaries(session), await repository.list_kids_in_use(session))


async def _found(session: AsyncSession, *, keyring_path: Path, clock: Clock) -> None:
    """Give a new database its identity, inside the transaction that proves it is new. Raises VaultRefusal, IntegrityError."""
    holds_rows = bool(await repository.list_canaries(session)) or await repository.holds_credentials(session)
    if await repository.get_instance(session) is not None:  # asked last: another process may have stored all of it just now
        return
    if holds_rows:
        raise VaultRefusal("the database holds credentials but no vault identity: restore table vault_instance from a backup")
    ring = _load_or_create(keyring_path, clock=clock)
    instance_id = create_id("vlt")
    fingerprint_key, canary = bytearray(secrets.token_bytes(KEY_BYTES)), secrets.token_bytes(KEY_BYTES)
    kid = ring.active.kid
    new = repository.NewInstance(
        instance_id=instance_id,
        kid=kid,
        check=ring.active.check,
        fingerprint_key_sealed=wrap_key(ring.active, key=fingerprint_key, context=_fingerprint_key_context(instance_id)),
        canary_sealed=wrap_key(ring.active, key=canary, context=_canary_context(instance_id, kid)),
        created_at=clock(),
    )
    wipe(fingerprint_key)
    await repository.add_instance(session, new)


def _load_or_create(path: Path, *, clock: Clock) -> KeyRing:
    try:
        ring = _load(path)
        if ring is None:
            ring = create_keyring(path, created_at=clock())
            _log.warning("made a new key ring %s: %s. Back it up apart from the database", path, ring.describe())
    except FileExistsError:  # another process made it between the two looks
        ring = _load(path)
    except OSError as error:
        raise VaultRefusal(f"key ring file {path} cannot be written: {error.strerror or 'output error'}") from None
    if ring is None:
        raise VaultRefusal(f"key ring file {path} vanished while Keydeck started")
    return ring


def _load_existing(stored: _Stored, path: Path) -> KeyRing:
    ring = _load(path)
    if ring is None:
        raise VaultRefusal(
            f"key ring file {path} is missing, and this database was sealed with {stored.describe()}: "
            "put the key ring back from its backup (a new one could not open what is stored)"
        )
    return ring


def _load(path: Path) -> KeyRing | None:
    try:
        return load_keyring(path)
    except FileNotFoundError:
        return None
    except KeyRingError as error:
        raise VaultRefusal(str(error)) from None


def _open_stored(stored: _Stored | None, *, keyring_path: Path) -> Vault:
    """Prove every key that this database needs, then open the fingerprint key. Raises VaultRefusal."""
    if stored is None:
        raise VaultRefusal("the database has no vault identity yet: start Keydeck once, or run keydeck vault init")
    ring = _load_existing(stored, keyring_path)
    needed = {*stored.kids_in_use, stored.instance.fingerprint_kid, ring.active.kid}
    canaries = {canary.kid: canary for canary in stored.canaries}
    wrong = [problem for kid in sorted(needed) if (problem := _find_problem(ring, kid, canaries.get(kid), stored.instance.id))]
    if wrong:
        raise VaultRefusal(
            f"key ring {keyring_path} is not this database's: {'; '.join(wrong)} "
            f"[ring: {ring.describe()}; database: {stored.describe()}]"
        )
    try:
        key = unwrap_key(ring, stored.instance.fingerprint_key_sealed, context=_fingerprint_key_context(stored.instance.id))
    except VaultError:
        raise VaultRefusal(
            f"the database's fingerprint key, sealed with {stored.instance.fingerprint_kid}, does not open: "
            "restore table vault_instance from a backup"
        ) from None
    return Vault(ring=ring, instance_id=stored.instance.id, fingerprint_key=key)


def _find_problem(ring: KeyRing, kid: str, canary: VaultCanary | None, instance_id: str) -> str | None:
    """Return why this key cannot be trusted to open what it sealed here, None when it can."""
    try:
        check = ring.get(kid).check
    except VaultError:
        return f"{kid} is missing or retired"
    if canary is None:
        return f"{kid} (check {check}) has never been used with this database"
    try:
        wipe(unwrap_key(ring, canary.sealed, context=_canary_context(instance_id, kid)))
    except VaultError:
        return f"{kid} (check {check}) does not open what {kid} (check {canary.check_value}) sealed"
    return None


def _fingerprint_key_context(instance_id: str) -> bytes:
    return length_prefixed((_FINGERPRINT_KEY_LABEL, instance_id))


def _canary_context(instance_id: str, kid: str) -> bytes:
    return length_prefixed((_CANARY_LABEL, instance_id, kid))
