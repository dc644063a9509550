"""Ten minutes without an exchange, 500 keys: it is asked once in 30 seconds, nothing is lost, and its return brings no rush."""

import itertools
import re
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI

from app.credentials.background import BackgroundChecks
from app.exchanges.http import ExchangeHttp
from app.exchanges.registry import Exchanges, find_adapters
from app.exchanges.traffic import LocalTraffic
from app.exchanges.types import ProbePolicy
from app.main import Outside, create_app
from app.settings import Settings
from app.worker import Worker
from tests.conftest import FakeClock
from tests.fleet.exchange import make_sandbox
from tests.fleet.judge import SeenCall, find_peaks
from tests.fleet.seeding import seed
from tests.fleet.virtual_time import VirtualTime
from tests.pages import Page
from tests.people import SignedIn

KEYS = 500
ROUND_SECONDS = 5
AWAY_SECONDS = 600
AMOUNTS = re.compile(r"(\d\S* BTC \S+ ETH) (?:\d+ assets · )?(?:(\d+) min ago|just now|\d+ s ago|as of (\d\d):(\d\d))")
URL = "http://127.0.0.1:9/hitbtc"


class Exchange(httpx.AsyncBaseTransport):
    """The sandbox as the outside world, which can go away; it writes down when it was called."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._inner = httpx.ASGITransport(app=make_sandbox(clock=clock, keys=KEYS))
        self.is_away = False
        self.calls: list[SeenCall] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        now = self._clock.now.timestamp()
        self.calls.append(SeenCall(now, now, "", "hitbtc", "", request.url.path.removeprefix("/hitbtc"), away=self.is_away))
        if self.is_away:
            raise httpx.ConnectError("away")
        return await self._inner.handle_async_request(request)


@pytest.fixture
def exchange(clock: FakeClock) -> Exchange:
    return Exchange(clock)


@pytest.fixture
async def app(settings: Settings, outside: Outside) -> AsyncIterator[FastAPI]:
    created = create_app(settings.model_copy(update={"exchange_urls": {"hitbtc": URL}}), outside=outside)
    async with created.router.lifespan_context(created):
        yield created


def make_worker(app: FastAPI, exchange: Exchange, time: VirtualTime) -> Worker:
    """Make the app's worker in virtual time, with the real limits and the real breaker."""
    state, kinds = app.state, {"hitbtc": find_adapters()["hitbtc"]}
    traffic = LocalTraffic(monotonic=time.monotonic, sleep=time.sleep)
    http = ExchangeHttp(
        origins=frozenset({"http://127.0.0.1:9"}), transport=exchange, monotonic=time.monotonic, sleep=time.sleep, traffic=traffic
    )
    urls = {"hitbtc": URL}
    exchanges = Exchanges(http=http, clock=time.clock, probes=ProbePolicy.HARMLESS, urls=urls, kinds=kinds, sleep=time.sleep)
    return Worker(
        BackgroundChecks(state.database, vault=state.vault, exchanges=exchanges, settings=state.settings, clock=time.clock)
    )


async def run_rounds(worker: Worker, time: VirtualTime, *, seconds: float) -> None:
    """Let rounds come as the engine lets them come, for so long."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        began = time.monotonic()
        for subject in await worker.find():
            if ids := await worker.claim(subject):
                await time.run(worker.work(ids))
        time.clock.advance(seconds=max(0.0, ROUND_SECONDS - (time.monotonic() - began)))


async def count(app: FastAPI, where: str) -> int:
    """Count the keys whose newest balances, as pages show them, are so."""
    async with app.state.database.connect() as connection:
        found = await connection.exec_driver_sql(f"SELECT count(*) FROM credential_balances WHERE {where}")
        return int(found.scalar_one())


async def read_cards(signed_in: SignedIn) -> dict[str, str]:
    """Return the text of every card of the credentials page, which must answer, by the key's name."""
    page = Page(await signed_in.client.get("/credentials"))
    assert page.status == 200
    cards = page.find(tag="article", cls="credential-card")
    return {next(one.text for one in card.walk() if one.tag == "h3"): card.text for card in cards}


def assert_last_known(before: dict[str, str], after: dict[str, str], *, older_by: int, now: datetime) -> None:
    """See the same amounts as before the outage on every card, and that they are so many minutes older."""
    assert len(before) > KEYS / 30
    for name, card in after.items():
        amounts, age = read_amounts(before[name], now)
        kept, aged = read_amounts(card, now)
        assert kept == amounts
        assert age + older_by - 1 <= aged <= age + older_by + 1


def read_amounts(card: str, now: datetime) -> tuple[str, int]:
    """Return a card's amounts, and how many minutes old it says they are."""
    found = AMOUNTS.search(card)
    assert found is not None, card
    if found[3]:  # a refresh has failed since: the card says the time of day
        return found[1], (now.hour * 60 + now.minute - int(found[3]) * 60 - int(found[4])) % 1440
    return found[1], int(found[2] or 0)


@pytest.mark.timeout(600)
async def test_an_exchange_that_is_away_is_asked_now_and_then_and_comes_back_to_no_rush(
    app: FastAPI, exchange: Exchange, clock: FakeClock, signed_in: SignedIn
) -> None:
    time = VirtualTime(clock)
    await seed(app, {"hitbtc": KEYS}, within_seconds=300, owner_id=signed_in.user_id)
    worker = make_worker(app, exchange, time)
    await run_rounds(worker, time, seconds=600)
    assert await count(app, "document IS NOT NULL AND failed_at IS NULL") == KEYS

    exchange.is_away, went_away = True, time.monotonic()
    known = await read_cards(signed_in)
    for minutes in (5, 10):
        await run_rounds(worker, time, seconds=AWAY_SECONDS / 2)
        assert_last_known(known, await read_cards(signed_in), older_by=minutes, now=clock.now)
    asked = [call.began - went_away for call in exchange.calls if call.away]
    first, probes = [at for at in asked if at < 40], [at for at in asked if at >= 40]
    assert len(first) <= 40, "what was under way, until the breaker opened"
    assert 10 <= len(probes) <= AWAY_SECONDS / 30
    assert all(later - earlier >= 29.9 for earlier, later in itertools.pairwise(probes)), probes
    assert await count(app, "document IS NOT NULL AND fetched_at IS NOT NULL") == KEYS, "the last known ones stay"

    exchange.is_away, came_back = False, len(exchange.calls)
    await run_rounds(worker, time, seconds=600)
    since = exchange.calls[came_back:]
    assert max(find_peaks(since, {"hitbtc": find_adapters()["hitbtc"].exchange.host_limits}).values()) <= 1.0
    assert await count(app, "failure_code IS NULL") == KEYS, "every key is well again"
    async with app.state.database.connect() as connection:
        codes = await connection.exec_driver_sql("SELECT DISTINCT checked_code FROM credentials")
        assert [code for (code,) in codes] == ["ok"]
