"""Webhooks against a real server: signed, no redirects, no way into the network, and nothing of the address in the outcome."""

import hmac
import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from app.alerts.addresses import HostRule
from app.alerts.messages import Message, Outgoing
from app.alerts.sending import Address, SendFailed
from app.alerts.webhooks import WebhookSender, create_secret, sign, write_body
from app.masking import Secret
from tests.alerts.receiver import Receiver, run_receiver
from tests.mail_server import Certificates

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MESSAGE = Message(
    "alt_1",
    NOW,
    "withdraw_gained",
    "began",
    "Main at Made can withdraw now",
    "Müll & <b>",
    "danger",
    "/credentials/crd_1",
    "crd_1",
)
OUTGOING = Outgoing((MESSAGE,), "https://keydeck.example.org")
NEAR = HostRule(allows_loopback=True)


async def post(receiver: Receiver, url: str = "", *, sender: WebhookSender | None = None) -> str:
    secret, receiver.secret = create_secret()
    chosen = sender or WebhookSender(rule=NEAR, deadline_seconds=5)
    return await chosen.send(OUTGOING, Address("x@example.org", {"url": Secret(url or receiver.url), "secret": secret}), at=NOW)


async def test_what_arrives_is_signed_and_complete() -> None:
    async with run_receiver() as receiver:
        assert await post(receiver) == "Answered 204"
        (document,) = receiver.documents
    assert (document["type"], document["sent_at"]) == ("alerts", "2026-11-21T12:00:00+00:00")
    assert document["alerts"] == [{
        "id": "alt_1", "at": "2026-11-21T12:00:00+00:00", "kind": "withdraw_gained", "phase": "began",
        "title": "Main at Made can withdraw now", "detail": "Müll & <b>", "credential_id": "crd_1",
        "url": "https://keydeck.example.org/credentials/crd_1",
    }]  # fmt: skip


def test_the_signature_is_the_documented_one() -> None:
    signature = sign(b'{"a":1}', timestamp="1795262400", secret=Secret("whs_test"))
    assert signature == "v1=" + hmac.new(b"whs_test", b'1795262400.{"a":1}', "sha256").hexdigest()
    assert sign(b'{"a":2}', timestamp="1795262400", secret=Secret("whs_test")) != signature
    assert (
        write_body(Outgoing((), "x", is_test=True), at=NOW)
        == b'{"type":"test","sent_at":"2026-11-21T12:00:00+00:00","alerts":[]}'
    )


@pytest.mark.parametrize(
    ("status", "words", "is_final"),
    [(200, "", False), (302, "redirect", False), (404, "404", False), (410, "410", True), (500, "500", False)],
)
async def test_answers(status: int, words: str, is_final: bool) -> None:
    async with run_receiver() as receiver, run_receiver() as other:
        receiver.status, receiver.headers = status, {"Location": other.url} if status == 302 else {}
        if status == 200:
            assert await post(receiver) == "Answered 200"
            return
        with pytest.raises(SendFailed) as failed:
            await post(receiver)
        assert words in failed.value.reason
        assert "127.0.0.1" not in failed.value.reason
        assert "canary" not in failed.value.reason
        assert failed.value.is_final is is_final
        assert other.calls == 0


async def test_silence_and_nobody_there() -> None:
    async with run_receiver() as receiver:
        receiver.pause_seconds = 5
        with pytest.raises(SendFailed, match="No answer in time"):
            await post(receiver, sender=WebhookSender(rule=NEAR, deadline_seconds=0.2))
    with pytest.raises(SendFailed, match="cannot be reached"):
        await post(receiver)


async def test_a_name_that_leads_inside_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name passes when it is entered, and points into the network when it is called: DNS rebinding."""
    async with run_receiver() as receiver:
        real = socket.getaddrinfo

        def rebind(host: Any, *args: Any, **kwargs: Any) -> Any:
            return real("127.0.0.1" if host in ("hook.example.org", b"hook.example.org") else host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", rebind)
        strict = WebhookSender(rule=HostRule(), deadline_seconds=5)
        with pytest.raises(SendFailed, match="inside a network"):
            await post(receiver, f"https://hook.example.org:{receiver.port}/", sender=strict)
        assert receiver.calls == 0
        vouched = WebhookSender(rule=HostRule(frozenset({"hook.example.org"})), deadline_seconds=5)
        assert await post(receiver, f"http://hook.example.org:{receiver.port}/", sender=vouched) == "Answered 204"


async def test_https_is_verified() -> None:
    certificates = Certificates()
    async with run_receiver(tls=certificates.make_server_context()) as receiver:
        url = f"https://127.0.0.1:{receiver.port}/"
        with pytest.raises(SendFailed, match="certificate is not trusted"):
            await post(receiver, url)
        trusting = WebhookSender(rule=NEAR, tls=certificates.make_client_context(), deadline_seconds=5)
        assert await post(receiver, url, sender=trusting) == "Answered 204"


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with run_receiver() as receiver:
        assert await post(receiver) == "Answered 204"
