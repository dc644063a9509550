"""Queries of the outbox, over all users: who is to be told, what is due, who has claimed it, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.models import User
from app.alerts.models import Alert, AlertChannel, AlertDelivery, AlertPreferences
from app.alerts.repository import AlertRow, count_rows, make_alert_row, select_alerts

WAITING, SENT, DEAD, DROPPED = "waiting", "sent", "dead", "dropped"


@dataclass(frozen=True, slots=True)
class ClaimedChannel:
    """A channel that we are sending to. `marked_at` is the mark: whoever finds another one has lost it."""

    channel_id: str
    user_id: str
    marked_at: datetime


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery to be made, with its alert."""

    id: str
    attempts: int
    alert: AlertRow


async def list_channels_for_worker(session: AsyncSession, user_ids: Sequence[str]) -> list[AlertChannel]:
    query = select(AlertChannel).where(AlertChannel.user_id.in_(user_ids)).order_by(AlertChannel.id)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def list_preferences_for_worker(session: AsyncSession, user_ids: Sequence[str]) -> dict[str, AlertPreferences]:
    query = select(AlertPreferences).where(AlertPreferences.user_id.in_(user_ids))
    return {row.user_id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


async def find_email_for_worker(session: AsyncSession, user_id: str) -> str | None:
    """Return the person's address; None when the person is gone or disabled."""
    return await session.scalar(select(User.email).where(User.id == user_id, User.disabled_at.is_(None)))


async def has_waiting_of_disabled_for_worker(session: AsyncSession) -> bool:
    """Return whether something waits for people who were disabled."""
    return await session.scalar(_select_of_disabled().limit(1)) is not None


async def drop_of_disabled_for_worker(session: AsyncSession, *, outcome: str, now: datetime) -> int:
    """End what waits for people who were disabled, whenever it is due; return how many that were."""
    chosen = _select_of_disabled().with_for_update(skip_locked=True, of=AlertDelivery)
    statement = update(AlertDelivery).where(AlertDelivery.id.in_(chosen))
    return await count_rows(session, statement.values(state=DROPPED, outcome=outcome, ended_at=now))


async def has_due_for_worker(session: AsyncSession, *, now: datetime, stale_before: datetime, quiet_before: datetime) -> bool:
    """Return whether a claim would find something, without a lock."""
    query = select(AlertChannel.id).where(_is_due(now, stale_before, quiet_before)).limit(1)
    return await session.scalar(query) is not None


async def claim_due_for_worker(
    session: AsyncSession, *, now: datetime, stale_before: datetime, quiet_before: datetime, limit: int
) -> list[ClaimedChannel]:
    """Mark up to `limit` channels with due deliveries as being sent to: one statement, so that no two claims meet.

    A mark older than `stale_before` was left by a crash. A channel tried after `quiet_before` waits: one message a minute.
    """
    due = select(AlertChannel.id).where(_is_due(now, stale_before, quiet_before)).order_by(AlertChannel.id).limit(limit)
    chosen = due.with_for_update(skip_locked=True, of=AlertChannel).cte("due")
    statement = update(AlertChannel).where(AlertChannel.id.in_(select(chosen.c.id))).values(claimed_at=now)
    result = await session.execute(
        statement.returning(AlertChannel.id, AlertChannel.user_id), execution_options={"synchronize_session": False}
    )
    return [ClaimedChannel(channel_id, user_id, now) for channel_id, user_id in result]


async def get_channel_for_worker(session: AsyncSession, channel_id: str) -> AlertChannel | None:
    return await session.get(AlertChannel, channel_id, populate_existing=True)


async def list_due_for_worker(session: AsyncSession, channel_id: str, *, now: datetime, limit: int) -> list[DueDelivery]:
    """Return what is due at a channel, oldest first."""
    query = select_alerts().add_columns(AlertDelivery.id, AlertDelivery.attempts)
    query = query.join(AlertDelivery, AlertDelivery.alert_id == Alert.id)
    query = query.where(AlertDelivery.channel_id == channel_id, AlertDelivery.state == WAITING, AlertDelivery.due_at <= now)
    rows = await session.execute(query.order_by(Alert.at, Alert.id).limit(limit))
    return [DueDelivery(row[9], row[10], make_alert_row(row)) for row in rows]


async def end_claim_for_worker(session: AsyncSession, claim: ClaimedChannel, *, values: dict[str, Any]) -> bool:
    """Take our mark away and write how it went. False when the mark is not ours any more."""
    statement = update(AlertChannel).where(AlertChannel.id == claim.channel_id, AlertChannel.claimed_at == claim.marked_at)
    return await count_rows(session, statement.values(claimed_at=None, **values)) == 1


async def change_waiting_for_worker(session: AsyncSession, delivery_ids: Sequence[str], *, values: dict[str, Any]) -> None:
    """Write what became of deliveries that still wait."""
    statement = update(AlertDelivery).where(AlertDelivery.id.in_(delivery_ids), AlertDelivery.state == WAITING)
    await count_rows(session, statement.values(**values))


async def list_facts_for_worker(session: AsyncSession, *, user_id: str, kind: str, since: datetime) -> list[dict[str, str]]:
    """Return the facts of a person's alerts of one kind since a moment."""
    query = select(Alert.facts).where(Alert.user_id == user_id, Alert.at >= since, Alert.kind == kind)
    return list(await session.scalars(query))


async def purge_for_worker(session: AsyncSession, *, user_ids: Sequence[str], alerts_before: datetime) -> None:
    """Erase these people's alerts from before the moment, with their deliveries, and tests as old."""
    await count_rows(session, delete(Alert).where(Alert.user_id.in_(user_ids), Alert.at < alerts_before))
    owned = exists().where(AlertChannel.id == AlertDelivery.channel_id, AlertChannel.user_id.in_(user_ids))
    await count_rows(session, delete(AlertDelivery).where(owned, AlertDelivery.created_at < alerts_before))


def _select_of_disabled() -> Select[str]:
    query = select(AlertDelivery.id).join(AlertChannel, AlertChannel.id == AlertDelivery.channel_id)
    query = query.join(User, User.id == AlertChannel.user_id)
    return query.where(AlertDelivery.state == WAITING, User.disabled_at.is_not(None))


def _is_due(now: datetime, stale_before: datetime, quiet_before: datetime) -> ColumnElement[bool]:
    waiting = AlertChannel.id.in_(
        select(AlertDelivery.channel_id).where(AlertDelivery.state == WAITING, AlertDelivery.due_at <= now)
    )
    unmarked = or_(AlertChannel.claimed_at.is_(None), AlertChannel.claimed_at <= stale_before)
    rested = or_(AlertChannel.tried_at.is_(None), AlertChannel.tried_at <= quiet_before)
    return and_(waiting, unmarked, rested)
