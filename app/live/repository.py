"""Every query of recent changes. A person's changes are asked for with that person's id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.live.models import LiveEvent


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change as stored."""

    id: int
    credential_id: str | None
    kind: str
    at: datetime


async def add_events(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert all rows in one statement."""
    await session.execute(insert(LiveEvent), list(rows))


async def notify(session: AsyncSession, *, channel: str, payload: str) -> None:
    """Send PostgreSQL's signal; it leaves when the transaction is committed, and not at all when it is rolled back."""
    await session.execute(select(func.pg_notify(channel, payload)))


async def list_changes(session: AsyncSession, *, user_id: str, since: datetime) -> list[ChangeRow]:
    """Return a person's changes from a moment on, oldest first."""
    query = select(LiveEvent.id, LiveEvent.credential_id, LiveEvent.kind, LiveEvent.at)
    query = query.where(LiveEvent.user_id == user_id, LiveEvent.at >= since).order_by(LiveEvent.at, LiveEvent.id)
    return [ChangeRow(*row) for row in await session.execute(query)]


async def get_newest_id(session: AsyncSession) -> int | None:
    """Return the newest change's number, over all users: whether anything happened at all."""
    return await session.scalar(select(func.max(LiveEvent.id)))


async def prune(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """Delete at most `limit` changes older than a moment, oldest numbers first; return how many went."""
    oldest = select(LiveEvent.id, LiveEvent.at).order_by(LiveEvent.id).limit(limit).subquery()
    old = select(oldest.c.id).where(oldest.c.at < before)
    result = await session.execute(delete(LiveEvent).where(LiveEvent.id.in_(old)).execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount
