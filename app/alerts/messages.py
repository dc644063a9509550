"""Turns alerts into messages: in full for the owner's own pages, and with less for what leaves this server. Pure.

What leaves holds no secret, no balance, no address and no part of a key; the key's label only where the person wants it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.alerts.events import CHANNEL_FAILED
from app.credentials.change_words import describe_change
from app.exchanges.types import Exchange
from app.web.formats import write_exact

MOST_LISTED = 20
_ICONS = {"danger": "alert", "warn": "clock", "ok": "check-circle", "idle": "info"}


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """An alert as stored, with what names its key. `exchange` is None where it concerns no key."""

    id: str
    at: datetime
    kind: str
    phase: str
    facts: dict[str, str]
    credential_id: str | None
    label: str
    exchange: Exchange | None


@dataclass(frozen=True, slots=True)
class Message:
    """One alert in words. `link` is a path of this server."""

    id: str
    at: datetime
    kind: str
    phase: str
    title: str
    detail: str
    tone: str
    link: str
    credential_id: str | None

    @property
    def icon(self) -> str:
        return _ICONS.get(self.tone, "info")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What one channel is sent at once: one alert, or all that came together."""

    messages: tuple[Message, ...]
    public_url: str
    is_test: bool = False

    @property
    def subject(self) -> str:
        if self.is_test:
            return "Test from Keydeck"
        first = self.messages[0].title
        return first if len(self.messages) == 1 else f"{first}, and {len(self.messages) - 1} more"

    @property
    def text(self) -> str:
        """The whole as plain text; of very many only the first ones, with how many more there are."""
        if self.is_test:
            return f"This is a test. Alerts from {self.public_url} arrive here.\n"
        parts = [self._write(message) for message in self.messages[:MOST_LISTED]]
        more = len(self.messages) - MOST_LISTED
        if more > 0:
            parts.append(f"And {more} more: {self.public_url}/alerts\n")
        return "\n".join(parts)

    def _write(self, message: Message) -> str:
        return f"{message.title}\n{message.detail}\n{write_exact(message.at)}\n{self.public_url}{message.link}\n"


def write_message(alert: AlertFacts, *, is_own_page: bool, shows_label: bool = True) -> Message:
    """Return an alert in words. Away from the person's own pages addresses are left out, and the label if they want that."""
    if alert.kind == CHANNEL_FAILED:
        return _write_failure(alert)
    assert alert.exchange is not None
    words = describe_change(
        alert.kind, phase=alert.phase, facts=alert.facts, exchange=alert.exchange, shows_addresses=is_own_page
    )
    name = f"{alert.label} at {alert.exchange.name}" if shows_label else f"A key at {alert.exchange.name}"
    return Message(
        id=alert.id,
        at=alert.at,
        kind=alert.kind,
        phase=alert.phase,
        title=f"{name} {words.title}",
        detail=words.detail.strip(),
        tone=words.tone,
        link=f"/credentials/{alert.credential_id}",
        credential_id=alert.credential_id,
    )


def write_all(alerts: Sequence[AlertFacts], *, public_url: str, shows_labels: bool) -> Outgoing:
    """Return what a channel is sent."""
    messages = tuple(write_message(alert, is_own_page=False, shows_label=shows_labels) for alert in alerts)
    return Outgoing(messages, public_url)


def _write_failure(alert: AlertFacts) -> Message:
    name, reason = alert.facts.get("name", "A channel"), alert.facts.get("reason", "")
    return Message(
        id=alert.id,
        at=alert.at,
        kind=alert.kind,
        phase=alert.phase,
        title=f"{name} does not deliver alerts",
        detail=f"{reason} Keydeck has given up on what was waiting there. Look at the channel and send a test.",
        tone="warn",
        link="/alerts/settings",
        credential_id=None,
    )
