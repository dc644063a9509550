"""Every query of the vault: its own tables, and a plain view of the credentials it must be able to open.

The credentials' tables are named here by column, not imported: the vault knows keys and bytes, no features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Integer, LargeBinary, Row, String, column, delete, exists, or_, select, table, union
from sqlalchemy.ext.asyncio import AsyncSession

from app.vault.models import SealedValue, VaultCanary, VaultInstance

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
    """List the kids that stored credentials and sealed values name."""
    named = union(select(_SECRETS.c.kid), select(SealedValue.kid))
    return sorted((await session.execute(named)).scalars())


async def holds_credentials(session: AsyncSession) -> bool:
    """Say whether anything that a key ring could have sealed is stored."""
    rows = (select(_CREDENTIALS.c.id), select(_SECRETS.c.credential_id), select(SealedValue.id))
    found = await session.execute(select(or_(*(exists(row) for row in rows))))
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


async def get_sealed_value(session: AsyncSession, value_id: str, *, owner_id: str | None) -> SealedValue | None:
    """Return a sealed value of this owner. None is an owner too: the installation."""
    statement = select(SealedValue).where(SealedValue.id == value_id, SealedValue.owner_id.is_not_distinct_from(owner_id))
    return (await session.execute(statement)).scalar_one_or_none()


async def delete_sealed_value(session: AsyncSession, value_id: str, *, owner_id: str | None) -> None:
    """Erase a sealed value of this owner with its data key; nothing happens when there is none."""
    statement = delete(SealedValue).where(SealedValue.id == value_id, SealedValue.owner_id.is_not_distinct_from(owner_id))
    await session.execute(statement)


async def list_sealed_values(session: AsyncSession, *, after: str, limit: int) -> Sequence[SealedValue]:
    """List sealed values by id, for a look at whether all open."""
    statement = select(SealedValue).where(SealedValue.id > after).order_by(SealedValue.id).limit(limit)
    return (await session.execute(statement)).scalars().all()
