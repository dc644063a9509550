"""Queries of the schedule. The table of credentials is the queue: what is due, who has claimed it, what is given back.

Functions named ..._for_worker reach over all users; they return ids and moments only.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Select, and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.credentials.models import Credential, KeyCheck


class Duty(StrEnum):
    """What a credential is due for: its rights, with its balances in passing, or its balances alone."""

    RIGHTS = "rights"
    BALANCES = "balances"


@dataclass(frozen=True, slots=True)
class Ways:
    """Which ways out a claim may use: all but some, or some only. None is the way of credentials that have not chosen."""

    without: Collection[str | None] = ()
    only: Collection[str | None] | None = None


ANY_WAY = Ways()


@dataclass(frozen=True, slots=True)
class ClaimedCheck:
    """A credential that is marked as being checked by us. `marked_at` is the mark: whoever finds another one has lost it."""

    credential_id: str
    user_id: str
    marked_at: datetime
    duty: Duty = Duty.RIGHTS


async def list_sites_for_worker(session: AsyncSession) -> list[tuple[str, str]]:
    """Return every (exchange, environment) that has credentials: one step through the index for each, however many there are."""
    sites: list[tuple[str, str]] = []
    here = tuple_(Credential.exchange, Credential.environment)
    query = select(Credential.exchange, Credential.environment).order_by(Credential.exchange, Credential.environment).limit(1)
    while (found := (await session.execute(query.where(here > sites[-1]) if sites else query)).one_or_none()) is not None:
        sites.append((found.exchange, found.environment))
    return sites


async def count_due_for_worker(
    session: AsyncSession, *, exchange: str, environment: str, now: datetime, stale_before: datetime, most: int
) -> int:
    """Return how many credentials of a site a claim would find, counted up to `most`; without a lock."""
    due = select_due_for_worker(exchange, environment, now=now, stale_before=stale_before).limit(most)
    return await session.scalar(select(func.count()).select_from(due.subquery())) or 0


async def claim_due_for_worker(
    session: AsyncSession,
    *,
    exchange: str,
    environment: str,
    now: datetime,
    stale_before: datetime,
    limit: int,
    ways: Ways = ANY_WAY,
) -> list[ClaimedCheck]:
    """Mark up to `limit` due credentials of a site as being checked and return them: one statement, so that no claims meet.

    A mark older than `stale_before` was left by a crash and is taken over.
    """
    due = select_due_for_worker(exchange, environment, now=now, stale_before=stale_before)
    for way in ways.without:
        due = due.where(Credential.way.is_distinct_from(way))
    if ways.only is not None:
        due = due.where(or_(*[Credential.way.is_not_distinct_from(way) for way in ways.only]))
    chosen = due.order_by(Credential.due_at).limit(limit).with_for_update(skip_locked=True)
    picked = chosen.cte("due")  # SQLite has no row locks: there BEGIN IMMEDIATE keeps others out
    statement = update(Credential).where(Credential.id.in_(select(picked.c.id))).values(checking_since=now)
    result = await session.execute(
        statement.returning(Credential.id, Credential.user_id, Credential.next_check_at),
        execution_options={"synchronize_session": False},
    )
    return [
        ClaimedCheck(credential_id, user_id, now, Duty.RIGHTS if next_check_at is None or next_check_at <= now else Duty.BALANCES)
        for credential_id, user_id, next_check_at in result
    ]


async def retake_claims_for_worker(
    session: AsyncSession, claims: Collection[ClaimedCheck], *, now: datetime, stale_before: datetime
) -> list[ClaimedCheck]:
    """Mark anew what a killed process has left: return those claims that nobody else has ended or taken over, with new marks."""
    taken = []
    for claim in claims:
        statement = update(Credential).where(
            Credential.id == claim.credential_id,
            Credential.checking_since == claim.marked_at,
            Credential.checking_since <= stale_before,
        )
        result = await session.execute(statement.values(checking_since=now), execution_options={"synchronize_session": False})
        if isinstance(result, CursorResult) and result.rowcount == 1:
            taken.append(ClaimedCheck(claim.credential_id, claim.user_id, now, claim.duty))
    return taken


async def end_claim_for_worker(session: AsyncSession, claim: ClaimedCheck, *, again_at: datetime | None = None) -> bool:
    """Take our mark away, and put what was due off where a moment is given. False when the mark is not ours any more."""
    values: dict[str, Any] = {"checking_since": None}
    if again_at is not None:
        values["next_balances_at"] = again_at if claim.duty is Duty.BALANCES else None  # a check fetches them anyway
    if again_at is not None and claim.duty is Duty.RIGHTS:
        values["next_check_at"] = again_at
    statement = update(Credential).where(Credential.id == claim.credential_id, Credential.checking_since == claim.marked_at)
    if again_at is not None:
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


def select_due_for_worker(exchange: str, environment: str, *, now: datetime, stale_before: datetime) -> Select[str]:
    """Return the query of what is due at a site: a range of the index by which it is found in order of time."""
    unmarked: ColumnElement[bool] = or_(Credential.checking_since.is_(None), Credential.checking_since <= stale_before)
    here = (Credential.exchange == exchange, Credential.environment == environment)
    return select(Credential.id).where(*here, Credential.due_at <= now, unmarked)
