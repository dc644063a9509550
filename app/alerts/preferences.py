"""What a person chooses for all channels together: quiet hours, and the private link to the calendar."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.accounts.entry import EntryRefused
from app.accounts.tokens import create_token, hash_token, show_once
from app.alerts import repository
from app.alerts.calendar import EndingEvent, write_calendar
from app.alerts.fan_out import begin, read_quiet_hours
from app.alerts.models import AlertPreferences
from app.alerts.quiet_hours import QuietHours, list_time_zones, parse_minute
from app.audit import record_event
from app.clock import Clock
from app.credentials.descriptions import find_exchange
from app.exchanges.registry import Exchanges
from app.masking import Secret
from app.settings import Settings
from app.web.errors import NotFound


@dataclass(frozen=True, slots=True)
class PreferencesView:
    """What the page shows. `has_begun`: False until the person chose something or was told of something."""

    quiet: QuietHours | None
    time_zone: str
    has_calendar: bool
    has_begun: bool


class Preferences:
    """One unit of work on a person's choices."""

    def __init__(self, session: AsyncSession, *, clock: Clock, settings: Settings, mail_is_on: bool) -> None:
        self._session = session
        self._clock = clock
        self._settings = settings
        self._mail_is_on = mail_is_on

    async def describe(self, principal: Principal) -> PreferencesView:
        row = await repository.get_preferences(self._session, user_id=principal.user_id)
        if row is None:
            return PreferencesView(None, "UTC", has_calendar=False, has_begun=False)
        return PreferencesView(read_quiet_hours(row), row.time_zone, has_calendar=row.calendar_hash is not None, has_begun=True)

    async def set_quiet_hours(self, principal: Principal, *, start: str, end: str, time_zone: str, is_on: bool) -> None:
        """Choose quiet hours, or none. Raises EntryRefused."""
        if time_zone not in list_time_zones():
            raise EntryRefused("time_zone", "Choose a time zone of the list.")
        begins, ends = parse_minute(start), parse_minute(end)
        if is_on and begins is None:
            raise EntryRefused("quiet_from", "Type a time such as 22:00.")
        if is_on and (ends is None or ends == begins):
            raise EntryRefused("quiet_to", "Type another time, such as 07:00.")
        row = await self._open(principal)
        row.quiet_from, row.quiet_to = (begins, ends) if is_on else (None, None)
        row.time_zone = time_zone
        await repository.add(self._session, row)
        self._record(principal, "alerts.quiet_hours_changed")

    async def make_calendar(self, principal: Principal) -> str:
        """Make a new private link, in place of an older one, and return it for the one answer that shows it."""
        row = await self._open(principal)
        token = create_token()
        row.calendar_hash, row.calendar_since = hash_token(token), self._clock()
        await repository.add(self._session, row)
        self._record(principal, "alerts.calendar_made")
        return f"{self._settings.public_url}/calendar/{show_once(token)}.ics"

    async def revoke_calendar(self, principal: Principal) -> None:
        row = await self._open(principal)
        row.calendar_hash, row.calendar_since = None, None
        await repository.add(self._session, row)
        self._record(principal, "alerts.calendar_revoked")

    async def write_calendar(self, token: Secret, *, exchanges: Exchanges) -> str:
        """Return the calendar that a private link leads to. Raises NotFound, the same for a wrong and a revoked one."""
        user_id = await repository.find_calendar_owner(self._session, hash_token(token))
        if user_id is None:
            raise NotFound("calendar")
        events = []
        for key in await repository.list_ending_keys(self._session, user_id=user_id):
            exchange = find_exchange(key.exchange, exchanges=exchanges)
            events.append(EndingEvent(key.credential_id, exchange.name, exchange.expiry_rule, key.expires_at, key.told_at))
        return write_calendar(events, public_url=self._settings.public_url)

    async def _open(self, principal: Principal) -> AlertPreferences:
        """Return the person's row; one that is made now has the e-mail channel that everybody begins with."""
        row = await repository.get_preferences(self._session, user_id=principal.user_id)
        if row is not None:
            return row
        return await begin(self._session, principal.user_id, now=self._clock(), mail_is_on=self._mail_is_on)

    def _record(self, principal: Principal, action: str) -> None:
        record_event(
            self._session,
            action,
            at=self._clock(),
            actor_id=principal.user_id,
            owner_id=principal.user_id,
            actor_ip=principal.ip,
        )
