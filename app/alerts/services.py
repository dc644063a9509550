"""Telegram, Slack, Discord and their kin, through apprise: only services whose own host is built in.

An address of apprise could also name files, programs or any host. Only the plug-ins named below are ever loaded, and what
stands after a question mark is refused: it could switch certificates off.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from apprise import AppriseAsset, NotifyFormat
from apprise.plugins.base import NotifyBase
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.google_chat import NotifyGoogleChat
from apprise.plugins.line import NotifyLine
from apprise.plugins.ntfy import NotifyNtfy
from apprise.plugins.pagerduty import NotifyPagerDuty
from apprise.plugins.prowl import NotifyProwl
from apprise.plugins.pushbullet import NotifyPushBullet
from apprise.plugins.pushover import NotifyPushover
from apprise.plugins.simplepush import NotifySimplePush
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.threema import NotifyThreema
from apprise.plugins.webexteams import NotifyWebexTeams

from app.accounts.entry import EntryRefused
from app.alerts.messages import Outgoing
from app.alerts.sending import SEND_SECONDS, Address, SendFailed
from app.masking import Secret

_AT_ONCE = 4
MOST_LETTERS = 1500  # what the tightest of these services takes in one message
_SLACK = re.compile(r"https://hooks\.slack\.com/services/(T[A-Z0-9]+)/(B[A-Z0-9]+)/([A-Za-z0-9]+)/?")
_DISCORD = re.compile(r"https://(?:discord|discordapp)\.com/api/webhooks/([0-9]{1,25})/([A-Za-z0-9_-]{1,100})/?")
_BOT_TOKEN = re.compile(r"[0-9]{4,20}:[A-Za-z0-9_-]{20,60}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{3,40}")
_OTHER = re.compile(r"([a-z]+)://[^\s?#\\]{1,1000}")
_TOPIC = re.compile(r"ntfys?://[A-Za-z0-9_-]{1,64}/?")
"""Only a topic at ntfy.sh itself: with a host before it apprise would call that host."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service behind an apprise address, and the plug-in that calls its own host."""

    kind: type[NotifyBase]
    schema: str
    name: str
    example: str


OTHERS: Mapping[str, Service] = {
    service.schema: service
    for service in (
        Service(NotifyTelegram, "tgram", "Telegram", "tgram://123456789:bot-token/chat"),
        Service(NotifySlack, "slack", "Slack", "slack://TA1/TB2/token"),
        Service(NotifyDiscord, "discord", "Discord", "discord://webhook-id/webhook-token"),
        Service(NotifyGoogleChat, "gchat", "Google Chat", "gchat://space/key/token"),
        Service(NotifyNtfy, "ntfy", "ntfy.sh", "ntfy://topic"),
        Service(NotifyNtfy, "ntfys", "ntfy.sh", "ntfys://topic"),
        Service(NotifyPushover, "pover", "Pushover", "pover://user-key@token"),
        Service(NotifyPushBullet, "pbul", "Pushbullet", "pbul://access-token"),
        Service(NotifyProwl, "prowl", "Prowl", "prowl://0123456789abcdef0123456789abcdef01234567"),
        Service(NotifySimplePush, "spush", "SimplePush", "spush://api-key"),
        Service(NotifyWebexTeams, "wxteams", "Webex", "wxteams://token"),
        Service(NotifyThreema, "threema", "Threema Gateway", "threema://*GATEWAY@secret/recipient"),
        Service(NotifyLine, "line", "LINE", "line://token/user-id"),
        Service(NotifyPagerDuty, "pagerduty", "PagerDuty", "pagerduty://integration-key@api-key"),
    )
}


