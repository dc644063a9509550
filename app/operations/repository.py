"""Queries of operations: counts over all users. No row of a single person is read here."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.models import Credential, CredentialSecret, KeyCheck


@dataclass(frozen=True, slots=True)
class CheckCount:
    """How many checks of an exchange ended with a code, and when the newest of them began."""

    exchange: str
    code: str
    count: int
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class CredentialCount:
    """How many credentials of an exchange stand alike: the code of the newest check, `paused` or `unchecked`."""

    exchange: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class DueCount:
    """How many credentials wait for their check, or are being checked, and since when the first of them was due."""

    count: int
    oldest_at: datetime | None


async def count_due(session: AsyncSession, *, now: datetime) -> DueCount:
    """Count the credentials whose check is due, over all users."""
    due = (Credential.next_check_at <= now, Credential.paused_at.is_(None))
    count, oldest_at = (await session.execute(select(func.count(), func.min(Credential.next_check_at)).where(*due))).one()
    return DueCount(count, oldest_at)


async def count_checks(session: AsyncSession, *, since: datetime) -> list[CheckCount]:
    """Count the checks begun since a moment, by exchange and code, over all users."""
    statement = (
        select(Credential.exchange, KeyCheck.code, func.count(), func.max(KeyCheck.started_at))
        .join(Credential, Credential.id == KeyCheck.credential_id)
        .where(KeyCheck.started_at >= since)
        .group_by(Credential.exchange, KeyCheck.code)
        .order_by(Credential.exchange, KeyCheck.code)
    )
    return [CheckCount(exchange, code, count, at) for exchange, code, count, at in await session.execute(statement)]


async def count_credentials(session: AsyncSession) -> list[CredentialCount]:
    """Count the stored credentials by exchange and how they stand, over all users."""
    standing = case((Credential.paused_at.is_not(None), "paused"), else_=func.coalesce(KeyCheck.code, "unchecked")).label(
        "standing"
    )
    statement = (
        select(Credential.exchange, standing, func.count())
        .outerjoin(KeyCheck, KeyCheck.id == Credential.newest_check_id)
        .group_by(Credential.exchange, standing)
        .order_by(Credential.exchange, standing)
    )
    return [CredentialCount(exchange, code, count) for exchange, code, count in await session.execute(statement)]


async def count_secrets_by_kid(session: AsyncSession) -> dict[str, int]:
    """Count the sealed credentials by the root key that sealed them."""
    statement = select(CredentialSecret.kid, func.count().label("sealed")).group_by(CredentialSecret.kid)
    return {row.kid: row.sealed for row in await session.execute(statement)}
