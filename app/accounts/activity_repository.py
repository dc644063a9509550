"""Queries of a person's own events: newest first, of one kind, since a moment, older than one of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import String, and_, cast, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.activity_query import Kind
from app.accounts.models import User, UserSession
from app.audit import AuditEvent

Event = tuple[AuditEvent, str | None]


async def list_events(
    session: AsyncSession, *, user_id: str, limit: int, before_id: str | None, since: datetime | None, kind: Kind | None
) -> Sequence[Event]:
    """Return events of this person's account with the actor's stored roles as text, newest first, older than `before_id`."""
    query = (
        select(AuditEvent, cast(User.roles, String))
        .outerjoin(User, User.id == AuditEvent.actor_id)
        .where(*_narrow(user_id, since=since, kind=kind))
        .order_by(AuditEvent.at.desc(), AuditEvent.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        edge = select(AuditEvent.at, AuditEvent.id).where(AuditEvent.id == before_id, AuditEvent.owner_id == user_id)
        found = (await session.execute(edge)).one_or_none()
        if found is None:
            return []
        query = query.where(or_(AuditEvent.at < found[0], and_(AuditEvent.at == found[0], AuditEvent.id < found[1])))
    return [(event, roles) for event, roles in (await session.execute(query)).all()]


async def count_events(session: AsyncSession, *, user_id: str, since: datetime | None, kind: Kind | None) -> int:
    query = select(func.count()).select_from(AuditEvent).where(*_narrow(user_id, since=since, kind=kind))
    return (await session.execute(query)).scalar_one()


async def list_user_agents(session: AsyncSession, session_ids: Collection[str], *, user_id: str) -> dict[str, str]:
    """Return how the browsers of this person's sessions described themselves, by session id."""
    query = select(UserSession.id, UserSession.user_agent).where(UserSession.id.in_(session_ids), UserSession.user_id == user_id)
    return {row.id: row.user_agent for row in await session.execute(query)}


def _narrow(user_id: str, *, since: datetime | None, kind: Kind | None) -> list[Any]:
    """Return the conditions that only this person's events of the kind and time meet."""
    conditions: list[Any] = [AuditEvent.owner_id == user_id]
    if since is not None:
        conditions.append(AuditEvent.at >= since)
    if kind is not None:
        is_named = or_(*(AuditEvent.action.startswith(f"{noun}.", autoescape=True) for noun in kind.nouns))
        conditions.append(not_(is_named) if kind.is_rest else is_named)
    return conditions