class ServiceSender:
    """Hands a message to apprise in a thread, with a deadline."""

    def __init__(self, *, deadline_seconds: float = SEND_SECONDS) -> None:
        self._deadline_seconds = deadline_seconds
        self._threads = asyncio.Semaphore(_AT_ONCE)

    async def send(self, outgoing: Outgoing, address: Address, *, at: datetime) -> str:
        """Send once. Raises SendFailed; apprise tells no reason beyond that."""
        plugin = make_plugin(address.values["url"])
        text = outgoing.text.partition("\n")[2] if len(outgoing.messages) == 1 else outgoing.text  # the title stands above
        if len(text) > MOST_LETTERS:
            text = f"{text[:MOST_LETTERS]}…\n{outgoing.public_url}/alerts\n"
        try:
            async with asyncio.timeout(self._deadline_seconds), self._threads:
                is_taken = await asyncio.to_thread(_notify, plugin, outgoing.subject, text)
        except TimeoutError:
            raise SendFailed("No answer in time.") from None
        if not is_taken:
            raise SendFailed("The service did not take it. Look at the address and at what it allows the bot.")
        return "Taken by the service"


def make_plugin(url: Secret) -> NotifyBase:
    """Return what sends. Raises SendFailed for an address that is not, or no longer, allowed."""
    text = url.reveal()
    if not is_allowed(text):
        raise SendFailed("This kind of address is not allowed.", is_final=True)
    asset = AppriseAsset(secure_logging=True, http_redirects=False, storage_mode="memory", allow_templates=False)
    kind = OTHERS[text.partition(":")[0]].kind
    parts = kind.parse_url(text)
    try:
        return kind(**{**(parts or {}), "asset": asset})
    except TypeError:  # what apprise raises for parts that are missing or wrong
        raise SendFailed("The address is not complete.", is_final=True) from None


def is_allowed(text: str) -> bool:
    """Tell whether an apprise address leads to a service in the list, at its own host."""
    found = _OTHER.fullmatch(text)
    if found is None or found[1] not in OTHERS:
        return False
    return not found[1].startswith("ntfy") or _TOPIC.fullmatch(text) is not None


def parse_telegram(token: str, chat: str) -> Secret:
    """Return the address of a chat. Raises EntryRefused."""
    if not _BOT_TOKEN.fullmatch(token.strip()):
        raise EntryRefused("token", "A bot's token is digits, a colon and about 35 characters, as BotFather shows it.")
    if not _CHAT.fullmatch(chat.strip()):
        raise EntryRefused("chat", "A chat is a number, perhaps with a minus, or @ and a channel's name.")
    return Secret(f"tgram://{token.strip()}/{quote(chat.strip(), safe='-@')}")


def parse_slack(text: str) -> Secret:
    """Return the address behind an incoming webhook of Slack. Raises EntryRefused."""
    found = _SLACK.fullmatch(text.strip())
    if not found:
        raise EntryRefused("url", "It should be like https://hooks.slack.com/services/T…/B…/….")
    return Secret(f"slack://{found[1]}/{found[2]}/{found[3]}")


def parse_discord(text: str) -> Secret:
    """Return the address behind a webhook of Discord. Raises EntryRefused."""
    found = _DISCORD.fullmatch(text.strip())
    if not found:
        raise EntryRefused("url", "It should be like https://discord.com/api/webhooks/number/token.")
    return Secret(f"discord://{found[1]}/{found[2]}")


def parse_other(text: str) -> tuple[Secret, str]:
    """Return an apprise address and its service's name. Raises EntryRefused for one that is not in the list."""
    cleaned = text.strip()
    if not is_allowed(cleaned):
        raise EntryRefused("url", "This kind of address is not allowed here. The list below says which are, and how they look.")
    try:
        make_plugin(Secret(cleaned))
    except SendFailed:
        raise EntryRefused("url", "The address is not complete: compare it with the example in the list.") from None
    return Secret(cleaned), OTHERS[cleaned.partition(":")[0]].name


def _notify(plugin: NotifyBase, title: str, body: str) -> bool:
    return bool(plugin.notify(body=body, title=title, body_format=NotifyFormat.TEXT))
