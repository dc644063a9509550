"""Every query about one-time links that reset a password or part from lost factors."""

from datetime import datetime

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.attempt_models import ResetLink
from app.accounts.models import User


async def get_link(session: AsyncSession, token_hash: str, *, kind: str, now: datetime) -> tuple[ResetLink, User] | None:
    """Return the link and whose it is, if it can still be used and the person may sign in at all."""
    query = (
        select(ResetLink, User)
        .join(User, User.id == ResetLink.user_id)
        .where(ResetLink.token_hash == token_hash, ResetLink.kind == kind, ResetLink.ended_at.is_(None))
        .where(ResetLink.expires_at > now, User.disabled_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row else None


async def use_link(session: AsyncSession, link_id: str, *, user_id: str, now: datetime) -> bool:
    """Use the link up in one statement: of two at once exactly one is told True."""
    query = update(ResetLink).where(
        ResetLink.id == link_id, ResetLink.user_id == user_id, ResetLink.ended_at.is_(None), ResetLink.expires_at > now
    )
    result = await session.execute(query.values(ended_at=now, used_at=now).returning(ResetLink.id))
    return result.scalar_one_or_none() is not None


async def sweep_links(session: AsyncSession, *, before: datetime, but_used: str) -> None:
    """Remove links that were made before then, but for used ones that were handed out in that way."""
    is_kept = and_(ResetLink.way == but_used, ResetLink.used_at.is_not(None))
    query = delete(ResetLink).where(ResetLink.created_at < before, ~is_kept)
    await session.execute(query.execution_options(synchronize_session=False))


async def end_links(session: AsyncSession, *, user_id: str, now: datetime) -> None:
    """Make all of this person's links worthless."""
    await session.execute(
        update(ResetLink)
        .where(ResetLink.user_id == user_id, ResetLink.ended_at.is_(None))
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )


async def forget_links(session: AsyncSession, *, user_id: str) -> None:
    """Remove all of this person's links, used or not: the person has shown that the password is their own."""
    await session.execute(delete(ResetLink).where(ResetLink.user_id == user_id).execution_options(synchronize_session=False))


async def has_standing_link(session: AsyncSession, *, user_id: str, kind: str, way: str, now: datetime) -> bool:
    """Tell whether such a link was used since the person last signed in by password, or can be used now."""
    can_be_used = and_(ResetLink.ended_at.is_(None), ResetLink.expires_at > now)
    query = select(ResetLink.id).where(
        ResetLink.user_id == user_id,
        ResetLink.kind == kind,
        ResetLink.way == way,
        or_(ResetLink.used_at.is_not(None), can_be_used),
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none() is not None


async def replace_hash(session: AsyncSession, user_id: str, *, new: str) -> None:
    """Store the hash of a password that was chosen anew, whatever the old one was."""
    await session.execute(
        update(User)
        .where(User.id == user_id, User.disabled_at.is_(None))
        .values(password_hash=new)
        .execution_options(synchronize_session=False)
    )
