"""Webhooks: one signed POST of JSON to the trader's own program. docs/traders/alerts.md says how to verify it.

No redirect is followed, no proxy of the environment is used, and the socket goes to public addresses only.
"""

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from app import __version__
from app.accounts.tokens import create_token, show_once
from app.alerts.addresses import HostRule, check_url, is_public
from app.alerts.messages import Message, Outgoing
from app.alerts.sending import Address, SendFailed
from app.exchanges.transport import make_tls
from app.masking import Secret

DEADLINE_SECONDS = 10.0
SECRET_PREFIX = "whs_"  # noqa: S105  # the public part, by which people know what it is
_GONE = 410
_READ_BYTES = 4096


class AddressRefused(OSError):
    """The name leads to an address inside a network."""


class WebhookSender:
    """Posts alerts, each with a signature over its moment and its body."""

    def __init__(self, *, rule: HostRule, tls: ssl.SSLContext | None = None, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._rule = rule
        self._tls = tls
        self._deadline_seconds = deadline_seconds

    async def send(self, outgoing: Outgoing, address: Address, *, at: datetime) -> str:
        """Post once. Raises SendFailed."""
        body = write_body(outgoing, at=at)
        timestamp = str(int(at.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Keydeck/{__version__}",
            "Keydeck-Timestamp": timestamp,
            "Keydeck-Signature": sign(body, timestamp=timestamp, secret=address.values["secret"]),
        }
        try:
            async with asyncio.timeout(self._deadline_seconds):
                status = await self._post(address.values["url"], body, headers)
        except TimeoutError:
            raise SendFailed("No answer in time.") from None
        except aiohttp.ClientError as error:
            raise _judge(error) from None
        except OSError:
            raise SendFailed("It cannot be reached.") from None
        if 200 <= status < 300:
            return f"Answered {status}"
        if 300 <= status < 400:
            raise SendFailed(f"It answered {status}, a redirect. Redirects are not followed.")
        raise SendFailed(f"It answered {status}.", is_final=status == _GONE)

    async def _post(self, url: Secret, body: bytes, headers: dict[str, str]) -> int:
        text = url.reveal()
        check_url(text, rule=self._rule)  # the operator's rule may be another one than when it was entered
        is_free = self._rule.vouches_for(urlsplit(text).hostname or "")
        connector = aiohttp.TCPConnector(
            ssl=self._tls or make_tls(), force_close=True, socket_factory=_open_freely if is_free else _open_public
        )
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        ) as session:
            target = URL(text, encoded=True)
            async with session.post(target, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.content.read(_READ_BYTES)
                return answer.status


def create_secret() -> tuple[Secret, str]:
    """Return a fresh signing secret, and its text for the one answer that shows it."""
    text = SECRET_PREFIX + show_once(create_token())
    return Secret(text), text


def parse_webhook(text: str, *, rule: HostRule) -> tuple[Secret, str]:
    """Return the URL as a secret (its path often is one), and its host for showing. Raises EntryRefused."""
    cleaned = text.strip()
    return Secret(cleaned), check_url(cleaned, rule=rule)


def write_body(outgoing: Outgoing, *, at: datetime) -> bytes:
    """Return the JSON document: `type` is `alerts` or `test`."""
    document = {
        "type": "test" if outgoing.is_test else "alerts",
        "sent_at": at.isoformat(),
        "alerts": [_describe(message, outgoing.public_url) for message in outgoing.messages],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def sign(body: bytes, *, timestamp: str, secret: Secret) -> str:
    """Return `v1=` and the hex HMAC-SHA256 of the timestamp, a full stop and the body."""
    digest = hmac.new(secret.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def _describe(message: Message, public_url: str) -> dict[str, str | None]:
    return {
        "id": message.id,
        "at": message.at.isoformat(),
        "kind": message.kind,
        "phase": message.phase,
        "title": message.title,
        "detail": message.detail,
        "credential_id": message.credential_id,
        "url": f"{public_url}{message.link}",
    }


def _open_public(info: Any) -> socket.socket:
    """Make the socket for an address that was looked up just now. Raises AddressRefused for one that is not public."""
    if not is_public(str(info[4][0])):
        raise AddressRefused("not a public address")
    return _open_freely(info)


def _open_freely(info: Any) -> socket.socket:
    family, kind, protocol = info[:3]
    return socket.socket(family=family, type=kind, proto=protocol)


def _judge(error: aiohttp.ClientError) -> SendFailed:
    """Say what failed, without the error's text: it names the address."""
    cause = getattr(error, "os_error", None) or error.__cause__
    if isinstance(cause, AddressRefused) or "not a public address" in str(cause):
        return SendFailed("Its name leads to an address inside a network, which is not called.")
    if isinstance(error, aiohttp.ClientSSLError):
        return SendFailed("Its certificate is not trusted.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return SendFailed("It cannot be reached.")
    return SendFailed("Its answer cannot be read.")
