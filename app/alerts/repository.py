"""Every query of a person's own alerts, channels and choices."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Row, Select, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.models import User
from app.alerts.models import Alert, AlertChannel, AlertDelivery, AlertPreferences
from app.credentials.models import Credential, KeyCheck

MOST_COUNTED = 100


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert with what names its key."""

    id: str
    at: datetime
    kind: str
    phase: str
    facts: dict[str, str]
    credential_id: str | None
    read_at: datetime | None
    label: str | None
    exchange: str | None


@dataclass(frozen=True, slots=True)
class EndingKey:
    """A key with the end its exchange has told."""

    credential_id: str
    label: str
    exchange: str
    expires_at: datetime
    told_at: datetime


async def list_alerts(
    session: AsyncSession, *, user_id: str, limit: int, before: str | None = None, only_unread: bool = False
) -> list[AlertRow]:
    """Return alerts, newest first; with `before` those older than the alert with that id."""
    query = select_alerts().where(Alert.user_id == user_id)
    if only_unread:
        query = query.where(Alert.read_at.is_(None))
    if before is not None:
        edge = (
            await session.execute(select(Alert.at, Alert.id).where(Alert.id == before, Alert.user_id == user_id))
        ).one_or_none()
        if edge is None:
            return []
        query = query.where(or_(Alert.at < edge[0], (Alert.at == edge[0]) & (Alert.id < edge[1])))
    rows = await session.execute(query.order_by(Alert.at.desc(), Alert.id.desc()).limit(limit))
    return [make_alert_row(row) for row in rows]


def select_alerts() -> Select[*tuple[Any, ...]]:
    columns: list[Any] = [getattr(Alert, name) for name in AlertRow.__dataclass_fields__ if name not in ("label", "exchange")]
    query = select(*columns, Credential.label, Credential.exchange)
    return query.outerjoin(Credential, Credential.id == Alert.credential_id)


def make_alert_row(row: Row[*tuple[Any, ...]]) -> AlertRow:
    return AlertRow(*tuple(row)[:9])


async def count_unread(session: AsyncSession, *, user_id: str) -> int:
    """Return how many alerts are unread, at most MOST_COUNTED."""
    unread = select(Alert.id).where(Alert.user_id == user_id, Alert.read_at.is_(None)).limit(MOST_COUNTED).subquery()
    return await session.scalar(select(func.count()).select_from(unread)) or 0


async def mark_read(session: AsyncSession, *, user_id: str, now: datetime, alert_id: str | None = None) -> int:
    """Mark one alert, or all, as read; return how many were not."""
    statement = update(Alert).where(Alert.user_id == user_id, Alert.read_at.is_(None))
    if alert_id is not None:
        statement = statement.where(Alert.id == alert_id)
    return await count_rows(session, statement.values(read_at=now))


async def list_channels(session: AsyncSession, *, user_id: str) -> list[AlertChannel]:
    query = select(AlertChannel).where(AlertChannel.user_id == user_id).order_by(AlertChannel.created_at, AlertChannel.id)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def get_channel(session: AsyncSession, channel_id: str, *, user_id: str) -> AlertChannel | None:
    query = select(AlertChannel).where(AlertChannel.id == channel_id, AlertChannel.user_id == user_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def update_channel(session: AsyncSession, channel_id: str, *, user_id: str, values: dict[str, Any]) -> bool:
    statement = update(AlertChannel).where(AlertChannel.id == channel_id, AlertChannel.user_id == user_id)
    return await count_rows(session, statement.values(**values)) == 1


async def delete_channel(session: AsyncSession, channel_id: str, *, user_id: str) -> bool:
    """Delete a channel with what waits there and its log."""
    statement = delete(AlertChannel).where(AlertChannel.id == channel_id, AlertChannel.user_id == user_id)
    return await count_rows(session, statement) == 1


async def list_deliveries(session: AsyncSession, channel_id: str, *, user_id: str, limit: int) -> list[tuple[AlertDelivery, str]]:
    """Return the channel's newest deliveries, each with the kind of its alert ("" for a test)."""
    query = select(AlertDelivery, Alert.kind).join(AlertChannel, AlertChannel.id == AlertDelivery.channel_id)
    query = query.outerjoin(Alert, Alert.id == AlertDelivery.alert_id)
    query = query.where(AlertChannel.id == channel_id, AlertChannel.user_id == user_id)
    rows = await session.execute(query.order_by(AlertDelivery.created_at.desc(), AlertDelivery.id.desc()).limit(limit))
    return [(delivery, kind or "") for delivery, kind in rows]


async def get_preferences(session: AsyncSession, *, user_id: str) -> AlertPreferences | None:
    query = select(AlertPreferences).where(AlertPreferences.user_id == user_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def find_calendar_owner(session: AsyncSession, calendar_hash: str) -> str | None:
    """Return whose calendar it is, unless the person was disabled."""
    query = select(AlertPreferences.user_id).join(User, User.id == AlertPreferences.user_id)
    return await session.scalar(query.where(AlertPreferences.calendar_hash == calendar_hash, User.disabled_at.is_(None)))


async def list_ending_keys(session: AsyncSession, *, user_id: str) -> list[EndingKey]:
    """Return the person's keys whose end is known."""
    query = (
        select(Credential.id, Credential.label, Credential.exchange, KeyCheck.expires_at, KeyCheck.finished_at)
        .join(KeyCheck, KeyCheck.id == Credential.telling_check_id)
        .where(Credential.user_id == user_id, KeyCheck.expires_at.is_not(None))
        .order_by(KeyCheck.expires_at, Credential.id)
    )
    rows: list[Any] = list(await session.execute(query))
    return [EndingKey(*row) for row in rows]


async def count_rows(session: AsyncSession, statement: Any) -> int:
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


async def add(session: AsyncSession, *rows: Alert | AlertChannel | AlertDelivery | AlertPreferences) -> None:
    session.add_all(rows)
    await session.flush()
