"""A person's ways to be told: adding, choosing, testing and removing them. Addresses go in sealed and never come out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.current_user import Principal
from app.accounts.entry import LONGEST_NAME, EntryRefused
from app.accounts.limits import HOUR, Budget, Limit, Limits, Refused
from app.alerts import repository
from app.alerts.addresses import HostRule
from app.alerts.delivery import PURPOSE, Outcome, Outlets, open_values, try_to_send
from app.alerts.events import ALL_EVENTS
from app.alerts.fan_out import EMAIL, begin, make_channel, make_delivery
from app.alerts.messages import Outgoing
from app.alerts.models import AlertChannel, AlertDelivery
from app.alerts.outbox_repository import DEAD, SENT
from app.alerts.sending import Address
from app.alerts.services import parse_discord, parse_other, parse_slack, parse_telegram
from app.alerts.webhooks import create_secret, parse_webhook
from app.audit import record_event
from app.clock import Clock
from app.db import release
from app.masking import Secret
from app.vault.envelope import Vault
from app.vault.values import SealedValues
from app.web.errors import NotFound, Problem

MOST_CHANNELS = 10
LOG_SIZE = 20
KIND_NAMES: Mapping[str, str] = {
    EMAIL: "E-mail",
    "webhook": "Webhook",
    "telegram": "Telegram",
    "slack": "Slack",
    "discord": "Discord",
    "other": "Another service",
}
_TESTS = Limit("alerts.test", (Budget(("user",), 20, HOUR),))


@dataclass(frozen=True, slots=True)
class AddedChannel:
    """A new channel. `secret_text` is the webhook's signing secret, for the one answer that shows it."""

    channel: AlertChannel
    secret_text: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What was typed, read: the sealed values, what may be shown, and a name for it."""

    values: Mapping[str, Secret]
    hint: str
    name: str
    secret_text: str = ""


@dataclass(frozen=True, slots=True)
class ChannelTools:
    """What channels need from the app."""

    vault: Vault
    outlets: Outlets
    rule: HostRule
    mail_is_on: bool


class Channels:
    """One unit of work on a person's own channels."""

    def __init__(self, session: AsyncSession, *, tools: ChannelTools, clock: Clock) -> None:
        self._session = session
        self._tools = tools
        self._clock = clock
        self._sealed = SealedValues(session, vault=tools.vault, clock=clock)

    async def list_all(self, principal: Principal) -> list[AlertChannel]:
        return await repository.list_channels(self._session, user_id=principal.user_id)

    async def get(self, principal: Principal, channel_id: str) -> AlertChannel:
        """Return one channel. Raises NotFound, the same for an unknown id and another person's."""
        channel = await repository.get_channel(self._session, channel_id, user_id=principal.user_id)
        if channel is None:
            raise NotFound("channel")
        return channel

    async def list_log(self, principal: Principal, channel_id: str) -> list[tuple[AlertDelivery, str]]:
        return await repository.list_deliveries(self._session, channel_id, user_id=principal.user_id, limit=LOG_SIZE)

    async def add(self, principal: Principal, kind: str, fields: Mapping[str, str]) -> AddedChannel:
        """Add a channel that is told of everything. Raises EntryRefused, Problem when there are enough."""
        now = self._clock()
        entry = self._read(kind, fields)
        if await repository.get_preferences(self._session, user_id=principal.user_id) is None:
            await begin(self._session, principal.user_id, now=now, mail_is_on=False)  # from now on the person chooses
        if len(await self.list_all(principal)) >= MOST_CHANNELS:
            raise Problem(
                "too_many_channels", status=409, title=f"{MOST_CHANNELS} channels are the most", next_step="Remove one first."
            )
        value_id = None
        if entry.values:
            value_id = await self._sealed.put(PURPOSE, owner_id=principal.user_id, values=entry.values)
        name = _clean_name(fields.get("name", "")) or entry.name
        channel = make_channel(principal.user_id, kind=kind, name=name, hint=entry.hint, now=now, value_id=value_id)
        await repository.add(self._session, channel)
        self._record(principal, "alerts.channel_added", channel)
        return AddedChannel(channel, entry.secret_text)

    async def change(
        self, principal: Principal, channel_id: str, *, name: str, events: Collection[str], shows_labels: bool
    ) -> None:
        """Choose what a channel is told of, and how. Raises EntryRefused, NotFound."""
        channel = await self.get(principal, channel_id)
        cleaned = _clean_name(name)
        if not cleaned:
            raise EntryRefused("name", "Type a name for this channel.")
        chosen = [kind for kind in ALL_EVENTS if kind in events]
        values: dict[str, Any] = {"name": cleaned, "events": chosen, "shows_labels": shows_labels}
        await repository.update_channel(self._session, channel.id, user_id=principal.user_id, values=values)
        self._record(principal, "alerts.channel_changed", channel)

    async def remove(self, principal: Principal, channel_id: str) -> None:
        """Erase a channel with its address and log. Raises NotFound."""
        channel = await self.get(principal, channel_id)
        await repository.delete_channel(self._session, channel.id, user_id=principal.user_id)
        if channel.value_id is not None:
            await self._sealed.delete(channel.value_id, owner_id=principal.user_id)
        self._record(principal, "alerts.channel_removed", channel)

    async def renew_secret(self, principal: Principal, channel_id: str) -> AddedChannel:
        """Give a webhook a new signing secret; the old one signs nothing from now on. Raises NotFound, Problem."""
        channel = await self.get(principal, channel_id)
        values = await open_values(self._session, channel, vault=self._tools.vault, clock=self._clock)
        if "secret" not in values or channel.value_id is None:
            raise Problem("invalid_input", status=409, title="This channel has no signing secret", next_step="Add it anew.")
        secret, text = create_secret()
        value_id = await self._sealed.put(PURPOSE, owner_id=principal.user_id, values={**values, "secret": secret})
        await repository.update_channel(self._session, channel.id, user_id=principal.user_id, values={"value_id": value_id})
        await self._sealed.delete(channel.value_id, owner_id=principal.user_id)
        self._record(principal, "alerts.secret_renewed", channel)
        return AddedChannel(channel, text)

    async def test(self, principal: Principal, channel_id: str) -> Outcome:
        """Send a test now and say how it went. Raises NotFound, Problem (429) when there were too many."""
        await self.get(principal, channel_id)
        counted = await Limits(self._session, clock=self._clock).take(_TESTS, user=principal.user_id)
        if isinstance(counted, Refused):
            raise counted.as_problem()
        channel = await self.get(principal, channel_id)
        values = await open_values(self._session, channel, vault=self._tools.vault, clock=self._clock)
        kind, outlets = channel.kind, self._tools.outlets
        await release(self._session)  # no transaction waits on the network
        outgoing = Outgoing((), outlets.public_url, is_test=True)
        now = self._clock()
        outcome = await try_to_send(kind, outgoing, Address(principal.email, values), outlets=outlets, at=now)
        await self._note_test(principal, channel_id, outcome, now=now)
        return outcome

    async def _note_test(self, principal: Principal, channel_id: str, outcome: Outcome, *, now: datetime) -> None:
        if await repository.get_channel(self._session, channel_id, user_id=principal.user_id) is None:
            return  # removed meanwhile
        row = make_delivery(channel_id, None, due_at=now, now=now)
        row.state, row.attempts, row.outcome, row.ended_at = SENT if outcome.is_sent else DEAD, 1, outcome.words, now
        await repository.add(self._session, row)
        if outcome.is_sent:
            values: dict[str, Any] = {"failing_since": None, "failure": None}
            await repository.update_channel(self._session, channel_id, user_id=principal.user_id, values=values)

    def _read(self, kind: str, fields: Mapping[str, str]) -> _Entry:
        """Return what was typed for a kind of channel. Raises EntryRefused."""
        url = fields.get("url", "")
        if kind == EMAIL:
            if not self._tools.mail_is_on:
                raise EntryRefused("kind", "This server sends no mail: its operator has set no mail server.")
            return _Entry({}, "your address", KIND_NAMES[kind])
        if kind == "webhook":
            address, host = parse_webhook(url, rule=self._tools.rule)
            secret, text = create_secret()
            return _Entry({"url": address, "secret": secret}, host[:80], KIND_NAMES[kind], text)
        if kind == "telegram":
            return _Entry({"url": parse_telegram(fields.get("token", ""), fields.get("chat", ""))}, "a chat", KIND_NAMES[kind])
        if kind == "slack":
            return _Entry({"url": parse_slack(url)}, "an incoming webhook", KIND_NAMES[kind])
        if kind == "discord":
            return _Entry({"url": parse_discord(url)}, "a channel's webhook", KIND_NAMES[kind])
        if kind == "other":
            address, service = parse_other(url)
            return _Entry({"url": address}, service, service)
        raise NotFound("kind of channel")

    def _record(self, principal: Principal, action: str, channel: AlertChannel) -> None:
        record_event(
            self._session,
            action,
            at=self._clock(),
            actor_id=principal.user_id,
            owner_id=principal.user_id,
            object_id=channel.id,
            actor_ip=principal.ip,
            detail={"name": channel.name},
        )


def _clean_name(text: str) -> str:
    """Return the name in characters that can be shown. Raises EntryRefused when it is too long."""
    cleaned = " ".join("".join(character for character in text if character.isprintable()).split())
    if len(cleaned) > LONGEST_NAME:
        raise EntryRefused("name", f"At most {LONGEST_NAME} characters.")
    return cleaned
