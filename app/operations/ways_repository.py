"""Queries of ways out: how many keys are on each, and which addresses exchanges told they saw. Counts over all users."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.models import Credential, KeyCheck


@dataclass(frozen=True, slots=True)
class SeenAddress:
    """An address that an exchange told it saw in newest checks, by the way out of the keys, and how often."""

    way: str | None
    exchange: str
    address: str
    count: int


async def count_by_way(session: AsyncSession) -> dict[str | None, int]:
    statement = select(Credential.way, func.count()).group_by(Credential.way)
    return {way: count for way, count in await session.execute(statement)}  # noqa: C416  # a row is no pair for dict()


async def list_seen_addresses(session: AsyncSession, *, since: datetime) -> list[SeenAddress]:
    """Return the addresses of newest checks that ended since a moment. Hidden from everyone but operators and owners."""
    statement = (
        select(Credential.way, Credential.exchange, KeyCheck.seen_ip, func.count())
        .join(KeyCheck, KeyCheck.id == Credential.newest_check_id)
        .where(KeyCheck.seen_ip.is_not(None), KeyCheck.finished_at >= since)
        .group_by(Credential.way, Credential.exchange, KeyCheck.seen_ip)
        .order_by(Credential.exchange, KeyCheck.seen_ip)
    )
    return [SeenAddress(way, exchange, str(ip), count) for way, exchange, ip, count in await session.execute(statement)]
