"""A look at everything stored: does each credential open with the present key ring? For `keydeck doctor` and `vault verify`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from app.clock import Clock
from app.db import Database
from app.vault import repository
from app.vault.boot import open_known_vault, open_vault
from app.vault.envelope import SealedSecrets, SealingContext, Vault
from app.vault.errors import KeyUnavailable, VaultError
from app.vault.keyring import KeyLine
from app.vault.values import open_value

_PAGE_ROWS = 200


@dataclass(frozen=True)
class Unopened:
    """A credential that does not open. `reason`: key_unavailable, damaged, version_differs or not_stored."""

    credential_id: str
    kid: str | None
    reason: str


@dataclass(frozen=True)
class DoctorReport:
    """What the examination found. Ids, kids, check values and counts only."""

    instance_id: str
    keys: tuple[KeyLine, ...]
    credentials_per_kid: Mapping[str, int]
    opened: int
    unopened: tuple[Unopened, ...]
    values_opened: int = 0
    values_unopened: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """True when every stored credential and every sealed value opens."""
        return not self.unopened and not self.values_unopened

    def as_document(self) -> dict[str, object]:
        """Return the report as a JSON document, for `--json`."""
        return {
            "instance_id": self.instance_id,
            "sound": self.is_sound,
            "keys": [{"kid": key.kid, "state": key.state.value, "check": key.check} for key in self.keys],
            "credentials_per_kid": dict(self.credentials_per_kid),
            "opened": self.opened,
            "unopened": [{"credential_id": one.credential_id, "kid": one.kid, "reason": one.reason} for one in self.unopened],
            "values_opened": self.values_opened,
            "values_unopened": list(self.values_unopened),
        }


@dataclass(frozen=True)
class Initialised:
    """What `vault init` did: whether it made the key ring file, and the ring's keys, to compare with a backup."""

    has_new_ring: bool
    keys: tuple[KeyLine, ...]


async def examine_vault(database: Database, vault: Vault) -> DoctorReport:
    """Open every stored credential and count what opened. Reads only, in pages, and keeps no plain text."""
    per_kid: Counter[str] = Counter()
    unopened: list[Unopened] = []
    opened, after = 0, ""
    while True:
        async with database.read() as session:
            rows = await repository.list_sealed(session, after=after, limit=_PAGE_ROWS)
        if not rows:
            break
        after = rows[-1].id
        for row in rows:
            if row.kid is not None:
                per_kid[row.kid] += 1
            reason = _find_reason(vault, row)
            if reason is None:
                opened += 1
            else:
                unopened.append(Unopened(credential_id=row.id, kid=row.kid, reason=reason))
    values_opened, values_unopened = await _examine_values(database, vault)
    return DoctorReport(
        instance_id=vault.instance_id,
        keys=vault.list_keys(),
        credentials_per_kid=dict(sorted(per_kid.items())),
        opened=opened,
        unopened=tuple(unopened),
        values_opened=values_opened,
        values_unopened=values_unopened,
    )


async def _examine_values(database: Database, vault: Vault) -> tuple[int, tuple[str, ...]]:
    """Open every sealed value of our own; return how many opened, and the ids of those that did not."""
    unopened: list[str] = []
    opened, after = 0, ""
    while True:
        async with database.read() as session:
            rows = await repository.list_sealed_values(session, after=after, limit=_PAGE_ROWS)
        if not rows:
            return opened, tuple(unopened)
        after = rows[-1].id
        for row in rows:
            try:
                open_value(vault, row)
                opened += 1
            except VaultError:
                unopened.append(row.id)


async def verify_vault(database: Database, *, keyring_path: Path) -> DoctorReport:
    """Prove the key ring as a start would, then examine everything stored. Makes nothing. Raises VaultRefusal."""
    return await examine_vault(database, await open_known_vault(database, keyring_path=keyring_path))


async def init_vault(database: Database, *, keyring_path: Path, clock: Clock) -> Initialised:
    """Make key ring and identity for a new database; on an existing one only prove them. Raises VaultRefusal."""
    has_ring = _has_ring(keyring_path)
    vault = await open_vault(database, keyring_path=keyring_path, clock=clock)
    return Initialised(has_new_ring=not has_ring, keys=vault.list_keys())


def _has_ring(path: Path) -> bool:
    return path.exists()


def _find_reason(vault: Vault, row: Row[Any]) -> str | None:
    """Return why this credential does not open, None when it does."""
    if row.kid is None:
        return "not_stored"
    if row.sealed_version != row.secret_version:
        return "version_differs"
    context = SealingContext(
        instance_id=vault.instance_id,
        credential_id=row.id,
        user_id=row.user_id,
        exchange=row.exchange,
        environment=row.environment,
        secret_version=row.sealed_version,
    )
    try:
        vault.open(SealedSecrets.from_row(row.kid, wrapped_key=row.wrapped_key, fields=row.fields), context=context)
    except KeyUnavailable:
        return "key_unavailable"
    except VaultError:
        return "damaged"
    return None
