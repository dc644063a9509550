"""The same key in two servers at once, with clocks that differ: one call at a time, and every number above the last."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.db import Database
from app.exchanges.adapter import ExchangeAdapter
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges, list_origins
from app.exchanges.types import Environment, ProbePolicy, Secrets
from app.masking import Secret
from app.traffic.service import SharedTraffic
from tests.exchanges.stage import KINDS, FakeExchange, load_fixture
from tests.exchanges.test_turns import ONE_AT_A_TIME, read_number

pytestmark = pytest.mark.postgresql


class SlowExchange(httpx.AsyncBaseTransport):
    """Answers from the fixture after a moment, and notes the numbers in the order of their arrival, and what overlaps."""

    def __init__(self, slug: str, replies: Mapping[str, Any]) -> None:
        self.fake = FakeExchange(KINDS[slug], replies)
        self.numbers: list[int] = []
        self.overlaps = 0
        self._signed_now = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = read_number(request)
        if number is not None:
            self.numbers.append(int(number))
            self.overlaps += self._signed_now > 0
            self._signed_now += 1
        await asyncio.sleep(0.02)
        self._signed_now -= number is not None
        return self.fake.answer(request)


def open_adapter(slug: str, database: Database, exchange: SlowExchange, *, ahead_seconds: float) -> ExchangeAdapter:
    fixture = load_fixture(slug)
    now = datetime.fromisoformat(fixture["now"]).astimezone(UTC) + timedelta(seconds=ahead_seconds)
    http = ExchangeHttp(origins=list_origins(KINDS), transport=exchange, traffic=SharedTraffic(database))

    async def skip(seconds: float) -> None:
        """The second between two calls takes no time here."""

    exchanges = Exchanges(http=http, clock=lambda: now, probes=ProbePolicy.READS, kinds=KINDS, sleep=skip)
    secrets = Secrets({name: Secret(value) for name, value in fixture["secrets"].items()})
    return exchanges.open(slug, Environment.LIVE, secrets, key_id="f")


@pytest.mark.parametrize("slug", ONE_AT_A_TIME)
async def test_numbers_rise_over_two_servers(slug: str, databases: list[Database], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.exchanges.turns._GAP_SECONDS", 0.0)
    exchange = SlowExchange(slug, load_fixture(slug)["replies"])
    ahead, behind = (
        open_adapter(slug, database, exchange, ahead_seconds=s) for database, s in zip(databases, (5, -5), strict=False)
    )
    for _ in range(2):
        await asyncio.gather(ahead.fetch_balances(), behind.fetch_balances())
    assert len(exchange.numbers) >= 4
    assert exchange.numbers == sorted(set(exchange.numbers))
    assert exchange.overlaps == 0
