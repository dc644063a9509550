"""A call is signed when nothing is left to wait for: neither its place below a limit nor a slow database makes it late."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from app.exchanges.breaker import Admission
from app.exchanges.errors import UndeclaredCall
from app.exchanges.http import ExchangeHttp, OutgoingRequest
from app.exchanges.registry import Exchanges
from app.exchanges.traffic import Lane, LocalTraffic
from app.exchanges.types import CallLimit, Environment, ProbePolicy, Secrets
from app.sandbox.app import create_sandbox
from app.sandbox.keys import list_keys
from tests.conftest import FakeClock
from tests.exchanges.stage import SLUGS

ORIGIN = "http://127.0.0.1:9"


class Slow(LocalTraffic):
    """Lets every call wait as long as a call may."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    @asynccontextmanager
    async def admit(
        self, lane: Lane, *, limits: Sequence[CallLimit], call: str, within_seconds: float
    ) -> AsyncIterator[Admission]:
        self._clock.advance(seconds=9)
        async with super().admit(lane, limits=(), call=call, within_seconds=within_seconds) as admission:
            yield admission


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_wait_for_a_place_makes_no_signature_late(slug: str, clock: FakeClock) -> None:
    key = next(key for key in list_keys(ProbePolicy.HARMLESS) if (key.exchange, key.scenario) == (slug, "read-only"))
    http = ExchangeHttp(
        origins=frozenset({ORIGIN}), transport=httpx.ASGITransport(app=create_sandbox(clock=clock)), traffic=Slow(clock)
    )
    exchanges = Exchanges(http=http, clock=clock, probes=ProbePolicy.HARMLESS, urls={slug: f"{ORIGIN}/{slug}"})
    async with http:
        adapter = exchanges.open(slug, Environment.LIVE, Secrets(dict(key.secrets)), key_id="k")
        await adapter.read_clock()
        await adapter.check()
        assert (await adapter.fetch_balances()).balances
    assert {entry.outcome for entry in adapter.evidence} <= {"ok", "permission_missing"}, "a probe of the rights may be refused"


async def test_what_signing_makes_of_a_request_is_looked_at_too() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    async with ExchangeHttp(origins=frozenset({"https://a.example"}), transport=httpx.MockTransport(answer)) as http:
        request = OutgoingRequest("GET", "https://a.example/")
        for url in ("https://b.example/", "https://a.example/a b"):
            with pytest.raises(UndeclaredCall):
                await http.send(request, call="c", sign=lambda plain, url=url: replace(plain, url=url))
        assert sent == []
        assert (await http.send(request, call="c", sign=lambda plain: replace(plain, headers={"X": "1"}))).status == 200
        assert sent[0].headers["x"] == "1"
