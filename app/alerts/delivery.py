"""Delivers what is in the outbox: at least once, with growing waits, and not more than one message a minute per channel.
Nothing that may wait goes out within quiet hours, whatever made it late.

Claim, send, mark: three steps, the middle one without any transaction. A process that is killed between sending and
marking leaves a mark that runs out, and the message is sent once more.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import outbox_repository, repository
from app.alerts.events import CHANNEL_FAILED, is_urgent
from app.alerts.fan_out import read_quiet_hours
from app.alerts.messages import AlertFacts, Outgoing, write_all
from app.alerts.models import Alert, AlertChannel
from app.alerts.outbox_repository import DEAD, SENT, ClaimedChannel, DueDelivery
from app.alerts.quiet_hours import QuietHours, choose_due
from app.alerts.repository import AlertRow
from app.alerts.sending import SEND_SECONDS, Address, Sender, SendFailed
from app.clock import Clock
from app.credentials.change_models import Phase
from app.credentials.descriptions import find_exchange
from app.db import Database
from app.exchanges.registry import Exchanges
from app.identifiers import create_id
from app.live.changes import Change, ChangeKind, note_changes
from app.masking import Secret
from app.vault.envelope import Vault
from app.vault.errors import VaultError
from app.vault.values import SealedValues

AT_ONCE = 8
MOST_TOGETHER = 500
CLAIM_LASTS = timedelta(minutes=2)
PACE = timedelta(minutes=1)
BACK_OFF_SECONDS = (60, 120, 600, 1800, 3600, 7200, 14400)
MOST_TRIES = len(BACK_OFF_SECONDS) + 1
PURPOSE = "alert-channel"
DISABLED = "The account was disabled."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outlets:
    """The ways out by the kind of channel, and the address that links lead to."""

    senders: Mapping[str, Sender]
    public_url: str


@dataclass(frozen=True, slots=True)
class _Parcel:
    """What goes out to one channel at once."""

    claim: ClaimedChannel
    kind: str
    name: str
    address: Address
    outgoing: Outgoing
    deliveries: tuple[DueDelivery, ...]
    quiet: QuietHours | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What a claim led to: what goes out now, and what is held until quiet hours end."""

    parcel: _Parcel | None = None
    held: tuple[str, ...] = ()
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try went, in words for people."""

    words: str
    is_sent: bool
    is_final: bool = False


class Deliverer:
    """Sends what is due. Any number of processes may do so at the same time."""

    def __init__(self, database: Database, *, vault: Vault, exchanges: Exchanges, outlets: Outlets, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._exchanges = exchanges
        self._outlets = outlets
        self._clock = clock
        self._is_stopping = False

    def stop(self) -> None:
        """Claim nothing further; what is being sent is sent and marked."""
        self._is_stopping = True

    async def deliver_due(self) -> int:
        """Send everything that is due now; return to how many channels something was sent, or tried to."""
        await self._drop_of_disabled()
        count = 0
        while not self._is_stopping and (claims := await self._claim()):
            await asyncio.gather(*[self._serve(claim) for claim in claims])
            count += len(claims)
        return count

    async def _drop_of_disabled(self) -> None:
        """End what waits for people who were disabled: it would be old news when they are let in again."""
        async with self._database.read() as session:
            if not await outbox_repository.has_waiting_of_disabled_for_worker(session):
                return
        async with self._database.write() as session:
            await outbox_repository.drop_of_disabled_for_worker(session, outcome=DISABLED, now=self._clock())

    async def _claim(self) -> list[ClaimedChannel]:
        now = self._clock()
        stale_before, quiet_before = now - CLAIM_LASTS, now - PACE
        async with self._database.read() as session:
            if not await outbox_repository.has_due_for_worker(
                session, now=now, stale_before=stale_before, quiet_before=quiet_before
            ):
                return []
        async with self._database.write() as session:
            return await outbox_repository.claim_due_for_worker(
                session, now=now, stale_before=stale_before, quiet_before=quiet_before, limit=AT_ONCE
            )

    async def _serve(self, claim: ClaimedChannel) -> None:
        """Send to one channel. What goes wrong inside stops no other; the mark then runs out by itself."""
        try:
            async with self._database.read() as session:
                found = await self._pack(session, claim)
            outcome = None if found.parcel is None else await self._send(found.parcel)
            async with self._database.write() as session:
                await self._mark(session, claim, found, outcome)
        except Exception as error:  # noqa: BLE001  # logged by type: a text could hold an address
            _log.error("the delivery to channel %s failed: %s", claim.channel_id, type(error).__name__)

    async def _pack(self, session: AsyncSession, claim: ClaimedChannel) -> _Found:
        """Return what to send, and what must wait; neither when there is nothing, or nobody, to send to any more."""
        channel = await outbox_repository.get_channel_for_worker(session, claim.channel_id)
        email = await outbox_repository.find_email_for_worker(session, claim.user_id)
        if channel is None or email is None:
            return _Found()
        now = self._clock()
        every = await outbox_repository.list_due_for_worker(session, claim.channel_id, now=now, limit=MOST_TOGETHER)
        quiet = await self._find_quiet_hours(session, claim.user_id)
        until = {delivery.id: choose_moment(delivery, quiet=quiet, at=now) for delivery in every}
        due = [delivery for delivery in every if until[delivery.id] <= now]
        held = tuple(delivery.id for delivery in every if until[delivery.id] > now)
        held_until = max(until.values(), default=None)
        if not due:
            return _Found(None, held, held_until)
        alerts = [describe_alert(delivery.alert, exchanges=self._exchanges) for delivery in due]
        outgoing = write_all(alerts, public_url=self._outlets.public_url, shows_labels=channel.shows_labels)
        values = await open_values(session, channel, vault=self._vault, clock=self._clock)
        parcel = _Parcel(claim, channel.kind, channel.name, Address(email, values), outgoing, tuple(due), quiet)
        return _Found(parcel, held, held_until)

    async def _find_quiet_hours(self, session: AsyncSession, user_id: str) -> QuietHours | None:
        preferences = (await outbox_repository.list_preferences_for_worker(session, [user_id])).get(user_id)
        return None if preferences is None else read_quiet_hours(preferences)

    async def _send(self, parcel: _Parcel) -> Outcome:
        return await try_to_send(parcel.kind, parcel.outgoing, parcel.address, outlets=self._outlets, at=self._clock())

    async def _mark(self, session: AsyncSession, claim: ClaimedChannel, found: _Found, outcome: Outcome | None) -> None:
        """Write down how it went. When our mark was taken over, whoever did so writes."""
        now, parcel = self._clock(), found.parcel
        values: dict[str, Any] = {} if found.held and parcel is None else {"tried_at": now}
        if parcel is not None and outcome is not None:
            values |= await self._choose_state(session, claim, outcome, now=now)
        if not await outbox_repository.end_claim_for_worker(session, claim, values=values):
            return
        if found.held:
            await outbox_repository.change_waiting_for_worker(session, found.held, values={"due_at": found.held_until})
        if parcel is not None and outcome is not None:
            await self._end_deliveries(session, parcel, outcome, now=now)

    async def _choose_state(
        self, session: AsyncSession, claim: ClaimedChannel, outcome: Outcome, *, now: datetime
    ) -> dict[str, datetime | str | None]:
        """Return the columns that say whether a channel works."""
        if outcome.is_sent:
            return {"failure": None, "failing_since": None}
        channel = await outbox_repository.get_channel_for_worker(session, claim.channel_id)
        since = channel.failing_since if channel is not None else None
        return {"failure": outcome.words, "failing_since": since or now}

    async def _end_deliveries(self, session: AsyncSession, parcel: _Parcel, outcome: Outcome, *, now: datetime) -> None:
        """Write down what became of each delivery that was tried, and tell of those given up."""
        groups = [(due, outcome.is_final or due.attempts + 1 >= MOST_TRIES) for due in parcel.deliveries]
        for due, is_last in groups:
            values = choose_values(due, outcome, is_last=is_last, now=now, quiet=parcel.quiet)
            await outbox_repository.change_waiting_for_worker(session, [due.id], values=values)
        if not outcome.is_sent and any(is_last for _, is_last in groups):
            await self._tell_of_failure(session, parcel, outcome, now=now)

    async def _tell_of_failure(self, session: AsyncSession, parcel: _Parcel, outcome: Outcome, *, now: datetime) -> None:
        """Say in the app that a channel does not work, once: by no channel, that could go round for ever."""
        channel = await outbox_repository.get_channel_for_worker(session, parcel.claim.channel_id)
        since = channel.failing_since if channel is not None else None
        told = await outbox_repository.list_facts_for_worker(
            session, user_id=parcel.claim.user_id, kind=CHANNEL_FAILED, since=since or now
        )
        if any(facts.get("channel") == parcel.claim.channel_id for facts in told):
            return
        alert = Alert(
            id=create_id("alt"),
            user_id=parcel.claim.user_id,
            at=now,
            kind=CHANNEL_FAILED,
            phase=Phase.HAPPENED.value,
            facts={"channel": parcel.claim.channel_id, "name": parcel.name, "reason": outcome.words},
        )
        await repository.add(session, alert)
        await note_changes(session, [Change(parcel.claim.user_id, None, ChangeKind.ALERT)], at=now)


def choose_moment(due: DueDelivery, *, quiet: QuietHours | None, at: datetime) -> datetime:
    """Return when a delivery that is ready at a moment goes out, by the quiet hours of its person."""
    alert = due.alert
    return choose_due(quiet, is_urgent=is_urgent(alert.kind, phase=alert.phase, facts=alert.facts), at=at)


def choose_values(
    due: DueDelivery, outcome: Outcome, *, is_last: bool, now: datetime, quiet: QuietHours | None
) -> dict[str, Any]:
    """Return the columns of a delivery that was tried."""
    values: dict[str, Any] = {"attempts": due.attempts + 1, "outcome": outcome.words}
    if outcome.is_sent:
        return values | {"state": SENT, "ended_at": now}
    if is_last:
        return values | {"state": DEAD, "ended_at": now}
    next_at = now + timedelta(seconds=BACK_OFF_SECONDS[due.attempts])
    return values | {"due_at": choose_moment(due, quiet=quiet, at=next_at)}


async def try_to_send(kind: str, outgoing: Outgoing, address: Address, *, outlets: Outlets, at: datetime) -> Outcome:
    """Send once, in any case within the time a claim lasts; say how it went. Never raises."""
    sender = outlets.senders.get(kind)
    if sender is None:
        return Outcome("This server does not know this kind of channel.", is_sent=False, is_final=True)
    try:
        async with asyncio.timeout(SEND_SECONDS):
            return Outcome(await sender.send(outgoing, address, at=at), is_sent=True)
    except SendFailed as failure:
        return Outcome(failure.reason, is_sent=False, is_final=failure.is_final)
    except TimeoutError:
        return Outcome("No answer in time.", is_sent=False)
    except Exception as error:  # noqa: BLE001  # its text could hold the address
        _log.error("a %s channel failed inside: %s", kind, type(error).__name__)
        return Outcome("The fault is on this server.", is_sent=False)


async def open_values(session: AsyncSession, channel: AlertChannel, *, vault: Vault, clock: Clock) -> dict[str, Secret]:
    """Return a channel's sealed address and secret; nothing where it has none or they do not open (sending then fails)."""
    if channel.value_id is None:
        return {}
    sealed = SealedValues(session, vault=vault, clock=clock)
    try:
        return await sealed.open(channel.value_id, purpose=PURPOSE, owner_id=channel.user_id)
    except VaultError:
        return {}


def describe_alert(row: AlertRow, *, exchanges: Exchanges) -> AlertFacts:
    """Return an alert with its exchange, ready to be put into words."""
    exchange = None if row.exchange is None else find_exchange(row.exchange, exchanges=exchanges)
    return AlertFacts(row.id, row.at, row.kind, row.phase, row.facts, row.credential_id, row.label or "", exchange)
