"""Other services: only fixed hosts, no options, nothing that runs or writes on this machine, and a deadline."""

import contextlib
import threading
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from app.accounts.entry import EntryRefused
from app.alerts.messages import Message, Outgoing
from app.alerts.sending import Address, SendFailed
from app.alerts.services import MOST_LETTERS, OTHERS, ServiceSender, is_allowed, make_plugin, parse_other
from app.masking import Secret

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOSTS = {
    "tgram": "api.telegram.org",
    "slack": "hooks.slack.com",
    "discord": "discord.com",
    "gchat": "chat.googleapis.com",
    "ntfy": "ntfy.sh",
    "ntfys": "ntfy.sh",
    "pover": "api.pushover.net",
    "pbul": "api.pushbullet.com",
    "prowl": "api.prowlapp.com",
    "spush": "api.simplepu.sh",
    "wxteams": "api.ciscospark.com",
    "threema": "msgapi.threema.ch",
    "line": "api.line.me",
    "pagerduty": "events.pagerduty.com",
}
WORKING = {
    "tgram": "tgram://123456789:" + "A" * 35 + "/-1", "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "wxteams": "wxteams://" + "a" * 80, "threema": "threema://*GATEWAY@secret/ABCDEFGH",
}  # fmt: skip
FORBIDDEN = [
    "", "file:///etc/passwd", "json://127.0.0.1/", "jsons://example.org", "xml://x", "form://x", "mailto://u:p@example.org", "syslog://",
    "dbus://", "gnome://", "windows://", "macosx://", "smtp://x", "exec://x", "script://x", "gotify://10.0.0.1/x", "matrix://u:p@h/#r",
    "mmost://h/t", "rocket://u:p@h/#r", "nctalk://u:p@h/r", "hassio://h/t", "kodi://h", "mqtt://h/t", "apprise://h/t", "ntfy://host/topic",
    "ntfy://a.example.org/", "ntfy://user:x@topic", "ntfys://host:8080/topic", "tgram://1:A/2?verify=no", "tgram://1:A/2#x", "TGRAM://x/y",
    "tgram://a b/c", "tgram:///x\\y", "tgram://x/\n", "opsgenie://x", "slack:T/B/c",
]  # fmt: skip


def make_message(number: int = 1, detail: str = "Before: Read.") -> Message:
    return Message(
        f"alt_{number}", NOW, "stopped_working", "began", f"No {number} at Made stopped", detail, "danger", "/credentials/x", "x"
    )


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_is_not_allowed(text: str) -> None:
    assert not is_allowed(text)
    with pytest.raises(EntryRefused):
        parse_other(text)
    with pytest.raises(SendFailed) as failed:
        make_plugin(Secret(text))
    assert failed.value.is_final


def test_the_list_names_a_host_for_every_service() -> None:
    assert set(OTHERS) == set(HOSTS)


@pytest.mark.parametrize("schema", OTHERS)
async def test_every_service_calls_its_own_host_by_https_only(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real plug-ins, with the network taken away just below them."""
    called: list[tuple[str, bool, bool]] = []

    def answer(self: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        called.append((str(request.url), bool(options["verify"]), options.get("timeout") is not None))
        response = requests.Response()
        response.status_code, response._content, response.url = 200, b'{"ok": true, "status": 1}', str(request.url)
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", answer)
    url = Secret(WORKING.get(schema, OTHERS[schema].example))
    outgoing = Outgoing((make_message(detail="x" * 5000),), "https://keydeck.example.org")
    with contextlib.suppress(SendFailed):  # a few want an answer of a shape of their own; where they called is what counts
        await ServiceSender().send(outgoing, Address("x@example.org", {"url": url}), at=NOW)
    assert called
    for address, is_verified, has_deadline in called:
        assert (urlsplit(address).scheme, urlsplit(address).hostname) == ("https", HOSTS[schema])
        assert is_verified
        assert has_deadline


async def test_one_that_hangs_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(self: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        released.wait(20)
        raise requests.ConnectionError

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", hang)
    address = Address("x@example.org", {"url": Secret("ntfy://topic")})
    try:
        with pytest.raises(SendFailed, match="No answer in time"):
            await ServiceSender(deadline_seconds=0.2).send(Outgoing((make_message(),), "https://k.example.org"), address, at=NOW)
    finally:
        released.set()


async def test_a_long_message_is_cut_with_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[str] = []
    monkeypatch.setattr("app.alerts.services._notify", lambda plugin, title, body: bodies.append(body) or True)
    outgoing = Outgoing(tuple(make_message(number, "x" * 200) for number in range(30)), "https://k.example.org")
    await ServiceSender().send(outgoing, Address("x@example.org", {"url": Secret("ntfy://topic")}), at=NOW)
    assert len(bodies[0]) < MOST_LETTERS + 60
    assert bodies[0].endswith("…\nhttps://k.example.org/alerts\n")
