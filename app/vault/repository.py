"""Every query of the vault: its own two tables, and a plain view of the credentials it must be able to open.

The credentials' tables are named here by column, not imported: the vault knows keys and bytes, no features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Integer, LargeBinary, Row, String, column, exists, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from app.vault.models import VaultCanary, VaultInstance

_CREDENTIALS = table(
    "credentials",
    column("id", String),
    column("user_id", String),
    column("exchange", String),
    column("environment", String),
    column("secret_version", Integer),
)
_SECRETS = table(
    "credential_secrets",
    column("credential_id", String),
    column("secret_version", Integer),
    column("kid", String),
    column("wrapped_key", LargeBinary),
    column("fields", JSON),
)


@dataclass(frozen=True)
class NewInstance:
    """What a new database is given: identity, sealed fingerprint key, and the active key's canary."""

    instance_id: str
    kid: str
    check: str
    fingerprint_key_sealed: bytes
    canary_sealed: bytes
    created_at: datetime


async def get_instance(session: AsyncSession) -> VaultInstance | None:
    """Return this database's one identity, None while it has none."""
    return (await session.execute(select(VaultInstance))).scalar_one_or_none()


async def list_canaries(session: AsyncSession) -> Sequence[VaultCanary]:
    return (await session.execute(select(VaultCanary).order_by(VaultCanary.kid))).scalars().all()


async def list_kids_in_use(session: AsyncSession) -> list[str]:
    """List the kids that stored credentials name."""
    return list((await session.execute(select(_SECRETS.c.kid).distinct().order_by(_SECRETS.c.kid))).scalars())


async def holds_credentials(session: AsyncSession) -> bool:
    """Say whether anything that a key ring could have sealed is stored."""
    found = await session.execute(select(exists(select(_CREDENTIALS.c.id)) | exists(select(_SECRETS.c.credential_id))))
    return bool(found.scalar_one())


async def add_instance(session: AsyncSession, new: NewInstance) -> None:
    """Store a new identity. Raises IntegrityError when another process was first: `slot` is unique."""
    session.add(
        VaultInstance(
            id=new.instance_id,
            slot=1,
            fingerprint_kid=new.kid,
            fingerprint_key_sealed=new.fingerprint_key_sealed,
            created_at=new.created_at,
        )
    )
    session.add(VaultCanary(kid=new.kid, check_value=new.check, sealed=new.canary_sealed, created_at=new.created_at))
    await session.flush()


async def list_sealed(session: AsyncSession, *, after: str, limit: int) -> Sequence[Row[Any]]:
    """List credentials with their sealed secrets (None where there are none), by id, for a look at whether all open."""
    statement = (
        select(
            _CREDENTIALS,
            _SECRETS.c.secret_version.label("sealed_version"),
            _SECRETS.c.kid,
            _SECRETS.c.wrapped_key,
            _SECRETS.c.fields,
        )
        .select_from(_CREDENTIALS.outerjoin(_SECRETS, _SECRETS.c.credential_id == _CREDENTIALS.c.id))
        .where(_CREDENTIALS.c.id > after)
        .order_by(_CREDENTIALS.c.id)
        .limit(limit)
    )
    return (await session.execute(statement)).all()
