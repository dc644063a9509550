"""Queries that compare keys over all users: what comes back are counts and codes, never whose a key is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.models import Credential


@dataclass(frozen=True, slots=True)
class SampledKey:
    """A key to compare another one with: how its newest check ended, and nothing of whose it is."""

    id: str
    code: str
    checked_at: datetime


async def count_by_way_for_operations(session: AsyncSession, *, exchange: str) -> dict[str, int]:
    """Return how many keys of an exchange, of all users, are on each way out."""
    query = select(Credential.way, func.count()).where(Credential.exchange == exchange, Credential.way.is_not(None))
    return {way: count for way, count in await session.execute(query.group_by(Credential.way)) if way is not None}


async def sample_keys_for_operations(
    session: AsyncSession, places: Sequence[tuple[str, str]], *, since: datetime, limit: int
) -> dict[tuple[str, str], list[SampledKey]]:
    """Return the keys checked last at each place (exchange and environment), of all users, a few each."""
    newest = [
        select(Credential.exchange, Credential.environment, Credential.id, Credential.checked_code, Credential.checked_at)
        .where(Credential.exchange == exchange, Credential.environment == environment, Credential.checked_at >= since)
        .order_by(Credential.checked_at.desc())
        .limit(limit)
        .subquery()
        for exchange, environment in places
    ]
    found: dict[tuple[str, str], list[SampledKey]] = {place: [] for place in places}
    if newest:
        for exchange, environment, id_, code, at in await session.execute(union_all(*[select(part) for part in newest])):
            found[exchange, environment].append(SampledKey(id_, code, at))
    return found
