"""Turns changes of keys into alerts, and puts them into the outbox of every channel that wants them. One transaction."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import outbox_repository, repository
from app.alerts.events import ALL_EVENTS, is_urgent
from app.alerts.models import Alert, AlertChannel, AlertDelivery, AlertPreferences
from app.alerts.outbox_repository import WAITING
from app.alerts.quiet_hours import UTC_NAME, QuietHours, choose_due
from app.clock import Clock
from app.credentials import change_repository
from app.credentials.change_repository import ChangeRow
from app.identifiers import create_id
from app.live.changes import Change, ChangeKind, note_changes

AT_ONCE = 200
KEPT_FOR = timedelta(days=90)
EMAIL = "email"


class FanOut:
    """One round, in one writing unit of work."""

    def __init__(self, session: AsyncSession, *, clock: Clock, mail_is_on: bool) -> None:
        self._session = session
        self._clock = clock
        self._mail_is_on = mail_is_on

    async def run(self) -> int:
        """Take changes that nobody was told of, oldest first; return how many."""
        now = self._clock()
        changes = await change_repository.take_untold_for_worker(self._session, now=now, limit=AT_ONCE)
        if not changes:
            return 0
        user_ids = sorted({change.user_id for change in changes})
        preferences = await self._prepare(user_ids, now=now)
        channels: dict[str, list[AlertChannel]] = {}
        for channel in await outbox_repository.list_channels_for_worker(self._session, user_ids):
            channels.setdefault(channel.user_id, []).append(channel)
        for change in changes:
            await self._tell(change, channels.get(change.user_id, []), preferences[change.user_id], now=now)
        told = [Change(change.user_id, change.credential_id, ChangeKind.ALERT) for change in changes]
        await note_changes(self._session, told, at=now)
        await outbox_repository.purge_for_worker(self._session, user_ids=user_ids, alerts_before=now - KEPT_FOR)
        return len(changes)

    async def _prepare(self, user_ids: Iterable[str], *, now: datetime) -> dict[str, AlertPreferences]:
        """Return everybody's choices. Who has not chosen yet is told by e-mail, where there is a mail server."""
        known = await outbox_repository.list_preferences_for_worker(self._session, list(user_ids))
        for user_id in user_ids:
            if user_id not in known:
                known[user_id] = await begin(self._session, user_id, now=now, mail_is_on=self._mail_is_on)
        return known

    async def _tell(
        self, change: ChangeRow, channels: Iterable[AlertChannel], preferences: AlertPreferences, *, now: datetime
    ) -> None:
        alert = Alert(
            id=create_id("alt"),
            user_id=change.user_id,
            credential_id=change.credential_id,
            change_id=change.id,
            at=change.at,
            kind=change.kind,
            phase=change.phase,
            facts=change.facts,
        )
        await repository.add(self._session, alert)
        urgent = is_urgent(change.kind, phase=change.phase, facts=change.facts)
        due_at = choose_due(read_quiet_hours(preferences), is_urgent=urgent, at=now)
        for channel in channels:
            if change.kind in channel.events:
                await repository.add(self._session, make_delivery(channel.id, alert.id, due_at=due_at, now=now))


async def begin(session: AsyncSession, user_id: str, *, now: datetime, mail_is_on: bool) -> AlertPreferences:
    """Write a person's first choices: every event by e-mail where letters can be sent, and no quiet hours."""
    preferences = AlertPreferences(user_id=user_id, time_zone=UTC_NAME)
    await repository.add(session, preferences)
    if mail_is_on:
        await repository.add(session, make_channel(user_id, kind=EMAIL, name="E-mail", hint="your address", now=now))
    return preferences


def make_channel(user_id: str, *, kind: str, name: str, hint: str, now: datetime, value_id: str | None = None) -> AlertChannel:
    """Return a new channel that is told of everything."""
    return AlertChannel(
        id=create_id("chn"),
        user_id=user_id,
        kind=kind,
        name=name,
        hint=hint,
        value_id=value_id,
        events=list(ALL_EVENTS),
        shows_labels=True,
        created_at=now,
    )


def make_delivery(channel_id: str, alert_id: str | None, *, due_at: datetime, now: datetime) -> AlertDelivery:
    return AlertDelivery(
        id=create_id("dlv"),
        channel_id=channel_id,
        alert_id=alert_id,
        created_at=now,
        due_at=due_at,
        state=WAITING,
        attempts=0,
    )


def read_quiet_hours(preferences: AlertPreferences) -> QuietHours | None:
    if preferences.quiet_from is None or preferences.quiet_to is None:
        return None
    return QuietHours(preferences.quiet_from, preferences.quiet_to, preferences.time_zone)
