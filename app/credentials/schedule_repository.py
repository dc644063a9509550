"""Queries of the schedule. The table of credentials is the queue: what is due, who has claimed it, what is given back.

Functions named ..._for_worker reach over all users; they return ids and moments only.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.models import Credential, KeyCheck


@dataclass(frozen=True, slots=True)
class ClaimedCheck:
    """A credential that is marked as being checked by us. `marked_at` is the mark: whoever finds another one has lost it."""

    credential_id: str
    user_id: str
    marked_at: datetime


async def claim_due_for_worker(session: AsyncSession, *, now: datetime, stale_before: datetime, limit: int) -> list[ClaimedCheck]:
    """Mark up to `limit` due credentials as being checked and return them: one statement, so that no two claims meet.

    A mark older than `stale_before` was left by a crash and is taken over.
    """
    due = select(Credential.id).where(_is_due(now, stale_before)).order_by(Credential.due_at).limit(limit)
    chosen = due.with_for_update(skip_locked=True).cte("due")  # SQLite has no row locks: there BEGIN IMMEDIATE keeps others out
    statement = update(Credential).where(Credential.id.in_(select(chosen.c.id))).values(checking_since=now)
    result = await session.execute(
        statement.returning(Credential.id, Credential.user_id), execution_options={"synchronize_session": False}
    )
    return [ClaimedCheck(credential_id, user_id, now) for credential_id, user_id in result]


async def is_any_due_for_worker(session: AsyncSession, *, now: datetime, stale_before: datetime) -> bool:
    """Return whether a claim would find something, without a lock: an idle worker must hold up nobody."""
    return await session.scalar(select(Credential.id).where(_is_due(now, stale_before)).limit(1)) is not None


async def end_claim_for_worker(session: AsyncSession, claim: ClaimedCheck, *, next_check_at: datetime | None = None) -> bool:
    """Take our mark away, and put the next check off where one is given. False when the mark is not ours any more."""
    values: dict[str, Any] = {"checking_since": None}
    if next_check_at is not None:
        values["next_check_at"] = next_check_at
    statement = update(Credential).where(Credential.id == claim.credential_id, Credential.checking_since == claim.marked_at)
    if next_check_at is not None:
        statement = statement.where(Credential.paused_at.is_(None))
    result = await session.execute(statement.values(**values), execution_options={"synchronize_session": False})
    return isinstance(result, CursorResult) and result.rowcount == 1


async def count_untelling_checks(session: AsyncSession, credential_id: str, *, user_id: str, reason: str) -> int:
    """Return how many checks made for `reason` said nothing of the key since the newest one that did."""
    owned = and_(Credential.id == KeyCheck.credential_id, Credential.user_id == user_id)
    telling = (
        select(KeyCheck.started_at).where(KeyCheck.id == Credential.telling_check_id).correlate(Credential).scalar_subquery()
    )
    query = select(func.count()).select_from(KeyCheck).join(Credential, owned).where(KeyCheck.credential_id == credential_id)
    since = or_(Credential.telling_check_id.is_(None), KeyCheck.started_at > telling)
    return await session.scalar(query.where(KeyCheck.reason == reason, since)) or 0


def _is_due(now: datetime, stale_before: datetime) -> ColumnElement[bool]:
    unmarked = or_(Credential.checking_since.is_(None), Credential.checking_since <= stale_before)
    return and_(Credential.due_at <= now, unmarked)
