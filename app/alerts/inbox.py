"""A person's alerts as they read them: newest first, a page at a time, read or unread."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.alerts import repository
from app.alerts.delivery import describe_alert
from app.alerts.messages import Message, write_message
from app.clock import Clock
from app.exchanges.registry import Exchanges
from app.live.changes import Change, ChangeKind, note_changes

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class InboxItem:
    message: Message
    is_read: bool


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Alerts, newest first; `older` is the cursor of the next page, None at the end."""

    items: tuple[InboxItem, ...]
    older: str | None


class Inbox:
    """One unit of work on a person's own alerts."""

    def __init__(self, session: AsyncSession, *, exchanges: Exchanges, clock: Clock) -> None:
        self._session = session
        self._exchanges = exchanges
        self._clock = clock

    async def list_page(
        self, principal: Principal, *, before: str | None = None, only_unread: bool = False, limit: int = PAGE_SIZE
    ) -> InboxPage:
        rows = await repository.list_alerts(
            self._session, user_id=principal.user_id, limit=limit + 1, before=before, only_unread=only_unread
        )
        items = tuple(
            InboxItem(write_message(describe_alert(row, exchanges=self._exchanges), is_own_page=True), row.read_at is not None)
            for row in rows[:limit]
        )
        return InboxPage(items, items[-1].message.id if len(rows) > limit else None)

    async def mark_read(self, principal: Principal, alert_id: str | None = None) -> None:
        """Mark one alert as read, or all. One that is not there, or not the person's, changes nothing."""
        now = self._clock()
        if await repository.mark_read(self._session, user_id=principal.user_id, now=now, alert_id=alert_id):
            await note_changes(self._session, [Change(principal.user_id, None, ChangeKind.ALERT)], at=now)
