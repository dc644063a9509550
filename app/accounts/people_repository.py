"""Every query of the operator's list of people: a page at a time, by e-mail."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.models import ApiToken, Invitation, User, UserSession


async def list_people(session: AsyncSession, *, query: str, after_id: str | None, limit: int) -> list[User]:
    """Return people whose e-mail holds the query, in the order of their e-mails, those that come after one if given."""
    statement = select(User).order_by(User.email).limit(limit)
    if query:
        statement = statement.where(User.email.contains(query, autoescape=True))
    if after_id is not None:
        statement = statement.where(User.email > select(User.email).where(User.id == after_id).scalar_subquery())
    return list((await session.execute(statement)).scalars())


async def count_people(session: AsyncSession, *, query: str) -> int:
    statement = select(func.count()).select_from(User)
    if query:
        statement = statement.where(User.email.contains(query, autoescape=True))
    return int((await session.execute(statement)).scalar_one())


async def list_last_seen(session: AsyncSession, user_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when each of these people last used a browser session."""
    rows = await session.execute(
        select(UserSession.user_id, func.max(UserSession.last_seen_at).label("at"))
        .where(UserSession.user_id.in_(user_ids))
        .group_by(UserSession.user_id)
    )
    return {row.user_id: row.at for row in rows}


async def delete_invitations(session: AsyncSession, *, user_id: str) -> None:
    """Remove the unused invitations that this person made: one kept back would be a way in again."""
    query = delete(Invitation).where(Invitation.created_by == user_id, Invitation.used_at.is_(None))
    await session.execute(query.execution_options(synchronize_session=False))


async def revoke_tokens(session: AsyncSession, *, user_id: str, now: datetime) -> int:
    """Make all API tokens of this person worthless; returns how many."""
    query = update(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
    return len((await session.execute(query.returning(ApiToken.id))).all())
