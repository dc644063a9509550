"""A stage for adapters: an exchange that answers from a JSON fixture, and adapters wired to it through the seam."""

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.exchanges.adapter import AdapterContext, ExchangeAdapter
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import find_adapters
from app.exchanges.turns import KeyTurn
from app.exchanges.types import Call, Environment, Permission, ProbePolicy, Secrets
from app.masking import Secret

HERE = Path(__file__).resolve().parent
KINDS = find_adapters()
SLUGS = sorted(KINDS)
JSON = {"Content-Type": "application/json"}


def load_fixture(slug: str) -> dict[str, Any]:
    path = HERE / f"{slug}.json"
    if not path.is_file():
        raise AssertionError(f"{slug}: its fixture tests/exchanges/{slug}.json is missing")
    fixture: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for part in ("now", "secrets", "vectors", "replies", "report", "balances", "refusals"):
        assert part in fixture, f"{slug}: its fixture has no {part}"
    return fixture


def make_response(reply: Mapping[str, Any]) -> httpx.Response:
    content = reply["text"] if "text" in reply else json.dumps(reply["body"], ensure_ascii=False)
    return httpx.Response(reply.get("status", 200), headers={**JSON, **reply.get("headers", {})}, content=content.encode())


async def no_wait(seconds: float) -> None:
    assert 0 <= seconds <= 1


class LeapClock:
    """A monotonic clock that runs as ever, and leaps over every wait instead of waiting."""

    def __init__(self) -> None:
        self.leapt = 0.0
        self.waits: list[float] = []

    def read(self) -> float:
        return time.monotonic() + self.leapt

    async def sleep(self, seconds: float) -> None:
        assert 0 <= seconds <= 10, "longer than a call may take"
        self.waits.append(seconds)
        self.leapt += seconds


class FakeExchange:
    """Answers each declared call from the fixture; anything else fails the test."""

    def __init__(self, kind: type[ExchangeAdapter], replies: Mapping[str, Any], *, prefix: str = "") -> None:
        self.kind = kind
        self.replies = dict(replies)
        self.prefix = prefix
        self.seen: list[Call] = []
        self.requests: list[httpx.Request] = []

    def find_call(self, request: httpx.Request) -> Call:
        path = request.url.raw_path.decode().partition("?")[0].removeprefix(self.prefix)
        for call in self.kind.calls:
            if call.method == request.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", call.path), path):
                return call
        raise AssertionError(f"an undeclared request: {request.method} {path}")

    def answer(self, request: httpx.Request) -> httpx.Response:
        call = self.find_call(request)
        self.seen.append(call)
        self.requests.append(request)
        reply = self.replies[call.label]
        return reply(request) if callable(reply) else make_response(reply)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)


def make_http(transport: httpx.AsyncBaseTransport, kind: type[ExchangeAdapter], **options: Any) -> ExchangeHttp:
    origins = frozenset("/".join(site.api_url.split("/", 3)[:3]) for site in kind.exchange.sites)
    clock = LeapClock()
    options = {"monotonic": clock.read, "sleep": clock.sleep, **options}
    return ExchangeHttp(transport=transport, **{**options, "origins": origins | options.get("origins", frozenset())})


def make_adapter(
    kind: type[ExchangeAdapter],
    fixture: Mapping[str, Any],
    transport: httpx.AsyncBaseTransport,
    *,
    probes: str = "harmless",
    secrets: Mapping[str, str] | None = None,
    now: datetime | None = None,
    base_url: str | None = None,
    deadline_seconds: float = 5,
) -> ExchangeAdapter:
    at = now or datetime.fromisoformat(fixture["now"]).astimezone(UTC)
    url = base_url or kind.exchange.sites[0].api_url
    context = AdapterContext(
        secrets=Secrets({name: Secret(value) for name, value in (secrets or fixture["secrets"]).items()}),
        environment=Environment.LIVE,
        base_url=url,
        http=make_http(transport, kind, deadline_seconds=deadline_seconds, origins=frozenset({"/".join(url.split("/", 3)[:3])})),
        clock=lambda: at,
        probes=ProbePolicy(probes),
        turn=KeyTurn(sleep=no_wait),
    )
    return kind(context)


def stage(slug: str, *, replies: Mapping[str, Any] | None = None, **options: Any) -> tuple[ExchangeAdapter, FakeExchange]:
    """Return an adapter and the fake exchange it talks to; `replies` replaces some of the fixture's."""
    fixture = load_fixture(slug)
    fake = FakeExchange(KINDS[slug], {**fixture["replies"], **(replies or {})})
    return make_adapter(KINDS[slug], fixture, fake.transport, **options), fake


def is_read(call: Call) -> bool:
    """Whether the call is signed and asked by every check and balance, not by probes that may come to nothing."""
    return not call.public and call.method == "GET" and call.needs is not Permission.WITHDRAW
